"""What the probe can be told on its command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from urllib.parse import urlsplit

import attrs

from examples.cli import LineParser, SettingsError, address, read_text_file
from rtcproto.datagram import Address

__all__ = ["ProbeSettings", "SettingsError", "parse_arguments"]

# An hour: everything sent and received is kept until the end.
MAX_SECONDS = 3600.0


@attrs.frozen(kw_only=True)
class ProbeSettings:
    """One call."""

    url: str
    seconds: float
    tone: bool = False
    insecure: bool = False
    relays: tuple[Address, ...] = ()
    json: bool = False
    key: str | None = attrs.field(default=None, repr=False)


def parse_arguments(arguments: Sequence[str]) -> ProbeSettings:
    """Settings from command line arguments; SettingsError with one line otherwise."""
    options = _parser().parse_args(arguments)
    return ProbeSettings(
        url=options.url,
        seconds=options.seconds,
        tone=options.tone,
        insecure=options.insecure,
        relays=tuple(options.relay),
        json=options.json,
        key=None if options.key_file is None else _key(options.key_file),
    )


def _parser() -> LineParser:
    parser = LineParser(
        prog="python -m examples.probe",
        description="Places a call, sends recorded audio, and measures what comes back.",
        epilog="The exit status is 0 if at least 90 % of the payloads came back, byte-identical"
        " and in order; 1 if not, or if the server refused the call; 2 for bad arguments or"
        " nobody there.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("url", type=_url, metavar="URL",
        help="where offers are posted, such as http://127.0.0.1:8080/v1/realtime/calls",
        )  # fmt: skip
    add("--seconds", type=_seconds, default=5.0, metavar="N", help="how long to send (default 5)")
    add("--tone", action="store_true", help="send a recorded tone instead of speech")
    add("--insecure", action="store_true", help="accept any certificate (https)")
    add("--relay", type=address, action="append", default=[], metavar="HOST:PORT",
        help="fail unless the media goes to this relay (may be repeated)")  # fmt: skip
    add("--key-file", metavar="FILE",
        help="a file whose first line is an API key or a client secret to call with")  # fmt: skip
    add("--json", action="store_true", help="print one line of JSON instead of a table")
    return parser


def _key(path: str) -> str:
    line = read_text_file(path, "--key-file").partition("\n")[0].strip()
    if not line or not line.isascii() or not line.isprintable() or " " in line:
        raise SettingsError(f"--key-file {path}: the first line is no key")
    return line


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"{text!r}: expected http:// or https:// and a host")
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.1 <= value <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 0.1 to {MAX_SECONDS:g}")
    return value
