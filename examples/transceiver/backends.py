"""The backends that this program comes with, by the name that `--backend` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from examples.transceiver.backend import BackendFactory
from examples.transceiver.echo import Echo
from examples.transceiver.parrot import Parrot
from examples.transceiver.realtime_ws.connection import Upstream

if TYPE_CHECKING:
    from examples.transceiver.settings import Settings

__all__ = ["BACKENDS", "BY_MODEL"]

BACKENDS: Mapping[str, Callable[[Settings], BackendFactory]] = {
    "parrot": lambda settings: Parrot,
    "echo": lambda settings: Echo,
    "realtime-ws": lambda settings: _upstream(settings).backend,
}

# Calls whose session names one of these models are answered so, whatever `--backend` says:
# a probe can measure any transceiver by its echo.
BY_MODEL: Mapping[str, BackendFactory] = {"echo": Echo}


def _upstream(settings: Settings) -> Upstream:
    assert settings.upstream is not None, "the command line was checked"
    return settings.upstream
