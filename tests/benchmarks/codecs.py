"""STUN, RTP and RTCP rows: our codecs against aioice's and aiortc's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rtcproto import stun
from rtcproto.rtcp import ReportBlock, ReportTemplate, parse_compound
from rtcproto.rtp import RtpPacket, SendStream, find_extension
from tests.benchmarks.harness import Contest, Row, Sizes, Skipped, loop, steady

__all__ = ["LEVEL_ID", "MID_ID", "PAYLOAD_160", "ROWS", "aiortc_extensions", "send_stream"]

USERNAME = "AbCdEfGhIjKlMnOpQrStUvW:h6vY"
PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt+W"
TRANSACTION_ID = bytes(range(1, 13))
PRIORITY = 1845501695
TIE_BREAKER = 0x932FF9B151263B36

LEVEL_ID, MID_ID = 1, 4
PAYLOAD_160 = b"\x78" + bytes(range(159))
SSRC = 0x1234ABCD


def _check_request() -> tuple[stun.RequestTemplate, stun.ShortTermKey]:
    key = stun.ShortTermKey(PASSWORD)
    attributes = [
        (stun.Attribute.PRIORITY, PRIORITY),
        (stun.Attribute.ICE_CONTROLLING, TIE_BREAKER),
    ]
    return stun.RequestTemplate(USERNAME, key, attributes), key


@contextmanager
def _stun_parse(sizes: Sizes) -> Iterator[Contest]:
    try:
        from aioice import stun as aioice
    except ImportError:
        raise Skipped("aioice is not installed") from None
    template, key = _check_request()
    data = template.build(TRANSACTION_ID)
    password = PASSWORD.encode()

    def ours() -> None:
        key.verify(stun.Message.parse(data))

    def theirs() -> None:
        if not aioice.parse_message(data).check_message_integrity(password):
            raise ValueError("the peer does not believe our request")

    with steady():
        yield Contest(
            ours=loop(ours, sizes.operations), peers={"aioice": loop(theirs, sizes.operations)}
        )


@contextmanager
def _stun_build(sizes: Sizes) -> Iterator[Contest]:
    try:
        from aioice import stun as aioice
    except ImportError:
        raise Skipped("aioice is not installed") from None
    template, _ = _check_request()
    password = PASSWORD.encode()

    def theirs() -> bytes:
        message = aioice.Message(
            message_method=aioice.Method.BINDING,
            message_class=aioice.Class.REQUEST,
            transaction_id=TRANSACTION_ID,
        )
        message.attributes["USERNAME"] = USERNAME
        message.attributes["PRIORITY"] = PRIORITY
        message.attributes["ICE-CONTROLLING"] = TIE_BREAKER
        message.add_message_integrity(password)
        return bytes(message)

    _same(template.build(TRANSACTION_ID), theirs())
    with steady():
        yield Contest(
            ours=loop(lambda: template.build(TRANSACTION_ID), sizes.operations),
            peers={"aioice": loop(theirs, sizes.operations)},
        )


@contextmanager
def _stun_peek(sizes: Sizes) -> Iterator[Contest]:
    try:
        from aioice import stun as aioice
    except ImportError:
        raise Skipped("aioice is not installed") from None
    data = _check_request()[0].build(TRANSACTION_ID)
    _same(stun.peek_server_ufrag(data), USERNAME.partition(":")[0].encode())
    with steady():
        yield Contest(
            ours=loop(lambda: stun.peek_server_ufrag(data), sizes.operations),
            peers={"aioice": loop(lambda: aioice.parse_message(data), sizes.operations)},
        )


def send_stream() -> SendStream:
    """A stream with a MID and an audio level in every packet, as browsers send it."""
    return SendStream(
        ssrc=SSRC,
        payload_type=111,
        clock_rate=48000,
        first_sequence=1,
        first_timestamp=0,
        mid=(MID_ID, "0"),
        audio_level_id=LEVEL_ID,
    )


def aiortc_extensions():
    """aiortc's map of the same two extensions."""
    try:
        from aiortc import rtp
        from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
    except ImportError:
        raise Skipped("aiortc is not installed") from None
    extensions = rtp.HeaderExtensionsMap()
    extensions.configure(
        RTCRtpParameters(
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(
                    id=LEVEL_ID, uri="urn:ietf:params:rtp-hdrext:ssrc-audio-level"
                ),
                RTCRtpHeaderExtensionParameters(
                    id=MID_ID, uri="urn:ietf:params:rtp-hdrext:sdes:mid"
                ),
            ]
        )
    )
    return extensions


