"""Requests find the owner of their call, once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from examples.transceiver.callid import CallId
from examples.transceiver.owners import FORWARDED, Owners, Reply
from examples.transceiver.sideband import MAX_PER_CALL
from tests.support.desk import KEY, OTHER_KEY, Bench, error_of

THEIRS = "/v1/realtime/calls/rtc_0.2.5.abc"
PEERS = {2: "http://10.0.0.2:8080/"}


class ScriptedHop:
    """A hop that asks nobody."""

    def __init__(self, reply: Reply | Exception) -> None:
        self.reply = reply
        self.asked: list[tuple[str, str, Mapping[str, str], bytes]] = []

    async def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Note the question."""
        self.asked.append((method, url, headers, body))
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def splice(
        self, request: web.Request, url: str, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Note a WebSocket."""
        return (await self.ask("GET", url, headers, b"")).response()


FINE = Reply(status=200, headers={"ETag": '"1"', "Server": "x", "Set-Cookie": "y"}, body=b"text")


def bench(reply: Reply | Exception = FINE) -> tuple[Bench, ScriptedHop]:
    """Transceiver 1, which knows transceiver 2."""
    made, hop = Bench(peers=PEERS), ScriptedHop(reply)
    made.desk.owners.hop = hop  # type: ignore[assignment]
    return made, hop


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("DELETE", THEIRS, {}),
        ("POST", THEIRS + "/hangup?x=1", {}),
        ("PATCH", "/whip/rtc_0.2.5.abc", {"If-Match": "*", "Content-Type": "application/x"}),
    ],
)
def test_passed_on(method: str, path: str, more: dict[str, str]) -> None:
    """The whole request goes to the owner, with its token; the answer comes back."""
    made, hop = bench()
    response = made.ask(method, path, b"body", {**more, "Cookie": "z"})
    assert (response.status, response.body) == (200, b"text")
    assert response.headers["ETag"] == '"1"'
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert not {"Server", "Set-Cookie"} & set(response.headers)
    [(asked, url, headers, body)] = hop.asked
    assert (asked, url, body) == (method, "http://10.0.0.2:8080" + path, b"body")
    assert headers == {"Authorization": f"Bearer {KEY}", **more, FORWARDED: "1"}


SIDE_BAND = "/v1/realtime?call_id=rtc_0.2.5.abc"
UPGRADE = {
    "Upgrade": "websocket",
    "Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{KEY}",
}


def test_side_bands_are_joined_to_the_owners() -> None:
    """A browser's key goes on in the header that is meant for keys."""
    made, hop = bench()
    assert made.ask("GET", SIDE_BAND, headers=UPGRADE, token=None).status == 200
    [(_, url, headers, _)] = hop.asked
    assert url == "http://10.0.0.2:8080" + SIDE_BAND
    assert headers == {"Authorization": f"Bearer {KEY}", FORWARDED: "1"}
    assert made.ask("GET", SIDE_BAND, headers={**UPGRADE, FORWARDED: "1"}).status == 404
    assert len(hop.asked) == 1


@pytest.mark.parametrize(("error", "status"), [(TimeoutError(), 504), (OSError(), 502)])
def test_side_bands_of_owners_that_do_not_answer(error: Exception, status: int) -> None:
    """Errors of a gateway, and no side band is counted any more."""
    made, _ = bench(error)
    for _ in range(2 * MAX_PER_CALL):
        assert made.ask("GET", SIDE_BAND, headers=UPGRADE).status == status


def test_tokens_are_looked_at_first() -> None:
    """Nobody makes one transceiver bother another without a key."""
    made, hop = bench()
    assert made.ask("DELETE", THEIRS, token=None).status == 401
    assert made.ask("DELETE", THEIRS, token="x" * 30).status == 401
    assert hop.asked == []


def test_never_twice() -> None:
    """What was passed on here and is not ours is nobody's: no loop."""
    made, hop = bench()
    response = made.ask("DELETE", THEIRS, headers={FORWARDED: "1"})
    assert response.status == 404
    assert hop.asked == []
    location = made.offer().headers["Location"]
    assert made.ask("DELETE", location, headers={FORWARDED: "1"}).status == 200


@pytest.mark.parametrize("name", ["rtc_0.3.0.abc", "rtc_1.2.0.abc", "rtc_0.1.9.abc", "rtc_2"])
def test_owners_nobody_knows(name: str) -> None:
    """An owner in no list, another cluster, an earlier life of ours, no id."""
    made, hop = bench()
    assert made.ask("DELETE", f"/v1/realtime/calls/{name}").status == 404
    assert hop.asked == []


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (TimeoutError(), 504, "owner_silent"),
        (aiohttp.ServerTimeoutError(), 504, "owner_silent"),
        (ConnectionRefusedError(), 502, "owner_down"),
        (aiohttp.ClientPayloadError(), 502, "owner_down"),
    ],
)
def test_owners_that_do_not_answer(error: Exception, status: int, code: str) -> None:
    """A gateway's errors, in the interface's shape."""
    made, _ = bench(error)
    response = made.ask("DELETE", THEIRS)
    assert response.status == status
    assert error_of(response)["code"] == code
    assert error_of(response)["type"] == "server_error"


def test_refusals_of_the_owner_come_back() -> None:
    """Its status and its words are the answer."""
    said: dict[str, Any] = {"error": {"message": "m", "type": "t", "code": "c", "param": None}}
    made, _ = bench(Reply(status=404, headers={}, body=json.dumps(said).encode()))
    response = made.ask("DELETE", THEIRS, token=OTHER_KEY)
    assert (response.status, error_of(response)["code"]) == (404, "c")


def test_bodies_of_the_hop_are_bounded() -> None:
    """Nobody reads more than a fragment's worth for somebody else."""
    made, hop = bench()
    assert made.ask("DELETE", THEIRS, b"x" * 200_000).status == 413
    assert hop.asked == []


def test_ourselves_in_the_list() -> None:
    """The same list for everybody: our own entry is not used."""
    owners = Owners(CallId(0, 1, 3, ""), {1: "http://a", 2: "http://b"})
    assert owners.knows(CallId(0, 2, 7, "x"))
    assert not owners.knows(CallId(0, 1, 2, "x"))
