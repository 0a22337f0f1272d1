"""The state cookie: what an INIT told us, kept by the peer instead of by us.

RFC 9260 section 5.1.3. Sealed with HMAC-SHA-256 under a key of this association
and stamped with its time, so that nobody but us makes one and none lives for
ever. (Implementations that forgot the MAC could be handed any state.)

```text
 | MAC (32) | made at (8) | their tag | our tag | their tsn | our tsn | a_rwnd (4 each)
 | streams out | streams in (2 each) | tie tags: ours, theirs (4 each) | features (1) |
```

Called by the handshake. Refused: another length, and a MAC that is not right.
"""

from __future__ import annotations

import hashlib
import hmac
from struct import Struct

from rtcproto._attrs import wire
from rtcproto.errors import AuthenticationError, ParseError

__all__ = ["CookieJar", "CookieState"]

_BODY = Struct("!dLLLLLHHLLB")
_MAC_SIZE = 32
KEY_SIZE = 32


@wire
class CookieState:
    """Both sides' first numbers. The tie tags are zero unless an association existed."""

    made_at: float
    their_tag: int
    our_tag: int
    their_tsn: int
    our_tsn: int
    a_rwnd: int
    outbound_streams: int
    inbound_streams: int
    our_tie: int
    their_tie: int
    features: int


class CookieJar:
    """Makes cookies and tells its own from others."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"the key of a cookie has {KEY_SIZE} bytes")
        self._key = key

    def seal(self, state: CookieState) -> bytes:
        """The cookie of `state`."""
        body = _BODY.pack(
            state.made_at,
            state.their_tag,
            state.our_tag,
            state.their_tsn,
            state.our_tsn,
            state.a_rwnd,
            state.outbound_streams,
            state.inbound_streams,
            state.our_tie,
            state.their_tie,
            state.features,
        )
        return self._mac(body) + body

    def open(self, cookie: bytes) -> CookieState:
        """What it holds. Raises ParseError (length) and AuthenticationError (not ours)."""
        if len(cookie) != _MAC_SIZE + _BODY.size:
            raise ParseError("sctp", "not a cookie of this length")
        body = cookie[_MAC_SIZE:]
        if not hmac.compare_digest(self._mac(body), cookie[:_MAC_SIZE]):
            raise AuthenticationError("not a cookie of ours")
        return CookieState(*_BODY.unpack(body))

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)
