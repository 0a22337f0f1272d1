"""Who owns a path; whole endpoints are in `test_endpoint`."""

from __future__ import annotations

from typing import Any

from rtcproto.datagram import Datagram
from rtcproto.endpoint.entries import MAX_PATHS, PATH_TAKEOVER, Entry, Path, PathTable

PATH: Path = (("192.0.2.1", 5000), ("198.51.100.1", 3478))


class _Session:
    """Knows which paths are proven."""

    def __init__(self, *proven: Path) -> None:
        self.proven = set(proven)

    def is_proven(self, path: Path) -> bool:
        return path in self.proven


def entry(*proven: Path) -> Entry:
    """An entry whose session has proven these paths."""
    session: Any = _Session(*proven)
    return Entry(id="id", session=session, ufrag=b"")


def test_a_proven_path_stays_while_its_owner_is_heard() -> None:
    """R4: a newcomer waits for `PATH_TAKEOVER` seconds of silence, no less."""
    table, owner, newcomer = PathTable(), entry(PATH), entry()
    table.adopt(owner, PATH, 100.0)
    table.adopt(newcomer, PATH, 100.0 + PATH_TAKEOVER - 0.001)
    assert table.owners[PATH] is owner
    table.adopt(newcomer, PATH, 100.0 + PATH_TAKEOVER)
    assert table.owners[PATH] is newcomer


def test_an_unproven_path_goes_to_the_newest_check() -> None:
    """Nobody is known to be there, so nobody is robbed."""
    table, owner, newcomer = PathTable(), entry(), entry()
    table.adopt(owner, PATH, 100.0)
    table.adopt(newcomer, PATH, 100.0)
    assert table.owners[PATH] is newcomer


def test_the_paths_of_a_session_are_bounded_and_proven_ones_stay() -> None:
    """R2: the first one without proof goes."""
    paths: list[Path] = [(("192.0.2.1", port), None) for port in range(1, MAX_PATHS + 2)]
    table, owner = PathTable(), entry(paths[0])
    for number, path in enumerate(paths):
        table.adopt(owner, path, float(number))
    assert len(owner.paths) == len(table.owners) == MAX_PATHS
    assert paths[0] in owner.paths
    assert paths[1] not in owner.paths


def test_relays_are_told_of_the_end_by_an_empty_header() -> None:
    """Only for paths that were still its own, and only where a relay is."""
    straight: Path = (("192.0.2.1", 5001), None)
    stolen: Path = (("192.0.2.1", 5002), None)
    table, owner, thief = PathTable(), entry(), entry()
    hop = ("10.0.0.1", 4000)
    for path in (PATH, stolen):
        route = table.adopt(owner, path, 100.0)
        route.hop, route.header = hop, b"header"
    table.adopt(owner, straight, 100.0)
    table.adopt(thief, stolen, 101.0)
    assert table.release(owner) == [Datagram(b"header", hop)]
    assert list(table.owners) == [stolen]
