"""The realtime interface over HTTP: offers, ends, client secrets, and who may."""

from __future__ import annotations

import json
import logging
import os
from typing import Any

import pytest

from examples.transceiver.desk import overlay
from examples.transceiver.register import Limits
from examples.transceiver.sessions import check_session
from rtcproto.errors import CapacityExceeded, DescriptionRefused, ParseError
from rtcproto.sdp import MAX_BYTES
from tests.support.desk import ANSWER, KEY, OTHER_KEY, Bench, error_of

CALLS = "/v1/realtime/calls"
SECRETS = "/v1/realtime/client_secrets"
SDP = {"Content-Type": "application/sdp"}
JSON = {"Content-Type": "application/json"}


def said(response: Any) -> Any:
    """The JSON in a response."""
    return json.loads(response.text)


def test_an_offer_is_answered() -> None:
    """201, the answer, and an address whose last segment is the id that clients take."""
    bench = Bench()
    response = bench.offer()
    assert response.status == 201
    assert response.content_type == "application/sdp"
    assert response.text == ANSWER
    [call_id] = bench.calls.calls
    assert response.headers["Location"] == f"{CALLS}/{call_id}"
    assert "Location" in response.headers["Access-Control-Expose-Headers"]
    assert bench.calls.created == [("v=0\r\n", None, "key 1")]


def test_a_session_comes_along() -> None:
    """JSON has the session beside the offer, the beta names the model in its address."""
    bench = Bench()
    session = {"type": "realtime", "instructions": "be kind"}
    body = json.dumps({"sdp": "v=0\r\n", "session": session}).encode()
    assert bench.ask("POST", CALLS, body, JSON).status == 201
    assert bench.ask("POST", "/v1/realtime?model=m", b"v=0\r\n", SDP).status == 201
    assert bench.ask("POST", f"{CALLS}?model=m", body, JSON).status == 201
    assert [created[1] for created in bench.calls.created] == [
        session,
        {"type": "realtime", "model": "m"},
        {"type": "realtime", "model": "m", "instructions": "be kind"},
    ]


def test_a_session_that_is_none() -> None:
    """400, and where it is wrong."""
    bench = Bench()
    body = json.dumps({"sdp": "v=0", "session": {"type": "realtime", "audio": 7}}).encode()
    response = bench.ask("POST", CALLS, body, JSON)
    assert response.status == 400
    assert error_of(response)["param"] == "session.audio"
    assert bench.calls.created == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ParseError("sdp", "no", 1), 400, "malformed_offer"),
        (DescriptionRefused("no"), 422, "unacceptable_offer"),
        (CapacityExceeded("full"), 503, "over_capacity"),
    ],
)
def test_offers_that_are_refused(error: Exception, status: int, code: str) -> None:
    """What the library says, as a status; nobody is counted for it."""
    bench = Bench(limits=Limits(per_key=1, per_secret=1, per_source=1))
    bench.calls.errors = [error]
    response = bench.offer()
    assert response.status == status
    assert error_of(response)["code"] == code
    assert bench.offer().status == 201


@pytest.mark.parametrize("token", [None, "wrong", KEY[:-1], "ek_wrong", OTHER_KEY + "x"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CALLS),
        ("POST", "/v1/realtime"),
        ("POST", SECRETS),
        ("POST", "/whip"),
        ("POST", CALLS + "/rtc_0.1.0.1/hangup"),
        ("DELETE", CALLS + "/rtc_0.1.0.1"),
        ("DELETE", "/whip/rtc_0.1.0.1"),
        ("PATCH", "/whip/rtc_0.1.0.1"),
        ("GET", "/v1/realtime?call_id=rtc_0.1.0.1"),
    ],
)
def test_h4_token_first(token: str | None, method: str, path: str) -> None:
    """Threat H4: 401 on every route, with nothing read and nothing begun."""
    bench = Bench()
    response = bench.ask(method, path, b"x" * 5000, {"Content-Type": "image/png"}, token=token)
    assert response.status == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert error_of(response)["type"] == "invalid_request_error"
    assert bench.bytes_read == 0
    assert bench.calls.created == []


def test_h4_large_bodies() -> None:
    """Threat H4: 413 with nothing read where the length says it; no more than the limit else."""
    bench = Bench()
    for kind in ("application/sdp", "application/json", "multipart/form-data; boundary=b"):
        headers = {"Content-Type": kind, "Content-Length": str(5 << 20)}
        response = bench.ask("POST", CALLS, b"x" * 1000, headers)
        assert response.status == 413
        assert bench.bytes_read == 0
    response = bench.ask("POST", CALLS, b"x" * (MAX_BYTES + 1), SDP)
    assert response.status == 413
    assert bench.calls.created == []


