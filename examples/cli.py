"""What the command lines of the programs have in common.

Bad input ends a program with one clear line and exit status 2, before a socket
is opened. HOST is always numeric, and IPv6 is written `[::1]:3478`.
"""

from __future__ import annotations

import argparse
from ipaddress import ip_address
from typing import NoReturn

from rtcproto.datagram import Address
from rtcproto.errors import ParseError
from rtcproto.routing import parse_address

__all__ = ["LineParser", "SettingsError", "address", "host", "show"]


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


def show(value: Address) -> str:
    """An address as it is written on a command line."""
    name, port = value
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
