"""One function per fuzz target: it takes any bytes and returns None.

What a target asserts is in README.md: a codec gives a value or a declared
error, values survive being built and parsed again, and nothing is accepted
that carries no valid authentication. Everything else that leaves a target is a
crash. `TARGETS` is the registry that the runner and the tests use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from fuzz.endpoint_scene import endpoint_ops
from fuzz.ops import relay_ops
from fuzz.realtime_scene import realtime_event
from fuzz.samples import (
    ANSWER_CONFIG,
    DATA_OFFER,
    DTLS_CLIENT,
    DTLS_KEYS,
    NOW,
    OFFER,
    SRTP_KEYS,
    STUN_KEY,
    TOKENS,
    UNIX_TIME,
)
from fuzz.sctp_scene import sctp_ops, sctp_packet
from fuzz.session_scene import session_ops
from rtcproto import datachannel, demux, dtls, ice, opus, routing, rtcp, rtp, sdp, srtp, stun
from rtcproto.dtls.connected import Connected
from rtcproto.dtls.events import Counters
from rtcproto.dtls.flight import FinalFlight
from rtcproto.dtls.handshake import (
    ClientHello,
    ServerHello,
    parse_certificates,
    parse_fragments,
    parse_use_srtp,
)
from rtcproto.dtls.protection import RecordLayer
from rtcproto.dtls.reassembly import Reassembler
from rtcproto.dtls.record import ContentType, parse_records
from rtcproto.errors import (
    AuthenticationError,
    DescriptionRefused,
    ParseError,
    UsageError,
)
from rtcproto.relay.framing import FrameReader, build_frame

__all__ = ["TARGETS"]

# What a reassembler may hold, bytes (row D2).
MAX_HELD = 65_536


def demux_target(data: bytes) -> None:
    """Any bytes have a kind."""
    assert demux.classify(data) in demux.Kind


def stun_target(data: bytes) -> None:
    """Parse, decode every attribute, verify: nothing but the declared errors."""
    try:
        message = stun.Message.parse(data)
        for kind, _ in message.attributes:
            message.get(kind)
        _ = message.unknown_required
        STUN_KEY.verify(message)
    except (ParseError, AuthenticationError):
        return


def peek(data: bytes) -> None:
    """The peek never raises, and agrees with the parser wherever both see a username."""
    username, server = stun.peek_username(data), stun.peek_server_ufrag(data)
    ufrag, colon, _ = (username or b"").partition(b":")
    assert server == (ufrag if colon and ufrag else None)
    try:
        message = stun.Message.parse(data)
    except ParseError:
        return
    if username is not None:
        assert username in [v for kind, v in message.attributes if kind == stun.Attribute.USERNAME]


def dtls_record(data: bytes) -> None:
    """Records, fragments, reassembly, hellos: bounded, and only ParseError."""
    reassembler = Reassembler()
    try:
        for record in parse_records(data):
            if record.content_type != ContentType.HANDSHAKE:
                continue
            for fragment in parse_fragments(record.payload):
                reassembler.add(fragment)
                assert reassembler.buffered <= MAX_HELD
                while (message := reassembler.peek()) is not None:
                    reassembler.accept()
                    _parse_body(message.body)
    except ParseError:
        return


def _parse_body(body: bytes) -> None:
    parsers: tuple[Callable[[bytes], object], ...] = (
        ClientHello.parse,
        ServerHello.parse,
        parse_certificates,
        parse_use_srtp,
    )
    for parse in parsers:
        try:
            parse(body)
        except ParseError:
            continue


def dtls_protected(data: bytes) -> None:
    """Only what the peer's key sealed is opened, once; a failure moves no window."""
    keys, packet = DTLS_KEYS[data[0] % len(DTLS_KEYS) if data else 0], data[1:]
    quick = RecordLayer(keys, 0).open_data(packet)
    layer, opened = RecordLayer(keys, 0), []
    connected = Connected(RecordLayer(keys, 0), FinalFlight((b"final",), 0.1, NOW), Counters())
    try:
        records = parse_records(packet)
    except ParseError:
        assert quick is None
        return
    for record in records:
        connected.receive(record, NOW + 1)
        before = layer.window.top, layer.window.missing
        try:
            opened.append(layer.open(record))
        except AuthenticationError:
            assert (layer.window.top, layer.window.missing) == before
        except ParseError:
            continue
        else:
            assert not layer.window.accepts(record.sequence)
    assert quick is None or opened == [quick]
    # A repeated Finished draws the final flight, at most once at one time.
    assert connected.outgoing in ([], [b"final"])
    assert len(connected.received) <= len(opened)


