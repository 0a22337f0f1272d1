"""The routes of the transceiver's HTTP side, with calls that exist only on paper."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from examples.transceiver.auth import Authority
from examples.transceiver.callid import CallId
from examples.transceiver.desk import Desk
from examples.transceiver.owners import Owners
from examples.transceiver.ports import Listener
from examples.transceiver.register import Limits, Register
from examples.transceiver.sessions import check_session
from examples.transceiver.sideband import SideBand
from examples.transceiver.signalling import Signalling
from examples.transceiver.whip import Whip

__all__ = ["ANSWER", "KEY", "OTHER_KEY", "Bench", "PaperCall", "PaperCalls", "error_of"]

KEY = "canary-key-0123456789-0123456789"
OTHER_KEY = "another-key-0123456789-0123456789"
ANSWER = "v=0\r\nan answer\r\n"
OWNER = CallId(0, 1, 0, "")


class PaperCall:
    """A call that remembers what was done to it; `errors` are raised in turn."""

    def __init__(self) -> None:
        self.connected = False
        self.listeners: list[Listener] = []
        self.received: list[str | bytes] = []
        self.fragments: list[tuple[str, str]] = []
        self.errors: list[Exception] = []

    def attach(self, listener: Listener) -> None:
        """Note who listens."""
        self.listeners.append(listener)

    def detach(self, listener: Listener) -> None:
        """Note who left."""
        self.listeners.remove(listener)

    def receive_event(self, text: str | bytes) -> None:
        """Note an event."""
        self.received.append(text)

    def restart_ice(self, fragment: str) -> str:
        """Note a fragment, and have one."""
        self._take("restart", fragment)
        return "a=ice-ufrag:new\r\n"

    def add_candidates(self, fragment: str) -> None:
        """Note a fragment."""
        self._take("add", fragment)

    def _take(self, what: str, fragment: str) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.fragments.append((what, fragment))


class PaperCalls:
    """A `CallTable`; `errors` are what the next offers cause."""

    def __init__(self) -> None:
        self.calls: dict[CallId, PaperCall] = {}
        self.created: list[tuple[str, Mapping[str, Any] | None, str | None]] = []
        self.errors: list[Exception] = []
        self._numbers = itertools.count(1)

    def create(
        self, offer: str, session: Mapping[str, Any] | None, owner_key: str | None
    ) -> tuple[CallId, str]:
        """A call."""
        if self.errors:
            raise self.errors.pop(0)
        self.created.append((offer, session, owner_key))
        call_id = OWNER.of(f"{next(self._numbers):032x}")
        self.calls[call_id] = PaperCall()
        return call_id, ANSWER

    def find(self, call_id: CallId) -> PaperCall | None:
        """The call."""
        return self.calls.get(call_id)

    def hang_up(self, call_id: CallId) -> None:
        """End it."""
        self.calls.pop(call_id, None)


@attrs.define
class Bench:
    """All routes, for clients that say what they say in one go."""

    keys: Sequence[str] | None = (KEY, OTHER_KEY)
    limits: Limits = attrs.field(factory=lambda: Limits(per_key=5, per_secret=2, per_source=3))
    peers: Mapping[int, str] = attrs.field(factory=dict)
    proxies: Sequence[str] = ()
    now: float = 1_800_000_000.0
    calls: PaperCalls = attrs.field(factory=PaperCalls)
    desk: Desk = attrs.field(init=False)
    bytes_read: int = 0

    def __attrs_post_init__(self) -> None:
        self.desk = Desk(
            calls=self.calls,
            owner=OWNER,
            authority=Authority(self.keys, clock=lambda: self.now),
            register=Register(self.calls, self.limits),
            check=check_session,
            owners=Owners(OWNER, self.peers),
            proxies=self.proxies,
        )

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = KEY,
        remote: str = "192.0.2.1",
    ) -> web.Response:
        """What is answered."""
        said = {"Authorization": f"Bearer {token}"} if token else {}
        return asyncio.run(self._ask(method, path, body, {**said, **(headers or {})}, remote))

    def offer(self, token: str | None = KEY, **more: Any) -> web.Response:
        """What is answered to an offer."""
        headers = {"Content-Type": "application/sdp", **more.pop("headers", {})}
        return self.ask("POST", "/v1/realtime/calls", b"v=0\r\n", headers, token=token, **more)

    def secret(self, session: object = None, token: str = KEY, seconds: int = 600) -> str:
        """A client secret."""
        asked = {"expires_after": {"anchor": "created_at", "seconds": seconds}}
        body = json.dumps({**asked, **({} if session is None else {"session": session})}).encode()
        answer = self.ask("POST", "/v1/realtime/client_secrets", body, token=token)
        assert answer.status == 200, answer.text
        assert answer.text is not None
        value: str = json.loads(answer.text)["value"]
        return value

    async def _ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], remote: str
    ) -> web.Response:
        application = web.Application()
        for routes in (Signalling(self.desk), SideBand(self.desk), Whip(self.desk)):
            application.add_routes(routes.routes())
        stream = _Counted(BaseProtocol(asyncio.get_running_loop()), limit=2**23)
        stream.feed_data(body)
        stream.feed_eof()
        request = make_mocked_request(method, path, headers, payload=stream)
        request = request.clone(remote=remote)
        match = await application.router.resolve(request)
        match.add_app(application)
        match.freeze()
        request._match_info = match
        response = await match.handler(request)
        self.bytes_read = stream.total - stream.left
        assert isinstance(response, web.Response)
        return response


class _Counted(StreamReader):
    """Knows how much of it was read."""

    total = 0

    def feed_data(self, data: bytes, *more: Any) -> bool:
        """Note how much there is."""
        self.total += len(data)
        return bool(super().feed_data(data, *more))

    @property
    def left(self) -> int:
        """What nobody has read."""
        return self._size


def error_of(response: web.Response) -> Any:
    """The error in a response, whose shape is checked."""
    assert response.text is not None
    error = json.loads(response.text)["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    return error
