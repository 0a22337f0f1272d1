"""SRTP and SRTCP with libsrtp: both directions, every profile, many sequence wraps."""

import random

import pytest

from rtcproto.rtp.packet import RtpPacket
from rtcproto.srtp import MasterKey, Profile, SrtpReceiver, SrtpSender

pylibsrtp = pytest.importorskip("pylibsrtp", reason="pylibsrtp is not installed")

pytestmark = pytest.mark.interop

PEER_PROFILES = {
    Profile.AES_CM_128_HMAC_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Profile.AES_CM_128_HMAC_SHA1_32: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Profile.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Profile.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
WRAPS = 12
profiles = pytest.mark.parametrize("profile", Profile)


def key_of(profile):
    """A master key with no regularity."""
    draw = random.Random(profile.value)
    return MasterKey(draw.randbytes(profile.key_length), draw.randbytes(profile.salt_length))


def peer(profile, *, sends):
    """A libsrtp session for one direction."""
    key = key_of(profile)
    policy = pylibsrtp.Policy(
        key=key.key + key.salt,
        ssrc_type=(
            pylibsrtp.Policy.SSRC_ANY_OUTBOUND if sends else pylibsrtp.Policy.SSRC_ANY_INBOUND
        ),
        srtp_profile=PEER_PROFILES[profile],
    )
    policy.window_size = 1024
    return pylibsrtp.Session(policy=policy)


def packets():
    """Packets of every header shape on two SSRCs, in strides that cross many wraps."""
    draw = random.Random(5)
    for sequence in range(30000, 30000 + WRAPS * 65536, 1009):
        for ssrc in (7, 0xFFFFFFF0):
            packet = RtpPacket(
                111,
                draw.random() < 0.1,
                sequence & 0xFFFF,
                sequence * 960 & 0xFFFFFFFF,
                ssrc,
                draw.randbytes(draw.choice([0, 1, 15, 16, 17, 160, 1100])),
                tuple(range(draw.choice([0, 0, 2]))),
                draw.choice([None, 0xBEDE]),
            )
            if packet.extension_profile is not None:
                packet.extension_data = b"\x10\x85\0\0"
            yield sequence, packet.serialize()


@profiles
def test_we_send(profile):
    """libsrtp opens what we protect, over twelve wraps of two interleaved streams."""
    sender, receiver = SrtpSender(profile, key_of(profile)), peer(profile, sends=False)
    count = 0
    for _, plain in packets():
        assert receiver.unprotect(sender.protect(plain)) == plain
        count += 1
    assert count > 1000


@profiles
def test_we_receive(profile):
    """We open what libsrtp protects, with the index that its rollover counter implies."""
    sender, receiver = peer(profile, sends=True), SrtpReceiver(profile, key_of(profile))
    for sequence, plain in packets():
        sealed = sender.protect(plain)
        if sequence & 1:
            assert receiver.unprotect(sealed) == plain
        else:
            index, packet = receiver.unprotect_packet(sealed)
            assert index == sequence
            assert packet == RtpPacket.parse(plain)


@profiles
def test_bytes_are_equal(profile):
    """Both make the same packets, so nothing is left to tolerance."""
    ours, theirs = SrtpSender(profile, key_of(profile)), peer(profile, sends=True)
    for _, plain in packets():
        assert ours.protect(plain) == theirs.protect(plain)


@profiles
def test_rtcp_both_ways(profile):
    """SRTCP of several SSRCs in both directions."""
    key = key_of(profile)
    sender, receiver = SrtpSender(profile, key), SrtpReceiver(profile, key)
    peer_sender, peer_receiver = peer(profile, sends=True), peer(profile, sends=False)
    for step in range(300):
        report = b"\x80\xc9\x00\x01" + (step % 3).to_bytes(4, "big") + bytes(4 * (step % 9))
        assert peer_receiver.unprotect_rtcp(sender.protect_rtcp(report)) == report
        assert receiver.unprotect_rtcp(peer_sender.protect_rtcp(report)) == report
