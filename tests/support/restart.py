"""An ICE restart as the offerer's side does it, for sessions that only know how to answer one."""

from __future__ import annotations

from collections.abc import Callable

from rtcproto.ice import Credentials
from rtcproto.sdp import FragmentMedia, SdpFragment, parse_fragment
from rtcproto.session import Session
from rtcproto.session.trickle import IceRestart, draw_credentials, usable_candidates

__all__ = ["answered", "new_fragment", "restart"]


def new_fragment(credentials: Credentials, mid: str = "0") -> str:
    """The body of the PATCH that starts a restart."""
    section = FragmentMedia(mid=mid)
    return str(SdpFragment(ufrag=credentials.ufrag, pwd=credentials.pwd, media=(section,)))


def answered(text: str) -> Credentials:
    """The credentials in the answer to a restart."""
    fragment = parse_fragment(text)
    assert fragment.ufrag is not None
    assert fragment.pwd is not None
    return Credentials(fragment.ufrag, fragment.pwd)


def restart(client: Session, ask: Callable[[str], str], now: float) -> SdpFragment:
    """Restart `client`'s ICE; `ask` carries its fragment to the other side. The answer."""
    trickle = client._trickle
    assert trickle is not None, "restarts come after descriptions"
    local = draw_credentials(client._config, None)
    text = ask(new_fragment(local))
    answer, remote = parse_fragment(text), answered(text)
    change = IceRestart(
        previous=(trickle._local, trickle._remote),
        local=local,
        remote=remote,
        candidates=usable_candidates(answer.candidates, client._config),
    )
    client._planes.transport.restart_ice(change, now)
    client._planes.pump(now)
    trickle._local, trickle._remote = local, remote
    return answer
