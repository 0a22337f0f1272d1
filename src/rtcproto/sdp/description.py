"""Session and media descriptions: parsed text as values, and values as text.

RFC 8866 section 5. `parse` is total: any text gives a `SessionDescription`,
a `DescriptionTooLarge` or a `ParseError` that names what is wrong and the line.
`str(description)` is its inverse: it ends in CRLF (one libwebrtc build refuses
an answer whose last line is not terminated), keeps every line it was given,
known or not, and orders session lines as section 5 asks. Parsing that text
again gives an equal value.

What it refuses: a first line that is not `v=0`, no `o=` or `s=`, a malformed
`o=`, `c=`, `m=` or known attribute, more than 32 m-lines, two media sections
with one mid. Order of the other lines is taken as it comes, a missing `t=`
stands for `t=0 0`. Whether a description can be *served* is not judged here
but by `answer` and `offer`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TypeVar

import attrs

from rtcproto.errors import DescriptionTooLarge, ParseError
from rtcproto.sdp.attributes import (
    Attribute,
    AttributeValue,
    Direction,
    Group,
    Mid,
    RtpMap,
    parse_attribute,
)
from rtcproto.sdp.lines import Line, bounded_number, is_visible, render, split_lines

__all__ = ["Connection", "MAX_MEDIA", "MediaDescription", "Origin", "SessionDescription", "parse"]

# A conference page may hold a dozen sections; each costs us one line of answer.
MAX_MEDIA = 32

# RFC 8866 section 5 fixes the order of lines. Letters it does not know go last
# of the plain ones, so that attributes stay at the end.
_ORDER = {kind: rank for rank, kind in enumerate("vosiuepcbtrzk")}
_LAST = len(_ORDER)

_T = TypeVar("_T", bound=AttributeValue)

_DIRECTIONS = {direction.value: direction for direction in Direction}


@attrs.frozen
class Connection:
    """`c=` (RFC 8866 section 5.7); `address` may carry a TTL and a count after slashes."""

    address: str
    address_type: str = "IP4"
    network_type: str = "IN"

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.address}"

    @classmethod
    def parse(cls, line: Line) -> Connection:
        """Parse the value of a `c=` line."""
        fields = line.value.split()
        if len(fields) != 3:
            raise ParseError("sdp", "c=: not three fields", line.number)
        return cls(fields[2], fields[1], fields[0])

    @classmethod
    def to(cls, host: str) -> Connection:
        """The connection line for an IP address literal."""
        return cls(host, "IP6" if ":" in host else "IP4")


@attrs.frozen(kw_only=True)
class Origin:
    """`o=` (RFC 8866 section 5.2). Id and version are decimal numbers of up to 20 digits."""

    username: str = "-"
    session_id: int
    version: int
    # RFC 9429 5.2.1 wants a non-meaningful address here: it leaks nothing.
    connection: Connection = Connection("127.0.0.1")

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} {self.connection}"

    @classmethod
    def parse(cls, line: Line) -> Origin:
        """Parse the value of an `o=` line."""
        fields = line.value.split()
        if len(fields) != 6:
            raise ParseError("sdp", "o=: not six fields", line.number)
        return cls(
            username=fields[0],
            session_id=bounded_number(fields[1], 10**20 - 1, "o=: session id", line.number),
            version=bounded_number(fields[2], 10**20 - 1, "o=: session version", line.number),
            connection=Connection(fields[5], fields[4], fields[3]),
        )


@attrs.frozen(kw_only=True)
class MediaDescription:
    """One `m=` line (RFC 8866 section 5.14) and all that belongs to it.

    `connections` are its `c=` lines; `lines` its other lines that are not
    attributes, as they came.
    """

    kind: str
    port: int
    port_count: int | None = None
    protocol: str
    formats: tuple[str, ...]
    connections: tuple[Connection, ...] = ()
    lines: tuple[Line, ...] = ()
    attributes: tuple[AttributeValue, ...] = ()

    def __str__(self) -> str:
        count = "" if self.port_count is None else f"/{self.port_count}"
        media = f"{self.kind} {self.port}{count} {self.protocol} {' '.join(self.formats)}"
        lines = [Line("c", str(connection)) for connection in self.connections]
        return render("m", media) + _render_body([*lines, *self.lines], self.attributes)

    @property
    def mid(self) -> str | None:
        """The section's name, None if it has none."""
        mid = self.first(Mid)
        return None if mid is None else mid.id

    @property
    def rtpmaps(self) -> dict[int, RtpMap]:
        """The encodings by payload type; of two for one type, the first."""
        maps: dict[int, RtpMap] = {}
        for rtpmap in self.all(RtpMap):
            maps.setdefault(rtpmap.payload_type, rtpmap)
        return maps

    @property
    def ice_options(self) -> tuple[str, ...]:
        """The tags of `a=ice-options` (RFC 8839 section 5.6)."""
        return _ice_options(self.attributes)

    def first(self, kind: type[_T]) -> _T | None:
        """The first attribute of this class, None if there is none."""
        return next((value for value in self.attributes if isinstance(value, kind)), None)

    def all(self, kind: type[_T]) -> list[_T]:
        """Every attribute of this class, in order."""
        return [value for value in self.attributes if isinstance(value, kind)]

    def has(self, name: str) -> bool:
        """True if there is an attribute of this name without a class of its own."""
        return _has(self.attributes, name)

    @classmethod
    def parse(cls, body: list[Line]) -> MediaDescription:
        """Parse an `m=` line and the lines up to the next one."""
        head = body[0]
        fields = head.value.split()
        if len(fields) < 4:
            raise ParseError("sdp", "m=: not media, port, protocol and formats", head.number)
        # A rejection repeats them, so they may not hold what some reader takes for a line end.
        if not all(map(is_visible, fields)):
            raise ParseError("sdp", "m=: not visible ASCII", head.number)
        port, slash, count = fields[1].partition("/")
        lines, connections, attributes = _split_body(body[1:])
        return cls(
            kind=fields[0],
            port=bounded_number(port, 0xFFFF, "m=: port", head.number),
            port_count=(
                bounded_number(count, 0xFFFF, "m=: number of ports", head.number) if slash else None
            ),
            protocol=fields[2],
            formats=tuple(fields[3:]),
            connections=connections,
            lines=lines,
            attributes=attributes,
        )


