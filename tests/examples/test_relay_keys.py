"""The command that makes and rotates token keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from examples.relay.keys import main
from rtcproto.routing import RoutingToken, codec_from_text
from rtcproto.routing.token import TokenKeys

TOKEN = RoutingToken(1, 2, 3, 4)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file that was just made."""
    path = tmp_path / "keys"
    assert main(["make", str(path)]) == 0
    return path


def test_a_new_file(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One random key, for its owner's eyes only, and never shown."""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    keys = TokenKeys.parse(file.read_text())
    assert (list(keys.keys), keys.active) == (["A"], "A")
    assert main(["list", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "A  active" in shown
    assert keys.keys["A"].hex() not in shown
    other = file.with_name("other")
    assert main(["make", str(other)]) == 0
    assert TokenKeys.parse(other.read_text()).keys["A"] != keys.keys["A"]


def test_rotation(file: Path) -> None:
    """At every step what was written before is understood, until its key is removed."""
    old = codec_from_text(file.read_text()).encode(TOKEN)
    assert main(["add", str(file)]) == 0
    between = codec_from_text(file.read_text())
    assert between.encode(TOKEN)[0] == "A"
    assert main(["activate", str(file), "B"]) == 0
    new = codec_from_text(file.read_text()).encode(TOKEN)
    assert new[0] == "B"
    assert between.decode(new.encode()) == TOKEN
    assert codec_from_text(file.read_text()).decode(old.encode()) == TOKEN
    assert main(["remove", str(file), "A"]) == 0
    last = codec_from_text(file.read_text())
    assert last.decode(old.encode()) is None
    assert last.decode(new.encode()) == TOKEN
    # The id of the removed key is not taken again at once.
    assert main(["add", str(file)]) == 0
    assert list(TokenKeys.parse(file.read_text()).keys) == ["B", "C"]
    assert [path.name for path in file.parent.iterdir()] == ["keys"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["burn", "FILE"], "invalid choice"),
        (["make", "FILE"], "it exists"),
        (["make", "/nonexistent/keys"], "No such file"),
        (["add", "/nonexistent"], "No such file"),
        (["activate", "FILE", "B"], "no key 'B'"),
        (["remove", "FILE", "A"], "A is active"),
        (["remove", "FILE", "Z"], "no key 'Z'"),
    ],
)
def test_what_cannot_be_done(
    file: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, status 2, and the file is as it was."""
    before = file.read_text()
    capsys.readouterr()
    assert main([str(file) if word == "FILE" else word for word in arguments]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("keys: ")
    assert shown.err.count("\n") == 1
    assert said in shown.err
    assert file.read_text() == before


@pytest.mark.parametrize("content", ["plaintext\n", "A 00\n", "\n"])
def test_files_of_another_kind(
    file: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are left alone."""
    file.write_text(content)
    assert main(["add", str(file)]) == 2
    assert file.read_text() == content
    assert str(file) in capsys.readouterr().err


def test_all_ids_in_use(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There are 62; then something must go."""
    for _ in range(61):
        assert main(["add", str(file)]) == 0
    assert main(["add", str(file)]) == 2
    assert "no id is left" in capsys.readouterr().err
