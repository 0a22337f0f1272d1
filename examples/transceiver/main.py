"""A transceiver: terminates WebRTC for any number of callers on one UDP port.

What it shows: the realtime interface over HTTP, and an application that gets audio as
events and answers with audio, without touching a protocol or a codec.

Policies chosen here: callers are answered by the backend that `--backend` names, and by an
echo if their session names the model `echo`; API keys from a file, or, with `--no-auth`,
everybody may call; no token and no source address takes all the places; a full server says
so (503); SIGTERM lets calls end by themselves for a while; settings come from flags, read
once.

A production version would add: metrics, limits that all transceivers share, and slots
that are handed out instead of configured.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from examples.cli import SettingsError, show
from examples.transceiver.lease import Registration
from examples.transceiver.server import Transceiver
from examples.transceiver.settings import Settings, parse_arguments
from rtcproto.routing import Entry

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit status is 0 then, 2 if it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    try:
        settings = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        if settings.quiet:
            logging.getLogger().setLevel(logging.WARNING)
        asyncio.run(_serve(settings))
    except SettingsError as error:
        print(f"transceiver: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"transceiver: cannot listen: {error.strerror or error}", file=sys.stderr)
        return 2
    return 0


async def _serve(settings: Settings) -> None:
    stop, drain = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def terminate() -> None:
        # Whoever asks twice does not want to wait.
        (stop if drain.is_set() else drain).set()

    loop.add_signal_handler(signal.SIGTERM, terminate)
    loop.add_signal_handler(signal.SIGINT, stop.set)
    async with Transceiver(settings) as transceiver, AsyncExitStack() as stack:
        if settings.directory is not None:
            # Relays go on sending to us for a while after the lease was given up.
            slot = settings.cluster, settings.owner
            entry = Entry(transceiver.driver.address, settings.epoch)
            await stack.enter_async_context(Registration(settings.directory, slot, entry))
        print(
            f"transceiver ready: offers at {show(settings.http)},"
            f" media at {show(transceiver.driver.address)}",
            flush=True,
        )
        stopped = loop.create_task(stop.wait())
        await _first(stopped, loop.create_task(drain.wait()))
        if not stop.is_set():
            await _first(stopped, loop.create_task(transceiver.drain()))
        stopped.cancel()


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Wait for either; the first one goes on if it was not the one."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks[1:]:
        task.cancel()


if __name__ == "__main__":
    sys.exit(main())