def test_h4_too_many_calls() -> None:
    """Threat H4: call N+1 of a token is 429 and says when to try again; an end makes room."""
    bench = Bench(limits=Limits(per_key=2, per_secret=1, per_source=1))
    locations = [bench.offer().headers["Location"] for _ in range(2)]
    response = bench.offer()
    assert response.status == 429
    assert int(response.headers["Retry-After"]) > 0
    assert error_of(response)["code"] == "rate_limit_exceeded"
    # Another key, and a secret of the same key, have their own.
    assert bench.offer(OTHER_KEY).status == 201
    secret = bench.secret()
    assert [bench.offer(secret).status for _ in range(2)] == [201, 429]
    assert bench.offer(bench.secret()).status == 201
    assert bench.ask("DELETE", locations[0]).status == 200
    assert bench.offer().status == 201


def test_sources_have_a_quota_without_keys() -> None:
    """Abandoned offers of one address do not keep others out."""
    bench = Bench(keys=None)
    assert [bench.offer(None).status for _ in range(4)] == [201, 201, 201, 429]
    assert bench.offer(None, remote="192.0.2.2").status == 201
    # Nobody believes a client about where it is.
    forwarded = {"X-Forwarded-For": "198.51.100.1"}
    assert bench.offer(None, headers=forwarded).status == 429
    bench = Bench(keys=None, proxies=["192.0.2.0/24"])
    for number in range(10):
        forwarded = {"X-Forwarded-For": f"198.51.100.{number}"}
        assert bench.offer(None, headers=forwarded).status == 201


@pytest.mark.parametrize(("method", "suffix"), [("DELETE", ""), ("POST", "/hangup")])
def test_ends(method: str, suffix: str) -> None:
    """The call is over; twice is once too often; others' keys know nothing of it."""
    bench = Bench()
    location = bench.offer().headers["Location"] + suffix
    response = bench.ask(method, location, token=OTHER_KEY)
    assert response.status == 404
    assert error_of(response)["code"] == "no_such_call"
    assert len(bench.calls.calls) == 1
    assert bench.ask(method, location).status == 200
    assert bench.calls.calls == {}
    assert bench.ask(method, location).status == 404


@pytest.mark.parametrize("name", ["x", "rtc_0.1.0.abc", "rtc_0.2.0.abc", "rtc_1.1.0.abc"])
def test_ends_of_nothing(name: str) -> None:
    """Not an id, no such call, an owner in no list, another cluster."""
    bench = Bench()
    assert bench.ask("DELETE", f"{CALLS}/{name}").status == 404


def test_a_secret_may_end_what_its_key_began() -> None:
    """Also when it has expired: the call may outlive it."""
    bench = Bench()
    secret = bench.secret(seconds=10)
    location = bench.offer(secret).headers["Location"]
    bench.now += 3600
    response = bench.offer(secret)
    assert response.status == 401
    assert error_of(response)["code"] == "expired_client_secret"
    assert bench.ask("DELETE", location, token=secret).status == 200


def test_client_secrets() -> None:
    """A value, its end, and the session that calls get with it."""
    bench = Bench()
    session = {"type": "realtime", "model": "m"}
    body = json.dumps({"session": session, "expires_after": {"seconds": 7200}}).encode()
    response = bench.ask("POST", SECRETS, body, JSON)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    made = said(response)
    assert set(made) == {"value", "expires_at", "session"}
    assert made["expires_at"] == bench.now + 7200
    assert made["session"]["model"] == "m"
    assert made["session"]["object"] == "realtime.session"
    assert bench.offer(made["value"]).status == 201
    assert bench.calls.created == [("v=0\r\n", session, "key 1")]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"expires_after": null, "session": null}'])
def test_client_secrets_need_no_wishes(body: bytes) -> None:
    """Ten minutes, and no session of their own."""
    bench = Bench()
    made = said(bench.ask("POST", SECRETS, body, JSON))
    assert made["expires_at"] == bench.now + 600
    assert bench.offer(made["value"]).status == 201
    assert bench.calls.created[0][1] is None


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"expires_after": 600}, "expires_after"),
        ({"expires_after": {"anchor": "now"}}, "expires_after.anchor"),
        ({"expires_after": {"seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 7201}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": 60.5}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": True}}, "expires_after.seconds"),
        ({"expires_after": {"seconds": "600"}}, "expires_after.seconds"),
        ({"session": []}, "session"),
        ({"session": {"type": "realtime", "audio": 1}}, "session.audio"),
    ],
)
def test_client_secrets_that_are_not_made(asked: dict[str, Any], param: str) -> None:
    """400, and which field."""
    response = Bench().ask("POST", SECRETS, json.dumps(asked).encode(), JSON)
    assert response.status == 400
    assert error_of(response)["param"] == param


