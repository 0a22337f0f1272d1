"""The tables of local and remote candidates, and their limits."""

import attrs
import pytest

from rtcproto.errors import ParseError, UsageError
from rtcproto.ice.candidate import CandidateType, host_candidate
from rtcproto.ice.tables import MAX_LOCAL_CANDIDATES, LocalCandidates, RemoteCandidates
from tests.support.ice import LOCAL, REMOTE

OTHER = ("203.0.113.3", 7000)


def test_local_candidates() -> None:
    """A host candidate's address is its base; adding it twice adds it once."""
    table = LocalCandidates()
    assert table.add(host_candidate(LOCAL)) == LOCAL
    assert table.add(host_candidate(LOCAL)) is None
    assert table.hosts == [(LOCAL, host_candidate(LOCAL))]


@pytest.mark.parametrize(
    "change",
    [
        {"host": "x.local"},
        {"type": CandidateType.RELAYED},
        {"transport": "tcp"},
        {"component": 2},
    ],
)
def test_local_candidates_refused(change: dict[str, object]) -> None:
    """What is no UDP host candidate of component 1 with an address is the caller's mistake."""
    with pytest.raises(UsageError):
        LocalCandidates().add(attrs.evolve(host_candidate(LOCAL), **change))


def test_local_limit() -> None:
    """Own and reflexive candidates are limited each."""
    table = LocalCandidates()
    for port in range(1, MAX_LOCAL_CANDIDATES + 1):
        table.add(host_candidate((LOCAL[0], port)))
    with pytest.raises(UsageError):
        table.add(host_candidate((LOCAL[0], 999)))
    for port in range(1, 100):
        table.learn((REMOTE[0], port), (LOCAL[0], 1), 5)
    assert len(table.all) == 2 * MAX_LOCAL_CANDIDATES


def test_base_of_a_single_socket() -> None:
    """With one base every datagram is on it, whatever the shell calls the socket."""
    table = LocalCandidates()
    table.add(host_candidate(LOCAL))
    assert table.base(None) == table.base(OTHER) == LOCAL
    assert table.name(LOCAL) == LOCAL
    table.rename(LOCAL, None)
    assert table.name(LOCAL) is None


def test_base_of_several_sockets() -> None:
    """With several, `local` tells which; None is the first; others are not ours."""
    table = LocalCandidates()
    with pytest.raises(ParseError):
        table.base(None)
    table.add(host_candidate(LOCAL))
    table.add(host_candidate(OTHER))
    assert table.base(OTHER) == OTHER
    assert table.base(None) == LOCAL
    with pytest.raises(ParseError):
        table.base(REMOTE)


def test_unknown_base() -> None:
    """Without candidates of its own an agent has one base, None, and learns nothing of it."""
    table = LocalCandidates()
    table.add_unknown()
    assert table.base(None) is None
    assert table.base(LOCAL) is None
    table.learn(LOCAL, None, 5)
    assert len(table.all) == 1


def test_reflexive_candidate() -> None:
    """RFC 8445 section 7.2.5.3.1: a mapped address that is not ours is peer-reflexive."""
    table = LocalCandidates()
    table.add(host_candidate(LOCAL))
    table.learn(LOCAL, LOCAL, 5)
    assert len(table.all) == 1
    table.learn(OTHER, LOCAL, 5)
    table.learn(OTHER, LOCAL, 5)
    (learned,) = table.all[1:]
    assert (learned.type, learned.host, learned.port) == (CandidateType.PEER_REFLEXIVE, *OTHER)
    assert (learned.related, learned.priority) == (LOCAL, 5)


def test_remote_candidates() -> None:
    """Kept: UDP, component 1, an address, a port, the right ufrag, not seen before."""
    table = RemoteCandidates(64)
    good = host_candidate(REMOTE)
    for change in (
        {"host": "x.local"},
        {"transport": "tcp"},
        {"component": 2},
        {"port": 0},
        {"extensions": (("ufrag", "old"),)},
    ):
        assert table.add(attrs.evolve(good, **change), "now") is None
    assert table.add(attrs.evolve(good, extensions=(("ufrag", "now"),)), "now") == REMOTE
    assert table.add(good, "now") is None
    assert [address for address, _ in table.all] == [REMOTE]


def test_remote_limit() -> None:
    """First come, first kept."""
    table = RemoteCandidates(2)
    for port in range(1, 5):
        table.add(host_candidate((REMOTE[0], port)), None)
    assert [address[1] for address, _ in table.all] == [1, 2]


def test_learned_candidates() -> None:
    """RFC 8445 section 7.3.1.3: peer-reflexive, of a foundation of its own, until signalled."""
    table = RemoteCandidates(64)
    first, second = table.learn(REMOTE, 7), table.learn(OTHER, 8)
    assert first.type is CandidateType.PEER_REFLEXIVE
    assert (first.priority, first.foundation != second.foundation) == (7, True)
    assert table.learn(REMOTE, 9) is first
    table.add(host_candidate(REMOTE), None)
    assert table.learn(REMOTE, 9) == host_candidate(REMOTE)
    assert len(table.all) == 2


def test_learned_limit() -> None:
    """The oldest learned candidate goes first, never the one that carries media."""
    table = RemoteCandidates(64)
    addresses = [(REMOTE[0], port) for port in range(1, 5)]
    for address in addresses[:3]:
        assert table.make_room(address, 3, None) == []
        table.learn(address, 1)
    assert table.make_room(addresses[0], 3, None) == []
    assert table.make_room(addresses[3], 3, addresses[0]) == [addresses[1]]
    table.learn(addresses[3], 1)
    assert [address for address, _ in table.all] == [addresses[0], addresses[2], addresses[3]]
