"""Whom a token names, and which client a header may speak of: two questions with reasons.

Pure functions over what the relay's core holds; each gives the answer or the reason to drop.
"""

from __future__ import annotations

from collections.abc import Collection

from rtcproto.datagram import Address
from rtcproto.errors import ParseError
from rtcproto.relay.kinds import can_be_client
from rtcproto.relay.policy import Drop
from rtcproto.routing.directory import Directory
from rtcproto.routing.proxy import parse_header
from rtcproto.routing.token import TokenCodec

__all__ = ["inner_header", "owner_in"]


def owner_in(ufrag: bytes, codec: TokenCodec, directory: Directory) -> Address | Drop:
    """Where the owner that a ufrag names listens now."""
    token = codec.decode(ufrag)
    if token is None:
        return Drop.BAD_TOKEN
    entry = directory.lookup(token.cluster, token.owner)
    if entry is None:
        return Drop.UNKNOWN_OWNER
    if entry.epoch is not None and entry.epoch != token.epoch:
        return Drop.STALE_EPOCH
    return entry.address


def inner_header(
    data: bytes, offset: int, ours: Collection[Address], directory: Directory
) -> tuple[Address, Address] | Drop:
    """The client and its public address as another relay says, if they can be."""
    try:
        client, public, _ = parse_header(data, offset)
    except ParseError:
        return Drop.BAD_HEADER
    if client in ours or public in ours or directory.lists(client):
        return Drop.LOOP
    return (client, public) if can_be_client(client) else Drop.BAD_HEADER
