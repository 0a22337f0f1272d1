"""The settings of an association."""

from __future__ import annotations

import pytest

from rtcproto.datagram import MAX_DATAGRAM_OUT
from rtcproto.sctp import SctpConfig

# A DTLS 1.2 record with AES-GCM: header, explicit nonce, tag (RFC 6347, RFC 5288).
DTLS_OVERHEAD = 13 + 8 + 16


def test_a_packet_fits_the_largest_datagram() -> None:
    """What we send stays within 1,200 bytes with DTLS around it."""
    assert SctpConfig().mtu + DTLS_OVERHEAD <= MAX_DATAGRAM_OUT


def test_defaults_are_what_webrtc_says() -> None:
    """Port 5000; 64 KiB to a peer that does not say (RFC 8841 section 6)."""
    config = SctpConfig()
    assert config.port == config.remote_port == 5000
    assert config.remote_max_message_size == 65_536


@pytest.mark.parametrize("mtu", [0, 508, 1161, 100_000])
def test_an_mtu_is_a_sensible_multiple_of_four(mtu: int) -> None:
    """Chunks are padded, so another size could not be filled."""
    with pytest.raises(ValueError, match="mtu"):
        SctpConfig(mtu=mtu)


def test_the_time_out_has_a_floor() -> None:
    """A floor of nothing would resend without end."""
    with pytest.raises(ValueError, match="rto_min"):
        SctpConfig(rto_min=0.0)
