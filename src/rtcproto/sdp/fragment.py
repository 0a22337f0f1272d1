"""Fragments of a description: trickled candidates and ICE restarts (RFC 8840 section 9).

The body `application/trickle-ice-sdpfrag` of a WHIP `PATCH` (RFC 9725 section
4.3) and of the answer to a restart: a few ICE attributes, then for each media
section a pseudo m-line, its mid and its candidates.

A fragment here speaks of one transport, since a session has one (BUNDLE).
Clients write credentials above the first m-line, below it, or below each: they
are read wherever they stand, and two that differ are refused. For the same
reason `a=end-of-candidates` anywhere ends them all.

Refused (`ParseError`, the offset is the line's number): a candidate outside of
a section, a section without a mid, two with one, a password without a ufrag,
and whatever `lines` and `attributes` refuse. Beyond 64 KiB, 1,000 lines or 32
m-lines it is `DescriptionTooLarge`. Lines that are not attributes are passed
over: what a pseudo m-line says of ports and formats means nothing.
"""

from __future__ import annotations

import hmac
import itertools
from typing import Any

import attrs

from rtcproto.errors import DescriptionTooLarge, ParseError, UsageError
from rtcproto.sdp import checks
from rtcproto.sdp.attributes import (
    Attribute,
    AttributeValue,
    Group,
    IcePwd,
    IceUfrag,
    Mid,
    SdpCandidate,
    parse_attribute,
)
from rtcproto.sdp.description import MAX_MEDIA
from rtcproto.sdp.lines import Line, is_ice_chars, is_visible, render, split_lines, visible

__all__ = ["FragmentMedia", "MAX_FRAGMENT_CANDIDATES", "SdpFragment", "parse_fragment"]

# As many as a description may bring (RFC 8445 6.1.2.5 limits pairs to 100).
# Later ones are left out.
MAX_FRAGMENT_CANDIDATES = 64


def _remote_ufrag(_: object, attribute: Any, value: str) -> None:
    # Ours are shorter, but a fragment may be the peer's: RFC 8839 5.4 allows 256.
    if not is_ice_chars(value, 4, 256):
        raise UsageError(f"{attribute.name} must be 4 to 256 characters A-Z a-z 0-9 + /")


@attrs.frozen(kw_only=True)
class FragmentMedia:
    """One section of a fragment: its mid, and the candidates listed under it."""

    mid: str = attrs.field(validator=visible)
    kind: str = attrs.field(default="audio", validator=visible)
    candidates: tuple[SdpCandidate, ...] = attrs.field(default=(), validator=checks.candidates)


@attrs.frozen(kw_only=True)
class SdpFragment:
    """ICE parameters of one transport, without the rest of a description.

    `ufrag` names the ICE generation the fragment belongs to; None if it names
    none. `bundle` are the mids of `a=group:BUNDLE`. Construction raises
    `UsageError` for values that would not be one line each.
    """

    ufrag: str | None = attrs.field(
        default=None, validator=attrs.validators.optional(_remote_ufrag)
    )
    pwd: str | None = attrs.field(
        default=None, repr=False, validator=attrs.validators.optional(checks.pwd)
    )
    ice_lite: bool = False
    ice_options: tuple[str, ...] = attrs.field(default=(), validator=checks.each_visible)
    bundle: tuple[str, ...] = attrs.field(default=(), validator=checks.each_visible)
    media: tuple[FragmentMedia, ...] = ()
    end_of_candidates: bool = False

    @pwd.validator
    def _check_pair(self, _: object, value: str | None) -> None:
        if value is not None and self.ufrag is None:
            raise UsageError("pwd without ufrag")

    @property
    def candidates(self) -> tuple[SdpCandidate, ...]:
        """The candidates of all sections, each once, in order."""
        listed = itertools.chain.from_iterable(section.candidates for section in self.media)
        return tuple(dict.fromkeys(listed))

    def __str__(self) -> str:
        """The text, each line ended by CRLF."""
        credentials: list[AttributeValue] = []
        if self.ufrag is not None:
            credentials.append(IceUfrag(self.ufrag))
        if self.pwd is not None:
            credentials.append(IcePwd(self.pwd))
        session: list[AttributeValue] = []
        if self.ice_lite:
            session.append(Attribute("ice-lite"))
        if self.ice_options:
            session.append(Attribute("ice-options", " ".join(self.ice_options)))
        if self.bundle:
            session.append(Group("BUNDLE", self.bundle))
        ending = [Attribute("end-of-candidates")] if self.end_of_candidates else []
        if not self.media:
            return _render([*session, *credentials, *ending])
        parts = [_render(session)]
        for section in self.media:
            # RFC 8840 9.2: of the pseudo m-line only its kind and its mid are read.
            parts.append(render("m", f"{section.kind} 9 UDP/TLS/RTP/SAVPF 0"))
            # RFC 8840 9: credentials stand "at the same level as the ones in the
            # Offer/Answer exchange"; ours stand in the sections. One says it all.
            parts.append(_render([Mid(section.mid), *credentials, *section.candidates, *ending]))
            credentials = []
        return "".join(parts)


