"""Makes and rotates token keys: `python -m examples.relay.keys COMMAND FILE`.

| command | what it does |
|---|---|
| `make FILE` | a new file with one random key, which only its owner can read |
| `add FILE` | one more key that is accepted, not yet used to write |
| `activate FILE ID` | new tokens are written with this key |
| `remove FILE ID` | tokens of this key are not accepted any more |
| `list FILE` | the ids; keys themselves are never shown |

A file is replaced as a whole, so a relay that looks at it sees the old or the new one. Comments
in it are not kept. Exit status 2 and one line if something cannot be done.
"""

from __future__ import annotations

import os
import secrets
import string
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from examples.cli import LineParser, SettingsError, read_text_file
from rtcproto.errors import ParseError
from rtcproto.routing.token import KEY_SIZE, TokenKeys

__all__ = ["main"]

# In the order in which new keys get them.
IDS = string.ascii_uppercase + string.ascii_lowercase + string.digits


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    parser = LineParser(prog="python -m examples.relay.keys", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("make", "a new file with one key"),
        ("add", "one more key, accepted but not in use"),
        ("list", "the ids of the keys"),
    ):
        commands.add_parser(name, help=text).add_argument("file")
    for name, text in (
        ("activate", "write new tokens with this key"),
        ("remove", "accept tokens of this key no longer"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("file")
        command.add_argument("id")
    try:
        options = parser.parse_args(arguments)
        print(_COMMANDS[options.command](options.file, getattr(options, "id", "")))
    except SettingsError as error:
        print(f"keys: {error}", file=sys.stderr)
        return 2
    return 0


def _make(file: str, _: str) -> str:
    if Path(file).exists():
        raise SettingsError(f"{file}: it exists; `add` makes another key in it")
    _write(file, {IDS[0]: secrets.token_bytes(KEY_SIZE)}, IDS[0])
    return f"{file}: key {IDS[0]}, active"


def _add(file: str, _: str) -> str:
    keys = _read(file)
    free = [name for name in IDS if name not in keys.keys]
    if not free:
        raise SettingsError(f"{file}: no id is left; remove keys that are not in use")
    # Not one that was removed lately, if there is another: late packets may still carry it.
    newest = max((IDS.find(name) for name in keys.keys), default=-1)
    name = next((name for name in free if IDS.find(name) > newest), free[0])
    _write(file, {**keys.keys, name: secrets.token_bytes(KEY_SIZE)}, keys.active)
    return f"{file}: key {name} is accepted; {keys.active} is active"


def _activate(file: str, name: str) -> str:
    keys = _read(file)
    _known(file, keys, name)
    _write(file, keys.keys, name)
    return f"{file}: {name} is active"


def _remove(file: str, name: str) -> str:
    keys = _read(file)
    _known(file, keys, name)
    if name == keys.active:
        raise SettingsError(f"{file}: {name} is active; activate another one first")
    _write(file, {each: key for each, key in keys.keys.items() if each != name}, keys.active)
    return f"{file}: {name} is removed; {keys.active} is active"


def _list(file: str, _: str) -> str:
    keys = _read(file)
    return "\n".join(f"{name}  active" if name == keys.active else name for name in keys.keys)


_COMMANDS = {"make": _make, "add": _add, "activate": _activate, "remove": _remove, "list": _list}


def _read(file: str) -> TokenKeys:
    try:
        keys = TokenKeys.parse(read_text_file(file, "keys"))
    except ParseError as error:
        raise SettingsError(f"{file}: line {error.offset}: {error.reason}") from None
    if keys.plaintext:
        raise SettingsError(f"{file}: plaintext tokens have no keys")
    return keys


def _known(file: str, keys: TokenKeys, name: str) -> None:
    if name not in keys.keys:
        raise SettingsError(f"{file}: there is no key {name!r}")


def _write(file: str, keys: Mapping[str, bytes], active: str) -> None:
    lines = [f"{name} {key.hex()}{' active' * (name == active)}\n" for name, key in keys.items()]
    folder = Path(file).resolve().parent
    try:
        # Readable by its owner alone from the beginning.
        number, name = tempfile.mkstemp(dir=folder, prefix=".keys-")
        with os.fdopen(number, "w", encoding="ascii") as stream:
            stream.writelines(lines)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(Path(file).resolve())
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
