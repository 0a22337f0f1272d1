"""The format parameters of Opus in SDP, RFC 7587 sections 6.1 and 7.

Called by the session with the text behind `a=fmtp:<payload type> `. Parsing is
tolerant and total, because no peer is turned away for a preference: names in
any case, spaces anywhere, numbers out of range moved to the nearest allowed,
what is not a number left at its default. Unknown parameters are kept.
"""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["OpusParameters", "build_fmtp", "parse_fmtp"]

# The longest number read; more digits are out of every range below.
_MAX_DIGITS = 9

# Unknown parameters kept of one line; those after them are dropped. Lines of
# browsers have none.
MAX_UNKNOWN = 16

# Numbers: parameter, field, lowest, highest value. RFC 7587 section 6.1.
_NUMBERS = (
    ("maxplaybackrate", "maxplaybackrate", 8000, 48000),
    ("sprop-maxcapturerate", "sprop_maxcapturerate", 8000, 48000),
    ("maxptime", "maxptime", 3, 120),
    ("ptime", "ptime", 3, 120),
    ("minptime", "minptime", 3, 120),
    ("maxaveragebitrate", "maxaveragebitrate", 6000, 510000),
)

# "0" or "1", default 0.
_FLAGS = (
    ("stereo", "stereo"),
    ("sprop-stereo", "sprop_stereo"),
    ("cbr", "cbr"),
    ("useinbandfec", "useinbandfec"),
    ("usedtx", "usedtx"),
)


@attrs.frozen(kw_only=True)
class OpusParameters:
    """What one side would like to receive (and, `sprop_`, is likely to send).

    Rates in Hz of the audio sampling, times in milliseconds of one packet,
    `maxaveragebitrate` in bit/s (None: not said, RFC 7587 then leaves it to the
    mode). `unknown` are (name, value) pairs, the value empty if there is none.
    """

    maxplaybackrate: int = 48000
    sprop_maxcapturerate: int = 48000
    maxptime: int = 120
    ptime: int = 20
    minptime: int = 3
    maxaveragebitrate: int | None = None
    stereo: bool = False
    sprop_stereo: bool = False
    cbr: bool = False
    useinbandfec: bool = False
    usedtx: bool = False
    unknown: tuple[tuple[str, str], ...] = ()


_DEFAULTS = OpusParameters()
_NUMBER_FIELDS = {name: (field, low, high) for name, field, low, high in _NUMBERS}
_FLAG_FIELDS = dict(_FLAGS)


def parse_fmtp(text: str) -> OpusParameters:
    """The parameters in `text`, for example "minptime=10;useinbandfec=1". Never raises.

    A parameter given twice counts as given last.
    """
    fields: dict[str, Any] = {}
    unknown: list[tuple[str, str]] = []
    for part in text.split(";"):
        name, _, value = part.partition("=")
        name, value = name.strip(), value.strip()
        key = name.lower()
        if key in _NUMBER_FIELDS:
            field, low, high = _NUMBER_FIELDS[key]
            if value.isascii() and value.isdigit():
                number = int(value) if len(value) <= _MAX_DIGITS else high
                fields[field] = min(max(number, low), high)
        elif key in _FLAG_FIELDS:
            fields[_FLAG_FIELDS[key]] = value == "1"
        elif name and len(unknown) < MAX_UNKNOWN:
            unknown.append((name, value))
    return attrs.evolve(_DEFAULTS, unknown=tuple(unknown), **fields)


def build_fmtp(parameters: OpusParameters) -> str:
    """The text of `parameters`: what differs from the defaults, in a fixed order, then unknown."""
    parts = []
    for name, field, _, _ in _NUMBERS:
        number = getattr(parameters, field)
        if number != getattr(_DEFAULTS, field):
            parts.append(f"{name}={number}")
    parts += [f"{name}=1" for name, field in _FLAGS if getattr(parameters, field)]
    parts += [f"{name}={value}" if value else name for name, value in parameters.unknown]
    return ";".join(parts)
