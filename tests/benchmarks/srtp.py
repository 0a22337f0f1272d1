"""SRTP rows: our contexts against libsrtp's through pylibsrtp."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from rtcproto.rtp import RtpPacket
from rtcproto.srtp import MasterKey, Profile, SrtpReceiver, SrtpSender
from tests.benchmarks.codecs import PAYLOAD_160, aiortc_extensions, send_stream
from tests.benchmarks.harness import Contest, Row, Sizes, Skipped, each, loop, steady

__all__ = ["ROWS"]

SSRC = 0x1234ABCD

BARS = {
    Profile.AEAD_AES_128_GCM: 0.95,
    Profile.AES_CM_128_HMAC_SHA1_80: 1.35,
    # The two siblings have no bar of their own.
    Profile.AEAD_AES_256_GCM: None,
    Profile.AES_CM_128_HMAC_SHA1_32: None,
}


def _key(profile: Profile) -> MasterKey:
    return MasterKey(bytes(range(profile.key_length)), bytes(range(profile.salt_length)))


def _peer_session(profile: Profile, *, sends: bool):
    """libsrtp with the settings that aiortc gives it."""
    try:
        import pylibsrtp
    except ImportError:
        raise Skipped("pylibsrtp is not installed") from None
    key = _key(profile)
    policy = pylibsrtp.Policy
    names = {
        Profile.AES_CM_128_HMAC_SHA1_80: policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        Profile.AES_CM_128_HMAC_SHA1_32: policy.SRTP_PROFILE_AES128_CM_SHA1_32,
        Profile.AEAD_AES_128_GCM: policy.SRTP_PROFILE_AEAD_AES_128_GCM,
        Profile.AEAD_AES_256_GCM: policy.SRTP_PROFILE_AEAD_AES_256_GCM,
    }
    made = policy(
        key=key.key + key.salt,
        ssrc_type=policy.SSRC_ANY_OUTBOUND if sends else policy.SSRC_ANY_INBOUND,
        srtp_profile=names[profile],
    )
    made.allow_repeat_tx = True
    made.window_size = 1024
    return pylibsrtp.Session(policy=made)


class _Packets:
    """Plain packets of one stream, in order for ever."""

    def __init__(self, size: int, count: int) -> None:
        self._payload = bytes(index & 0xFF for index in range(size))
        self._count = count
        self._next = 1

    def take(self) -> list[bytes]:
        """The next `count` packets."""
        first, self._next = self._next, self._next + self._count
        return [
            RtpPacket(
                111, False, number & 0xFFFF, number * 960 & 0xFFFFFFFF, SSRC, self._payload
            ).serialize()
            for number in range(first, self._next)
        ]


@contextmanager
def _protect(profile: Profile, size: int, sizes: Sizes) -> Iterator[Contest]:
    theirs = _peer_session(profile, sends=True)
    ours = SrtpSender(profile, _key(profile))
    with steady():
        yield Contest(
            ours=each(ours.protect, _Packets(size, sizes.operations).take),
            peers={"pylibsrtp": each(theirs.protect, _Packets(size, sizes.operations).take)},
        )


@contextmanager
def _unprotect(profile: Profile, size: int, sizes: Sizes) -> Iterator[Contest]:
    theirs = _peer_session(profile, sends=False)
    ours = SrtpReceiver(profile, _key(profile))

    def protected() -> Callable[[], list[bytes]]:
        packets, sender = _Packets(size, sizes.operations), SrtpSender(profile, _key(profile))
        return lambda: [sender.protect(packet) for packet in packets.take()]

    with steady():
        yield Contest(
            ours=each(ours.unprotect, protected()),
            peers={"pylibsrtp": each(theirs.unprotect, protected())},
        )


@contextmanager
def _build_and_protect(profile: Profile, sizes: Sizes) -> Iterator[Contest]:
    extensions, peer = aiortc_extensions(), _peer_session(profile, sends=True)
    from aiortc import rtp

    stream, sender = send_stream(), SrtpSender(profile, _key(profile))
    sequence = 0

    def ours() -> bytes:
        header = stream.header(960, False, 160, 30, True, 0.0)
        return sender.protect_parts(header, PAYLOAD_160, SSRC, stream.sequence - 1)

    def theirs() -> bytes:
        nonlocal sequence
        sequence = sequence + 1 & 0xFFFF
        packet = rtp.RtpPacket(
            payload_type=111,
            sequence_number=sequence,
            timestamp=960,
            ssrc=SSRC,
            payload=PAYLOAD_160,
        )
        packet.extensions.mid = "0"
        packet.extensions.audio_level = (True, 30)
        return peer.protect(packet.serialize(extensions))

    if len(ours()) != len(theirs()):
        raise AssertionError("we and the peer build different packets")
    with steady():
        yield Contest(
            ours=loop(ours, sizes.operations),
            peers={"aiortc + pylibsrtp": loop(theirs, sizes.operations)},
        )


def _rows() -> Iterator[Row]:
    for profile, bar in BARS.items():
        for size in (160, 1100):
            for verb, prepare in (("protect", _protect), ("unprotect", _unprotect)):
                yield Row(
                    name=f"srtp {verb} {size} {profile.name}",
                    unit="ns",
                    bars={"pylibsrtp": bar},
                    prepare=_bind(prepare, profile, size),
                )
    for profile, bar in (
        (Profile.AEAD_AES_128_GCM, 0.40),
        (Profile.AES_CM_128_HMAC_SHA1_80, None),
    ):
        yield Row(
            name=f"rtp build+protect 160 {profile.name}",
            unit="ns",
            bars={"aiortc + pylibsrtp": bar},
            prepare=partial(_build_and_protect, profile),
        )


def _bind(
    prepare: Callable[[Profile, int, Sizes], AbstractContextManager[Contest]],
    profile: Profile,
    size: int,
) -> Callable[[Sizes], AbstractContextManager[Contest]]:
    return partial(prepare, profile, size)


ROWS = list(_rows())
