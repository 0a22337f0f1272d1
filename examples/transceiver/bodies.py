"""The bodies of requests, read and taken apart within limits.

An offer comes in three ways: as `application/sdp`; as `multipart/form-data` with the
parts `sdp` and `session` (RFC 7578); as JSON `{"sdp": ..., "session": {...}}`. Reading
stops as soon as a body is known to be too large, and after `BODY_TIMEOUT` in any case.
Taking apart is pure: the same bytes give the same request, or one of `Refused`,
ParseError (not UTF-8) and DescriptionTooLarge (an offer beyond the limit of SDP).

What is refused: JSON that is deep, that has numbers JSON does not know, or text that
UTF-8 cannot write; parts that are many, unnamed, twice the same or encoded.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

import attrs
from aiohttp import StreamReader, web

from rtcproto.errors import DescriptionTooLarge, ParseError
from rtcproto.sdp import MAX_BYTES

__all__ = [
    "BODY_TIMEOUT",
    "MAX_BODY",
    "MAX_DEPTH",
    "MAX_PARTS",
    "MAX_PART_HEADERS",
    "Refused",
    "CallRequest",
    "json_object",
    "parse_call",
    "parse_multipart",
    "read_body",
    "read_call",
    "read_text",
]

# Seconds a client has to send its whole body.
BODY_TIMEOUT = 5.0

# Bytes of a body of any kind: an offer, and a session with long instructions and tools.
MAX_BODY = 1 << 20

# Levels of JSON. Schemas of tools nest deepest; none that people write comes near.
MAX_DEPTH = 32

# Parts of a multipart body: the two that mean something, and some that do not.
MAX_PARTS = 8

# Bytes of one part's headers.
MAX_PART_HEADERS = 4096

# Characters of a boundary, RFC 2046 section 5.1.1.
MAX_BOUNDARY = 70

# `; name=token` or `; name="quoted"`: no two alternatives begin alike, so it is linear.
_PARAMETER = re.compile(r';[ \t]*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)=("[^"\\]*"|[^\s";,\\]+)')

# What a part may say its kind is: nothing and text/plain are what forms send for text.
_PART_TYPES = {
    "sdp": ("", "text/plain", "application/sdp"),
    "session": ("", "text/plain", "application/json"),
}


class Refused(Exception):
    """A request that cannot be served: the status, a word for programs, and a sentence."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = headers
        self.status = status
        self.code = code
        self.message = message
        self.param = param


@attrs.frozen
class CallRequest:
    """What a client asks for: its offer, and the session it wants, if it says."""

    offer: str = attrs.field(repr=False)
    session: Mapping[str, Any] | None = attrs.field(default=None, repr=False)


class _Incoming(Protocol):
    """What is used of a request."""

    @property
    def content_length(self) -> int | None: ...
    @property
    def content(self) -> StreamReader: ...


async def read_body(request: _Incoming, limit: int = MAX_BODY) -> bytes:
    """The body. Raises Refused (413) beyond `limit` bytes, and TimeoutError."""
    too_large = Refused(413, "body_too_large", f"the body has more than {limit} bytes")
    if request.content_length is not None and request.content_length > limit:
        raise too_large
    body = bytearray()
    async with asyncio.timeout(BODY_TIMEOUT):
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > limit:
                raise too_large
    return bytes(body)


async def read_text(request: _Incoming) -> str:
    """A description. Raises DescriptionTooLarge, ParseError (not UTF-8) or TimeoutError."""
    try:
        return _description(await read_body(request, MAX_BYTES))
    except Refused:
        raise _too_large() from None


async def read_call(request: web.Request) -> CallRequest:
    """What a client asks for. Raises as `read_body` and `parse_call`."""
    if request.content_type == "application/sdp":
        return CallRequest(await read_text(request))
    kind = request.headers.get("Content-Type", "")
    if request.content_type not in ("application/json", "multipart/form-data"):
        # Before it is read: it may be anything.
        return parse_call(kind, b"")
    return parse_call(kind, await read_body(request))


