"""Threats to SRTP and RTP: bleed, collision, desync, replay, exhaustion, malformed packets.

Rows with 100,000 packets or more run with a small number by default and in full
under the `threats` marker.
"""

import contextlib
import os
import pathlib
import random
import sys

import pytest

from rtcproto.errors import AuthenticationError, ParseError, UsageError
from rtcproto.rtp.extensions import parse_extensions
from rtcproto.rtp.packet import RtpPacket
from rtcproto.rtp.send_stream import SendStream
from rtcproto.srtp import MAX_STREAMS, MasterKey, Profile, SrtpReceiver, SrtpSender
from rtcproto.srtp.context import RTP_WINDOW
from rtcproto.srtp.kdf import SessionKeys

GCM = Profile.AEAD_AES_128_GCM
profiles = pytest.mark.parametrize("profile", Profile)
DECLARED = (ParseError, AuthenticationError)


def master(profile, fill=7):
    """Some master key for the profile."""
    return MasterKey(bytes([fill]) * profile.key_length, bytes([fill]) * profile.salt_length)


def rtp(sequence, ssrc=7, payload=b"payload"):
    """A plain RTP packet."""
    return RtpPacket(111, False, sequence & 0xFFFF, 960, ssrc, payload).serialize()


def state(receiver):
    """Everything that a receiver remembers of its streams."""
    return (
        [(s, w.top, w.first, set(w.missing)) for s, w in receiver._streams.items()],
        [(s, w.top, w.first, set(w.missing)) for s, w in receiver._rtcp_streams.items()],
    )


def forge(receiver, data):
    """Feed forged bytes to every input; all must refuse."""
    for receive in (receiver.unprotect, receiver.unprotect_packet, receiver.unprotect_rtcp):
        with contextlib.suppress(*DECLARED):
            receive(data)
            pytest.fail("forged packet accepted")


@profiles
def test_s1_forged_packets_do_nothing(profile):
    """1,250 forged packets per profile amid a call (10,000 inputs): none is delivered."""
    draw = random.Random(1)
    key = master(profile)
    sender, receiver = SrtpSender(profile, key), SrtpReceiver(profile, key)
    for sequence in range(50):
        receiver.unprotect(sender.protect(rtp(sequence)))
        receiver.unprotect_rtcp(sender.protect_rtcp(b"\x80\xc9\0\1\0\0\0\7"))
        before = state(receiver)
        for _ in range(25):
            guess = sequence + draw.choice([1, 2, 0, -1, draw.randrange(65536)])
            ssrc = draw.choice([7, 8])
            forge(receiver, rtp(guess, ssrc) + draw.randbytes(profile.rtp_tag_length))
        assert state(receiver) == before


def test_s3_peer_picks_our_ssrc():
    """1,000 times both ends use one SSRC and one sequence number: both sides decipher."""
    for attempt in range(1000):
        ssrc = attempt * 4294967 & 0xFFFFFFFF
        client, server = master(GCM, 1), master(GCM, 2)
        one, other = SrtpSender(GCM, client), SrtpSender(GCM, server)
        packet = rtp(attempt, ssrc)
        sealed = one.protect(packet), other.protect(packet)
        assert sealed[0] != sealed[1]
        assert SrtpReceiver(GCM, client).unprotect(sealed[0]) == packet
        assert SrtpReceiver(GCM, server).unprotect(sealed[1]) == packet


def desync(profile, wraps, stride):
    """Four interleaved SSRCs, 30 % loss, reordered within 64: every arrival deciphers."""
    draw = random.Random(4)
    key = master(profile)
    sender, receiver = SrtpSender(profile, key), SrtpReceiver(profile, key)
    expected, arrived = 0, 0
    # Streams that start apart, one close to the highest permitted start.
    for block in range(0, wraps * 65536, stride * 16):
        batch = []
        for offset in range(0, stride * 16, stride):
            for ssrc, first in ((1, 0), (2, 32767), (3, 12345), (4, 20000)):
                index = first + block + offset
                sealed = sender.protect_parts(rtp(index, ssrc)[:12], b"x", ssrc, index)
                if draw.random() >= 0.3:
                    batch.append((ssrc, index, sealed))
        draw.shuffle(batch)
        for ssrc, index, sealed in batch:
            expected += 1
            got, packet = receiver.unprotect_packet(sealed)
            arrived += (got, packet.ssrc) == (index, ssrc)
    assert arrived == expected > 1000


@pytest.mark.parametrize("profile", [GCM, Profile.AES_CM_128_HMAC_SHA1_80])
def test_s4_roc_stays_in_step(profile):
    """A wrap of 4 SSRCs in strides of 7 (so the window of 128 holds a block of 16)."""
    desync(profile, 1, 7)


@pytest.mark.threats
@profiles
@pytest.mark.parametrize("stride", [1, 7])
def test_s4_roc_stays_in_step_full(profile, stride):
    """The row in full: 10 wraps, every packet sent (stride 1) and with steady gaps (stride 7)."""
    desync(profile, 10, stride)