def parse_fragment(text: str) -> SdpFragment:
    """Parse a fragment; `ParseError` or `DescriptionTooLarge` as the module says."""
    lines = split_lines(text)
    starts = [index for index, line in enumerate(lines) if line.type == "m"]
    if len(starts) > MAX_MEDIA:
        number = lines[starts[MAX_MEDIA]].number
        raise DescriptionTooLarge("sdp", f"more than {MAX_MEDIA} m-lines", number)
    reader = _Reader()
    reader.read(lines[: starts[0]] if starts else lines)
    for start, end in itertools.pairwise([*starts, len(lines)]):
        reader.read_section(lines[start:end])
    return reader.fragment()


class _Reader:
    """What the lines read so far have said."""

    __slots__ = ("bundle", "ended", "ice_lite", "media", "options", "pwd", "room", "ufrag")

    def __init__(self) -> None:
        self.ufrag: str | None = None
        self.pwd: str | None = None
        self.ice_lite = False
        self.options: dict[str, None] = {}
        self.bundle: tuple[str, ...] = ()
        self.media: dict[str, FragmentMedia] = {}
        self.ended = False
        self.room = MAX_FRAGMENT_CANDIDATES

    def read(self, lines: list[Line]) -> None:
        """The lines before the first m-line."""
        for line in lines:
            if line.type != "a":
                continue
            value = parse_attribute(line.value, line.number)
            if isinstance(value, SdpCandidate):
                raise ParseError("sdp", "candidate outside of a media section", line.number)
            self._note(value, line.number)

    def read_section(self, lines: list[Line]) -> None:
        """An m-line and the lines up to the next one."""
        head = lines[0]
        mid: str | None = None
        candidates: list[SdpCandidate] = []
        for line in lines[1:]:
            if line.type != "a":
                continue
            value = parse_attribute(line.value, line.number)
            if isinstance(value, Mid):
                mid = mid or value.id
            elif isinstance(value, SdpCandidate):
                candidates.append(value)
            else:
                self._note(value, line.number)
        kind = head.value.split(" ", 1)[0]
        if not is_visible(kind):
            raise ParseError("sdp", "m=: no media", head.number)
        if mid is None:
            raise ParseError("sdp", "a media section without mid", head.number)
        if mid in self.media:
            raise ParseError("sdp", "two media sections with one mid", head.number)
        del candidates[self.room :]
        self.room -= len(candidates)
        self.media[mid] = FragmentMedia(mid=mid, kind=kind, candidates=tuple(candidates))

    def fragment(self) -> SdpFragment:
        """All of it as a value."""
        if self.pwd is not None and self.ufrag is None:
            raise ParseError("sdp", "ice-pwd without ice-ufrag")
        return SdpFragment(
            ufrag=self.ufrag,
            pwd=self.pwd,
            ice_lite=self.ice_lite,
            ice_options=tuple(self.options),
            bundle=self.bundle,
            media=tuple(self.media.values()),
            end_of_candidates=self.ended,
        )

    def _note(self, value: AttributeValue, number: int) -> None:
        match value:
            case IceUfrag(ufrag):
                self.ufrag = _same(self.ufrag, ufrag, "ice-ufrag", number)
            case IcePwd(pwd):
                self.pwd = _same(self.pwd, pwd, "ice-pwd", number)
            case Group("BUNDLE", mids) if all(map(is_visible, mids)):
                self.bundle = self.bundle or mids
            case Attribute("ice-options", str(options)):
                self.options.update(
                    dict.fromkeys(option for option in options.split() if is_visible(option))
                )
            case Attribute("ice-lite"):
                self.ice_lite = True
            case Attribute("end-of-candidates"):
                self.ended = True
            case _:
                pass


def _same(known: str | None, value: str, name: str, number: int) -> str:
    """`value`, if nothing else was said before."""
    if known is not None and not hmac.compare_digest(known, value):
        raise ParseError("sdp", f"two values of {name} for one transport", number)
    return value


def _render(values: list[AttributeValue]) -> str:
    return "".join(render("a", str(value)) for value in values)
