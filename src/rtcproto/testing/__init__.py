"""A virtual network with a virtual clock, for testing anything that follows the contract.

- `World`: the clock, the event heap, derived seeded randomness.
- `Network`: links, NATs and taps between `Host`s, each driving one machine and
  holding it to the Sans-IO contract.
- `Link`, `LinkConfig`, `GilbertElliott` and the named `presets`.
- `Nat` with the mapping and filtering `Behaviour`s of RFC 4787.
- `Pair`, `PacketPair`: two machines and the path between them; `SessionPair`: a whole call.

Nothing here reads a real clock, opens a socket or draws unseeded randomness.
"""

from rtcproto.testing.host import Host
from rtcproto.testing.link import GilbertElliott, Link, LinkConfig, LinkStats
from rtcproto.testing.machine import Machine, MultihomedMachine, PacketAdapter, PacketMachine
from rtcproto.testing.nat import Behaviour, Nat
from rtcproto.testing.network import Capture, Network, Packet, Point, Tap
from rtcproto.testing.pair import FIRST_ADDRESS, SECOND_ADDRESS, PacketPair, Pair
from rtcproto.testing.presets import PRESETS
from rtcproto.testing.session_pair import UNIX_TIME, SessionPair
from rtcproto.testing.world import Entropy, LawBroken, LimitReached, World

__all__ = [
    "FIRST_ADDRESS",
    "PRESETS",
    "SECOND_ADDRESS",
    "Behaviour",
    "Capture",
    "Entropy",
    "GilbertElliott",
    "Host",
    "LawBroken",
    "LimitReached",
    "Link",
    "LinkConfig",
    "LinkStats",
    "Machine",
    "MultihomedMachine",
    "Nat",
    "Network",
    "Packet",
    "PacketAdapter",
    "PacketMachine",
    "PacketPair",
    "Pair",
    "Point",
    "SessionPair",
    "Tap",
    "UNIX_TIME",
    "World",
]
