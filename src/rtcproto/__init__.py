"""A pure-Python, Sans-IO WebRTC protocol library for voice servers.

The library does no I/O. You give a `Session` (or an `Endpoint` with many of
them) what arrives and what time it is, and take from it what to send, what
happened, and when to call again:

```text
while True:
    while events := session.next_events():             # handlers may call verbs
        for event in events:
            handle(event)
    for datagram in session.datagrams_to_send():
        sock.sendto(datagram.data, datagram.destination)
    if session.closed:
        break
    deadline = session.get_timer()                     # None: only a packet can wake us
    packet = wait_for_packet(until=deadline)           # yours: select, asyncio, trio ...
    if packet is not None:
        session.receive_datagram(packet.data, packet.source, clock())
    else:
        session.handle_timer(max(clock(), deadline))   # event loops wake a hair early
```

`rtcproto.asyncio` is that loop for asyncio. Times are seconds on your monotonic
clock. Inputs (`receive_*`, `handle_timer`) never raise for anything a network
can send; verbs raise `UsageError` at once.
"""

from rtcproto.config import EndpointConfig, RoutingConfig, SessionConfig
from rtcproto.datagram import Address, Datagram
from rtcproto.dtls import Identity
from rtcproto.endpoint import Endpoint, EndpointStats, SessionId
from rtcproto.errors import (
    AuthenticationError,
    BufferFull,
    CapacityExceeded,
    DescriptionRefused,
    DescriptionTooLarge,
    ParseError,
    PeerError,
    RtcError,
    UsageError,
)
from rtcproto.events import (
    AudioLost,
    AudioReceived,
    CloseReason,
    Connected,
    DataChannelBufferLow,
    DataChannelClosed,
    DataChannelMessage,
    DataChannelOpened,
    Event,
    PathChanged,
    SessionClosed,
)
from rtcproto.session import Session, SessionState, SessionStats, SetupPhases

__version__ = "0.1.0.dev0"

__all__ = [
    "Address",
    "AudioLost",
    "AudioReceived",
    "AuthenticationError",
    "BufferFull",
    "CapacityExceeded",
    "CloseReason",
    "Connected",
    "DataChannelBufferLow",
    "DataChannelClosed",
    "DataChannelMessage",
    "DataChannelOpened",
    "Datagram",
    "DescriptionRefused",
    "DescriptionTooLarge",
    "Endpoint",
    "EndpointConfig",
    "EndpointStats",
    "Event",
    "Identity",
    "ParseError",
    "PathChanged",
    "PeerError",
    "RoutingConfig",
    "RtcError",
    "Session",
    "SessionClosed",
    "SessionConfig",
    "SessionId",
    "SessionState",
    "SessionStats",
    "SetupPhases",
    "UsageError",
]
