"""Statistics under the standard's names."""

import json

import pytest

from rtcproto.rtp.receive_stream import ReceiveStats, ReceiveStream
from rtcproto.session.stats import (
    OutboundRtpStats,
    SessionStats,
    SetupPhases,
    TransportStats,
    camel_case,
)


@pytest.mark.parametrize(
    ("name", "standard"),
    [
        ("packets_lost", "packetsLost"),
        ("current_round_trip_time", "currentRoundTripTime"),
        ("ssrc", "ssrc"),
        ("srtp_cipher", "srtpCipher"),
    ],
)
def test_spelling(name: str, standard: str) -> None:
    """W3C webrtc-stats writes camel case."""
    assert camel_case(name) == standard


def receive_stats() -> ReceiveStats:
    """One packet received."""
    stream = ReceiveStream(7, 48_000)
    stream.receive(100, 960, 50, 1000.0)
    return stream.stats()


def test_as_dict_is_plain_json() -> None:
    """Nested values, tuples and counters by reason become what json.dumps takes."""
    stats = SessionStats(
        state="connected",
        timestamp=1000.0,
        transport=TransportStats(
            dtls_state="connected",
            dtls_role="client",
            srtp_cipher="AEAD_AES_128_GCM",
            dtls_cipher="x",
            current_round_trip_time=0.05,
            total_round_trip_time=0.1,
            requests_received=1,
            requests_sent=2,
            responses_received=3,
            responses_sent=4,
            consent_requests_sent=5,
            rejected={"dtls_early": 6},
        ),
        inbound_rtp=(receive_stats(),),
        outbound_rtp=OutboundRtpStats(ssrc=1, packets_sent=2, bytes_sent=3),
        remote_inbound_rtp=None,
        data_channels=(),
        sctp_transport=None,
        phases=SetupPhases(first_check=0.1),
    )
    plain = stats.as_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["transport"]["consentRequestsSent"] == 5
    assert plain["transport"]["rejected"] == {"dtls_early": 6}
    assert plain["inboundRtp"][0]["packetsReceived"] == 1
    assert plain["remoteInboundRtp"] is None
    assert plain["phases"] == {"firstCheck": 0.1, "path": None, "dtls": None, "firstMedia": None}
