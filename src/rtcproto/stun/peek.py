"""The USERNAME of a Binding request without a parse: what a relay routes by. RFC 8489 section 5.

Walks attribute headers up to USERNAME and reads nothing else; nothing is
authenticated, so the answer is a hint. Called for every STUN datagram that
reaches a relay or an endpoint with many sessions. Total: any bytes give an
answer or None, nothing is raised.

Refuses (None): anything but a Binding request or indication with the magic
cookie and a true length field, and a USERNAME that its owner would not see
because it stands behind MESSAGE-INTEGRITY.
"""

from __future__ import annotations

from struct import Struct

__all__ = ["peek_server_ufrag", "peek_username"]

# Attributes looked at before giving up. Real checks carry 5 to 10; a datagram
# of empty attributes must not cost five hundred steps.
MAX_ATTRIBUTES_WALKED = 16

# The header and the type and length of the first attribute in one go.
_unpack_first = Struct("!HHI12xHH").unpack_from
_unpack_next = Struct("!HH").unpack_from

_USERNAME = 0x0006
_INTEGRITIES = frozenset((0x0008, 0x001C))


def peek_username(data: bytes) -> bytes | None:
    """The value of USERNAME in a Binding request or indication, or None."""
    size = len(data)
    if size < 24:
        return None
    kind, length, cookie, attribute, value_size = _unpack_first(data)
    # 0x0001 is a Binding request, 0x0011 an indication.
    if kind & 0xFFEF != 0x0001 or cookie != 0x2112A442 or length != size - 20 or length & 3:
        return None
    start = 24
    if attribute != _USERNAME:
        for _ in range(MAX_ATTRIBUTES_WALKED):
            if attribute in _INTEGRITIES:
                return None
            offset = start + (value_size + 3 & ~3)
            if offset >= size:
                return None
            attribute, value_size = _unpack_next(data, offset)
            start = offset + 4
            if attribute == _USERNAME:
                break
        else:
            return None
    end = start + value_size
    return data[start:end] if end <= size else None


def peek_server_ufrag(data: bytes) -> bytes | None:
    """The part of USERNAME before the colon: the ufrag of the side the check is sent to.

    RFC 8445 section 7.2.2: the user name is "formed by concatenating the
    username fragment provided by the peer with the username fragment of the
    ICE agent sending the request, separated by a colon". None without a colon.
    """
    username = peek_username(data)
    if username is None:
        return None
    ufrag, colon, _ = username.partition(b":")
    return ufrag if colon and ufrag else None
