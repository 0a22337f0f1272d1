"""The lines that describe us, the same in answers and offers."""

import pytest

from rtcproto.sdp import Connection, DataConfig, SdpCandidate, Setup
from rtcproto.sdp.local import (
    data_section,
    default_destination,
    origin,
    source_attributes,
    transport_attributes,
)
from tests.support.sdp import FINGERPRINT, answer_config, candidate


@pytest.mark.parametrize(
    ("candidates", "wanted"),
    [
        ((), (9, "IN IP4 0.0.0.0")),
        ((candidate("192.0.2.1", 5),), (5, "IN IP4 192.0.2.1")),
        ((candidate("2001:db8::1", 6),), (6, "IN IP6 2001:db8::1")),
        ((candidate("x.local"),), (9, "IN IP4 0.0.0.0")),
        ((candidate(transport="tcp"), candidate("192.0.2.2", 7)), (7, "IN IP4 192.0.2.2")),
        ((candidate("relay.example", 1), candidate("192.0.2.2", 7)), (7, "IN IP4 192.0.2.2")),
    ],
)
def test_default_destination(candidates: tuple[SdpCandidate, ...], wanted: tuple[int, str]) -> None:
    """The first UDP candidate with an address literal; else the discard port of nowhere."""
    port, connection = default_destination(candidates)
    assert (port, str(connection)) == wanted
    assert isinstance(connection, Connection)


def test_transport_lines() -> None:
    """ICE credentials, fingerprint, role, each candidate, and that there will be no more."""
    values = transport_attributes(answer_config(), Setup.ACTIVE, tagged=True)
    assert [str(value) for value in values] == [
        "ice-ufrag:A7Nx/+abcdefghijklmnopq",
        "ice-pwd:pppppppppppppppppppppppp",
        f"fingerprint:sha-256 {FINGERPRINT}",
        "setup:active",
        "candidate:1 1 udp 2130706431 192.0.2.1 3478 typ host",
        "candidate:2 1 udp 2130706431 2001:db8::1 3478 typ host",
        "end-of-candidates",
    ]


def test_without_candidates_their_end_is_not_claimed() -> None:
    """A description without candidates must leave room for some to follow."""
    config = answer_config(candidates=())
    values = transport_attributes(config, Setup.ACTIVE, tagged=True)
    assert str(values[-1]) == "setup:active"


def test_candidates_stand_in_the_tagged_section_alone() -> None:
    """RFC 8843 section 7.1.3; credentials, fingerprint and role are repeated."""
    tagged = transport_attributes(answer_config(), Setup.ACTIVE, tagged=True)
    assert transport_attributes(answer_config(), Setup.ACTIVE, tagged=False) == tagged[:4]


def test_the_data_section() -> None:
    """RFC 8841 section 10's shape, with transport and all; the INIT chunk where it is wanted."""
    data = DataConfig(port=5001, max_message_size=1 << 20, init=b"init")
    section = data_section(answer_config(), data, "d", Setup.PASSIVE, tagged=False, init=True)
    assert str(section).split("\r\n") == [
        "m=application 3478 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 192.0.2.1",
        "a=mid:d",
        "a=ice-ufrag:A7Nx/+abcdefghijklmnopq",
        "a=ice-pwd:pppppppppppppppppppppppp",
        f"a=fingerprint:sha-256 {FINGERPRINT}",
        "a=setup:passive",
        "a=sctp-port:5001",
        "a=max-message-size:1048576",
        "a=sctp-init:aW5pdA==",
        "",
    ]
    bare = data_section(answer_config(), data, "d", Setup.PASSIVE, tagged=True, init=False)
    assert "sctp-init" not in str(bare)
    assert str(bare).count("a=candidate:") == 2


def test_source_and_origin_lines() -> None:
    """A stream and a track by name, one SSRC with its CNAME, and a numeric origin."""
    config = answer_config(stream_id="s", track_id="t", session_version=3)
    assert [str(value) for value in source_attributes(config)] == [
        "msid:s t",
        "ssrc:12345678 cname:rtcproto",
    ]
    assert str(origin(config)) == "- 4611731400430051336 3 IN IP4 127.0.0.1"
