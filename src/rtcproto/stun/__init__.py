"""STUN, RFC 8489: messages, attributes, integrity, a peek for relays, retransmission timing.

A codec only. `Message.parse` gives the structure, `ShortTermKey.verify` says
whether to believe it, `build` and the two templates make messages, and
`peek_server_ufrag` finds what a relay routes by.

>>> from rtcproto import stun
>>> key = stun.ShortTermKey("VOkJxbRl1RmTxUk/WvJxBt")
>>> data = stun.build(
...     stun.Method.BINDING,
...     stun.Class.REQUEST,
...     bytes(12),
...     [(stun.Attribute.USERNAME, "evtj:h6vY"), (stun.Attribute.PRIORITY, 1845494271)],
...     key,
... )
>>> message = stun.Message.parse(data)
>>> key.verify(message)
>>> message.get(stun.Attribute.PRIORITY)
1845494271
>>> stun.peek_server_ufrag(data)
b'evtj'
"""

from rtcproto.stun.attributes import MAGIC_COOKIE, Attribute, AttributeValue, ErrorCode
from rtcproto.stun.integrity import (
    IntegrityKey,
    LongTermKey,
    PasswordAlgorithm,
    ShortTermKey,
    userhash,
)
from rtcproto.stun.message import (
    Class,
    Integrity,
    Message,
    Method,
    RequestTemplate,
    SuccessTemplate,
    build,
)
from rtcproto.stun.peek import peek_server_ufrag, peek_username
from rtcproto.stun.transaction import Due, Schedule, Transaction

__all__ = [
    "Message",
    "Method",
    "Class",
    "Attribute",
    "AttributeValue",
    "ErrorCode",
    "MAGIC_COOKIE",
    "Integrity",
    "IntegrityKey",
    "ShortTermKey",
    "LongTermKey",
    "PasswordAlgorithm",
    "userhash",
    "build",
    "RequestTemplate",
    "SuccessTemplate",
    "peek_username",
    "peek_server_ufrag",
    "Schedule",
    "Transaction",
    "Due",
]