@profiles
def test_s4_largest_gap(profile):
    """32,767 lost packets are recovered; beyond that nothing is accepted under a wrong index."""
    key = master(profile)
    for lost, heard in ((32766, True), (32767, True), (32768, False), (40000, False)):
        sender, receiver = SrtpSender(profile, key), SrtpReceiver(profile, key)
        receiver.unprotect(sender.protect(rtp(60000)))
        index = 60000 + lost + 1
        sealed = sender.protect_parts(rtp(index)[:12], b"x", 7, index)
        before = state(receiver)
        if heard:
            assert receiver.unprotect_packet(sealed)[0] == index
        else:
            with pytest.raises(AuthenticationError):
                receiver.unprotect_packet(sealed)
            assert state(receiver) == before


def test_s4_first_sequence_is_in_the_lower_half():
    """A sender starts below 2**15, so that a late listener's rollover counter is right."""
    SendStream(ssrc=1, payload_type=0, clock_rate=8000, first_sequence=32767, first_timestamp=0)
    with pytest.raises(UsageError, match="below 2"):
        SendStream(ssrc=1, payload_type=0, clock_rate=8000, first_sequence=32768, first_timestamp=0)


def replay(profile, count):
    """Each packet three times, shuffled within 100: accepted once each."""
    draw = random.Random(5)
    key = master(profile)
    sender, receiver = SrtpSender(profile, key), SrtpReceiver(profile, key)
    sent = [(n + draw.random() * 100, sender.protect(rtp(n))) for n in range(count)]
    arrivals = sorted(
        ((at + again * 30 * draw.random(), data) for at, data in sent for again in range(3)),
        key=lambda pair: pair[0],
    )
    accepted = []
    for _, data in arrivals:
        with contextlib.suppress(AuthenticationError):
            accepted.append(receiver.unprotect_packet(data)[0])
    assert sorted(accepted) == list(range(count))


@profiles
def test_s5_replay(profile):
    """1,000 packets, three times each."""
    replay(profile, 1000)


@pytest.mark.threats
@profiles
def test_s5_replay_full(profile):
    """The row in full: 10,000 packets, three times each."""
    replay(profile, 10000)


@profiles
def test_s5_replay_of_rtcp(profile):
    """RTCP has a window of its own: each of 1,000 reports three times, accepted once each."""
    draw = random.Random(6)
    key = master(profile)
    sender, receiver = SrtpSender(profile, key), SrtpReceiver(profile, key)
    report = b"\x80\xc9\0\1\0\0\0\7"
    sent = [(n + draw.random() * 30, sender.protect_rtcp(report)) for n in range(1000)]
    arrivals = sorted(
        ((at + again * 20 * draw.random(), data) for at, data in sent for again in range(3)),
        key=lambda pair: pair[0],
    )
    accepted = 0
    for _, data in arrivals:
        with contextlib.suppress(AuthenticationError):
            receiver.unprotect_rtcp(data)
            accepted += 1
    assert accepted == 1000


def test_s5_window_sizes():
    """At least 128 packets of RTP may arrive late."""
    assert RTP_WINDOW >= 128


def forged_ssrcs(count):
    """Forged packets from `count` SSRCs leave no state and fill no table."""
    receiver = SrtpReceiver(GCM, master(GCM))
    before = sys.getsizeof(receiver._streams), sys.getsizeof(receiver._rtcp_streams)
    report = b"\x80\xc9\0\1%b" + bytes(16) + b"\x80\0\0\1"
    for ssrc in range(count):
        with pytest.raises(AuthenticationError):
            receiver.unprotect(rtp(40000, ssrc) + bytes(16))
        with pytest.raises(AuthenticationError):
            receiver.unprotect_rtcp(report.replace(b"%b", ssrc.to_bytes(4, "big")))
    assert state(receiver) == ([], [])
    assert (sys.getsizeof(receiver._streams), sys.getsizeof(receiver._rtcp_streams)) == before


def test_s6_state_only_after_a_good_tag():
    """10,000 forged SSRCs: no context."""
    forged_ssrcs(10_000)


@pytest.mark.threats
def test_s6_state_only_after_a_good_tag_full():
    """The row in full: 1,000,000 forged SSRCs."""
    forged_ssrcs(1_000_000)


def test_s6_ssrcs_are_capped():
    """Even an authenticated peer gets no more than 32 contexts."""
    key = master(GCM)
    receiver = SrtpReceiver(GCM, key)
    accepted = 0
    for ssrc in range(100):
        with contextlib.suppress(AuthenticationError):
            receiver.unprotect(SrtpSender(GCM, key).protect(rtp(1, ssrc)))
            accepted += 1
    assert accepted == len(receiver.ssrcs) == MAX_STREAMS == 32


@pytest.mark.parametrize("profile", [GCM, Profile.AES_CM_128_HMAC_SHA1_32])
def test_s7_every_short_packet(profile):
    """Every length 0 to 64 and every first byte: only declared errors, from all inputs."""
    receiver = SrtpReceiver(profile, master(profile), allow_plain_rtcp=True)
    filler = random.Random(7).randbytes(64)
    for first in range(256):
        data = bytes((first,)) + filler
        for length in range(65):
            cut = data[:length]
            forge(receiver, cut)
            with contextlib.suppress(ParseError):
                RtpPacket.parse(cut)
    assert state(receiver) == ([], [])


