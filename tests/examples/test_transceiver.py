"""The transceiver program: call ids, settings, and what refusals look like."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver.backends import BACKENDS
from examples.transceiver.callid import CallId
from examples.transceiver.echo import Echo
from examples.transceiver.main import main
from examples.transceiver.parrot import Parrot
from examples.transceiver.responses import refusal
from examples.transceiver.server import endpoint_config
from examples.transceiver.settings import SettingsError, parse_arguments
from rtcproto.errors import (
    CapacityExceeded,
    DescriptionRefused,
    DescriptionTooLarge,
    ParseError,
    UsageError,
)
from rtcproto.sdp import Setup

HEX = "0123456789abcdef"
ARGUMENTS = ["--http=127.0.0.1:8080", "--udp=127.0.0.1:9000", "--no-auth"]


@pytest.fixture
def keys(tmp_path: Path) -> str:
    """The path of a good key file."""
    path = tmp_path / "keys"
    path.touch(mode=0o600)
    path.write_text(f"A {bytes(range(16)).hex()}\n")
    return str(path)


@given(
    st.integers(0, 4095),
    st.integers(0, 65535),
    st.integers(0, 4095),
    st.text(HEX, min_size=32, max_size=32),
)
def test_call_id_round_trip(cluster: int, owner: int, epoch: int, session: str) -> None:
    """What is written is read back."""
    call_id = CallId(cluster, owner, epoch, session)
    assert CallId.parse(str(call_id)) == call_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rtc_",
        "rtc_1.2.3",
        "rtc_1.2.3.",
        "rtc_1.2.3.4.5",
        "rtc_01.2.3.abc",
        "rtc_-1.2.3.abc",
        "rtc_1.2.x.abc",
        "rtc_1.2.3.a/b",
        "rtc_1.2.3.ä",
        "rtc_\u0661.2.3.abc",
        "1.2.3.abc",
        "rtc_1.2.3." + "a" * 60,
    ],
)
def test_call_id_refuses(text: str) -> None:
    """Only what we would write ourselves is an id."""
    assert CallId.parse(text) is None


@given(st.text(max_size=80))
def test_call_id_is_total(text: str) -> None:
    """Any text gives an id that is written the same, or None."""
    for candidate in (text, "rtc_" + text):
        call_id = CallId.parse(candidate)
        assert call_id is None or str(call_id) == candidate


def test_settings(keys: str) -> None:
    """Behind relays, their addresses are advertised; without, ours is."""
    alone = parse_arguments([*ARGUMENTS, "--advertise=198.51.100.1", "--setup=passive"])
    assert alone.advertise == (("198.51.100.1", 9000),)
    assert alone.setup is Setup.PASSIVE
    assert alone.codec is None
    behind = parse_arguments(
        [
            *ARGUMENTS,
            "--relay=203.0.113.1:3478",
            "--relay=[2001:db8::1]:3478",
            "--relay-network=10.0.0.0/8",
            f"--keys={keys}",
            "--owner=7",
        ]
    )
    assert behind.advertise == (("203.0.113.1", 3478), ("2001:db8::1", 3478))
    assert behind.relays == ("10.0.0.0/8",)
    assert behind.codec is not None
    assert behind.owner == 7


@pytest.mark.parametrize(
    ("more", "connecting"),
    [
        ([], 500),
        (["--max-sessions=1"], 1),
        (["--max-sessions=7"], 4),
        (["--max-sessions=7", "--max-connecting=2"], 2),
    ],
)
def test_abandoned_offers_leave_room(more: list[str], connecting: int) -> None:
    """Calls that are not connected take half of the places, unless something else is said."""
    assert endpoint_config(parse_arguments([*ARGUMENTS, *more])).max_connecting == connecting


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--nonsense"], "unrecognized"),
        (["--http=localhost:80"], "not an IP address"),
        (["--udp=9000"], "expected host:port"),
        (["--udp=0.0.0.0:9000"], "needs --advertise"),
        (["--udp=[::]:9000"], "needs --advertise"),
        (["--advertise=example.org"], "not an IP address"),
        (["--relay=203.0.113.1:3478"], "--keys"),
        (["--relay=203.0.113.1:3478", "--keys=/nonexistent"], "--relay-network"),
        (["--relay-network=10.0.0.1/8"], "not a network"),
        (["--keys=/nonexistent"], "No such file"),
        (["--cluster=4096"], "expected 0 to 4095"),
        (["--owner=-1"], "expected 0 to 65535"),
        (["--max-connecting=0"], "expected 1 to 100000"),
        (["--epoch=one"], "expected 0 to 4095"),
        (["--setup=both"], "invalid choice"),
        (["--backend=oracle"], "invalid choice"),
    ],
)
def test_bad_flags(more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot work is one clear line and exit status 2."""
    assert main([*ARGUMENTS, *more]) == 2
    said_aloud = capsys.readouterr().err
    assert said in said_aloud
    assert said_aloud.startswith("transceiver: ")
    assert said_aloud.count("\n") == 1


def test_advertise_is_the_relays_business(keys: str) -> None:
    """With relays, there is nothing else to advertise."""
    with pytest.raises(SettingsError, match="--advertise"):
        parse_arguments(
            [
                *ARGUMENTS,
                "--advertise=198.51.100.1",
                "--relay=203.0.113.1:3478",
                "--relay-network=10.0.0.0/8",
                f"--keys={keys}",
            ]
        )


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (DescriptionTooLarge("sdp", "more than 1 bytes"), 413, "offer_too_large"),
        (ParseError("sdp", "m=: not four fields", 7), 400, "malformed_offer"),
        (DescriptionRefused("no audio"), 422, "unacceptable_offer"),
        (CapacityExceeded("the limit of sessions is reached"), 503, "over_capacity"),
        (TimeoutError(), 408, "body_timeout"),
    ],
)
def test_refusals(error: Exception, status: int, code: str) -> None:
    """Each says what is wrong, in JSON that any page may read."""
    response = refusal(error)
    assert response.status == status
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert ("Retry-After" in response.headers) is (status == 503)
    assert response.text is not None
    said = json.loads(response.text)["error"]
    assert said["code"] == code
    assert said["type"] == ("server_error" if status == 503 else "invalid_request_error")
    assert str(error) in said["message"]


def test_other_errors_are_not_refusals() -> None:
    """A bug must not look like a client's mistake."""
    with pytest.raises(UsageError):
        refusal(UsageError("a bug"))


@pytest.mark.parametrize(
    ("more", "backend"), [([], Parrot), (["--backend=parrot"], Parrot), (["--backend=echo"], Echo)]
)
def test_who_answers(more: list[str], backend: object) -> None:
    """The parrot, unless something else is said."""
    settings = parse_arguments([*ARGUMENTS, *more])
    assert BACKENDS[settings.backend](settings) is backend


def test_events_of_a_megabyte_are_announced() -> None:
    """What is larger is refused by SCTP already."""
    sctp = endpoint_config(parse_arguments(ARGUMENTS)).session.sctp
    assert sctp is not None
    assert sctp.max_message_size == 1 << 20
