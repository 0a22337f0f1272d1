"""What the transceiver can be told about who may call, how often, and who else there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.transceiver.main import main
from examples.transceiver.realtime_ws import codec
from examples.transceiver.settings import SettingsError, parse_arguments

ARGUMENTS = ["--http=127.0.0.1:8080", "--udp=127.0.0.1:9000", "--no-auth"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--api-key-file=/nonexistent"], "--no-auth: there are keys"),
        (["--max-calls-per-key=0"], "expected 1 to"),
        (["--max-calls-per-secret=0"], "expected 1 to"),
        (["--max-connecting-per-source=0"], "expected 1 to"),
        (["--trusted-proxy=10.0.0.1/8"], "not a network"),
        (["--drain-timeout=-1"], "expected 0 to"),
        (["--peer=http://10.0.0.2:1"], "expected OWNER=http"),
        (["--peer=2=10.0.0.2:1"], "expected OWNER=http"),
        (["--peer=x=http://10.0.0.2:1"], "expected OWNER=http"),
        (["--peer=2=http://10.0.0.2:0"], "expected OWNER=http"),
        (["--peer=2=http://10.0.0.2:1/path"], "expected OWNER=http"),
        (["--peer=2=http://a:b@10.0.0.2:1"], "expected OWNER=http"),
        (["--peer=2=http://:b@10.0.0.2:1"], "expected OWNER=http"),
        (["--peer=2=http://[::1"], "expected OWNER=http"),
        (["--peer=2=http://a:1", "--peer=2=http://b:1"], "the same owner twice"),
        (["--backend=realtime-ws"], "--backend-url is needed"),
        (["--backend-url=ws://a/v1"], "for --backend realtime-ws"),
        (["--backend-model=m"], "for --backend realtime-ws"),
        (["--backend=realtime-ws", "--backend-url=http://a"], "expected ws://"),
        (["--backend=realtime-ws", "--backend-url=ws://a:0"], "expected ws://"),
        (["--backend=realtime-ws", "--backend-url=ws://[a"], "expected ws://"),
        (["--backend=realtime-ws", "--backend-url=wss://u:p@a"], "expected ws://"),
    ],
)
def test_bad_flags(more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot work is one clear line and exit status 2."""
    assert main([*ARGUMENTS, *more]) == 2
    said_aloud = capsys.readouterr().err
    assert said in said_aloud
    assert said_aloud.startswith("transceiver: ")
    assert said_aloud.count("\n") == 1


def api_key_file(folder: Path, text: str) -> str:
    """The flag for a file of API keys."""
    path = folder / "api-keys"
    path.touch(mode=0o600)
    path.write_text(text)
    return f"--api-key-file={path}"


def test_who_may_call_has_to_be_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keys, or that there are none; a file without good keys is neither, and is not quoted."""
    alone = ARGUMENTS[:-1]
    assert main(alone) == 2
    assert "--no-auth" in capsys.readouterr().err
    key = "a-key-of-enough-characters"
    settings = parse_arguments([*alone, api_key_file(tmp_path, f"# one\n{key}\n")])
    assert settings.api_keys == (key,)
    assert key not in repr(settings)
    assert parse_arguments(ARGUMENTS).api_keys is None
    assert main([*alone, api_key_file(tmp_path, f"{key}\nshort-canary\n")]) == 2
    said = capsys.readouterr().err
    assert "line 2" in said
    assert "canary" not in said


def test_api_keys_that_others_can_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are used, but not in silence."""
    flag = api_key_file(tmp_path, "a-key-of-enough-characters")
    parse_arguments([*ARGUMENTS[:-1], flag])
    assert capsys.readouterr().err == ""
    (tmp_path / "api-keys").chmod(0o644)
    parse_arguments([*ARGUMENTS[:-1], flag])
    assert "chmod 600" in capsys.readouterr().err


def test_limits_and_peers() -> None:
    """Limits follow the sizes; the list of peers may be the same for all."""
    settings = parse_arguments(ARGUMENTS)
    assert (settings.limits.per_key, settings.limits.per_source) == (1000, 125)
    small = parse_arguments([*ARGUMENTS, "--max-connecting=4", "--max-calls-per-secret=3"])
    assert (small.limits.per_secret, small.limits.per_source) == (3, 8)
    peers = ["--peer=1=http://10.0.0.1:8080", "--peer=2=https://[::1]:8443/", "--owner=1"]
    assert parse_arguments([*ARGUMENTS, *peers]).peers == {2: "https://[::1]:8443/"}


def test_k2_settings_show_no_password(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Threat K2: neither what can be used is printed with its passwords, nor what cannot."""
    keys = tmp_path / "keys"
    keys.touch(mode=0o600)
    keys.write_text(f"A {bytes(range(16)).hex()}\n")
    store = ["--relay=203.0.113.1:3478", "--relay-network=10.0.0.0/24", f"--keys={keys}",
             "--directory=redis://:hush@10.0.0.9:6379"]  # fmt: skip
    settings = parse_arguments([*ARGUMENTS, *store])
    assert settings.directory == "redis://:hush@10.0.0.9:6379"
    assert "hush" not in repr(settings)
    for flag in ("--peer=2=http://a:hush@10.0.0.2:1", "--directory=redis://:hush[@10.0.0.9"):
        assert main([*ARGUMENTS, flag]) == 2
    assert "hush" not in capsys.readouterr().err


def test_the_server_behind_the_calls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key is one line of a file, is shown nowhere, and should not be seen on the way."""
    monkeypatch.setattr(codec, "available", lambda: True)
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text("sk-secret\n")
    asked = [*ARGUMENTS, "--backend=realtime-ws", f"--backend-key-file={path}"]
    settings = parse_arguments([*asked, "--backend-url=ws://[::1]:8000/v1/realtime?a=b"])
    upstream = settings.upstream
    assert upstream is not None
    assert upstream.key == "sk-secret"
    assert "sk-secret" not in repr(settings)
    assert upstream.url_for("") == "ws://[::1]:8000/v1/realtime?a=b"
    assert upstream.url_for("m n") == "ws://[::1]:8000/v1/realtime?a=b&model=m+n"
    assert capsys.readouterr().err == ""
    fixed = [*asked, "--backend-url=ws://example.com/v1/realtime", "--backend-model=fixed"]
    upstream = parse_arguments(fixed).upstream
    assert upstream is not None
    assert upstream.url_for("wanted") == "ws://example.com/v1/realtime?model=fixed"
    assert "shows the key" in capsys.readouterr().err
    for bad in ("", "two words", "two\nlines", "\u00e9"):
        path.write_text(bad, encoding="utf-8")
        with pytest.raises(SettingsError, match="one key"):
            parse_arguments([*asked, "--backend-url=wss://example.com"])


def test_without_a_codec_there_is_no_bridge(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said at the start, and not by the first call."""
    monkeypatch.setattr(codec, "available", lambda: False)
    assert main([*ARGUMENTS, "--backend=realtime-ws", "--backend-url=wss://example.com"]) == 2
    assert "PyAV" in capsys.readouterr().err
