"""The probe program: settings, exit statuses, addresses, what it makes of HTTP."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import attrs
import pytest

from examples.probe import call as call_module
from examples.probe import main as main_module
from examples.probe.local import candidate_addresses
from examples.probe.main import main
from examples.probe.media import load_frames
from examples.probe.settings import parse_arguments
from examples.probe.signalling import CallFailed, CallRefused, Signalling
from rtcproto import Identity, Session, SessionConfig
from tests.examples.test_ogg import recording
from tests.examples.test_report import REPORT

URL = "http://127.0.0.1:8080/v1/realtime/calls"


def test_settings() -> None:
    """Flags end up in one value."""
    settings = parse_arguments(
        [URL, "--seconds=2.5", "--tone", "--insecure", "--json", "--relay=[::1]:3478"]
    )
    assert settings.url == URL
    assert settings.seconds == 2.5
    assert settings.tone
    assert settings.insecure
    assert settings.json
    assert settings.relays == (("::1", 3478),)
    assert parse_arguments([URL]).seconds == 5.0


def test_a_key_from_a_file(tmp_path: Path) -> None:
    """Its first line goes out as a bearer token, and is shown nowhere."""
    file = tmp_path / "key"
    file.write_text("canary-key\nanother\n")
    settings = parse_arguments([URL, f"--key-file={file}"])
    assert settings.key == "canary-key"
    assert "canary" not in repr(settings)
    assert parse_arguments([URL]).key is None
    assert Signalling(URL, False, "k")._authorization == {"Authorization": "Bearer k"}
    assert Signalling(URL, False)._authorization == {}


@pytest.mark.parametrize("text", ["", "\nkey", "two words", "k\u00e9y", "key\x07"])
def test_files_without_a_key(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, status 2, and nothing of what was in the file."""
    file = tmp_path / "key"
    file.write_text(text, encoding="utf-8")
    assert main([URL, f"--key-file={file}"]) == 2
    said = capsys.readouterr().err
    assert "the first line is no key" in said
    assert "words" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required"),
        (["ftp://127.0.0.1/"], "expected http"),
        (["127.0.0.1:8080"], "expected http"),
        (["http://"], "expected http"),
        (["http://host:99999/"], "expected http"),
        (["http://[::1/"], "expected http"),
        ([URL, "--seconds=0"], "expected 0.1"),
        ([URL, "--seconds=nan"], "expected 0.1"),
        ([URL, "--seconds=soon"], "expected 0.1"),
        ([URL, "--relay=host:1"], "not an IP address"),
        ([URL, "--key-file=/nonexistent"], "No such file"),
        ([URL, "--impossible"], "unrecognized"),
    ],
)
def test_bad_arguments(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot work is one clear line and exit status 2."""
    assert main(arguments) == 2
    said_aloud = capsys.readouterr().err
    assert said in said_aloud
    assert said_aloud.startswith("probe: ")
    assert said_aloud.count("\n") == 1


Place = Callable[..., Coroutine[Any, Any, Any]]


def placing(result: Any) -> Place:
    """A stand-in for `place_call`."""

    async def place_call(url: str, **options: Any) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    return place_call


@pytest.mark.parametrize(
    ("result", "status"),
    [
        (REPORT, 0),
        (CallRefused("503: full"), 1),
        (CallFailed("nobody there"), 2),
    ],
)
def test_exit_status(
    result: Any, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """0: it worked; 1: it did not, or was refused; 2: there was nobody to call."""
    monkeypatch.setattr(main_module, "place_call", placing(result))
    assert main([URL]) == status
    captured = capsys.readouterr()
    if status:
        assert captured.err == f"probe: {result}\n"
    else:
        assert "passed" in captured.out


def test_exit_status_of_a_bad_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that lost more than 10 % is status 1."""
    monkeypatch.setattr(main_module, "place_call", placing(attrs.evolve(REPORT, in_order=80)))
    assert main([URL, "--json"]) == 1


def answer_for(*addresses: tuple[str, int]) -> str:
    """An answer of ours that names these addresses."""
    identity = Identity.generate(0.0)
    client = Session(SessionConfig(identity=identity, ice_lite=False), 0.0, 0.0)
    server = Session(SessionConfig(identity=identity, addresses=addresses), 0.0, 0.0)
    return server.accept_offer(client.create_offer(0.0), 0.0)


def test_candidate_addresses() -> None:
    """UDP addresses of an answer in its order; names are never resolved."""
    answer = answer_for(("203.0.113.1", 3478), ("2001:db8::1", 3479))
    assert candidate_addresses(answer) == (("203.0.113.1", 3478), ("2001:db8::1", 3479))
    hidden = answer.replace("203.0.113.1", "relay.example").replace("1 udp", "1 tcp", 1)
    assert all(":" in host for host, _ in candidate_addresses(hidden))
    assert candidate_addresses("not SDP") == ()


def test_other_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where media is not reached from where signalling is, our address there is used."""
    ways = {"203.0.113.1": "192.0.2.1", "2001:db8::1": "2001:db8::2", "198.51.100.1": None}
    monkeypatch.setattr(call_module, "own_host", lambda address: ways[address[0]])
    better = call_module._better_host
    four, six, none = ("203.0.113.1", 1), ("2001:db8::1", 1), ("198.51.100.1", 1)
    assert better("192.0.2.1", [six, four]) is None
    assert better("127.0.0.1", [none, six, four]) == "2001:db8::2"
    assert better("127.0.0.1", [none]) is None
    assert better("127.0.0.1", []) is None


@pytest.mark.parametrize(
    ("location", "absolute"),
    [
        ("/v1/realtime/calls/rtc_1", "http://127.0.0.1:8080/v1/realtime/calls/rtc_1"),
        ("calls/rtc_1", "http://127.0.0.1:8080/v1/realtime/calls/rtc_1"),
        ("http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x"),
        ("http://127.0.0.1:9090/x", None),
        ("//elsewhere/x", None),
        ("https://127.0.0.1:8080/x", None),
        (None, None),
    ],
)
def test_location(location: str | None, absolute: str | None) -> None:
    """A Location may be relative; one on another server is left alone."""
    assert Signalling(URL, insecure=False)._own(location) == absolute


def test_frames_of_another_length(tmp_path: Path) -> None:
    """A recording that is not in 20 ms frames is refused."""
    path = tmp_path / "sixty.ogg"
    path.write_bytes(recording(b"\x18sixty milliseconds"))
    with pytest.raises(ValueError, match="packet 0 is not of 20 ms"):
        load_frames(path)
    path.write_bytes(recording(b"\x0b"))
    with pytest.raises(ValueError, match="packet 0"):
        load_frames(path)
