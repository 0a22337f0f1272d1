"""Writes the corpus: small valid inputs for every target, made by this library.

Run it as `python -m fuzz.seeds` after a format has grown something new. Inputs
that fuzzing found interesting stay beside these under names of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from fuzz.samples import (
    ANSWER_CONFIG,
    DATA_OFFER,
    DTLS_KEYS,
    NOW,
    OFFER,
    SRTP_KEYS,
    STUN_KEY,
    TOKEN_CODEC,
    UNIX_TIME,
    check,
    rtp_packet,
    token_ufrag,
)
from rtcproto import dtls, opus, rtcp, sctp, sdp, srtp, stun
from rtcproto.dtls.protection import RecordLayer
from rtcproto.relay.framing import build_frame
from rtcproto.routing import PlaintextTokenCodec, RoutingToken, encode_header
from rtcproto.sctp.chunks import ForwardTsn, Sack
from rtcproto.sctp.packet import Packet as SctpPacket
from rtcproto.testing import LinkConfig, PacketPair, World

__all__ = ["main", "seeds"]

CORPUS = Path(__file__).resolve().parent / "corpus"

CANDIDATES = (
    "candidate:1 1 udp 2130706431 192.0.2.1 54321 typ host",
    "candidate:2 1 UDP 1694498815 198.51.100.1 5000 typ srflx raddr 10.0.0.1 rport 5000",
    "a=candidate:3 1 tcp 1518280447 2001:db8::1 9 typ host tcptype active generation 0 ufrag abcd",
    "candidate:4 1 udp 1 3f1b5d3c-1f2e-4d3c-9a8b-123456789abc.local 1 typ host network-cost 999",
)

FMTPS = (
    "minptime=10;useinbandfec=1",
    "maxplaybackrate=48000; stereo=1; sprop-stereo=0; maxaveragebitrate=20000; cbr=1; usedtx=1",
    "ptime=20;unknown=value;flag",
)


def stun_messages() -> dict[str, bytes]:
    """One message of each class and many attributes."""
    peer = ("2001:db8:1234:5678:11:2233:4455:6677", 32853)
    return {
        "check": check("frag"),
        "routed-check": check(token_ufrag(1)),
        "success": stun.build(
            stun.Method.BINDING,
            stun.Class.SUCCESS,
            bytes(range(12)),
            [
                (stun.Attribute.XOR_MAPPED_ADDRESS, ("192.0.2.1", 32853)),
                (stun.Attribute.MAPPED_ADDRESS, peer),
                (stun.Attribute.SOFTWARE, "test vector"),
            ],
            STUN_KEY,
        ),
        "error": stun.build(
            stun.Method.BINDING,
            stun.Class.ERROR,
            bytes(12),
            [
                (stun.Attribute.ERROR_CODE, stun.ErrorCode(487, "Role Conflict")),
                (stun.Attribute.UNKNOWN_ATTRIBUTES, (1, 2, 3)),
                (stun.Attribute.REALM, "example.org"),
                (stun.Attribute.NONCE, "f//499k954d6OL34oL9FSTvy64sA"),
            ],
            STUN_KEY,
            integrity=stun.Integrity.BOTH,
        ),
        "indication": stun.build(stun.Method.BINDING, stun.Class.INDICATION, bytes(12), []),
        "bare-request": stun.build(
            stun.Method.BINDING,
            stun.Class.REQUEST,
            bytes(12),
            [(0x7777, b"abc")],
            fingerprint=False,
        ),
    }


def handshake() -> list[bytes]:
    """The datagrams of one handshake, in order."""
    identities = dtls.Identity.generate(UNIX_TIME), dtls.Identity.generate(UNIX_TIME)
    configs = [dtls.DtlsConfig(identity=identity) for identity in identities]
    client = dtls.Dtls(configs[0], dtls.Role.CLIENT, [identities[1].fingerprint], NOW)
    server = dtls.Dtls(configs[1], dtls.Role.SERVER, [identities[0].fingerprint], NOW)
    seen: list[bytes] = []
    pair = PacketPair(World(1), client, server, LinkConfig(delay=0.01))

    def keep(packet, now):  # type: ignore[no-untyped-def]
        del now
        seen.append(packet.data)
        return (packet,)

    pair.network.tap(keep)
    client.start(pair.now)
    server.start(pair.now)
    pair.run_for(2.0)
    return seen


def dtls_records() -> dict[str, bytes]:
    """A client's records under each suite: data, an alert, Finished again, several in a packet."""
    inputs: dict[str, bytes] = {}
    for number, keys in enumerate(DTLS_KEYS):
        client, index = RecordLayer(keys.mirrored(), 0), bytes([number])
        inputs[f"data{number}"] = index + client.seal(23, b"data")
        inputs[f"close{number}"] = index + client.seal(21, b"\x01\x00")
        finished = client.seal(22, b"\x14\x00\x00\x0c" + bytes(20))
        inputs[f"several{number}"] = index + finished + client.seal(23, b"") + finished
    return inputs


