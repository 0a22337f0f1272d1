"""The demonstration: settings, who runs where, and what the front door decides."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from examples.cli import SettingsError
from examples.demonstration import main as main_module
from examples.demonstration.children import ChildFailed
from examples.demonstration.frontdoor import CALLS, FrontDoor, Rotation
from examples.demonstration.main import main
from examples.demonstration.plan import Plan
from examples.demonstration.settings import parse_arguments, reachable
from examples.relay.settings import parse_arguments as relay_arguments
from examples.transceiver.owners import Reply
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
    # Any ports: a demonstration may be running here.
    flags = ["--relay=127.0.0.1:0", "--relay=127.0.0.1:0", "--transceivers=3"]
    settings = parse_arguments([HTTP, *flags])
    plan = Plan(settings, keys)
    relays = [relay_arguments(job.arguments) for job in plan.relay_jobs]
    owners = [transceiver_arguments(job.arguments) for job in plan.owner_jobs]
    assert [tuple(relay.listen) for relay in relays] == [(where,) for where in plan.relays]
    assert plan.backends == tuple(owner.http for owner in owners)
    for number, owner in enumerate(owners):
        assert owner.owner == number
        assert owner.advertise == plan.relays
        for relay in relays:
            assert relay.transceivers[0, number] == Entry(owner.udp)
            assert relay.codec.decode(b"x") is None
    ports = [owner.udp[1] for owner in owners] + [relay.inside[1] for relay in relays]
    ports += [port for _, port in plan.relays]
    assert len(set(ports)) == len(ports)


def test_plan_passes_the_limits_on(keys: Path) -> None:
    """Each transceiver has the limits; the one that is not given is its own to choose."""
    flags = [HTTP, "--no-relay", "--max-sessions=8"]
    for more, connecting in (([], 4), (["--max-connecting=3"], 3)):
        plan = Plan(parse_arguments([*flags, *more]), keys)
        for job in plan.owner_jobs:
            owner = transceiver_arguments(job.arguments)
            assert (owner.max_sessions, owner.max_connecting) == (8, connecting)


def test_plan_advertises(keys: Path) -> None:
    """Answers name the advertised host, and relays know that they are called so."""
    plan = Plan(parse_arguments([HTTP, "--relay=0.0.0.0:0", "--advertise=192.0.2.1"]), keys)
    relay = relay_arguments(plan.relay_jobs[0].arguments)
    [(_, port)] = relay.listen
    assert port > 0
    assert plan.relays == (("192.0.2.1", port),)
    assert relay.public_of(("0.0.0.0", port)) == ("192.0.2.1", port)
    assert transceiver_arguments(plan.owner_jobs[0].arguments).advertise == plan.relays


def test_plan_without_relays(keys: Path) -> None:
    """Clients are served on each transceiver's own port."""
    plan = Plan(parse_arguments([HTTP, "--no-relay", "--advertise=192.0.2.1"]), keys)
    assert plan.relays == ()
    owners = [transceiver_arguments(job.arguments) for job in plan.owner_jobs]
    assert [owner.advertise for owner in owners] == [
        (("192.0.2.1", owner.udp[1]),) for owner in owners
    ]
    assert not any(owner.relays for owner in owners)
    assert len({owner.udp for owner in owners}) == 2


class ScriptedChild:
    """A program that starts or fails as told, and notes what happens to it."""

    failures: ClassVar[list[str]] = []
    log: ClassVar[list[str]] = []

    def __init__(
        self, name: str, module: str, arguments: Sequence[str], say: Callable[[str], None]
    ) -> None:
        self.kind = module.rpartition(".")[2]

    async def start(self) -> None:
        """Fail, if there are failures left and this is a transceiver."""
        if self.kind == "transceiver" and self.failures:
            raise ChildFailed(self.failures.pop(0))
        self.log.append(f"start {self.kind}")

    async def stop(self) -> None:
        """Note it."""
        self.log.append(f"stop {self.kind}")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> type[ScriptedChild]:
    """Programs of the demonstration are scripted."""
    monkeypatch.setattr(main_module, "Child", ScriptedChild)
    ScriptedChild.failures, ScriptedChild.log = [], []
    return ScriptedChild


def start_and_stop(keys: Path) -> None:
    """Start one relay and one transceiver as the demonstration does, and end them."""

    async def run() -> None:
        settings = parse_arguments([HTTP, "--relay=127.0.0.1:0", "--transceivers=1"])
        async with contextlib.AsyncExitStack() as stack:
            await main_module._start(settings, keys, stack)

    asyncio.run(run())


def test_relays_end_last(keys: Path, script: type[ScriptedChild]) -> None:
    """What transceivers say at their end reaches the clients through the relays."""
    start_and_stop(keys)
    assert script.log[-2:] == ["stop transceiver", "stop relay"]


IN_USE = "transceiver: cannot listen: Address already in use"


def test_a_chosen_port_that_was_taken_is_chosen_again(
    keys: Path, script: type[ScriptedChild], capsys: pytest.CaptureFixture[str]
) -> None:
    """Between choosing a free port and binding it, anybody may take it."""
    script.failures = [IN_USE]
    start_and_stop(keys)
    assert script.log.count("stop relay") == 2, "the first attempt was left running"
    assert f"{IN_USE}; choosing other ports" in capsys.readouterr().err


