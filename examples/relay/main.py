"""A relay: one public UDP port in front of many WebRTC transceivers.

What it shows: how few decisions a relay needs when the ICE ufrag says who owns a
call. All of them are in `rtcproto.relay`; this program adds sockets, a loop and flags.

Policies chosen here: addresses of transceivers come from flags or a file, read once;
keys come from a file, read once; the loop empties its sockets on each wake-up.

A production version would add: several worker processes on one port, batched system
calls, a shared store to find flows again, a TCP port for networks without UDP, draining
before exit, metrics over HTTP, and new keys without a restart.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from examples.cli import show
from examples.relay.server import RelayServer
from examples.relay.settings import SettingsError, parse_arguments

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit status is 0 then, 2 if it cannot start."""
    try:
        settings = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        server = RelayServer(settings)
    except SettingsError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 2
    with server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: server.stop())
        count = len(settings.transceivers)
        print(
            f"relay ready: clients at {', '.join(map(show, server.publics))},"
            f" inside {show(server.inside)}, {count} transceiver{'s' if count != 1 else ''}",
            flush=True,
        )
        server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
