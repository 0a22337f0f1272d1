"""What the command lines of the programs have in common.

Bad input ends a program with one clear line and exit status 2, before a socket
is opened. HOST is always numeric, and IPv6 is written `[::1]:3478`.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from rtcproto.datagram import Address
from rtcproto.errors import ParseError, UsageError
from rtcproto.routing import TokenCodec, codec_from_text, parse_address

__all__ = [
    "LineParser",
    "SettingsError",
    "address",
    "host",
    "integer",
    "network",
    "read_text_file",
    "redis_url",
    "show",
    "token_codec",
    "warn_if_readable",
]


class SettingsError(Exception):
    """Settings that cannot work; the text is one line for the person who made them."""


class LineParser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of a page of usage."""

    def error(self, message: str) -> NoReturn:
        """Raise SettingsError instead of printing and exiting."""
        raise SettingsError(message)


def address(text: str) -> Address:
    """Argument type: HOST:PORT."""
    try:
        return parse_address(text)
    except ParseError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error.reason}") from None


def host(text: str) -> str:
    """Argument type: a numeric HOST."""
    try:
        return str(ip_address(text.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: not an IP address") from None


def network(text: str) -> str:
    """Argument type: an IP network, such as 10.1.0.0/16."""
    try:
        return str(ip_network(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: not a network") from None


def redis_url(text: str) -> str:
    """Argument type: the address of a Redis server; a password in it is not repeated."""
    try:
        # It refuses some by a ValueError, and argparse would quote `text` then.
        parts = urlsplit(text)
        good = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError("expected redis://HOST:PORT")
    return text


def integer(low: int, high: int) -> Callable[[str], int]:
    """Argument type: a decimal number from `low` to `high`."""

    def parse(text: str) -> int:
        # Longer ones would cost time to convert before they are refused.
        if not (text.isascii() and text.isdigit() and len(text) <= 10):
            raise argparse.ArgumentTypeError(f"{text!r}: expected {low} to {high}")
        if not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {low} to {high}")
        return int(text)

    return parse


def read_text_file(path: str, flag: str) -> str:
    """What is in a file that `flag` names. Raises SettingsError."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{flag} {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{flag} {path}: not a text file") from None


def token_codec(path: str, flag: str, *, allow_plaintext: bool = False) -> TokenCodec:
    """The codec of the token key file that `flag` names. Raises SettingsError.

    A file that others than its owner can read is used, but not in silence.
    """
    try:
        codec = codec_from_text(read_text_file(path, flag), allow_plaintext=allow_plaintext)
    except ParseError as error:
        raise SettingsError(f"{flag} {path}: line {error.offset}: {error.reason}") from None
    except UsageError as error:
        raise SettingsError(f"{flag} {path}: {error}") from None
    warn_if_readable(path, flag)
    return codec


def warn_if_readable(path: str, flag: str) -> None:
    """Say it if others than its owner can read a file of keys."""
    mode = Path(path).stat().st_mode
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
        print(f"warning: {flag} {path}: others can read these keys; chmod 600", file=sys.stderr)


def show(value: Address) -> str:
    """An address as it is written on a command line."""
    name, port = value
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
