"""Sections of data channels: how a peer's is read, and what the two sides settle."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcproto.errors import DescriptionRefused
from rtcproto.sdp import DataConfig, DataNegotiated, parse
from rtcproto.sdp.attributes import parse_attribute
from rtcproto.sdp.data import RemoteData, data_attributes, read_data, settle_data
from rtcproto.sdp.description import MediaDescription

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
SECTION = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:1\r\na=sctp-port:5000\r\n"


def section(*changes: tuple[str, str], extra: str = "") -> MediaDescription:
    """A small data section, changed."""
    text = SECTION
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return parse(HEAD + text + extra).media[0]


@pytest.mark.parametrize(
    ("extra", "wanted"),
    [
        ("", RemoteData(5000, 65536, None)),
        ("a=max-message-size:0\r\n", RemoteData(5000, 0, None)),
        ("a=max-message-size:1073741823 \r\n", RemoteData(5000, 1073741823, None)),
        ("a=max-message-size:1\r\na=max-message-size:2\r\n", RemoteData(5000, 1, None)),
        ("a=sctp-init:aW5pdA==\r\n", RemoteData(5000, 65536, b"init")),
        ("a=sendrecv\r\na=sctpmap:1 x 2\r\na=dcmap:0\r\n", RemoteData(5000, 65536, None)),
    ],
)
def test_what_a_section_says(extra: str, wanted: RemoteData) -> None:
    """RFC 8841 section 6.1: no max-message-size is 65,536, zero is no limit; the first counts."""
    assert read_data(section(extra=extra)) == wanted


@pytest.mark.parametrize(
    ("changes", "extra", "reason"),
    [
        ([("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000")], "", "not UDP/DTLS/SCTP"),
        ([("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")], "", "not UDP/DTLS/SCTP"),
        ([("UDP/DTLS/SCTP", "SCTP")], "", "not UDP/DTLS/SCTP"),
        ([("webrtc-datachannel", "5000")], "a=sctpmap:5000 webrtc-datachannel 1024\r\n", "not web"),
        ([("webrtc-datachannel", "webrtc-datachannel t38")], "", "not web"),
        ([], "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n", "a=crypto"),
        ([("a=sctp-port:5000\r\n", "")], "", "no SCTP port"),
        ([("sctp-port:5000", "sctp-port:0")], "", "no SCTP port"),
    ],
)
def test_what_is_of_no_use_is_refused(
    changes: list[tuple[str, str]], extra: str, reason: str
) -> None:
    """Old forms, TCP, keys in the description, no association: refused with a reason."""
    with pytest.raises(DescriptionRefused, match=reason):
        read_data(section(*changes, extra=extra))


@given(
    st.integers(1, 65535),
    st.integers(1, 2**31 - 1),
    st.none() | st.binary(min_size=1, max_size=200),
    st.booleans(),
)
def test_what_we_write_is_what_a_peer_reads(
    port: int, size: int, chunk: bytes | None, init: bool
) -> None:
    """Each line is one line, and says what was configured."""
    config = DataConfig(port=port, max_message_size=size, init=chunk)
    lines = [str(value) for value in data_attributes(config, init=init)]
    assert all(line.isascii() and line.isprintable() for line in lines)
    media = MediaDescription(
        kind="application",
        port=9,
        protocol="UDP/DTLS/SCTP",
        formats=("webrtc-datachannel",),
        attributes=tuple(parse_attribute(line, 1) for line in lines),
    )
    assert read_data(media) == RemoteData(port, size, chunk if init else None)


def test_an_init_counts_only_if_both_sides_give_one() -> None:
    """draft-hancke-tsvwg-snap: otherwise SCTP does its own handshake."""
    theirs = RemoteData(5001, 0, b"theirs")
    assert settle_data("1", 5000, b"ours", theirs) == DataNegotiated(
        mid="1",
        local_port=5000,
        remote_port=5001,
        remote_max_message_size=0,
        remote_init=b"theirs",
    )
    assert settle_data("1", 5000, None, theirs).remote_init is None
