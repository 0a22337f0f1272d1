"""RFC 3711 sections 3.2 to 3.4: contexts, indices, and what they refuse."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import AuthenticationError, ParseError, UsageError
from rtcproto.rtp.packet import RtpPacket
from rtcproto.srtp import MAX_STREAMS, MasterKey, Profile, SrtpReceiver, SrtpSender
from rtcproto.srtp.context import RTCP_WINDOW, RTP_WINDOW

profiles = pytest.mark.parametrize("profile", Profile)
GCM = Profile.AEAD_AES_128_GCM
SR = bytes.fromhex("80c80006000000070102030405060708000003c00000000100000010")


def master(profile, fill=7):
    """Some master key for the profile."""
    return MasterKey(bytes([fill]) * profile.key_length, bytes([fill]) * profile.salt_length)


def pair(profile=GCM, **options):
    """A sender and the receiver of what it sends."""
    key = master(profile)
    return SrtpSender(profile, key), SrtpReceiver(profile, key, **options)


def rtp(sequence, ssrc=7, payload=b"payload"):
    """A plain RTP packet."""
    return RtpPacket(111, False, sequence & 0xFFFF, 960, ssrc, payload).serialize()


@profiles
def test_round_trip_of_every_header_shape(profile):
    """Header, CSRCs and extension stay readable, the payload and padding do not."""
    sender, receiver = pair(profile)
    shapes = [
        RtpPacket(111, True, 1, 2, 7, b"secret payload"),
        RtpPacket(111, True, 2, 2, 7, b"secret payload", (1, 2, 3)),
        RtpPacket(111, True, 3, 2, 7, b"secret payload", (), 0xBEDE, b"\x10\x85\0\0"),
        RtpPacket(111, True, 4, 2, 7, b"secret payload", (9,), 0x1000, b"", 40),
        RtpPacket(111, True, 5, 2, 7, b""),
    ]
    for index, packet in enumerate(shapes, 1):
        plain = packet.serialize()
        sealed = sender.protect(plain)
        body = packet.payload + bytes(packet.padding)
        header = plain[: len(plain) - len(body)]
        assert sealed.startswith(header)
        assert len(sealed) == len(plain) + profile.rtp_tag_length
        assert b"secret" not in sealed
        if index % 2:
            assert receiver.unprotect(sealed) == plain
        else:
            assert receiver.unprotect_packet(sealed) == (index, packet)


@given(st.sampled_from(Profile), st.binary(max_size=1500), st.integers(0, 0xFFFF))
def test_round_trip_of_any_payload(profile, payload, sequence):
    """Any payload, any first sequence number, through both receiving functions."""
    sender, receiver = pair(profile)
    plain = rtp(sequence, payload=payload)
    sealed = sender.protect(plain)
    assert receiver.unprotect(sealed) == plain
    assert SrtpReceiver(profile, master(profile)).unprotect_packet(sealed) == (
        sequence,
        RtpPacket.parse(plain),
    )


@profiles
def test_parts_equal_whole(profile):
    """A header and payload given apart make the same packet as given together."""
    key = master(profile)
    plain = rtp(0x1234)
    whole = SrtpSender(profile, key).protect(plain)
    assert SrtpSender(profile, key).protect_parts(plain[:12], plain[12:], 7, 0x1234) == whole


@profiles
def test_rollover_counter(profile):
    """The index goes on through many wraps, with loss at the wrap itself."""
    sender, receiver = pair(profile)
    for sequence in range(60000, 60000 + 40 * 9973, 9973):
        sealed = sender.protect(rtp(sequence))
        index, packet = receiver.unprotect_packet(sealed)
        assert index == sequence
        assert packet.sequence == sequence & 0xFFFF


def test_whole_packets_and_parts_share_one_index():
    """`protect` continues behind `protect_parts`, in the same rollover period."""
    sender, receiver = pair()
    start = 3 << 16
    receiver_index = 0
    for sequence in range(0x7000, start, 0x7000):
        sealed = sender.protect_parts(rtp(sequence)[:12], b"x", 7, sequence)
        receiver_index, _ = receiver.unprotect_packet(sealed)
    sealed = sender.protect(rtp(receiver_index + 1))
    assert receiver.unprotect_packet(sealed)[0] == receiver_index + 1


def test_outgoing_index_never_goes_back():
    """An index used twice would reveal two payloads: UsageError, whichever way it is asked."""
    sender, _ = pair()
    sender.protect(rtp(100))
    with pytest.raises(UsageError):
        sender.protect(rtp(100))
    with pytest.raises(UsageError):
        sender.protect(rtp(99))
    with pytest.raises(UsageError):
        sender.protect(rtp(101 + 0x8000))
    with pytest.raises(UsageError):
        sender.protect_parts(rtp(100)[:12], b"", 7, 100)
    sender.protect(rtp(101))
    sender.protect_parts(rtp(50)[:12], b"", 7, 0x10000 + 50)


def test_indices_run_out():
    """RFC 3711 9.2: after 2**48 SRTP or 2**31 SRTCP packets the key may not go on."""
    sender, receiver = pair()
    last = (1 << 48) - 1
    sealed = sender.protect_parts(rtp(last)[:12], b"x", 7, last)
    with pytest.raises(UsageError):
        sender.protect(rtp(0))
    with pytest.raises(UsageError):
        sender.protect_parts(rtp(0)[:12], b"x", 7, last + 1)
    with pytest.raises(UsageError):
        sender.protect_parts(rtp(0)[:12], b"x", 8, -1)
    # A receiver that has come this far accepts the last packet and no further one.
    receiver.unprotect(SrtpSender(GCM, master(GCM)).protect(rtp(5)))
    receiver._streams[7].top = last - 1
    assert receiver.unprotect_packet(sealed)[0] == last
    for sequence in (0, 1):
        with pytest.raises(AuthenticationError):
            receiver.unprotect(rtp(sequence) + bytes(16))
        with pytest.raises(AuthenticationError):
            receiver.unprotect_packet(rtp(sequence) + bytes(16))

    sender._rtcp_next[7] = (1 << 31) - 1
    assert receiver.unprotect_rtcp(sender.protect_rtcp(SR)) == SR
    with pytest.raises(UsageError):
        sender.protect_rtcp(SR)


@profiles
def test_first_packets_lost_across_a_wrap(profile):
    """A sender that began just below 65536 is found although its first packets never came."""
    sender, receiver = pair(profile)
    early = sender.protect(rtp(65534))
    sender.protect(rtp(65535))
    index, _ = receiver.unprotect_packet(sender.protect(rtp(65536)))
    assert index == 65536
    assert receiver.unprotect_packet(early)[0] == 65534


@profiles
def test_reordering_within_the_window(profile):
    """All of a shuffled stretch arrives, across a wrap, each packet once."""
    sender, receiver = pair(profile)
    sealed = [sender.protect(rtp(sequence)) for sequence in range(65500, 65500 + RTP_WINDOW)]
    random.Random(1).shuffle(sealed)
    indices = {receiver.unprotect_packet(data)[0] for data in sealed}
    assert indices == set(range(65500, 65500 + RTP_WINDOW))
    for data in sealed:
        with pytest.raises(AuthenticationError):
            receiver.unprotect(data)


def test_too_old():
    """What has left the window is refused although it never arrived."""
    sender, receiver = pair()
    old, inside = sender.protect(rtp(100)), sender.protect(rtp(101))
    receiver.unprotect(sender.protect(rtp(100 + RTP_WINDOW)))
    with pytest.raises(AuthenticationError):
        receiver.unprotect(old)
    assert receiver.unprotect(inside) == rtp(101)


@profiles
def test_failed_tag_changes_nothing(profile):
    """RFC 3711 3.3: window and rollover counter move only behind a good tag."""
    sender, receiver = pair(profile)
    receiver.unprotect(sender.protect(rtp(10)))
    good = sender.protect(rtp(11))
    for sequence in (11, 12, 5000, 32777, 40000, 65535):
        with pytest.raises(AuthenticationError):
            receiver.unprotect(rtp(sequence) + bytes(profile.rtp_tag_length))
        with pytest.raises(AuthenticationError):
            receiver.unprotect_packet(rtp(sequence) + bytes(profile.rtp_tag_length))
    stream = receiver._streams[7]
    assert (stream.top, stream.first, stream.missing) == (10, 10, set())
    assert receiver.unprotect(good) == rtp(11)


@profiles
def test_master_key_identifier_is_not_supported(profile):
    """RFC 3711 3.1: bytes inserted before or behind the tag fail authentication."""
    sender, receiver = pair(profile)
    sealed = sender.protect(rtp(10))
    cut = len(sealed) - profile.rtp_tag_length
    for mki in (b"\0", b"\0\0\0\1"):
        for data in (sealed + mki, sealed[:cut] + mki + sealed[cut:]):
            with pytest.raises(AuthenticationError):
                receiver.unprotect(data)
    assert receiver.ssrcs == ()


def test_bad_padding_behind_a_good_tag():
    """A padding count that lies is a ParseError, and the packet counts as received."""
    sender, receiver = pair()
    packet = b"\xa0" + rtp(1)[1:12] + b"ab\xff"
    sealed = sender.protect(packet)
    with pytest.raises(ParseError):
        receiver.unprotect_packet(sealed)
    with pytest.raises(AuthenticationError):
        receiver.unprotect_packet(sealed)


@profiles
def test_rtcp(profile):
    """SRTCP counts its own index per SSRC from zero and adds tag and index word."""
    sender, receiver = pair(profile)
    other = SR[:4] + b"\0\0\0\x09" + SR[8:]
    for index in range(3):
        for packet in (SR, other):
            sealed = sender.protect_rtcp(packet)
            assert len(sealed) == len(packet) + profile.rtcp_tag_length + 4
            word = sealed[-4:] if profile.is_aead else sealed[-14:-10]
            assert int.from_bytes(word, "big") == 0x80000000 | index
            assert receiver.unprotect_rtcp(sealed) == packet
            with pytest.raises(AuthenticationError):
                receiver.unprotect_rtcp(sealed)


@profiles
def test_rtcp_window(profile):
    """SRTCP has a window of its own: reordered packets pass once, old ones do not."""
    sender, receiver = pair(profile)
    sealed = [sender.protect_rtcp(SR) for _ in range(RTCP_WINDOW + 1)]
    assert receiver.unprotect_rtcp(sealed[-1]) == SR
    with pytest.raises(AuthenticationError):
        receiver.unprotect_rtcp(sealed[0])
    for data in reversed(sealed[1:-1]):
        assert receiver.unprotect_rtcp(data) == SR
    for data in sealed:
        with pytest.raises(AuthenticationError):
            receiver.unprotect_rtcp(data)


@profiles
def test_rtcp_failed_tag_changes_nothing(profile):
    """A forged SRTCP packet moves no window."""
    sender, receiver = pair(profile)
    receiver.unprotect_rtcp(sender.protect_rtcp(SR))
    good = sender.protect_rtcp(SR)
    forged = bytearray(good)
    forged[9] ^= 1
    with pytest.raises(AuthenticationError):
        receiver.unprotect_rtcp(bytes(forged))
    assert receiver._rtcp_streams[7].top == 0
    assert receiver.unprotect_rtcp(good) == SR


def test_rtp_and_rtcp_keys_differ():
    """An SRTCP packet is no SRTP packet, and the directions do not open each other's packets."""
    sender, receiver = pair()
    with pytest.raises(AuthenticationError):
        receiver.unprotect(sender.protect_rtcp(SR))
    with pytest.raises((AuthenticationError, ParseError)):
        receiver.unprotect_rtcp(sender.protect(rtp(1)))
    with pytest.raises(AuthenticationError):
        SrtpReceiver(GCM, master(GCM, 8)).unprotect(sender.protect(rtp(2)))


