"""WHIP, RFC 9725: an address for the call, candidates, ICE restart, and conditions."""

from __future__ import annotations

import pytest
from aiohttp import web

from examples.transceiver.whip import ENDPOINT, FRAGMENT
from rtcproto.errors import DescriptionRefused, ParseError, UsageError
from tests.support.desk import ANSWER, KEY, OTHER_KEY, Bench, PaperCall, error_of

SDP = {"Content-Type": "application/sdp"}
BODY = b"a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"


class Session:
    """A WHIP session on paper."""

    def __init__(self) -> None:
        self.bench = Bench()
        created = self.bench.ask("POST", ENDPOINT, b"v=0\r\n", SDP)
        self.created = created
        self.path = created.headers["Location"]
        self.etag = created.headers["ETag"]

    @property
    def call(self) -> PaperCall:
        """The call."""
        [call] = self.bench.calls.calls.values()
        return call

    def patch(
        self, tag: str | None, kind: str = FRAGMENT, token: str = KEY, body: bytes = BODY
    ) -> web.Response:
        """What is answered to a fragment."""
        headers = {"Content-Type": kind, **({} if tag is None else {"If-Match": tag})}
        return self.bench.ask("PATCH", self.path, body, headers, token=token)


def test_create() -> None:
    """201, the answer, the session's address, a strong tag of its ICE session."""
    session = Session()
    assert session.created.status == 201
    assert session.created.text == ANSWER
    assert session.created.content_type == "application/sdp"
    assert session.path.startswith(f"{ENDPOINT}/rtc_0.1.0.")
    assert session.etag.startswith('"')
    assert session.created.headers["Accept-Patch"] == FRAGMENT
    exposed = session.created.headers["Access-Control-Expose-Headers"]
    assert {"Location", "ETag"} <= set(exposed.split(", "))


def test_only_descriptions_are_posted() -> None:
    """415, and what is taken."""
    response = Bench().ask("POST", ENDPOINT, b"{}", {"Content-Type": "application/json"})
    assert response.status == 415
    assert response.headers["Accept-Post"] == "application/sdp"


def test_candidates() -> None:
    """204 without a tag, with the tag alone or among others."""
    session = Session()
    for tag in (session.etag, f'"other", {session.etag}'):
        response = session.patch(tag)
        assert response.status == 204
        assert "ETag" not in response.headers
        assert not response.body
    assert session.call.fragments == [("add", BODY.decode())] * 2


@pytest.mark.parametrize("tag", ["*", '"*"'])
def test_restart(tag: str) -> None:
    """200, our new fragment and a new tag; the old one is over, the call is the same."""
    session = Session()
    response = session.patch(tag)
    assert response.status == 200
    assert response.content_type == FRAGMENT
    assert response.text == "a=ice-ufrag:new\r\n"
    assert session.call.fragments == [("restart", BODY.decode())]
    renewed = response.headers["ETag"]
    assert renewed != session.etag
    assert session.patch(session.etag).status == 412
    assert session.patch(renewed).status == 204
    assert session.patch(tag).headers["ETag"] not in (session.etag, renewed)


@pytest.mark.parametrize(
    ("tag", "kind", "status", "code"),
    [
        (None, FRAGMENT, 428, "precondition_required"),
        ("", FRAGMENT, 428, "precondition_required"),
        ('"stale"', FRAGMENT, 412, "precondition_failed"),
        ("W/{etag}", FRAGMENT, 412, "precondition_failed"),
        ("*", "application/sdp", 415, "unsupported_media_type"),
        (None, "text/plain", 415, "unsupported_media_type"),
    ],
)
def test_conditions(tag: str | None, kind: str, status: int, code: str) -> None:
    """RFC 6585 and RFC 9110: what is missing, stale or weak changes nothing."""
    session = Session()
    response = session.patch(tag and tag.format(etag=session.etag), kind)
    assert response.status == status
    assert error_of(response)["code"] == code
    assert session.call.fragments == []
    assert session.patch(session.etag).status == 204


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ParseError("sdp", "no", 1), 400),
        (DescriptionRefused("no"), 422),
        (UsageError("not connected"), 422),
    ],
)
@pytest.mark.parametrize("restart", [False, True])
def test_fragments_that_are_refused(error: Exception, status: int, restart: bool) -> None:
    """The ICE session goes on, under the tag that it had."""
    session = Session()
    session.call.errors = [error]
    response = session.patch("*" if restart else session.etag)
    assert response.status == status
    error_of(response)
    assert session.patch(session.etag).status == 204


def test_fragments_have_limits() -> None:
    """Not UTF-8, or larger than a description."""
    session = Session()
    assert session.patch(session.etag, body=b"\xff").status == 400
    assert session.patch(session.etag, body=b"a" * 70_000).status == 413
    assert session.call.fragments == []


def test_delete() -> None:
    """The call is over; tags do not matter; afterwards there is nothing."""
    session = Session()
    gone = session.bench.ask("DELETE", session.path, headers={"If-Match": '"stale"'})
    assert gone.status == 200
    assert session.bench.calls.calls == {}
    for method in ("DELETE", "PATCH"):
        assert session.bench.ask(method, session.path).status == 404


def test_sessions_of_others() -> None:
    """Another API key sees no session, so no tag of it either."""
    session = Session()
    assert session.patch(session.etag, token=OTHER_KEY).status == 404
    assert session.patch("*", token=OTHER_KEY).status == 404
    assert session.call.fragments == []


def test_options() -> None:
    """What may be posted and patched, without a token."""
    session = Session()
    endpoint = session.bench.ask("OPTIONS", ENDPOINT, token=None)
    assert endpoint.status == 200
    assert endpoint.headers["Accept-Post"] == "application/sdp"
    resource = session.bench.ask("OPTIONS", session.path, token=None)
    assert resource.headers["Accept-Patch"] == FRAGMENT
    assert "PATCH" in resource.headers["Access-Control-Allow-Methods"]


@pytest.mark.parametrize("path", [ENDPOINT, ENDPOINT + "/x"])
def test_get(path: str) -> None:
    """There is no representation, and that is no error."""
    response = Bench().ask("GET", path, token=None)
    assert response.status == 204
    assert not response.body
