"""The lines that describe us, the same in answers and offers."""

import pytest

from rtcproto.sdp import Connection, SdpCandidate, Setup
from rtcproto.sdp.local import (
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
    lines = [str(value) for value in transport_attributes(answer_config(), Setup.ACTIVE)]
    assert lines == [
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
    lines = [str(v) for v in transport_attributes(answer_config(candidates=()), Setup.ACTIVE)]
    assert lines[-1] == "setup:active"


def test_source_and_origin_lines() -> None:
    """A stream and a track by name, one SSRC with its CNAME, and a numeric origin."""
    config = answer_config(stream_id="s", track_id="t", session_version=3)
    assert [str(value) for value in source_attributes(config)] == [
        "msid:s t",
        "ssrc:12345678 cname:rtcproto",
    ]
    assert str(origin(config)) == "- 4611731400430051336 3 IN IP4 127.0.0.1"