@attrs.frozen(kw_only=True)
class SessionDescription:
    """A whole description. `str()` gives its text; equality is that of all it says."""

    origin: Origin
    name: str = "-"
    connections: tuple[Connection, ...] = ()
    lines: tuple[Line, ...] = (Line("t", "0 0"),)
    attributes: tuple[AttributeValue, ...] = ()
    media: tuple[MediaDescription, ...] = ()

    def __str__(self) -> str:
        # RFC 8866 5.3: a session without a meaningful name is called "-".
        name = self.name or "-"
        lines = [Line("v", "0"), Line("o", str(self.origin)), Line("s", name)]
        lines.extend(Line("c", str(connection)) for connection in self.connections)
        body = _render_body([*lines, *self.lines], self.attributes)
        return "".join([body, *map(str, self.media)])

    @property
    def ice_lite(self) -> bool:
        """True if the describer is an ICE-lite agent (RFC 8839 section 5.3)."""
        return self.has("ice-lite")

    @property
    def ice_options(self) -> tuple[str, ...]:
        """The tags of a session-level `a=ice-options` (RFC 8839 section 5.6)."""
        return _ice_options(self.attributes)

    def group(self, semantics: str) -> Group | None:
        """The first group of these semantics, None if there is none."""
        for value in self.attributes:
            if isinstance(value, Group) and value.semantics == semantics:
                return value
        return None

    def first(self, kind: type[_T]) -> _T | None:
        """The first session-level attribute of this class, None if there is none."""
        return next((value for value in self.attributes if isinstance(value, kind)), None)

    def all(self, kind: type[_T]) -> list[_T]:
        """Every session-level attribute of this class, in order."""
        return [value for value in self.attributes if isinstance(value, kind)]

    def has(self, name: str) -> bool:
        """True if there is a session-level attribute of this name without a class of its own."""
        return _has(self.attributes, name)

    def direction_of(self, media: MediaDescription) -> Direction:
        """The direction of a media section.

        RFC 8866 section 6.7: the session's stands where the section says
        nothing, and sendrecv where neither does.
        """
        return _direction(media.attributes) or _direction(self.attributes) or Direction.SENDRECV