@pytest.mark.parametrize("csrcs", [0, 15])
@pytest.mark.parametrize("words", [None, 0, 65535])
@pytest.mark.parametrize(
    ("payload", "padding"),
    [(8, None), (8, 0), (8, 8), (8, 9), (8, 255), (0, None), (255, 255)],
)
def test_s8_counts_that_lie(csrcs, words, payload, padding):
    """Padding, CSRC and extension counts beyond the packet are refused, honest ones are not."""
    body = bytes(payload) if padding is None else bytes(payload - 1) + bytes((padding,))
    first = 0x80 | csrcs | (0x10 if words is not None else 0) | (0x20 if padding is not None else 0)
    data = bytes((first,)) + rtp(1)[1:12] + bytes(4 * csrcs)
    if words is not None:
        data += b"\xbe\xde" + words.to_bytes(2, "big")
    data += body
    honest = words != 65535 and (padding is None or 0 < padding <= payload)
    if honest:
        packet = RtpPacket.parse(data)
        assert len(packet.payload) == payload - (padding or 0)
        assert len(packet.csrcs) == csrcs
    else:
        with pytest.raises(ParseError):
            RtpPacket.parse(data)
    # The same counts inside SRTP, where the padding shows only after deciphering.
    if words != 65535:
        sealed = SrtpSender(GCM, master(GCM)).protect(data)
        receiver = SrtpReceiver(GCM, master(GCM))
        if honest:
            assert receiver.unprotect_packet(sealed) == (1, packet)
        else:
            with pytest.raises(ParseError):
                receiver.unprotect_packet(sealed)
    # Cut anywhere, the counts reach beyond the packet or the packet is a shorter honest one.
    for length in range(len(data)):
        with contextlib.suppress(ParseError):
            RtpPacket.parse(data[:length])


def test_s8_gathered_inputs():
    """Packets that crashed or stalled another server: only declared errors."""
    folder = os.environ.get("RTCPROTO_CORPORA")
    files = sorted(pathlib.Path(folder).glob("mediasoup-worker-crashes/*")) if folder else []
    if not files:
        pytest.skip("RTCPROTO_CORPORA does not name a folder with mediasoup-worker-crashes")
    receiver = SrtpReceiver(GCM, master(GCM), allow_plain_rtcp=True)
    for file in files:
        data = file.read_bytes()
        for offset in range(min(len(data), 64)):
            forge(receiver, data[offset:])
            with contextlib.suppress(ParseError):
                packet = RtpPacket.parse(data[offset:])
                parse_extensions(packet.extension_profile, packet.extension_data)


PLAIN_SRTCP = {
    GCM: "841dd9683dd78ec92ae58790125f62b3",
    Profile.AEAD_AES_256_GCM: "91db4afbfeee5a978fab4393ed2615fe",
}


@pytest.mark.parametrize("profile", PLAIN_SRTCP, ids=["RFC 7714 17.3", "17.4"])
def test_s10_unencrypted_srtcp(monkeypatch, profile):
    """The RFC's authenticated-only packets are accepted with the option on, and only then."""
    # The RFC gives session keys: put them where the key derivation would put its own.
    keys = SessionKeys(
        cipher=bytes(range(profile.key_length)), salt=bytes.fromhex("517569642070726f2071756f")
    )
    monkeypatch.setattr("rtcproto.srtp.context.session_keys", lambda *_: (keys, keys))
    report = bytes.fromhex(
        "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61"
        "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef"
    )
    data = report + bytes.fromhex(PLAIN_SRTCP[profile] + "000005d4")
    strict = SrtpReceiver(profile, master(profile))
    with pytest.raises(AuthenticationError):
        strict.unprotect_rtcp(data)
    assert state(strict) == ([], [])
    lenient = SrtpReceiver(profile, master(profile), allow_plain_rtcp=True)
    assert lenient.unprotect_rtcp(data) == report
    with pytest.raises(AuthenticationError):
        lenient.unprotect_rtcp(data)


@pytest.mark.parametrize("identifier", [b"\0", b"\1\2\3\4"])
@profiles
def test_s10_master_key_identifier(profile, identifier):
    """A master key identifier is not negotiated, so a packet with one fails its tag."""
    key = master(profile)
    sender, receiver = SrtpSender(profile, key), SrtpReceiver(profile, key, allow_plain_rtcp=True)
    sealed = sender.protect(rtp(1))
    cut = len(sealed) - profile.rtp_tag_length
    forge(receiver, sealed[:cut] + identifier + sealed[cut:])
    sealed = sender.protect_rtcp(b"\x80\xc9\0\1\0\0\0\7")
    cut = len(sealed) - profile.rtcp_tag_length
    forge(receiver, sealed[:cut] + identifier + sealed[cut:])
    forge(receiver, sealed + identifier)
    assert state(receiver) == ([], [])
