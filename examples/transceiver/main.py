"""A transceiver: terminates WebRTC for any number of callers on one UDP port.

What it shows: signalling over HTTP in forty lines, and an application that gets
audio as events and answers with audio, without touching a protocol or a codec.

Policies chosen here: everybody may call; every call is echoed; a full server says
so (503); settings come from flags, keys from a file, both read once.

A production version would add: tokens that say who may call, quotas per client and
source address, an inference backend instead of the echo, draining before exit, metrics,
and a lease on its slot in a shared directory. Without tokens and quotas, one client can
keep others out: an offer that it abandons holds one of the `--max-connecting` places
until no check has come for too long.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Sequence

from examples.cli import SettingsError, show
from examples.transceiver.server import Transceiver
from examples.transceiver.settings import Settings, parse_arguments

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
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Transceiver(settings) as transceiver:
        print(
            f"transceiver ready: offers at {show(settings.http)},"
            f" media at {show(transceiver.driver.address)}",
            flush=True,
        )
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
