"""The demonstration: settings, who runs where, and what the front door decides."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from examples.demonstration.frontdoor import CALLS, FrontDoor, Rotation, _Reply
from examples.demonstration.main import main
from examples.demonstration.plan import Plan
from examples.demonstration.settings import parse_arguments, reachable
from examples.relay.settings import parse_arguments as relay_arguments
from examples.transceiver.settings import parse_arguments as transceiver_arguments
from rtcproto.routing import Entry
from rtcproto.sdp import MAX_BYTES

HTTP = "--http=127.0.0.1:8080"
RELAY = "--relay=127.0.0.1:3478"


def test_defaults() -> None:
    """Two transceivers, no call."""
    settings = parse_arguments([HTTP, RELAY])
    assert settings.relays == (("127.0.0.1", 3478),)
    assert settings.transceivers == 2
    assert not any((settings.probe, settings.once, settings.tls))


def test_once_implies_a_call() -> None:
    """There is nothing else to do once."""
    assert parse_arguments([HTTP, RELAY, "--once"]).probe


def test_no_relay_wins() -> None:
    """With --no-relay, a relay's host is where clients find the transceivers."""
    settings = parse_arguments([HTTP, "--relay=192.0.2.7:3478", "--no-relay"])
    assert settings.relays == ()
    assert settings.media_host == "192.0.2.7"
    assert parse_arguments([HTTP, "--no-relay"]).media_host == "127.0.0.1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([RELAY], "--http"),
        ([HTTP], "--relay HOST:PORT is needed"),
        ([HTTP, "--relay=localhost:3478"], "not an IP address"),
        ([HTTP, "--relay=127.0.0.1"], "expected host:port"),
        ([HTTP, "--relay=0.0.0.0:3478"], "--advertise"),
        ([HTTP, "--relay=0.0.0.0:3478", "--advertise=::1"], "--advertise"),
        (["--http=[::]:8080", "--no-relay"], "--advertise"),
        ([HTTP, RELAY, RELAY], "twice"),
        ([HTTP, RELAY, "--advertise=192.0.2.1", "--advertise=192.0.2.2"], "at most one"),
        ([HTTP, RELAY, "--advertise=example.org"], "not an IP address"),
        ([HTTP, RELAY, "--transceivers=0"], "expected 1"),
        ([HTTP, RELAY, "--transceivers=two"], "expected 1"),
        ([HTTP, RELAY, "--frobnicate"], "unrecognized"),
    ],
)
def test_bad_flags(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot work is one clear line and exit status 2."""
    assert main(arguments) == 2
    said_aloud = capsys.readouterr().err
    assert said in said_aloud
    assert said_aloud.startswith("demo: ")
    assert said_aloud.count("\n") == 1


def test_reachable() -> None:
    """A wildcard is no destination; on this machine, loopback is."""
    assert reachable(("0.0.0.0", 80)) == ("127.0.0.1", 80)
    assert reachable(("::", 80)) == ("::1", 80)
    assert reachable(("192.0.2.1", 80)) == ("192.0.2.1", 80)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A good key file."""
    path = tmp_path / "keys"
    path.write_text(f"a {bytes(range(16)).hex()} active\n")
    return path


def test_plan(keys: Path) -> None:
    """Every process accepts its arguments, and they fit together."""
    settings = parse_arguments([HTTP, RELAY, "--relay=127.0.0.1:3479", "--transceivers=3"])
    plan = Plan(settings, keys)
    relays = [relay_arguments(job.arguments) for job in plan.jobs if "relay" in job.module]
    owners = [transceiver_arguments(j.arguments) for j in plan.jobs if "transceiver" in j.module]
    assert [relay.listen for relay in relays] == [[("127.0.0.1", 3478)], [("127.0.0.1", 3479)]]
    assert plan.backends == tuple(owner.http for owner in owners)
    for number, owner in enumerate(owners):
        assert owner.owner == number
        assert owner.advertise == plan.relays == (("127.0.0.1", 3478), ("127.0.0.1", 3479))
        for relay in relays:
            assert relay.transceivers[0, number] == Entry(owner.udp)
            assert relay.codec.decode(b"x") is None
    ports = [where[1] for o in owners for where in (o.udp,)] + [r.inside[1] for r in relays]
    assert len(set(ports)) == len(ports)


def test_plan_advertises(keys: Path) -> None:
    """Answers name the advertised host, and relays know that they are called so."""
    plan = Plan(parse_arguments([HTTP, "--relay=0.0.0.0:3478", "--advertise=192.0.2.1"]), keys)
    assert plan.relays == (("192.0.2.1", 3478),)
    relay = relay_arguments(plan.jobs[0].arguments)
    assert relay.public_of(("0.0.0.0", 3478)) == ("192.0.2.1", 3478)
    assert transceiver_arguments(plan.jobs[1].arguments).advertise == plan.relays


def test_plan_without_relays(keys: Path) -> None:
    """Clients are served on each transceiver's own port."""
    plan = Plan(parse_arguments([HTTP, "--no-relay", "--advertise=192.0.2.1"]), keys)
    assert plan.relays == ()
    owners = [transceiver_arguments(job.arguments) for job in plan.jobs]
    assert [owner.advertise for owner in owners] == [
        (("192.0.2.1", owner.udp[1]),) for owner in owners
    ]
    assert not any(owner.relays for owner in owners)
    assert len({owner.udp for owner in owners}) == 2


def test_rotation() -> None:
    """Everybody in turn, and everybody once per question."""
    rotation = Rotation(3)
    assert [rotation.order() for _ in range(4)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


class ScriptedDoor(FrontDoor):
    """A front door whose transceivers answer from a list; None is one that is down."""

    def __init__(self, *replies: _Reply | None) -> None:
        super().__init__([("127.0.0.1", 1 + n) for n in range(len(replies))])
        self.replies = replies
        self.asked: list[tuple[str, int, str, bytes | None]] = []

    async def _ask(
        self,
        method: str,
        index: int,
        path: str,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> _Reply | None:
        self.asked.append((method, index, path, data))
        return self.replies[index]


LOCATION = CALLS + "/rtc_0.1.0.abc"
CREATED = _Reply(
    status=201,
    headers={"Content-Type": "application/sdp", "Location": LOCATION, "Server": "x"},
    body=b"v=0\r\n",
)
FULL = _Reply(status=503, headers={"Retry-After": "9"}, body=b"{}")
REFUSED = _Reply(status=422, headers={"Content-Type": "application/json"}, body=b"{}")


async def _offer(door: FrontDoor, body: bytes) -> web.Response:
    stream = StreamReader(BaseProtocol(asyncio.get_running_loop()), limit=2**16)
    stream.feed_data(body)
    stream.feed_eof()
    headers = {"Content-Type": "application/sdp"}
    return await door.create(make_mocked_request("POST", CALLS, headers, payload=stream))


def post(door: FrontDoor, body: bytes = b"v=0\r\n", times: int = 1) -> list[web.Response]:
    """What the front door answers to an offer, several times."""

    async def run() -> list[web.Response]:
        return [await _offer(door, body) for _ in range(times)]

    return asyncio.run(run())


def error_of(response: web.Response) -> Any:
    """The JSON error in a response."""
    assert response.text is not None
    return json.loads(response.text)["error"]


def test_offers_go_around() -> None:
    """Each transceiver gets its turn; the answer is passed on with its Location."""
    door = ScriptedDoor(CREATED, CREATED)
    responses = post(door, times=3)
    assert [index for _, index, _, _ in door.asked] == [0, 1, 0]
    for response in responses:
        assert response.status == 201
        assert response.headers["Location"] == LOCATION
        assert response.headers["Content-Type"] == "application/sdp"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Access-Control-Expose-Headers"] == "Location"
        assert "Server" not in response.headers
        assert response.body == b"v=0\r\n"


@pytest.mark.parametrize("unavailable", [None, FULL])
def test_skips_who_cannot(unavailable: _Reply | None) -> None:
    """A transceiver that is down or full is passed over."""
    door = ScriptedDoor(unavailable, CREATED)
    assert post(door)[0].status == 201
    assert [index for _, index, _, _ in door.asked] == [0, 1]


@pytest.mark.parametrize("replies", [(None, None), (FULL, None), (FULL, FULL)])
def test_nobody_can(replies: Sequence[_Reply | None]) -> None:
    """If none can take the call, the client is told when to try again."""
    response = post(ScriptedDoor(*replies))[0]
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert error_of(response)["code"] == "over_capacity"


def test_a_refusal_is_final() -> None:
    """What one transceiver refuses, the others would refuse too."""
    door = ScriptedDoor(REFUSED, CREATED)
    assert post(door)[0].status == 422
    assert len(door.asked) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"v=0" + bytes(MAX_BYTES), 413), (b"v=0\xff\r\n", 400)],
)
def test_bad_bodies_stay_outside(body: bytes, status: int) -> None:
    """Too large, or not text: no transceiver sees it."""
    door = ScriptedDoor(CREATED)
    assert post(door, body)[0].status == status
    assert door.asked == []


