"""A relay: one public UDP port in front of many WebRTC transceivers.

What it shows: how few decisions a relay needs when the ICE ufrag says who owns a
call. All of them are in `rtcproto.relay`; this program adds sockets, a loop and flags, and
makes them quick: many packets per system call, several processes on one port, a parent that
replaces what ends.

Policies chosen here: addresses of transceivers come from flags or a file, keys from a file; both
are read again on SIGHUP; the loop empties its sockets on each wake-up.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from examples.cli import show
from examples.relay.parent import Parent
from examples.relay.settings import SettingsError, parse_arguments
from examples.relay.worker import uses_batches

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; the exit status is 0 then, 2 if it cannot start."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        settings = parse_arguments(given)
        parent = Parent(settings, lambda: parse_arguments(given))
    except SettingsError as error:
        print(f"relay: {error}", file=sys.stderr)
        return 2
    with parent:
        count = len(settings.transceivers)
        print(
            f"relay ready: clients at {', '.join(map(show, parent.publics))},"
            f" inside {', '.join(map(show, parent.insides))},"
            f" {count} transceiver{'s' if count != 1 else ''},"
            f" {settings.workers} worker{'s' if settings.workers != 1 else ''},"
            f" {'batched' if uses_batches(settings) else 'plain'} I/O"
            + (f", HTTP {show(parent.http)}" if parent.http else ""),
            flush=True,
        )
        parent.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