def rtcp_compounds() -> dict[str, bytes]:
    """A compound of each kind of packet."""
    block = rtcp.ReportBlock(2, 10, 100, 70_000, 25, 0x12345678, 65536)
    items = ((rtcp.SdesItem.CNAME, b"cname"), (2, b"someone"))
    return {
        "reports": rtcp.build_compound(
            [
                rtcp.SenderReport(1, 0x83AA7E80_00000000, 960, 50, 4000, (block,)),
                rtcp.Sdes((rtcp.SdesChunk(1, items),)),
            ]
        ),
        "receiver": rtcp.build_compound([rtcp.ReceiverReport(1, (block, block))]),
        "bye": rtcp.build_compound([rtcp.ReceiverReport(1, ()), rtcp.Bye((1, 2), b"going")]),
        "feedback": rtcp.build_compound(
            [
                rtcp.Nack(1, 2, ((5, 0x8001), (65535, 0))),
                rtcp.Pli(1, 2),
                rtcp.Fir(1, 0, ((2, 7),)),
                rtcp.Remb(1, 0, 1_000_000, (2, 3)),
                rtcp.Unknown(210, 3, bytes(8)),
            ]
        ),
        "transport-cc": rtcp.build_compound(
            [rtcp.TransportFeedback(1, 2, 65534, 6, 100, 3, ((0, 400), (2, 600), (5, -20)))]
        ),
        "xr": rtcp.build_compound(
            [
                rtcp.Xr(
                    1,
                    (
                        rtcp.ReceiverReferenceTime(1 << 60),
                        rtcp.Dlrr((rtcp.DlrrEntry(2, 3, 4),)),
                        rtcp.UnknownXrBlock(7, 0, bytes(8)),
                    ),
                ),
                rtcp.App(5, 1, b"name", bytes(4)),
            ]
        ),
    }


def opus_packets() -> dict[str, bytes]:
    """The four framings."""
    frame = bytes(range(1, 41))
    return {
        "code0": b"\x78" + frame,
        "code1": b"\x79" + frame,
        "code2": b"\x7a\x0a" + frame,
        "code3-vbr": b"\x7b\xc3\x05\x0a\x0b" + frame + bytes(5),
        "dtx": opus.SILENCE_MONO,
    }


def sctp_packets() -> dict[str, bytes]:
    """What two associations say to each other, from the first word to the last."""
    ends = [sctp.Association(sctp.SctpConfig(), bytes([n]).__mul__, NOW) for n in (1, 2)]
    said: dict[str, bytes] = {}
    ends[0].start(NOW)
    for turn in range(24):
        now = NOW + turn
        if turn == 6:
            ends[0].send_message(1, 51, b"hello" * 300, now)
        if turn == 10:
            ends[0].reset_streams([1], now)
        if turn == 14:
            ends[1].close(now)
        for number in (0, 1):
            for packet in ends[number].packets_to_send():
                said[f"packet{len(said)}"] = packet
                ends[1 - number].receive_packet(packet, now)
    return said | {
        "forward": SctpPacket(
            5000, 5000, 1, (ForwardTsn(7, ((1, 2),)), Sack(1, 2, ((2, 3), (5, 5)), (1,)))
        ).serialize()
    }


def fragments() -> dict[str, bytes]:
    """A restart, and one trickled candidate as the older clients write it."""
    listed = sdp.SdpCandidate.parse("1 1 udp 2130706431 192.0.2.1 54321 typ host", 0)
    restart = sdp.SdpFragment(
        ufrag="frag",
        pwd="p" * 24,
        ice_lite=True,
        ice_options=("ice2", "trickle"),
        bundle=("0", "1"),
        media=(
            sdp.FragmentMedia(mid="0", candidates=(listed,)),
            sdp.FragmentMedia(mid="1", kind="application"),
        ),
        end_of_candidates=True,
    )
    trickled = f"a=ice-ufrag:frag\nm=audio 9 RTP/AVP 0\na=mid:0\na={listed}\n"
    return {"restart": str(restart).encode(), "trickled": trickled.encode()}