def test_at_most_32_ssrcs():
    """The table is bounded on both sides, apart for RTP and RTCP; known SSRCs go on."""
    key = master(GCM)
    receiver = SrtpReceiver(GCM, key)
    senders = [SrtpSender(GCM, key) for _ in range(2)]
    for ssrc in range(MAX_STREAMS):
        receiver.unprotect(senders[0].protect(rtp(1, ssrc)))
        receiver.unprotect_rtcp(senders[0].protect_rtcp(SR[:4] + ssrc.to_bytes(4, "big")))
    assert receiver.ssrcs == tuple(range(MAX_STREAMS))
    report = SR[:4] + MAX_STREAMS.to_bytes(4, "big")
    with pytest.raises(AuthenticationError):
        receiver.unprotect(senders[1].protect(rtp(1, MAX_STREAMS)))
    with pytest.raises(AuthenticationError):
        receiver.unprotect_rtcp(senders[1].protect_rtcp(report))
    with pytest.raises(UsageError):
        senders[0].protect(rtp(1, MAX_STREAMS))
    with pytest.raises(UsageError):
        senders[0].protect_rtcp(report)
    assert receiver.unprotect(senders[0].protect(rtp(2, 5))) == rtp(2, 5)


@profiles
def test_wrong_key_length(profile):
    """A key that does not fit its profile is refused when the context is made."""
    bad = MasterKey(bytes(profile.key_length - 1), bytes(profile.salt_length))
    for make in (SrtpSender, SrtpReceiver):
        with pytest.raises(UsageError):
            make(profile, bad)