def delete(door: FrontDoor, call_id: str) -> web.Response:
    """What the front door answers to the end of a call."""
    request = make_mocked_request("DELETE", f"{CALLS}/x", match_info={"call_id": call_id})
    return asyncio.run(door.delete(request))


def test_delete_finds_the_owner() -> None:
    """The call id says whose call it is."""
    done = _Reply(status=200, headers={}, body=b"")
    door = ScriptedDoor(REFUSED, done)
    assert delete(door, "rtc_0.1.0.abc").status == 200
    assert door.asked == [("DELETE", 1, LOCATION, None)]


@pytest.mark.parametrize("call_id", ["rtc_0.2.0.abc", "rtc_0.1.0.a/../b", "nonsense", ""])
def test_delete_of_nothing(call_id: str) -> None:
    """An id that is not ours is a 404 without a question to anybody."""
    door = ScriptedDoor(CREATED, CREATED)
    response = delete(door, call_id)
    assert response.status == 404
    assert error_of(response)["code"] == "no_such_call"
    assert door.asked == []


def test_delete_with_a_dead_owner() -> None:
    """The owner is down: not "no such call", but later."""
    response = delete(ScriptedDoor(None), "rtc_0.0.0.abc")
    assert response.status == 503
    assert "Retry-After" in response.headers


def test_preflight() -> None:
    """Any page may call: what the Fetch standard asks of a server."""
    request = make_mocked_request("OPTIONS", CALLS)
    response = asyncio.run(ScriptedDoor(CREATED).preflight(request))
    assert response.status == 204
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "DELETE" in response.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