def realtime_dialogues() -> dict[str, bytes]:
    """Client events, one per line; a line of control characters is what happens meanwhile."""
    created = "item_000000000000000000000003"
    user = {
        "type": "message",
        "role": "user",
        "id": "mine",
        "content": [{"type": "input_text", "text": "hello"}],
    }
    update = {
        "instructions": "x",
        "audio": {
            "input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}},
            "output": {"voice": "v", "speed": 1},
        },
        "tools": [{"type": "function", "name": "f", "parameters": {}}],
    }
    events: list[dict[str, object]] = [
        {"type": "session.update", "event_id": "a", "session": update},
        {"type": "conversation.item.create", "item": user, "previous_item_id": "root"},
        {"type": "response.create", "response": {"conversation": "none", "input": [user]}},
        {"type": "response.cancel"},
        {"type": "output_audio_buffer.clear"},
        {"type": "conversation.item.retrieve", "item_id": "mine"},
        {
            "type": "conversation.item.truncate",
            "item_id": created,
            "content_index": 0,
            "audio_end_ms": 20,
        },
        {"type": "conversation.item.delete", "item_id": "mine"},
        {"type": "input_audio_buffer.append", "audio": "AAAA"},
        {"type": "input_audio_buffer.commit"},
        {"type": "input_audio_buffer.clear"},
    ]
    lines = [json.dumps(event).encode() for event in events]
    clear = lines[4]
    return {
        "client": b"\n".join(lines),
        "turn": b"\n".join([b"\x07", b"\x08\x00", b"\x01\x90", b"\x02\x09", b"\x03", b"\x04"]),
        "interrupted": b"\n".join([b"\x08", b"\x01\x90", b"\x02\x09", b"\x03", b"\x10\xff", clear]),
        "manual": b"\n".join([b"\x05\x80", lines[9], lines[2], b"\x03", lines[3], b"\x06\x01"]),
    }


def length_prefixed(packets: Iterable[bytes]) -> bytes:
    """What `dtls_machine` takes."""
    return b"".join(len(packet).to_bytes(2, "big") + packet for packet in packets)


