"""Descriptions to test with: the stored ones, a small one to bend, and configurations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtcproto.sdp import AnswerConfig, OfferConfig, SdpCandidate

__all__ = [
    "FINGERPRINT",
    "OFFERS",
    "VECTORS",
    "answer_config",
    "candidate",
    "offer_config",
    "offer_text",
    "read",
]

VECTORS = Path(__file__).parent.parent / "vectors" / "sdp"

# Every stored description that is an offer we must be able to serve.
OFFERS = sorted(
    path.name
    for path in VECTORS.glob("*.sdp")
    if not path.name.startswith("service-") and not path.name.endswith("-answer.sdp")
)

FINGERPRINT = ":".join(["AB"] * 32)

_AUDIO_OFFER = f"""\
v=0
o=- 42 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=ice-ufrag:remote
a=ice-pwd:remotepasswordremotepassword
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=ssrc:1234 cname:remote
"""


def read(name: str) -> str:
    """The text of a stored description, line ends as stored."""
    return (VECTORS / name).read_bytes().decode()


def offer_text(*changes: tuple[str, str], extra: str = "") -> str:
    """A small audio offer; each change replaces text that must be there, `extra` is appended."""
    text = _AUDIO_OFFER
    for old, new in changes:
        assert old in text, f"the offer holds no {old!r}"
        text = text.replace(old, new)
    return (text + extra).replace("\n", "\r\n")


def candidate(host: str = "192.0.2.1", port: int = 3478, **fields: Any) -> SdpCandidate:
    """A host candidate as a server lists it."""
    values: dict[str, Any] = {
        "foundation": "1",
        "component": 1,
        "transport": "udp",
        "priority": 2130706431,
        "host": host,
        "port": port,
        "type": "host",
    }
    return SdpCandidate(**(values | fields))


def _local() -> dict[str, Any]:
    return {
        "ufrag": "A7Nx/+abcdefghijklmnopq",
        "pwd": "p" * 24,
        "fingerprint": ("sha-256", FINGERPRINT),
        "candidates": (candidate(), candidate("2001:db8::1", foundation="2")),
        "ssrc": 12345678,
        "cname": "rtcproto",
        "session_id": 4611731400430051336,
    }


def answer_config(**changes: Any) -> AnswerConfig:
    """A server's configuration, with changes."""
    return AnswerConfig(**(_local() | changes))


def offer_config(**changes: Any) -> OfferConfig:
    """A client's configuration, with changes."""
    return OfferConfig(**(_local() | changes))