def test_a_session_too_large_for_a_secret() -> None:
    """400, with what to do instead."""
    session = {"type": "realtime", "instructions": os.urandom(8000).hex()}
    response = Bench().ask("POST", SECRETS, json.dumps({"session": session}).encode(), JSON)
    assert response.status == 400
    assert "session.update" in error_of(response)["message"]


def test_secrets_make_no_secrets() -> None:
    """And open no side band: both are for servers."""
    bench = Bench()
    secret = bench.secret()
    location = bench.offer(secret).headers["Location"]
    assert bench.ask("POST", SECRETS, b"{}", token=secret).status == 403
    call_id = location.rpartition("/")[2]
    assert bench.ask("GET", f"/v1/realtime?call_id={call_id}", token=secret).status == 403


def test_the_body_goes_over_the_secret() -> None:
    """Field by field in the audio sections, whole elsewhere."""
    base = {
        "type": "realtime",
        "instructions": "old",
        "tools": [],
        "audio": {"input": {"turn_detection": None}, "output": {"voice": "alloy", "speed": 1.1}},
    }
    update = {"type": "realtime", "instructions": "new", "audio": {"output": {"voice": "verse"}}}
    bench = Bench()
    body = json.dumps({"sdp": "v=0", "session": update}).encode()
    assert bench.ask("POST", CALLS, body, JSON, token=bench.secret(base)).status == 201
    merged = {
        "type": "realtime",
        "instructions": "new",
        "tools": [],
        "audio": {"input": {"turn_detection": None}, "output": {"voice": "verse", "speed": 1.1}},
    }
    assert bench.calls.created[0][1] == merged
    check_session(merged)
    assert overlay(None, update) == update
    assert overlay(base, None) == base


@pytest.mark.parametrize(
    "path", [CALLS, "/v1/realtime", SECRETS, CALLS + "/x", CALLS + "/x/hangup"]
)
def test_preflights(path: str) -> None:
    """No token is asked for: browsers send none."""
    response = Bench().ask("OPTIONS", path, token=None)
    assert response.status == 204
    allowed = response.headers["Access-Control-Allow-Headers"].lower()
    for header in ("content-type", "authorization", "x-openai-agents-sdk", "if-match"):
        assert header in allowed
    for method in ("POST", "PATCH", "DELETE", "OPTIONS"):
        assert method in response.headers["Access-Control-Allow-Methods"]


def test_draining() -> None:
    """No call begins, before the body is read; those that are go on and end as ever."""
    bench = Bench()
    location = bench.offer().headers["Location"]
    bench.desk.draining = True
    for path in (CALLS, "/whip"):
        response = bench.ask("POST", path, b"v=0", SDP)
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert bench.bytes_read == 0
    assert bench.ask("DELETE", location).status == 200


def test_k2_no_secret_in_logs_or_answers(caplog: pytest.LogCaptureFixture) -> None:
    """Threat K2: keys, secrets, sessions and whole call ids stay out of logs and errors."""
    caplog.set_level(logging.DEBUG)
    bench = Bench()
    secret = bench.secret({"type": "realtime", "instructions": "canary instructions"})
    answers = [bench.offer(token) for token in (KEY, secret, KEY[:-2] + "zz", secret[:-2] + "zz")]
    location = answers[0].headers["Location"]
    answers.append(bench.ask("DELETE", location, token=OTHER_KEY))
    answers.append(bench.ask("DELETE", location))
    texts = [caplog.text, repr(bench.desk), repr(bench.desk.register), repr(bench.desk.authority)]
    texts += [repr(entry) for entry in bench.desk.register._entries.values()]
    texts += [str(answer.text) + str(answer.headers) for answer in answers[2:]]
    assert "a client secret for key 1" in caplog.text
    for private in (KEY, OTHER_KEY, secret, secret[3:40], KEY[:20], "canary instructions"):
        assert private not in "\n".join(texts)
    assert location.rpartition("/")[2] not in caplog.text