def parse(text: str) -> SessionDescription:
    """Parse a session description.

    Lines may end in CRLF or LF, the last one need not end at all. Raises
    `DescriptionTooLarge` beyond 64 KiB, 1,000 lines or 32 m-lines, otherwise
    `ParseError`; its offset is the number of the line, counted from 1.
    """
    lines = split_lines(text)
    starts = [index for index, line in enumerate(lines) if line.type == "m"]
    if len(starts) > MAX_MEDIA:
        number = lines[starts[MAX_MEDIA]].number
        raise DescriptionTooLarge("sdp", f"more than {MAX_MEDIA} m-lines", number)
    head = lines[: starts[0]] if starts else lines
    if not head or head[0].type != "v":
        raise ParseError("sdp", "description does not begin with v=", 1)
    version = _only(head, "v")
    if version.value != "0":
        raise ParseError("sdp", "version is not 0", version.number)
    origin = _only(head, "o")
    name = _only(head, "s")
    rest, connections, attributes = _split_body(
        line for line in head[1:] if line.type not in ("o", "s")
    )
    if not any(line.type == "t" for line in rest):
        rest += (Line("t", "0 0"),)
    media = tuple(
        MediaDescription.parse(lines[start:end])
        for start, end in itertools.pairwise([*starts, len(lines)])
    )
    _refuse_repeated_mids(media, [lines[start].number for start in starts])
    return SessionDescription(
        origin=Origin.parse(origin),
        name=name.value.strip() or "-",
        connections=connections,
        lines=tuple(sorted(rest, key=_rank)),
        attributes=attributes,
        media=media,
    )


def _rank(line: Line) -> int:
    return _ORDER.get(line.type, _LAST)


def _only(head: list[Line], kind: str) -> Line:
    found = [line for line in head if line.type == kind]
    if not found:
        raise ParseError("sdp", f"no {kind}= line", head[-1].number)
    if len(found) > 1:
        raise ParseError("sdp", f"second {kind}= line", found[1].number)
    return found[0]


def _split_body(
    body: Iterable[Line],
) -> tuple[tuple[Line, ...], tuple[Connection, ...], tuple[AttributeValue, ...]]:
    """The plain lines, the connections and the attributes of a section."""
    lines: list[Line] = []
    connections: list[Connection] = []
    attributes: list[AttributeValue] = []
    for line in body:
        if line.type == "a":
            attributes.append(parse_attribute(line.value, line.number))
        elif line.type == "c":
            connections.append(Connection.parse(line))
        else:
            lines.append(line)
    return tuple(sorted(lines, key=_rank)), tuple(connections), tuple(attributes)


def _refuse_repeated_mids(media: Iterable[MediaDescription], numbers: list[int]) -> None:
    # RFC 5888 4: "The identification-tag MUST be unique within an SDP session
    # description." An answer could not say which of two it means.
    seen: set[str] = set()
    for section, number in zip(media, numbers, strict=True):
        mid = section.mid
        if mid is None:
            continue
        if mid in seen:
            raise ParseError("sdp", "two media sections with one mid", number)
        seen.add(mid)


def _render_body(lines: list[Line], attributes: Iterable[AttributeValue]) -> str:
    parts = [render(line.type, line.value) for line in sorted(lines, key=_rank)]
    parts.extend(render("a", str(value)) for value in attributes)
    return "".join(parts)


def _has(attributes: Iterable[AttributeValue], name: str) -> bool:
    return any(isinstance(value, Attribute) and value.name == name for value in attributes)


def _direction(attributes: Iterable[AttributeValue]) -> Direction | None:
    for value in attributes:
        if isinstance(value, Attribute) and value.value is None and value.name in _DIRECTIONS:
            return _DIRECTIONS[value.name]
    return None


def _ice_options(attributes: Iterable[AttributeValue]) -> tuple[str, ...]:
    tags: list[str] = []
    for value in attributes:
        if isinstance(value, Attribute) and value.name == "ice-options" and value.value:
            tags.extend(value.value.split())
    return tuple(tags)
