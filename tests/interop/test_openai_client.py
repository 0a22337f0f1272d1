"""The official Python client of the realtime interface, as it is, at our transceiver."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.programs import Server
from tests.e2e.test_programs import offer

openai = pytest.importorskip("openai", reason="openai is not installed (the extra 'peers')")
pytest.importorskip("websockets", reason="websockets is not installed (the extra 'peers')")

pytestmark = pytest.mark.interop

KEY = "sk-test-0123456789-0123456789"
PATIENCE = 30.0
SESSION = {"type": "realtime", "model": "gpt-realtime", "instructions": "be kind"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A transceiver that asks for a key."""
    folder = tmp_path_factory.mktemp("transceiver")
    with Server(folder, "127.0.0.1", relay=False, backend="parrot", api_key=KEY) as running:
        yield running
        assert KEY not in running.logs()


def client(server: Server, key: str = KEY, kind: Any = None) -> Any:
    """The client with a key; it tries once."""
    kind = openai.OpenAI if kind is None else kind
    return kind(api_key=key, base_url=server.url + "/v1", max_retries=0)


def call_id_of(answer: Any) -> str:
    """The id that the answer's Location ends with."""
    return str(answer.response.headers["location"]).rpartition("/")[2]


def test_calls_and_secrets(server: Server) -> None:
    """It makes a secret, and calls with it and with the key; hangs up; reads our errors."""
    with client(server) as api:
        made = api.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60}, session=SESSION
        )
        assert made.value.startswith("ek_")
        assert made.session.instructions == "be kind"
        answer = api.realtime.calls.create(sdp=offer(), session=SESSION)
        assert answer.text.startswith("v=0")
        with client(server, made.value) as page:
            assert page.realtime.calls.create(sdp=offer()).response.status_code == 201
        api.realtime.calls.hangup(call_id_of(answer))
        with pytest.raises(openai.NotFoundError):
            api.realtime.calls.hangup(call_id_of(answer))
        with pytest.raises(openai.BadRequestError) as caught:
            api.realtime.calls.create(
                sdp=offer(), session={"type": "realtime", "audio": {"output": {"speed": 9}}}
            )
        assert caught.value.param == "session.audio.output.speed"
    for wrong in ("k" * 30, made.value[:-4] + "AAAA"):
        with client(server, wrong) as stranger, pytest.raises(openai.AuthenticationError):
            stranger.realtime.calls.create(sdp=offer())


def test_the_side_band(server: Server) -> None:
    """It joins a call, changes the session, and hears why the call ends."""

    async def run() -> list[Any]:
        api = client(server, kind=openai.AsyncOpenAI)
        answer = await api.realtime.calls.create(sdp=offer(), session=SESSION)
        call_id, heard = call_id_of(answer), []
        async with asyncio.timeout(PATIENCE), api.realtime.connect(call_id=call_id) as side_band:
            heard.append(await side_band.recv())
            await side_band.session.update(session={"type": "realtime", "instructions": "new"})
            heard.append(await side_band.recv())
            await api.realtime.calls.hangup(call_id)
            heard += [event async for event in side_band]
        await api.close()
        return heard

    first, second, *_, last = asyncio.run(run())
    assert (first.type, first.session.instructions) == ("session.created", "be kind")
    assert (second.type, second.session.instructions) == ("session.updated", "new")
    assert (last.type, last.reason) == ("session.closed", "close_requested")