def dtls_machine(data: bytes) -> None:
    """A fresh server takes length-prefixed packets: no exception, no keys, nothing over the MTU."""
    machine = dtls.Dtls(_dtls_config(), dtls.Role.SERVER, DTLS_CLIENT, NOW)
    machine.start(NOW)
    now = NOW
    for packet in split_packets(data):
        machine.receive_packet(packet, now)
        deadline = machine.get_timer()
        if deadline is not None:
            now = deadline
            machine.handle_timer(now)
            following = machine.get_timer()
            assert following is None or following > now
        assert all(len(out) <= 1200 for out in machine.packets_to_send())
        assert not any(isinstance(e, dtls.HandshakeCompleted) for e in machine.next_events())


@cache
def _dtls_config() -> dtls.DtlsConfig:
    return dtls.DtlsConfig(identity=dtls.Identity.generate(UNIX_TIME))


def split_packets(data: bytes) -> list[bytes]:
    """Packets out of `length (2 bytes) packet ...`; the last one may be short."""
    packets = []
    while data:
        size = int.from_bytes(data[:2], "big") & 0x7FF
        packets.append(data[2 : 2 + size])
        data = data[2 + size :]
    return packets


def rtp_target(data: bytes) -> None:
    """A packet that parses is built again to one that parses alike."""
    try:
        packet = rtp.RtpPacket.parse(data)
    except ParseError:
        return
    assert rtp.RtpPacket.parse(packet.serialize()) == packet
    profile, extension = packet.extension_profile, packet.extension_data
    try:
        elements = rtp.parse_extensions(profile, extension)
    except ParseError:
        elements = {}
    for identifier, value in elements.items():
        assert rtp.find_extension(profile, extension, identifier) == value


def rtcp_target(data: bytes) -> None:
    """A compound that parses is built again to one that parses alike."""
    try:
        packets = rtcp.parse_compound(data)
    except ParseError:
        return
    assert rtcp.parse_compound(rtcp.build_compound(packets)) == packets


def sdp_offer(data: bytes) -> None:
    """An offer is parsed, refused or answered; the answer suits its own parser and the offer."""
    try:
        offer = sdp.parse(data.decode("utf-8", "replace"))
        assert str(sdp.parse(str(offer))) == str(offer)
        answer, negotiated = sdp.build_answer(offer, ANSWER_CONFIG)
    except (ParseError, DescriptionRefused):
        return
    text = str(answer)
    assert text.endswith("\r\n")
    assert len(text.splitlines()) == text.count("\r\n")
    assert len(sdp.parse(text).media) == len(offer.media)
    live = [media.kind for media in answer.media if media.port]
    assert sorted(live) == (["audio"] if negotiated.data is None else ["application", "audio"])


def sdp_answer(data: bytes) -> None:
    """An answer to our own offers is parsed and settled or refused."""
    try:
        answer = sdp.parse(data.decode("utf-8", "replace"))
    except ParseError:
        return
    for offer in (OFFER, DATA_OFFER):
        try:
            negotiated = sdp.negotiate(offer, answer)
        except DescriptionRefused:
            continue
        assert negotiated.data is None or offer is DATA_OFFER


def sdp_fragment(data: bytes) -> None:
    """A fragment that parses is written to one that parses alike, line for line."""
    try:
        fragment = sdp.parse_fragment(data.decode("utf-8", "replace"))
    except ParseError:
        return
    text = str(fragment)
    assert sdp.parse_fragment(text) == fragment
    assert len(text.splitlines()) == text.count("\r\n")


def candidate(data: bytes) -> None:
    """A candidate that parses is written to one that parses alike."""
    try:
        parsed = ice.Candidate.parse(data.decode("utf-8", "replace"))
    except ParseError:
        return
    assert ice.Candidate.parse(str(parsed)) == parsed
    address = ice.candidate_address(parsed)
    assert address is None or address[0]


