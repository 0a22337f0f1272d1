"""Named network profiles, each for one direction, and where their figures come from.

`PRESETS` lists them by name for parametrised tests. The figures of the first
group are those of the str0m emulator (loss in bursts there, too); those of the
second are the delays, loss rates and line rates that libwebrtc's full-stack and
dcSCTP's network tests use; the last is the worst profile of a public load study
of a realtime voice service.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from rtcproto.testing.link import GilbertElliott, LinkConfig

__all__ = [
    "CELLULAR",
    "CONGESTED",
    "CONGESTED_WIFI",
    "DCSCTP_18_MBPS",
    "DCSCTP_1_MBPS",
    "DCSCTP_1_PERCENT",
    "FULL_STACK_250_KBPS",
    "FULL_STACK_500_KBPS",
    "FULL_STACK_5_PERCENT",
    "LOSSY_WIFI",
    "NACK_30_PERCENT",
    "PERFECT",
    "PRESETS",
    "SATELLITE",
    "VOICE_WORST",
    "WIFI",
]

PERFECT = LinkConfig()

# -- Access networks (str0m's emulator)

WIFI = LinkConfig(delay=0.005, jitter=0.002, loss=GilbertElliott.of(0.01))
LOSSY_WIFI = LinkConfig(delay=0.015, jitter=0.010, loss=GilbertElliott.of(0.05))
CONGESTED_WIFI = LinkConfig(
    delay=0.010, jitter=0.020, loss=GilbertElliott.of(0.10), rate=5e6, queue=30_000
)
CELLULAR = LinkConfig(delay=0.050, jitter=0.015, loss=GilbertElliott.of(0.02), rate=30e6)
SATELLITE = LinkConfig(delay=0.600, jitter=0.030, loss=GilbertElliott.of(0.03))
CONGESTED = LinkConfig(
    delay=0.080, jitter=0.040, loss=GilbertElliott.of(0.10), rate=10e6, queue=50_000
)

# -- Test beds (libwebrtc, dcSCTP)

# 30 ms round trip and 30 % loss: retransmission on request must occur.
NACK_30_PERCENT = LinkConfig(delay=0.015, loss=0.30)
FULL_STACK_5_PERCENT = LinkConfig(delay=0.050, loss=0.05)
FULL_STACK_500_KBPS = LinkConfig(delay=0.050, loss=0.03, rate=500e3)
FULL_STACK_250_KBPS = LinkConfig(delay=0.100, loss=0.01, rate=250e3)
# 30 ms each way; the line rate, or 1 % loss, is what limits a transfer.
DCSCTP_1_MBPS = LinkConfig(delay=0.030, rate=1e6)
DCSCTP_18_MBPS = LinkConfig(delay=0.030, rate=18e6)
DCSCTP_1_PERCENT = LinkConfig(delay=0.030, loss=0.01)

# -- Voice services

# 200 ms round trip, 3 % loss, 1 Mb/s.
VOICE_WORST = LinkConfig(delay=0.100, loss=0.03, rate=1e6)

PRESETS: Mapping[str, LinkConfig] = MappingProxyType(
    {
        "perfect": PERFECT,
        "wifi": WIFI,
        "lossy_wifi": LOSSY_WIFI,
        "congested_wifi": CONGESTED_WIFI,
        "cellular": CELLULAR,
        "satellite": SATELLITE,
        "congested": CONGESTED,
        "nack_30_percent": NACK_30_PERCENT,
        "full_stack_5_percent": FULL_STACK_5_PERCENT,
        "full_stack_500_kbps": FULL_STACK_500_KBPS,
        "full_stack_250_kbps": FULL_STACK_250_KBPS,
        "dcsctp_1_mbps": DCSCTP_1_MBPS,
        "dcsctp_18_mbps": DCSCTP_18_MBPS,
        "dcsctp_1_percent": DCSCTP_1_PERCENT,
        "voice_worst": VOICE_WORST,
    }
)