@pytest.mark.parametrize("failures", [[IN_USE] * 3, ["transceiver: no such file"]])
def test_starting_is_not_tried_for_ever(
    keys: Path, script: type[ScriptedChild], failures: list[str]
) -> None:
    """Ports three times; what has nothing to do with ports once."""
    script.failures = [*failures, "asked too often"]
    with pytest.raises(ChildFailed, match=re.escape(failures[-1])):
        start_and_stop(keys)
    assert script.failures == ["asked too often"]


def test_a_relay_port_in_use_is_said_before_anything_starts(keys: Path) -> None:
    """It was asked for by number, so no other one will do."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        where = f"127.0.0.1:{holder.getsockname()[1]}"
        with pytest.raises(SettingsError, match=f"--relay {where}: .* in use"):
            Plan(parse_arguments([HTTP, f"--relay={where}"]), keys)


def test_rotation() -> None:
    """Everybody in turn, and everybody once per question."""
    rotation = Rotation(3)
    assert [rotation.order() for _ in range(4)] == [[0, 1, 2], [1, 2, 0], [2, 0, 1], [0, 1, 2]]


class ScriptedDoor(FrontDoor):
    """A front door whose transceivers answer from a list; None is one that is down."""

    def __init__(self, *replies: Reply | None) -> None:
        super().__init__([("127.0.0.1", 1 + n) for n in range(len(replies))])
        self.replies = replies
        self.asked: list[tuple[str, int, str, bytes]] = []
        self.headers: Mapping[str, str] = {}

    async def _ask(
        self,
        method: str,
        index: int,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> Reply:
        self.asked.append((method, index, path, body))
        self.headers = headers
        reply = self.replies[index]
        if reply is None:
            raise ConnectionRefusedError
        return reply


LOCATION = CALLS + "/rtc_0.1.0.abc"
CREATED = Reply(
    status=201,
    headers={"Content-Type": "application/sdp", "Location": LOCATION, "Server": "x"},
    body=b"v=0\r\n",
)
FULL = Reply(status=503, headers={"Retry-After": "9"}, body=b"{}")
REFUSED = Reply(status=422, headers={"Content-Type": "application/json"}, body=b"{}")


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
        assert "Location" in response.headers["Access-Control-Expose-Headers"]
        assert "Server" not in response.headers
        assert response.body == b"v=0\r\n"


@pytest.mark.parametrize("unavailable", [None, FULL])
def test_skips_who_cannot(unavailable: Reply | None) -> None:
    """A transceiver that is down or full is passed over."""
    door = ScriptedDoor(unavailable, CREATED)
    assert post(door)[0].status == 201
    assert [index for _, index, _, _ in door.asked] == [0, 1]


@pytest.mark.parametrize("replies", [(None, None), (FULL, None), (FULL, FULL)])
def test_nobody_can(replies: Sequence[Reply | None]) -> None:
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
    return about_call(door, "DELETE", f"{CALLS}/{call_id}", call_id)


def about_call(door: FrontDoor, method: str, path: str, call_id: str) -> web.Response:
    """What the front door answers to a request about a call."""

    async def run() -> web.Response:
        stream = StreamReader(BaseProtocol(asyncio.get_running_loop()), limit=2**16)
        stream.feed_eof()
        headers = {"Authorization": "Bearer x"}
        match = {"call_id": call_id}
        return await door.about_call(
            make_mocked_request(method, path, headers, match_info=match, payload=stream)
        )

    return asyncio.run(run())


def test_delete_finds_the_owner() -> None:
    """The call id says whose call it is."""
    done = Reply(status=200, headers={}, body=b"")
    door = ScriptedDoor(REFUSED, done)
    assert delete(door, "rtc_0.1.0.abc").status == 200
    assert door.asked == [("DELETE", 1, LOCATION, b"")]
    assert door.headers["Authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", LOCATION + "/hangup"), ("PATCH", "/whip/rtc_0.1.0.abc")],
)
def test_the_owner_gets_all_that_is_about_a_call(method: str, path: str) -> None:
    """Hang-up and ICE restart, too, at the path that was asked for."""
    door = ScriptedDoor(REFUSED, Reply(status=200, headers={"ETag": '"1"'}, body=b""))
    response = about_call(door, method, path, "rtc_0.1.0.abc")
    assert response.headers["ETag"] == '"1"'
    assert door.asked == [(method, 1, path, b"")]


@pytest.mark.parametrize("call_id", ["rtc_0.2.0.abc", "rtc_0.1.0.a/../b", "nonsense", ""])
def test_delete_of_nothing(call_id: str) -> None:
    """An id that is not ours is a 404 without a question to anybody."""
    door = ScriptedDoor(CREATED, CREATED)
    response = delete(door, call_id)
    assert response.status == 404
    assert error_of(response)["code"] == "no_such_call"
    assert door.asked == []


def test_delete_with_a_dead_owner() -> None:
    """The owner is down: not "no such call", but no answer."""
    response = delete(ScriptedDoor(None), "rtc_0.0.0.abc")
    assert response.status == 502
    assert error_of(response)["code"] == "owner_down"


def test_preflight() -> None:
    """Any page may call: what the Fetch standard asks of a server."""
    request = make_mocked_request("OPTIONS", CALLS)
    response = asyncio.run(ScriptedDoor(CREATED).preflight(request))
    assert response.status == 204
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "DELETE" in response.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