def seeds() -> dict[str, dict[str, bytes]]:
    """Target -> name -> input."""
    messages = stun_messages()
    flights = handshake()
    compounds = rtcp_compounds()
    packets = {
        "opus": rtp_packet(),
        "small": rtp_packet(65535, b"\x08"),
        "empty": rtp_packet(2, b""),
    }
    offer, data_offer = str(OFFER).encode(), str(DATA_OFFER).encode()
    data_answer = str(sdp.build_answer(DATA_OFFER, ANSWER_CONFIG)[0]).encode()
    header = encode_header(("192.0.2.1", 5000), ("203.0.113.10", 3478))
    sealed, sealed_control = {}, {}
    for number, (profile, key) in enumerate(SRTP_KEYS):
        sender, index = srtp.SrtpSender(profile, key), bytes([number])
        sealed[profile.name.lower()] = index + sender.protect(rtp_packet())
        sealed_control[profile.name.lower()] = index + sender.protect_rtcp(compounds["reports"])
    token = RoutingToken(3, 500, 9, 0xABCDEF)
    return {
        "candidate": {f"candidate{n}": text.encode() for n, text in enumerate(CANDIDATES)},
        "demux": {"stun": messages["check"], "rtp": packets["opus"], "rtcp": compounds["bye"]},
        "directory_entry": {"v4": b"0/1=10.0.0.7:9000@3", "v6": b"0/2=[2001:db8::7]:9000"},
        "framing": {
            "two": b"\x04" + build_frame(messages["check"]) + build_frame(packets["opus"]),
            "null": b"\x00" + build_frame(b"") + build_frame(b"x") + b"\x00",
            "long": b"\x10" + b"GET / HTTP/1.1",
        },
        "dtls_machine": {
            "handshake": length_prefixed(flights),
            "first-flight": length_prefixed(flights[:1]),
        },
        "dtls_protected": dtls_records(),
        "dtls_record": {f"flight{n}": flight for n, flight in enumerate(flights[:6])},
        "endpoint_ops": {
            "paths": bytes.fromhex(
                "02 00 00 00 04 00 05 02 02 00 01 01 04 01 05 03 07 00 05 04 06"
            ),
            "forged": bytes.fromhex("00 00 00 00 02 00 00 03 00 08 00 03 01 20 01 02 00 00 00 03"),
            "sessions": bytes.fromhex(
                "06 06 06 02 01 01 00 02 02 01 00 04 00 07 01 07 00 05 05 06"
            ),
        },
        "opus": opus_packets(),
        "opus_fmtp": {f"fmtp{n}": text.encode() for n, text in enumerate(FMTPS)},
        "peek": messages,
        "proxy_header": {"one": header + messages["check"], "two": header + header + b"x"},
        "relay_ops": {
            "call": bytes.fromhex(
                "00 00 00 00  02 20 00 00 00  00 30 00 00  04 04  02 4c 00 00 00"
            ),
            "takeover": bytes.fromhex("02 30 00 00 00 04 03 02 30 00 00 01 04 04 02 30 00 00 01"),
        },
        "rtcp": compounds,
        "rtp": packets,
        "sctp_ops": {
            "call": bytes.fromhex("00 00 80 00 01 04 81 04 01 04 06 00 02 01 0f 81 0f 01 0f"),
            "snap": bytes.fromhex("00 03 80 03 06 14 03 06 0a 05 04 00 00 05 03 01 0f 81 0f 05 01"),
            "reset": bytes.fromhex("00 03 80 03 06 00 01 01 0f 81 0f 00 04 00 01 0f 81 0f 00 06"),
        },
        "sctp_packet": sctp_packets(),
        "sdp_answer": {
            "offer": offer,
            "answer": offer.replace(b"actpass", b"active"),
            "data": data_answer,
            "data-rejected": data_answer.replace(b"m=application 9", b"m=application 0"),
        },
        "sdp_fragment": fragments(),
        "sdp_offer": {
            "offer": offer,
            "lf": offer.replace(b"\r\n", b"\n"),
            "data": data_offer,
            "data-tagged": data_offer.replace(b"BUNDLE 0 1", b"BUNDLE 1 0"),
            "data-bundle-only": data_offer.replace(
                b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n",
                b"m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=bundle-only\r\n",
            ),
        },
        "realtime_event": realtime_dialogues(),
        "session_ops": {
            "call": bytes.fromhex("00 0a 8a 00 80 0a 0a 04 00 08 08 00 80 0f ff 80"),
            "fresh": bytes.fromhex("03 00 80 00 80 08 00 80 04 00 06 80 08 08 03 0a 00"),
            "attacked": bytes.fromhex(
                "01 0a 0c 00 00 8c 09 01 07 05 03 0d 04 01 0d 06 00 09 04 08"
            ),
            "channels": bytes.fromhex(
                "00 0f64 0000 03 8f64 0001 03 0f64 0200 01 8f64 0a00 02 0f64 0201 03 03"
                "0f64 0500 03 08 03 0f64 0000 03 0f64 0200 00 03 8f64 0501 03"
            ),
            "channels-lost": bytes.fromhex(
                "02 0f64 0801 8f64 1000 03 0f64 0200 03 84 08 06 05 03 8f64 0301 02 08 08 03"
                "0f64 0100 8f64 0100 0f64 0200 02 04 84 08 08 03 8fff 03"
            ),
            "channels-forged": bytes.fromhex(
                "00 0f64 0000 03 0f64 0700 00 03 8f64 0700 08 03 0f64 0700 10 8f64 0700 18 03"
                "0f64 0700 07 04 13881388 0f64 0200 01 03 08 03"
            ),
            "moving": bytes.fromhex("00 0e 01 8a 0a 00 80 09 03 03 0a 00 0e 00 08 08 03 0a 00"),
        },
        "srtcp": sealed_control,
        "srtp_unprotect": sealed,
        "stun": messages,
        "token": {
            "enciphered": TOKEN_CODEC.encode(token).encode(),
            "plain": PlaintextTokenCodec("p").encode(token).encode(),
        },
    }


def main() -> None:
    """Write what is not there yet."""
    for target, inputs in seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            path = folder / name
            if not path.exists():
                path.write_bytes(data)
                print(f"{path.relative_to(CORPUS.parent)}: {len(data)} bytes")


if __name__ == "__main__":
    main()