@pytest.mark.parametrize("first", [0x00, 0x40, 0xC0])
def test_other_versions_are_malformed(first):
    """A version other than 2 is a ParseError before anything is deciphered."""
    _, receiver = pair()
    data = bytes((first,)) + bytes(60)
    for receive in (receiver.unprotect, receiver.unprotect_packet, receiver.unprotect_rtcp):
        with pytest.raises(ParseError):
            receive(data)


def test_sender_refuses_what_is_not_rtp():
    """What the caller gives must be RTP or RTCP."""
    sender, _ = pair()
    for packet in (b"", b"\x80" * 11, b"\x40" + bytes(20), b"\x8f" + bytes(20)):
        with pytest.raises(ParseError):
            sender.protect(packet)
    with pytest.raises(ParseError):
        sender.protect_rtcp(b"\x80\xc9\0\1\0\0\0")


@given(st.sampled_from(Profile), st.binary(max_size=80), st.sampled_from([0, 0x80, 0x90, 0xBF]))
def test_total(profile, tail, first):
    """Any bytes: a declared error from all three inputs, and no state."""
    _, receiver = pair(profile, allow_plain_rtcp=True)
    data = bytes((first,)) + tail if first else tail
    for receive in (receiver.unprotect, receiver.unprotect_packet, receiver.unprotect_rtcp):
        with pytest.raises((ParseError, AuthenticationError)):
            receive(data)
    assert receiver.ssrcs == ()
    assert not receiver._rtcp_streams
