"""Finding the owner of a call: the token in the ufrag, the directory, flows, proxy headers.

What a relay and the transceivers behind it share. Nothing here terminates a
protocol or holds a session key; the relay's core composes these parts.
"""

from rtcproto.routing.directory import (
    LOOPBACK_NETWORKS,
    Directory,
    Entry,
    StaticDirectory,
    check_address,
    parse_address,
    parse_entry,
)
from rtcproto.routing.leases import LEASE, LeaseBook, build_lease, parse_lease
from rtcproto.routing.proxy import (
    HEADER_SIZE,
    HeaderCache,
    encode_header,
    has_header,
    parse_header,
    parse_headers,
)
from rtcproto.routing.table import FlowAdded, FlowEvent, FlowProven, FlowRemoved, FlowTable, Removal
from rtcproto.routing.token import (
    EncipheredTokenCodec,
    PlaintextTokenCodec,
    RoutingToken,
    TokenCodec,
    codec_from_text,
    mint,
)

__all__ = [
    "HEADER_SIZE",
    "LEASE",
    "LOOPBACK_NETWORKS",
    "Directory",
    "EncipheredTokenCodec",
    "Entry",
    "FlowAdded",
    "FlowEvent",
    "FlowProven",
    "FlowRemoved",
    "FlowTable",
    "HeaderCache",
    "LeaseBook",
    "PlaintextTokenCodec",
    "Removal",
    "RoutingToken",
    "StaticDirectory",
    "TokenCodec",
    "build_lease",
    "check_address",
    "codec_from_text",
    "encode_header",
    "has_header",
    "mint",
    "parse_address",
    "parse_entry",
    "parse_header",
    "parse_headers",
    "parse_lease",
]
