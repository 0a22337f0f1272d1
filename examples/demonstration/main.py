"""The demonstration: everything that a call needs, on one machine.

What it shows: how the programs belong together. Relays and transceivers are
processes of their own and talk over loopback addresses; outside there are only
the relays' UDP ports and one HTTP port, the front door.

Policies chosen here: a program that dies is started again; token keys live as
long as the demonstration; every port that nobody needs to know is a free one.

A production version would add: a supervisor that is not a script, machines of
their own for each role, a shared directory, and a real certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from examples.cli import SettingsError, show
from examples.demonstration.children import Child, ChildFailed
from examples.demonstration.frontdoor import CALLS, FrontDoor
from examples.demonstration.plan import Plan
from examples.demonstration.settings import DemoSettings, parse_arguments, reachable
from examples.page import page_routes
from examples.probe.call import CallFailed, CallRefused, place_call
from examples.tls import self_signed_context
from examples.webserver import WebServer

__all__ = ["main"]

# How often free ports are chosen before it is somebody's intention that they are taken.
PORT_ATTEMPTS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; 0 then, the probe's status with --once, 2 if it cannot start."""
    try:
        settings = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        return asyncio.run(_until_stopped(settings))
    except (SettingsError, ChildFailed) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


async def _until_stopped(settings: DemoSettings) -> int:
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(_serve(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        # Asked twice, the end is not interrupted: no child must stay behind.
        loop.add_signal_handler(number, _cancel_once(work))
    try:
        return await work
    except asyncio.CancelledError:
        return 0


async def _serve(settings: DemoSettings) -> int:
    async with contextlib.AsyncExitStack() as stack:
        # Bound before anything starts, so that a port in use is said at once.
        door = _listen(settings)
        stack.callback(door.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rtcproto-demo-")))
        keys = folder / "token-keys"
        keys.touch(mode=0o600)
        keys.write_text(f"a {secrets.token_hex(16)} active\n", encoding="ascii")
        plan = await _start(settings, keys, stack)

        front = FrontDoor(plan.backends)
        await front.start()
        stack.push_async_callback(front.close)
        application = web.Application()
        application.add_routes([*front.routes(), *page_routes()])
        server = WebServer(application)
        stack.push_async_callback(server.close)
        context = self_signed_context(settings.certificate_host) if settings.tls else None
        await server.start(door, context)
        bound = (settings.http[0], door.getsockname()[1])
        scheme = "https" if settings.tls else "http"
        print(f"ready {scheme}://{show(bound)}", flush=True)

        status = 0
        if settings.probe:
            status = await _probe(f"{scheme}://{show(reachable(bound))}{CALLS}?model=echo", plan)
        if not settings.once:
            await asyncio.Event().wait()
        return status


async def _start(settings: DemoSettings, keys: Path, stack: contextlib.AsyncExitStack) -> Plan:
    """Start every program; `stack` ends them. Raises ChildFailed or SettingsError.

    A free port is not ours until a program has bound it: one that somebody else took in
    between is no reason to give up, but to choose again.
    """
    attempt = 1
    while True:
        plan = Plan(settings, keys)
        async with contextlib.AsyncExitStack() as trial:
            # Left in reverse: the farewells of the transceivers travel through the relays.
            relays = [Child(job.name, job.module, job.arguments, _say) for job in plan.relay_jobs]
            trial.push_async_callback(_stop, relays)
            owners = [Child(job.name, job.module, job.arguments, _say) for job in plan.owner_jobs]
            trial.push_async_callback(_stop, owners)
            try:
                await _start_all([*relays, *owners])
            except ChildFailed as error:
                if attempt == PORT_ATTEMPTS or "in use" not in str(error).lower():
                    raise
                _say(f"{error}; choosing other ports")
                attempt += 1
                continue
            await stack.enter_async_context(trial.pop_all())
            return plan


async def _start_all(children: Sequence[Child]) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            for child in children:
                group.create_task(child.start())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


async def _stop(children: Sequence[Child]) -> None:
    await asyncio.gather(*(child.stop() for child in children))


async def _probe(url: str, plan: Plan) -> int:
    """Place a call, print its table, and give the probe's exit status."""
    try:
        # The certificate was made a moment ago; nobody can know it.
        report = await place_call(url, insecure=True, relays=plan.relays)
    except CallFailed as error:
        _say(f"probe: {error}")
        return 1 if isinstance(error, CallRefused) else 2
    print(report.as_table(), flush=True)
    return 0 if report.passed else 1


def _listen(settings: DemoSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.http[0] else socket.AF_INET
    door = socket.socket(family, socket.SOCK_STREAM)
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(settings.http)
    except OSError as error:
        door.close()
        raise SettingsError(f"--http {show(settings.http)}: {error.strerror}") from None
    return door


class _cancel_once:  # noqa: N801 - used as a function that the loop calls
    """Cancels a task, the first time it is called."""

    def __init__(self, task: asyncio.Task[int]) -> None:
        self._task = task
        self._done = False

    def __call__(self) -> None:
        if not self._done:
            self._done = True
            self._task.cancel()


def _say(line: str) -> None:
    # Standard output has only what was asked for: the ready line and the call's table.
    print(line, file=sys.stderr, flush=True)