@contextmanager
def _rtp_parse(sizes: Sizes) -> Iterator[Contest]:
    extensions = aiortc_extensions()
    from aiortc import rtp

    data = send_stream().packet(PAYLOAD_160, 960, False, 30, True, 0.0)

    def ours() -> bytes | None:
        packet = RtpPacket.parse(data)
        return find_extension(packet.extension_profile or 0, packet.extension_data, LEVEL_ID)

    parsed = rtp.RtpPacket.parse(data, extensions)
    _same(parsed.extensions.audio_level, (True, 30))
    _same(ours(), bytes((0x80 | 30,)))
    with steady():
        yield Contest(
            ours=loop(ours, sizes.operations),
            peers={"aiortc": loop(lambda: rtp.RtpPacket.parse(data, extensions), sizes.operations)},
        )


@contextmanager
def _rtp_build(sizes: Sizes) -> Iterator[Contest]:
    extensions = aiortc_extensions()
    from aiortc import rtp

    stream = send_stream()

    def ours() -> bytes:
        return stream.packet(PAYLOAD_160, 960, False, 30, True, 0.0)

    def theirs() -> bytes:
        packet = rtp.RtpPacket(
            payload_type=111, sequence_number=1, timestamp=960, ssrc=SSRC, payload=PAYLOAD_160
        )
        packet.extensions.mid = "0"
        packet.extensions.audio_level = (True, 30)
        return packet.serialize(extensions)

    _same(len(ours()), len(theirs()))
    with steady():
        yield Contest(
            ours=loop(ours, sizes.operations), peers={"aiortc": loop(theirs, sizes.operations)}
        )


NTP = 0xE5C0FFEE_12345678
CNAME = b"rtcproto"


def _our_report(template: ReportTemplate) -> bytes:
    block = ReportBlock(9, 3, 17, 70_000, 88, 0x12345678, 0x8000)
    return template.sender_report(NTP, 960_000, 500, 80_000, (block,))


def _their_report(rtp) -> bytes:
    report = rtp.RtcpSrPacket(
        ssrc=SSRC,
        sender_info=rtp.RtcpSenderInfo(
            ntp_timestamp=NTP, rtp_timestamp=960_000, packet_count=500, octet_count=80_000
        ),
        reports=[
            rtp.RtcpReceiverInfo(
                ssrc=9,
                fraction_lost=3,
                packets_lost=17,
                highest_sequence=70_000,
                jitter=88,
                lsr=0x12345678,
                dlsr=0x8000,
            )
        ],
    )
    items = [(1, CNAME)]
    description = rtp.RtcpSdesPacket(chunks=[rtp.RtcpSourceInfo(ssrc=SSRC, items=items)])
    return bytes(report) + bytes(description)


@contextmanager
def _rtcp_parse(sizes: Sizes) -> Iterator[Contest]:
    try:
        from aiortc import rtp
    except ImportError:
        raise Skipped("aiortc is not installed") from None
    data = _our_report(ReportTemplate(SSRC, CNAME))
    _same(len(parse_compound(data)), len(rtp.RtcpPacket.parse(data)))
    with steady():
        yield Contest(
            ours=loop(lambda: parse_compound(data), sizes.operations),
            peers={"aiortc": loop(lambda: rtp.RtcpPacket.parse(data), sizes.operations)},
        )


@contextmanager
def _rtcp_build(sizes: Sizes) -> Iterator[Contest]:
    try:
        from aiortc import rtp
    except ImportError:
        raise Skipped("aiortc is not installed") from None
    template = ReportTemplate(SSRC, CNAME)
    _same(_our_report(template), _their_report(rtp))
    with steady():
        yield Contest(
            ours=loop(lambda: _our_report(template), sizes.operations),
            peers={"aiortc": loop(lambda: _their_report(rtp), sizes.operations)},
        )


def _same(ours: object, theirs: object) -> None:
    if ours != theirs:
        raise AssertionError(f"we and the peer disagree: {ours!r}, {theirs!r}")


ROWS = [
    Row(name="stun peek ufrag", unit="ns", bars={"aioice": 0.10}, prepare=_stun_peek),
    Row(name="stun parse+verify", unit="ns", bars={"aioice": 0.50}, prepare=_stun_parse),
    Row(name="stun build", unit="ns", bars={"aioice": 0.20}, prepare=_stun_build),
    Row(name="rtp parse", unit="ns", bars={"aiortc": 0.35}, prepare=_rtp_parse),
    Row(name="rtp build", unit="ns", bars={"aiortc": 0.15}, prepare=_rtp_build),
    Row(name="rtcp SR+SDES parse", unit="ns", bars={"aiortc": 0.50}, prepare=_rtcp_parse),
    Row(name="rtcp SR+SDES build", unit="ns", bars={"aiortc": 0.25}, prepare=_rtcp_build),
]
