"""Which packets an association listens to: ports and verification tags.

RFC 9260 sections 8.5 and 8.5.1, RFC 9653 section 5.2. A pure function of the
packet and the two tags. (A kernel that let ABORT through without them could be
talked out of its associations.) What it turns away is dropped without an answer.
"""

from __future__ import annotations

import hmac

from rtcproto.sctp.control_chunks import Abort, CookieEcho, Init, ShutdownComplete
from rtcproto.sctp.packet import Packet

__all__ = ["admits"]

_NO_TAG = bytes(4)


def admits(packet: Packet, ports: tuple[int, int], ours: bytes, theirs: bytes) -> bool:
    """Whether `packet` may be looked at.

    `ports` are source and destination as they must be; the tags are four bytes
    each, `theirs` zero while it is not known.
    """
    if (packet.source_port, packet.destination_port) != ports or not packet.chunks:
        return False
    first = packet.chunks[0]
    tag = packet.tag.to_bytes(4, "big")
    match first:
        case Init():
            # 8.5.1 A, and alone (section 6.10). Whoever sends one cannot have
            # agreed on leaving the checksum out.
            alone = len(packet.chunks) == 1 and not packet.checksum_was_zero
            return alone and packet.tag == 0
        case CookieEcho():
            # 8.5.1 D: the cookie says which tag is right.
            return not packet.checksum_was_zero
        case Abort(reflected=True) | ShutdownComplete(reflected=True):
            # 8.5.1 B and C: the T bit says that the tag is the sender's own.
            return theirs != _NO_TAG and hmac.compare_digest(tag, theirs)
        case _:
            return hmac.compare_digest(tag, ours)
