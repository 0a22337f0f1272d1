"""What every route goes through: the token, the owner of the call, and refusals as JSON.

The order is the same everywhere. First the token, before a byte of the body is asked
for; then whose call it is; then what was asked. A call of another transceiver is passed
on to it, whole; a call of another API key does not exist.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import attrs
from aiohttp import web

from examples.transceiver.auth import Authority, Caller, is_within, source_of
from examples.transceiver.callid import CallId
from examples.transceiver.owners import Owners, was_forwarded
from examples.transceiver.ports import CallHandle, CallTable, SessionCheck
from examples.transceiver.regions import Regions
from examples.transceiver.register import Entry, Register
from examples.transceiver.responses import REFUSALS, no_such_call, refusal
from rtcproto.errors import CapacityExceeded

__all__ = ["Asked", "Desk", "Handler", "overlay"]

logger = logging.getLogger("transceiver")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@attrs.frozen(kw_only=True)
class Asked:
    """A request about one call of ours, by somebody who may ask."""

    request: web.Request
    caller: Caller
    entry: Entry
    handle: CallHandle


class Desk:
    """What the routes share. While `draining`, no call begins."""

    def __init__(
        self,
        *,
        calls: CallTable,
        owner: CallId,
        authority: Authority,
        register: Register,
        check: SessionCheck,
        owners: Owners,
        proxies: Sequence[str] = (),
        regions: Regions | None = None,
        region_header: str | None = None,
        relays: Sequence[str] = (),
    ) -> None:
        self.calls = calls
        self.authority = authority
        self.register = register
        self.check = check
        self.owners = owners
        self.draining = False
        self._owner = owner
        self._proxies = tuple(proxies)
        self._regions = regions
        self._region_header = region_header
        self._relays = relays

    def caller(self, request: web.Request, *, begins: bool = True) -> Caller:
        """Who asks. Raises Unauthorised."""
        forwarded = request.headers.get("X-Forwarded-For")
        source = source_of(request.remote, forwarded, self._proxies)
        caller = self.authority.caller(request, source, begins=begins)
        if self._regions is None:
            return caller
        said = None
        # A header about the caller is worth what the one with its address is.
        if self._region_header is not None and is_within(request.remote, self._proxies):
            said = request.headers.get(self._region_header)
        return attrs.evolve(caller, region=self._regions.region_of(source, said))

    def admit(self, caller: Caller) -> None:
        """Raise TooManyCalls or CapacityExceeded if `caller` cannot begin a call now."""
        if self.draining:
            raise CapacityExceeded("this server is about to end")
        self.register.admit(caller)

    def begin(
        self, caller: Caller, offer: str, session: Mapping[str, Any] | None
    ) -> tuple[Entry, str]:
        """Answer an offer. What `session` says goes before what the secret says.

        Raises what `Calls.create` and `admit` raise, and InvalidSession.
        """
        self.admit(caller)
        if session is not None and caller.session is not None:
            # Each alone first: only what has the right shape can be laid over the other.
            self.check(session)
            self.check(caller.session)
        asked = overlay(caller.session, session)
        if asked is not None:
            self.check(asked)
        call_id, answer = self.calls.create(offer, asked, caller.key)
        if self._regions is not None:
            answer = self._regions.answer_for(answer, self._relays, caller.region)
        logger.info("call %s: answered, for %s", call_id.shown, caller.key)
        return self.register.add(call_id, caller), answer

    def route(self, handler: Handler) -> Handler:
        """`handler`, with what it raises for a client's doing as an answer."""

        async def wrapped(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except REFUSALS as error:
                return refusal(error)

        return wrapped

    def about_call(self, handler: Callable[[Asked], Awaitable[web.StreamResponse]]) -> Handler:
        """A handler of requests that name a call in their path, at whichever transceiver."""

        async def found(request: web.Request) -> web.StreamResponse:
            caller = self.caller(request, begins=False)
            asked = self.locate(request, caller, request.match_info["call_id"])
            if isinstance(asked, CallId):
                return await self.owners.forward(request, asked)
            return no_such_call() if asked is None else await handler(asked)

        return self.route(found)

    def locate(self, request: web.Request, caller: Caller, name: str) -> Asked | CallId | None:
        """The call that is meant; its id if it is somebody else's who can be asked; or None."""
        call_id = CallId.parse(name)
        if call_id is None:
            return None
        if call_id != self._owner.of(call_id.session):
            # What was passed on once is not passed on again: two tables may disagree.
            known = self.owners.knows(call_id) and not was_forwarded(request)
            return call_id if known else None
        entry, handle = self.register.find(call_id), self.calls.find(call_id)
        if entry is None or handle is None or not self.authority.may(caller, entry.key):
            return None
        return Asked(request=request, caller=caller, entry=entry, handle=handle)


def overlay(
    base: Mapping[str, Any] | None, update: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """`base` with what `update` says: field by field within `audio.input` and `audio.output`."""
    if base is None or update is None:
        return base if update is None else update
    audio: dict[str, Any] = dict(base.get("audio", {}))
    for side, fields in update.get("audio", {}).items():
        audio[side] = {**audio.get(side, {}), **fields}
    return {**base, **update, **({"audio": audio} if audio else {})}
