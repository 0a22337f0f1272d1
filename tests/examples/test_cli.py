"""What the command lines of the programs have in common."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.cli import (
    LineParser,
    SettingsError,
    address,
    host,
    integer,
    read_text_file,
    show,
    token_codec,
)
from rtcproto.routing import EncipheredTokenCodec, PlaintextTokenCodec


@given(st.ip_addresses(), st.integers(0, 65535))
def test_addresses_round_trip(ip: object, port: int) -> None:
    """What is shown is read back, in both families."""
    value = (str(ip), port)
    assert address(show(value)) == value


@pytest.mark.parametrize("text", ["", "::1:80", "localhost:80", "[127.0.0.1]:80", "1.2.3.4:65536"])
def test_bad_addresses(text: str) -> None:
    """HOST is numeric, and IPv6 is in brackets."""
    with pytest.raises(argparse.ArgumentTypeError):
        address(text)


def test_host() -> None:
    """A host may have its brackets; it is written the short way."""
    assert host("[2001:DB8:0::1]") == "2001:db8::1"
    with pytest.raises(argparse.ArgumentTypeError, match="not an IP address"):
        host("localhost")


@pytest.mark.parametrize("text", ["0", "8", "-3", "3.0", "", "three", "\u0663", "9" * 5000])
def test_integer(text: str) -> None:
    """Digits, in range; nothing else, and of no length that costs time."""
    parse = integer(1, 7)
    assert [parse(good) for good in ("1", "07", "7")] == [1, 7, 7]
    with pytest.raises(argparse.ArgumentTypeError, match="expected 1 to 7"):
        parse(text)


def test_one_line() -> None:
    """A parser's complaint is an exception of one line, not a page and an exit."""
    parser = LineParser()
    parser.add_argument("--number", type=integer(0, 9))
    with pytest.raises(SettingsError, match=r"^argument --number: 'x': expected 0 to 9$"):
        parser.parse_args(["--number", "x"])


def test_files(tmp_path: Path) -> None:
    """A file that cannot be used is named, with the flag that named it."""
    path = tmp_path / "keys"
    path.write_text(f"A {bytes(16).hex()}\n")
    assert isinstance(token_codec(str(path), "--keys"), EncipheredTokenCodec)
    path.write_text("A nonsense\n")
    with pytest.raises(SettingsError, match=r"^--keys .*keys: line 1: "):
        token_codec(str(path), "--keys")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not a text file"):
        read_text_file(str(path), "--keys")
    with pytest.raises(SettingsError, match="--keys /nonexistent: No such file"):
        token_codec("/nonexistent", "--keys")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o604])
def test_keys_that_others_can_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int
) -> None:
    """They are used, and one line on standard error says so."""
    path = tmp_path / "keys"
    path.write_text(f"A {bytes(16).hex()}\n")
    path.chmod(mode)
    token_codec(str(path), "--keys")
    said = f"warning: --keys {path}: others can read these keys; chmod 600\n"
    assert capsys.readouterr().err == (said if mode & 0o044 else "")


def test_plaintext_tokens_by_name_only(tmp_path: Path) -> None:
    """Tokens that anybody can forge are used only where that was asked for."""
    path = tmp_path / "keys"
    path.write_text("plaintext\n")
    with pytest.raises(SettingsError, match="forged"):
        token_codec(str(path), "--keys")
    assert isinstance(token_codec(str(path), "--keys", allow_plaintext=True), PlaintextTokenCodec)
