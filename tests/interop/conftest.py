"""The peers as processes, one of each for the whole run, built when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.interop.install import ROOT, Missing, command
from tests.interop.peer import PeerProcess


@pytest.fixture(scope="session")
def peers() -> Iterator[Callable[[str], PeerProcess]]:
    """Get a peer by name; skips where it cannot be had, and says why."""
    running: dict[str, PeerProcess | str] = {}

    def get(name: str) -> PeerProcess:
        if name not in running:
            try:
                running[name] = PeerProcess(command(name), ROOT)
            except Missing as reason:
                running[name] = str(reason)
        peer = running[name]
        if isinstance(peer, str):
            pytest.skip(f"no {name}: {peer}")
        return peer

    yield get
    for peer in running.values():
        if isinstance(peer, PeerProcess):
            peer.stop()
