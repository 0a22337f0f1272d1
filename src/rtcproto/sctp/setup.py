"""The four-way handshake without its timer: RFC 9260 sections 5.1 and 5.2.

Our first numbers, the jar that seals our cookies, and the peer's cookie while it
is on its way back. INITs may cross at any point and come again at any time;
answering one changes nothing here, only a cookie of ours that returns does.
Called by the association. Raises PeerError for what must end it and ParseError
or AuthenticationError for what is to be dropped.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from rtcproto.errors import ParseError, PeerError
from rtcproto.sctp.config import SctpConfig
from rtcproto.sctp.control_chunks import CookieEcho, Error, Init, InitAck
from rtcproto.sctp.cookie import KEY_SIZE, CookieJar, CookieState
from rtcproto.sctp.handshake import (
    Agreement,
    Verdict,
    agree,
    judge,
    make_cookie,
    make_init,
    make_init_ack,
)
from rtcproto.sctp.parameters import Cause, Parameter, ParameterType, find

__all__ = ["Setup"]

# Bytes of a cookie we return: it must fit a packet. Real ones take 100 to 400.
MAX_COOKIE = 460


class Setup:
    """What is known before the association is up, and what answers to repetitions need."""

    __slots__ = ("_config", "_cookie", "_entropy", "_jar", "init", "tag", "tentative")

    def __init__(self, config: SctpConfig, entropy: Callable[[int], bytes]) -> None:
        self._config = config
        self._entropy = entropy
        self._jar = CookieJar(entropy(KEY_SIZE))
        # Our verification tag, as the four bytes that packets carry.
        self.tag = self._new_tag()
        tsn = int.from_bytes(entropy(4), "big")
        self.init = make_init(config, int.from_bytes(self.tag, "big"), tsn)
        # The peer's cookie, and what holds if it is accepted.
        self._cookie = b""
        self.tentative: Agreement | None = None

    def agree(self, theirs: Init | InitAck) -> Agreement:
        """What our INIT and the peer's chunk make. Raises PeerError."""
        return agree(self._config, self.init.initiate_tag, self.init.initial_tsn, theirs)

    def answer(self, theirs: Init, known: Agreement | None, now: float) -> InitAck:
        """Sections 5.1 B, 5.2.1 and 5.2.2: a cookie. Raises ParseError."""
        tag, our_tie, their_tie = self.init.initiate_tag, 0, 0
        # The same INIT again (or the first time, after SNAP) is for what exists already.
        if known is not None and (theirs.initiate_tag, theirs.initial_tsn) != (
            known.their_tag,
            known.their_tsn,
        ):
            # 5.2.2: a new tag for what may become a new association, and the tags of
            # the one that is as tie tags.
            tag = int.from_bytes(self._new_tag(), "big")
            our_tie, their_tie = known.our_tag, known.their_tag
        try:
            agreement = agree(self._config, tag, self.init.initial_tsn, theirs)
        except PeerError as error:
            # 3.3.2: such an INIT is discarded and ends nothing.
            raise ParseError("sctp", str(error)) from error
        cookie = self._jar.seal(make_cookie(agreement, our_tie, their_tie, now))
        return make_init_ack(self._config, tag, agreement.our_tsn, cookie, theirs)

    def take_answer(self, chunk: InitAck) -> Agreement:
        """The peer's INIT-ACK: keep its cookie. Raises PeerError."""
        agreement = self.agree(chunk)
        cookie = find(chunk.parameters, ParameterType.STATE_COOKIE)
        if cookie is None or len(cookie) > MAX_COOKIE:
            raise PeerError("an INIT-ACK without a cookie, or with too large a one")
        self._cookie = cookie
        self.tentative = agreement
        return agreement

    def echo(self) -> CookieEcho:
        """The peer's cookie, to be returned."""
        return CookieEcho(self._cookie)

    def take_cookie(
        self, chunk: CookieEcho, tag: bytes, known: Agreement | None, now: float
    ) -> tuple[Verdict, CookieState]:
        """A cookie that came back in a packet under `tag`. Raises as the module says."""
        state = self._jar.open(chunk.cookie)
        if not hmac.compare_digest(tag, state.our_tag.to_bytes(4, "big")):
            raise ParseError("sctp", "a cookie under a wrong tag")
        limit = self._config.cookie_lifetime
        return judge(state, self.init.initiate_tag, known, limit, now), state

    def complain(self, state: CookieState, now: float) -> Error:
        """Section 3.3.10.3: how much too late a cookie came, in microseconds."""
        late = int((now - state.made_at - self._config.cookie_lifetime) * 1e6)
        measure = min(max(late, 0), 0xFFFFFFFF)
        return Error((Parameter(Cause.STALE_COOKIE, measure.to_bytes(4, "big")),))

    def done(self) -> None:
        """The association is up: nothing is on its way any more."""
        self._cookie = b""
        self.tentative = None

    def _new_tag(self) -> bytes:
        # Section 5.3.1: random, and never 0.
        tag = self._entropy(4)
        return tag if any(tag) else b"\0\0\0\1"
