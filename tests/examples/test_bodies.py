"""Bodies of requests: three ways to make an offer, and what is none."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from hypothesis import given
from hypothesis import strategies as st

from examples.transceiver import bodies
from examples.transceiver.bodies import (
    MAX_BODY,
    MAX_DEPTH,
    MAX_PART_HEADERS,
    MAX_PARTS,
    Refused,
    json_object,
    parse_call,
    parse_multipart,
    read_body,
)
from rtcproto.errors import DescriptionTooLarge, ParseError
from rtcproto.sdp import MAX_BYTES

FORM = 'multipart/form-data; boundary="b0und"'


def form(*parts: str, end: str = "--b0und--\r\n") -> bytes:
    """A multipart body of parts that are written out."""
    return "".join([*(f"--b0und\r\n{part}\r\n" for part in parts), end]).encode()


def part(name: str, content: str, kind: str = "") -> str:
    """One part."""
    typed = f"Content-Type: {kind}\r\n" if kind else ""
    return f'Content-Disposition: form-data; name="{name}"\r\n{typed}\r\n{content}'


SESSION = {"type": "realtime", "model": "m", "instructions": "ä"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps({"sdp": "v=0\r\n", "session": SESSION}).encode()),
        (FORM, form(part("sdp", "v=0\r\n"), part("session", json.dumps(SESSION)))),
        (
            FORM.replace('"', ""),
            form(
                part("session", json.dumps(SESSION, ensure_ascii=False), "application/json"),
                part("extra", "ignored", "image/png"),
                part("sdp", "v=0\r\n", "application/sdp"),
            ),
        ),
        (
            "Multipart/Form-Data; charset=utf-8; BOUNDARY=b0und",
            b"a preamble\r\n"
            + form(
                'content-disposition: form-data; filename="blob"; name=sdp\r\n'
                "content-type: application/sdp; charset=utf-8\r\n\r\nv=0\r\n",
                part("session", json.dumps(SESSION), "text/plain"),
            )
            + b"an epilogue",
        ),
    ],
    ids=["json", "form", "typed", "browser"],
)
def test_one_call_in_every_way(kind: str, body: bytes) -> None:
    """JSON, forms of text fields and forms of typed parts all say the same."""
    asked = parse_call(kind, body)
    assert asked.offer == "v=0\r\n"
    assert asked.session == SESSION


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/sdp", b"v=0\r\n"),
        ("application/json", b'{"sdp": "v=0\\r\\n", "session": null}'),
        (FORM, form(part("sdp", "v=0\r\n"))),
    ],
)
def test_an_offer_alone(kind: str, body: bytes) -> None:
    """A session is not needed."""
    assert parse_call(kind, body) == bodies.CallRequest("v=0\r\n", None)


@pytest.mark.parametrize(
    ("kind", "body", "status", "said"),
    [
        ("text/plain", b"v=0", 415, "must be"),
        ("", b"v=0", 415, "must be"),
        ("application/json", b"", 400, "not JSON"),
        ("application/json", b"[]", 400, "object"),
        ("application/json", b"{}", 400, "sdp must be"),
        ("application/json", b'{"sdp": 7}', 400, "sdp must be"),
        ("application/json", b'{"sdp": "v=0", "session": []}', 400, "session must be"),
        ("application/json", b'{"sdp": "\\ud800"}', 400, "not JSON"),
        ("application/json", b'{"sdp": "v=0", "session": {"x": NaN}}', 400, "not JSON"),
        ("application/json", b'{"sdp": "v=0", "session": {"x": 1e999}}', 400, "not JSON"),
        ("application/json", b'{"sdp": "\xff"}', 400, "not JSON"),
        ("application/json", b'{"n": ' + b"9" * 5000 + b"}", 400, "not JSON"),
        ("application/json", b"[" * 500_000, 400, "too deep"),
        ("application/json", b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH, 400, "sdp must be"),
        (
            "application/json",
            b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
            400,
            "too deep",
        ),
        ("multipart/form-data", form(part("sdp", "v=0")), 400, "boundary"),
        ("multipart/form-data; boundary=" + "b" * 71, b"", 400, "boundary"),
        (FORM, b"", 400, "closing"),
        (FORM, b"nothing", 400, "closing"),
        (FORM, form(), 400, "no part named sdp"),
        (FORM, form(part("session", "{}")), 400, "no part named sdp"),
        (FORM, form(part("sdp", "v=0"), end=""), 400, "closing"),
        (FORM, form(part("sdp", "v=0"), part("sdp", "v=0")), 400, "two parts"),
        (FORM, form(part("sdp", "v=0"), part("session", "x")), 400, "not JSON"),
        (FORM, form(part("sdp", "v=0", "image/png")), 415, "another type"),
        (FORM, form(part("sdp", "v=0"), part("session", "{}", "application/sdp")), 415, "another"),
        (FORM, form("\r\nv=0"), 400, "no name"),
        (FORM, form('Content-Disposition: attachment; name="sdp"\r\n\r\nv=0'), 400, "no name"),
        (FORM, form("Content-Disposition: form-data\r\n\r\nv=0"), 400, "no name"),
        (FORM, form("nonsense\r\n\r\nv=0"), 400, "no header"),
        (FORM, form("A: b\r\nA: c\r\n\r\nv=0"), 400, "twice"),
        (FORM, form('Content-Disposition: form-data; name="sdp"'), 400, "do not end"),
        (FORM, form("A: " + "b" * MAX_PART_HEADERS + "\r\n\r\nv=0"), 400, "too long"),
        (FORM, form("Content-Transfer-Encoding: base64\r\n" + part("sdp", "dg")), 400, "Transfer"),
        (FORM, b"--b0und and more\r\n", 400, "behind the boundary"),
        (FORM, form(*(part(f"p{n}", "") for n in range(MAX_PARTS + 1))), 400, "more than"),
    ],
)
def test_refusals(kind: str, body: bytes, status: int, said: str) -> None:
    """Each says what is wrong, and none quotes what was sent."""
    with pytest.raises(Refused) as caught:
        parse_call(kind, body)
    assert caught.value.status == status
    assert said in caught.value.message


def test_as_many_parts_as_are_allowed() -> None:
    """The limit is a limit, not one less."""
    parts = [part(f"p{n}", "x") for n in range(MAX_PARTS - 1)]
    assert parse_multipart(form(*parts, part("sdp", "v=0")), "b0und") == {"sdp": b"v=0"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", json.dumps({"sdp": "a" * (MAX_BYTES + 1)}).encode()),
        (FORM, form(part("sdp", "a" * (MAX_BYTES + 1)))),
        ("application/sdp", b"a" * (MAX_BYTES + 1)),
    ],
)
def test_h4_an_offer_has_its_own_limit(kind: str, body: bytes) -> None:
    """Threat H4: 64 KiB of SDP, however it comes."""
    with pytest.raises(DescriptionTooLarge):
        parse_call(kind, body)


@pytest.mark.parametrize("kind", ["application/sdp", FORM])
def test_offers_are_utf_8(kind: str) -> None:
    """Other bytes are a malformed offer."""
    body = (
        b"v=0\xff" if kind == "application/sdp" else form(part("sdp", "X")).replace(b"X", b"\xff")
    )
    with pytest.raises(ParseError, match="UTF-8"):
        parse_call(kind, body)


def test_nothing_of_a_request_is_shown() -> None:
    """A session may have secrets of tools in it, an offer has a password."""
    asked = bodies.CallRequest("canary", {"canary": 1})
    assert "canary" not in repr(asked)


class Incoming:
    """A request whose body comes chunk by chunk; `taken` is how much of it was asked for."""

    def __init__(
        self, chunks: list[bytes], length: int | None = None, *, ends: bool = True
    ) -> None:
        self.content_length = length
        self.taken = 0
        self._chunks = chunks
        self._ends = ends

    @property
    def content(self) -> Any:
        """The body."""
        return self

    async def iter_any(self) -> Any:
        """What arrives."""
        for chunk in self._chunks:
            self.taken += len(chunk)
            yield chunk
        if not self._ends:
            await asyncio.Event().wait()


def test_h4_reading_stops_at_the_limit() -> None:
    """Threat H4: of 5 MiB that are announced nothing is read; of others, one chunk too much."""
    chunk = b"x" * 4096
    announced = Incoming([chunk] * 1280, 5 << 20)
    with pytest.raises(Refused) as caught:
        asyncio.run(read_body(announced, MAX_BYTES))
    assert caught.value.status == 413
    assert announced.taken == 0
    streamed = Incoming([chunk] * 1280)
    with pytest.raises(Refused):
        asyncio.run(read_body(streamed, MAX_BYTES))
    assert streamed.taken == MAX_BYTES + len(chunk)
    assert len(asyncio.run(read_body(Incoming([chunk] * 16), MAX_BYTES))) == MAX_BYTES


def test_h4_slow_bodies_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threat H4: a body that does not end has its time, however much of it came."""
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.0)
    with pytest.raises(TimeoutError):
        asyncio.run(read_body(Incoming([b"x"], ends=False)))


