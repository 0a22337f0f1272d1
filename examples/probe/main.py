"""The probe: a client of our own that places one call and measures it.

What it shows: a whole WebRTC client in a page of code, with the full ICE agent
and without a codec; audio is recorded Opus frames, and an echo is recognised by
its bytes.

Policies chosen here: one call, one frame every 20 ms on the monotonic clock, a
verdict as exit status.

A production version would add: many calls at once, load that ramps up, and a
place to send the figures to.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from examples.probe.call import CallFailed, CallRefused, place_call
from examples.probe.media import SPEECH, TONE, load_frames
from examples.probe.report import Report
from examples.probe.settings import ProbeSettings, SettingsError, parse_arguments

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Place one call. The exit status: 0 it worked, 1 it did not, 2 there was none to place."""
    try:
        settings = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        report = asyncio.run(_call(settings))
    except CallRefused as error:
        print(f"probe: {error}", file=sys.stderr)
        return 1
    except (SettingsError, CallFailed) as error:
        print(f"probe: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 1
    print(report.as_json() if settings.json else report.as_table())
    return 0 if report.passed else 1


async def _call(settings: ProbeSettings) -> Report:
    return await place_call(
        settings.url,
        seconds=settings.seconds,
        frames=load_frames(TONE if settings.tone else SPEECH),
        insecure=settings.insecure,
        relays=settings.relays,
        key=settings.key,
    )


if __name__ == "__main__":
    sys.exit(main())