def parse_call(content_type: str, body: bytes) -> CallRequest:
    """What a body of this kind asks for.

    Raises Refused, ParseError or DescriptionTooLarge.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/sdp":
        return CallRequest(_description(body))
    if kind == "application/json":
        fields = json_object(body)
        offer = fields.get("sdp")
        if not isinstance(offer, str):
            raise Refused(400, "missing_offer", "sdp must be a string", "sdp")
        return CallRequest(_description(offer.encode()), _session(fields.get("session")))
    if kind == "multipart/form-data":
        boundary = _parameters(content_type).get("boundary", "")
        parts = parse_multipart(body, boundary)
        if "sdp" not in parts:
            raise Refused(400, "missing_offer", "there is no part named sdp", "sdp")
        session = parts.get("session")
        return CallRequest(
            _description(parts["sdp"]), None if session is None else json_object(session, "session")
        )
    message = "the body must be application/sdp, application/json or multipart/form-data"
    raise Refused(415, "unsupported_media_type", message)


def json_object(body: bytes, param: str | None = None) -> dict[str, Any]:
    """A JSON object. Raises Refused (400); `param` is what it is told to be about."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
        # Lone surrogates and numbers beyond floats cannot be written again.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except RecursionError:
        raise Refused(400, "invalid_json", "the JSON is too deep", param) from None
    except ValueError:
        # Its text quotes the body.
        raise Refused(400, "invalid_json", "the body is not JSON in UTF-8", param) from None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_json", "expected a JSON object", param)
    if _deeper_than(value, MAX_DEPTH):
        raise Refused(400, "invalid_json", "the JSON is too deep", param)
    return value


def parse_multipart(body: bytes, boundary: str) -> dict[str, bytes]:
    """The named parts that mean something to us: `sdp` and `session`. Raises Refused.

    RFC 2046 section 5.1.1: parts are between delimiter lines, which begin with CRLF
    (the first may begin the body), two hyphens and the boundary.
    """
    if not (0 < len(boundary) <= MAX_BOUNDARY and boundary.isascii()):
        raise _malformed("the boundary is missing or not usable")
    delimiter = b"\r\n--" + boundary.encode()
    # At most one more than is allowed: what is behind it is not looked at.
    pieces = (b"\r\n" + body).split(delimiter, MAX_PARTS + 2)
    found: dict[str, bytes] = {}
    for number, piece in enumerate(pieces[1:]):
        if piece.startswith(b"--"):
            return found
        if number >= MAX_PARTS:
            raise _malformed(f"more than {MAX_PARTS} parts")
        name, content = _part(piece)
        if name in found:
            raise _malformed(f"two parts are named {name}")
        if name in _PART_TYPES:
            found[name] = content
    raise _malformed("the closing delimiter is missing")


def _part(piece: bytes) -> tuple[str, bytes]:
    """The name and content of what follows a delimiter."""
    padding, line_end, rest = piece.partition(b"\r\n")
    if not line_end or padding.strip(b" \t"):
        raise _malformed("a delimiter line has something behind the boundary")
    # Without any header, the empty line that ends them comes at once.
    headers, end, content = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if not end or len(headers) > MAX_PART_HEADERS:
        raise _malformed("a part's headers do not end, or are too long")
    fields: dict[str, str] = {}
    for line in headers.decode("utf-8", "replace").split("\r\n")[1:]:
        field, colon, value = line.partition(":")
        if not colon or field.lower() in fields:
            raise _malformed("a part has a header twice, or what is no header")
        fields[field.lower()] = value.strip()
    disposition = fields.get("content-disposition", "")
    name = _parameters(disposition).get("name")
    if disposition.partition(";")[0].strip().lower() != "form-data" or name is None:
        raise _malformed("a part has no name")
    encoding = fields.get("content-transfer-encoding", "binary").lower()
    if encoding not in ("binary", "8bit", "7bit"):
        raise _malformed("parts are taken as they are, without Content-Transfer-Encoding")
    kind = fields.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _PART_TYPES.get(name, (kind,)):
        raise Refused(415, "unsupported_media_type", f"part {name}: another type", name)
    return name, content


def _parameters(value: str) -> dict[str, str]:
    """The parameters of a header field such as `form-data; name="sdp"`; the first of each."""
    found: dict[str, str] = {}
    for name, text in _PARAMETER.findall(value):
        found.setdefault(name.lower(), text.strip('"'))
    return found


def _description(body: bytes) -> str:
    if len(body) > MAX_BYTES:
        raise _too_large()
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError("sdp", "not UTF-8", error.start) from None


def _session(value: object) -> Mapping[str, Any] | None:
    if value is None or isinstance(value, dict):
        return value
    raise Refused(400, "invalid_session", "session must be an object", "session")


def _deeper_than(value: object, levels: int) -> bool:
    layer: list[object] = [value]
    for _ in range(levels):
        inside: list[object] = []
        for each in layer:
            if isinstance(each, dict):
                inside += each.values()
            elif isinstance(each, list):
                inside += each
        if not inside:
            return False
        layer = inside
    return any(isinstance(each, dict | list) for each in layer)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _malformed(message: str) -> Refused:
    return Refused(400, "malformed_body", f"multipart: {message}")


def _too_large() -> DescriptionTooLarge:
    return DescriptionTooLarge("sdp", f"more than {MAX_BYTES} bytes")
