"""Configurations check every name and credential when they are made."""

from typing import Any

import pytest

from rtcproto.errors import UsageError
from rtcproto.sdp import DataConfig, Direction, Setup
from tests.support.sdp import FINGERPRINT, answer_config, candidate, offer_config

BAD: list[dict[str, Any]] = [
    {"ufrag": "abc"},
    {"ufrag": "ab:cd"},
    {"ufrag": "a" * 33},
    {"pwd": "a" * 21},
    {"pwd": "a" * 22 + "\r"},
    {"fingerprint": ("sha-256", FINGERPRINT.lower())},
    {"fingerprint": ("SHA-256", FINGERPRINT)},
    {"fingerprint": ("sha-256", "AB:CD")},
    {"fingerprint": ("sha-256", FINGERPRINT + "\r\na=x")},
    {"ssrc": -1},
    {"ssrc": 2**32},
    {"cname": ""},
    {"cname": "a b"},
    {"cname": "a\r\nb"},
    {"session_id": 2**63},
    {"session_version": -1},
    {"stream_id": "-"},
    {"stream_id": "a b"},
    {"track_id": ""},
    {"track_id": "\u2028"},
    {"opus_parameters": ""},
    {"opus_parameters": "a\nb"},
    {"extensions": ("urn:a b\n",)},
    {"extensions": ("",)},
    {"feedback": ("nack\r\n",)},
    {"candidates": (candidate(host="a b"),)},
    {"candidates": (candidate(host=""),)},
    {"candidates": (candidate(foundation="1\r\na=x"),)},
    {"candidates": (candidate(extensions=(("ufrag", "a b"),)),)},
    {"setup": Setup.HOLDCONN},
]


@pytest.mark.parametrize("make", [answer_config, offer_config])
@pytest.mark.parametrize("change", BAD, ids=[str(bad)[:40] for bad in BAD])
def test_bad_values_are_a_usage_error_at_once(change: dict[str, Any], make: Any) -> None:
    """A value that could bend a line never makes it into a configuration."""
    with pytest.raises(UsageError):
        make(**change)


@pytest.mark.parametrize("change", [{"payload_type": 95}, {"payload_type": 128}, {"mid": "a b"}])
def test_bad_values_of_an_offer(change: dict[str, Any]) -> None:
    """Opus has a dynamic payload type; a mid is one token."""
    with pytest.raises(UsageError):
        offer_config(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"port": 0},
        {"port": 65536},
        {"max_message_size": 0},
        {"max_message_size": 2**31},
        {"init": b""},
        {"init": "AQAAHg=="},
    ],
)
def test_bad_values_of_data_channels(change: dict[str, Any]) -> None:
    """A port, a limit that every peer can read, bytes."""
    with pytest.raises(UsageError):
        DataConfig(**change)


def test_two_sections_have_two_mids() -> None:
    """An offer with data channels names both."""
    assert offer_config(mid="1").data_mid == "1"
    with pytest.raises(UsageError, match="must differ"):
        offer_config(mid="1", data=DataConfig())


def test_an_answer_cannot_leave_the_role_open() -> None:
    """RFC 5763 section 5: the answerer decides, active or passive."""
    with pytest.raises(UsageError):
        answer_config(setup=Setup.ACTPASS)


def test_enums_may_be_given_as_text() -> None:
    """`setup="passive"` reads well in a configuration file."""
    assert answer_config(setup="passive").setup is Setup.PASSIVE
    assert offer_config(direction="recvonly").direction is Direction.RECVONLY


@pytest.mark.parametrize("make", [answer_config, offer_config])
def test_the_password_is_not_in_the_repr(make: Any) -> None:
    """A configuration can be logged."""
    assert "hunter" not in repr(make(pwd="hunterhunterhunterhunter"))