def opus_target(data: bytes) -> None:
    """A packet that parses is built again byte by byte alike in meaning."""
    opus.samples_per_packet(data)
    opus.is_dtx(data)
    try:
        packet = opus.OpusPacket.parse(data)
    except ParseError:
        return
    assert 0 < packet.samples <= 5760
    assert opus.OpusPacket.parse(packet.serialize()) == packet
    assert opus.samples_per_packet(data) == packet.samples
    _ = packet.has_fec, packet.is_dtx


def opus_fmtp(data: bytes) -> None:
    """Any text has parameters; what we build from them says the same."""
    parameters = opus.parse_fmtp(data.decode("utf-8", "replace"))
    assert opus.parse_fmtp(opus.build_fmtp(parameters)) == parameters


def srtp_unprotect(data: bytes) -> None:
    """Only what our key sealed is opened, and a failure leaves no state."""
    profile, key = SRTP_KEYS[data[0] % len(SRTP_KEYS) if data else 0]
    receiver = srtp.SrtpReceiver(profile, key)
    try:
        receiver.unprotect(data[1:])
    except (ParseError, AuthenticationError):
        assert receiver.ssrcs == ()


def srtcp(data: bytes) -> None:
    """The same for SRTCP."""
    profile, key = SRTP_KEYS[data[0] % len(SRTP_KEYS) if data else 0]
    receiver = srtp.SrtpReceiver(profile, key)
    try:
        receiver.unprotect_rtcp(data[1:])
    except (ParseError, AuthenticationError):
        return


def dcep(data: bytes) -> None:
    """A channel message survives being built and parsed again."""
    try:
        message = datachannel.parse_dcep(data)
    except ParseError:
        return
    assert datachannel.parse_dcep(message.serialize()) == message


def proxy_header(data: bytes) -> None:
    """Headers are read or refused; what is read can be written again."""
    try:
        headers, offset = routing.parse_headers(data)
    except ParseError:
        return
    assert offset == len(headers) * routing.HEADER_SIZE <= len(data)
    for client, proxy in headers:
        assert routing.parse_header(routing.encode_header(client, proxy))[:2] == (client, proxy)


def token(data: bytes) -> None:
    """A token has one spelling, and random bytes are none (1 in 2**64)."""
    for codec in TOKENS:
        decoded = codec.decode(data)
        assert decoded is None or codec.encode(decoded).encode() == data


def directory_entry(data: bytes) -> None:
    """A line of a directory is an entry or a declared error."""
    try:
        routing.parse_entry(data.decode("utf-8", "replace"))
    except (ParseError, UsageError):
        return


def framing(data: bytes) -> None:
    """However a stream is cut, its frames are the same, and what is kept is bounded."""
    size, stream = 1 + (data[0] if data else 0), data[1:]
    whole, cut = FrameReader(), FrameReader()
    try:
        expected = whole.receive(stream)
    except ParseError:
        expected = None
    read: list[bytes] = []
    try:
        for start in range(0, len(stream), size):
            read += cut.receive(stream[start : start + size])
    except ParseError:
        assert expected is None
        return
    assert read == expected
    assert whole.is_partial == cut.is_partial
    rebuilt = FrameReader().receive(b"".join(map(build_frame, read)))
    assert rebuilt == read


TARGETS: dict[str, Callable[[bytes], None]] = {
    "candidate": candidate,
    "dcep": dcep,
    "demux": demux_target,
    "directory_entry": directory_entry,
    "framing": framing,
    "dtls_machine": dtls_machine,
    "dtls_protected": dtls_protected,
    "dtls_record": dtls_record,
    "endpoint_ops": endpoint_ops,
    "opus": opus_target,
    "opus_fmtp": opus_fmtp,
    "peek": peek,
    "proxy_header": proxy_header,
    "realtime_event": realtime_event,
    "relay_ops": relay_ops,
    "rtcp": rtcp_target,
    "rtp": rtp_target,
    "sctp_ops": sctp_ops,
    "sctp_packet": sctp_packet,
    "sdp_answer": sdp_answer,
    "sdp_fragment": sdp_fragment,
    "sdp_offer": sdp_offer,
    "session_ops": session_ops,
    "srtcp": srtcp,
    "srtp_unprotect": srtp_unprotect,
    "stun": stun_target,
    "token": token,
}