def test_the_body_of_a_stream() -> None:
    """What is used of aiohttp's stream is there."""

    async def read() -> bytes:
        stream = StreamReader(BaseProtocol(asyncio.get_running_loop()), limit=2**16)
        stream.feed_data(b"abc")
        stream.feed_eof()
        request = Incoming([])
        request.iter_any = stream.iter_any  # type: ignore[method-assign,assignment]
        return await read_body(request, MAX_BODY)

    assert asyncio.run(read()) == b"abc"


HEADS = st.sampled_from(
    [
        b"--b\r\n",
        b"\r\n--b\r\n",
        b"\r\n--b--",
        b"\r\n--b--\r\n",
        b"--b--",
        b"\r\n\r\n",
        b"\r\n",
        b'Content-Disposition: form-data; name="sdp"',
        b"Content-Disposition: form-data; name=session",
        b"Content-Type: application/sdp",
        b"Content-Type:",
        b'{"a": [1]}',
        b"v=0",
        b'; name="',
        b"\xff",
    ]
)


@given(st.lists(st.one_of(HEADS, st.binary(max_size=8)), max_size=30).map(b"".join))
def test_multipart_is_total(body: bytes) -> None:
    """Any bytes give parts that are in them, or a refusal."""
    try:
        parts = parse_multipart(body, "b")
    except Refused:
        return
    assert set(parts) <= {"sdp", "session"}
    assert all(content in body for content in parts.values())


@given(
    st.text(max_size=50).filter(lambda text: "--b0und" not in text),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)
def test_forms_round_trip(offer: str, session: dict[str, Any]) -> None:
    """What a form says is what is read."""
    try:
        said = json.dumps(session).encode().decode()
        offer.encode()
    except UnicodeEncodeError:
        return
    asked = parse_call(FORM, form(part("sdp", offer), part("session", said)))
    assert asked.offer == offer
    assert asked.session == session


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda t: t.encode("utf-8", "replace")))
def test_json_is_total(body: bytes) -> None:
    """Any bytes give an object that can be written again, or a refusal."""
    try:
        value = json_object(body)
    except Refused:
        return
    assert json.loads(json.dumps(value)) == value


@given(st.text(max_size=80), st.binary(max_size=40))
def test_any_kind_of_body(kind: str, body: bytes) -> None:
    """Any Content-Type gives a call, or one of the declared errors."""
    for each in (kind, f"multipart/form-data; {kind}", f"application/json;{kind}"):
        try:
            parse_call(each, body)
        except (Refused, ParseError):
            continue
