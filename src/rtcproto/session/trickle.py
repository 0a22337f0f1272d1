"""Fragments of a session's description: ICE restarts and trickled candidates.

Called by the session's verbs for what comes after offer and answer (RFC 8840, RFC
9725 section 4.3). Knows which credentials are the newest on both sides; the old
ones that are still in use are ICE's to know.

Refused as `DescriptionRefused`: a restart whose ufrag or password is missing or the
present one, one by a lite peer, and candidates of another generation than the
newest. Malformed text is `ParseError`, too much of it `DescriptionTooLarge`.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

import attrs

from rtcproto.config import SessionConfig
from rtcproto.errors import DescriptionRefused, ParseError, UsageError
from rtcproto.ice import Candidate, Credentials, advertised_candidates, is_routable
from rtcproto.sdp import FragmentMedia, SdpCandidate, SdpFragment, parse_fragment

__all__ = ["IceRestart", "Trickle", "draw_credentials", "usable_candidates"]


@attrs.frozen(kw_only=True)
class IceRestart:
    """What a restart changes: credentials, old and new, and the peer's candidates."""

    previous: tuple[Credentials, Credentials]  # local, remote
    local: Credentials
    remote: Credentials
    candidates: tuple[Candidate, ...]


class Trickle:
    """The newest credentials of one session, and the section that its candidates belong to."""

    __slots__ = ("_config", "_local", "_mid", "_remote")

    def __init__(
        self, config: SessionConfig, local: Credentials, remote: Credentials, mid: str
    ) -> None:
        self._config = config
        self._local = local
        self._remote = remote
        self._mid = mid

    def restart(self, text: str, ufrag: str | None) -> tuple[IceRestart, str]:
        """Read the peer's fragment and answer it. Raises as the module says."""
        fragment = _parse(text)
        if fragment.ufrag is None or fragment.pwd is None:
            raise DescriptionRefused("an ICE restart needs ice-ufrag and ice-pwd")
        if fragment.ice_lite:
            raise DescriptionRefused("the peer is ice-lite: nobody would send checks")
        # RFC 8839 section 4.4.1.1.1: "the agent MUST change both the ice-pwd and the
        # ice-ufrag"; one that is the same may be an old fragment, or no restart at all.
        if fragment.ufrag == self._remote.ufrag or _same(fragment.pwd, self._remote.pwd):
            raise DescriptionRefused("an ICE restart changes both ice-ufrag and ice-pwd")
        if ufrag == self._local.ufrag:
            raise UsageError("an ICE restart needs a new ufrag")
        local = draw_credentials(self._config, ufrag)
        remote = Credentials(fragment.ufrag, fragment.pwd)
        restart = IceRestart(
            previous=(self._local, self._remote),
            local=local,
            remote=remote,
            candidates=self._usable(fragment),
        )
        answer = str(self._describe(local))
        self._local, self._remote = local, remote
        return restart, answer

    def candidates(self, text: str) -> tuple[Candidate, ...]:
        """The candidates of a fragment that ICE may use. Raises as the module says."""
        fragment = _parse(text)
        if fragment.ufrag is not None and fragment.ufrag != self._remote.ufrag:
            raise DescriptionRefused("the candidates belong to another ICE generation")
        if fragment.pwd is not None and not _same(fragment.pwd, self._remote.pwd):
            raise DescriptionRefused("the password is not the one of this ICE generation")
        return self._usable(fragment)

    def _usable(self, fragment: SdpFragment) -> tuple[Candidate, ...]:
        if self._config.ice_lite:
            # It sends no checks and never looks at them: nobody can aim it.
            return ()
        return usable_candidates(fragment.candidates, self._config)

    def _describe(self, local: Credentials) -> SdpFragment:
        candidates = tuple(
            SdpCandidate.parse(str(candidate).partition(":")[2], 0)
            for candidate in advertised_candidates(
                self._config.addresses, self._config.tcp_addresses
            )
        )
        return SdpFragment(
            ufrag=local.ufrag,
            pwd=local.pwd,
            ice_lite=self._config.ice_lite,
            media=(FragmentMedia(mid=self._mid, candidates=candidates),),
            end_of_candidates=True,
        )


def draw_credentials(config: SessionConfig, ufrag: str | None) -> Credentials:
    """Fresh credentials of our own; `ufrag` is random by default."""
    # RFC 8839 section 5.4 wants 24 and 128 random bits at least; here 48 and 192.
    return Credentials(
        base64.b64encode(config.entropy(6)).decode("ascii") if ufrag is None else ufrag,
        base64.b64encode(config.entropy(24)).decode("ascii"),
    )


def usable_candidates(
    described: Iterable[SdpCandidate], config: SessionConfig
) -> tuple[Candidate, ...]:
    """The candidates that a full agent may send checks to."""
    candidates = []
    for line in described:
        try:
            candidate = Candidate.parse(str(line))
        except ParseError:
            continue  # kept by SDP for its round trip, of no use to ICE
        if is_routable(candidate, allow_loopback=config.allow_loopback):
            candidates.append(candidate)
    return tuple(candidates)


def _parse(text: object) -> SdpFragment:
    if not isinstance(text, str):
        raise UsageError(f"a fragment is text, not {type(text).__name__}")
    return parse_fragment(text)


def _same(first: str, second: str) -> bool:
    return hmac.compare_digest(first.encode(), second.encode())
