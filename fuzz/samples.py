"""Keys, configurations and valid packets that targets, operations and seeds share.

Everything is built by this library from fixed values, so that a committed
input means the same on every machine and no foreign corpus is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import count

from rtcproto import dtls, rtp, sdp, srtp, stun
from rtcproto.dtls.keying import derive_record_keys
from rtcproto.routing import EncipheredTokenCodec, PlaintextTokenCodec, RoutingToken, TokenCodec

__all__ = [
    "ANSWER_CONFIG",
    "DATA_OFFER",
    "DTLS_CLIENT",
    "DTLS_KEYS",
    "NOW",
    "OFFER",
    "PASSWORD",
    "SRTP_KEYS",
    "STUN_KEY",
    "TOKENS",
    "TOKEN_CODEC",
    "UNIX_TIME",
    "check",
    "entropy",
    "rtp_packet",
    "token_ufrag",
]

# The instant at which every machine is made, on both clocks.
NOW = 1000.0
UNIX_TIME = 1_800_000_000.0

PASSWORD = "abcdefghijklmnopqrstuv"
STUN_KEY = stun.ShortTermKey(PASSWORD)

TOKEN_CODEC = EncipheredTokenCodec({"a": bytes(range(16)), "b": bytes(range(16, 32))}, "a")
TOKENS: tuple[TokenCodec, ...] = (TOKEN_CODEC, PlaintextTokenCodec("p"))

# Nobody's certificate: a handshake never completes against it.
DTLS_CLIENT: Sequence[dtls.Fingerprint] = (
    dtls.Fingerprint("sha-256", ":".join(f"{n:02X}" for n in range(32))),
)

# A server's view of fixed secrets, for each way to protect records.
DTLS_KEYS = tuple(
    derive_record_keys(cipher, bytes(range(48)), bytes(32), bytes(32), False)
    for cipher in (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    )
)

SRTP_KEYS = tuple(
    (
        profile,
        srtp.MasterKey(
            bytes(range(profile.key_length)), bytes(range(100, 100 + profile.salt_length))
        ),
    )
    for profile in srtp.Profile
)


def _local(**settings: object) -> dict[str, object]:
    return {
        "ufrag": "frag",
        "pwd": PASSWORD,
        "fingerprint": ("sha-256", DTLS_CLIENT[0].value),
        "ssrc": 0x11223344,
        "cname": "fuzz",
        "session_id": 42,
        **settings,
    }


_DATA = sdp.DataConfig(init=b"init")
ANSWER_CONFIG = sdp.AnswerConfig(**_local(ice_lite=True, data=_DATA))  # type: ignore[arg-type]
OFFER = sdp.build_offer(sdp.OfferConfig(**_local(ufrag="offr")))  # type: ignore[arg-type]
DATA_OFFER = sdp.build_offer(
    sdp.OfferConfig(**_local(ufrag="offr", data=_DATA))  # type: ignore[arg-type]
)


def token_ufrag(owner: int, epoch: int = 0, nonce: int = 7) -> str:
    """A ufrag that routes to slot 0/`owner`."""
    return TOKEN_CODEC.encode(RoutingToken(0, owner, epoch, nonce))


def check(ufrag: str, peer: str = "peer", transaction: bytes = bytes(12)) -> bytes:
    """A nominating connectivity check for `ufrag` with a valid MESSAGE-INTEGRITY."""
    return stun.build(
        stun.Method.BINDING,
        stun.Class.REQUEST,
        transaction,
        [
            (stun.Attribute.USERNAME, f"{ufrag}:{peer}"),
            (stun.Attribute.PRIORITY, 1845494271),
            (stun.Attribute.ICE_CONTROLLING, 0x1122334455667788),
            (stun.Attribute.USE_CANDIDATE, True),
        ],
        STUN_KEY,
    )


def rtp_packet(sequence: int = 1, payload: bytes = b"\x78" + bytes(60)) -> bytes:
    """An Opus packet with an audio level and a mid extension."""
    profile, data = rtp.build_extensions([(1, b"\x90"), (2, b"0")])
    return rtp.RtpPacket(
        payload_type=111,
        marker=False,
        sequence=sequence,
        timestamp=sequence * 960,
        ssrc=0xCAFEBABE,
        payload=payload,
        csrcs=(),
        extension_profile=profile,
        extension_data=data,
    ).serialize()


def entropy(name: str) -> Callable[[int], bytes]:
    """What machines take as `entropy`: the same bytes at every run, never the same twice."""
    counter = count()

    def draw(size: int) -> bytes:
        return hashlib.shake_128(f"{name}/{next(counter)}".encode()).digest(size)

    return draw
