"""Transaction memory: what is new, what is repeated, what is replayed."""

from __future__ import annotations

from rtcproto.ice.memory import MAX_RECENT, TransactionMemory

HERE = (("192.0.2.1", 5000), None)
THERE = (("203.0.113.7", 1024), None)


def identifier(number: int) -> bytes:
    """The transaction id with this number."""
    return number.to_bytes(12, "big")


def test_new_repeated_and_replayed() -> None:
    """A count on the path that an id came on, None from any other."""
    memory = TransactionMemory(8)
    assert memory.recall(identifier(1), HERE) == 0
    memory.remember(identifier(1), HERE, 1)
    memory.remember(identifier(1), HERE, 2)
    assert memory.recall(identifier(1), HERE) == 2
    assert memory.recall(identifier(1), THERE) is None
    memory.clear()
    assert memory.recall(identifier(1), HERE) == 0


def test_older_ids_are_replays_from_anywhere() -> None:
    """Beyond the recent ones only the id is kept, and it is of no use on any path."""
    memory = TransactionMemory(4096)
    for number in range(MAX_RECENT + 1):
        memory.remember(identifier(number), HERE, 1)
    assert memory.recall(identifier(0), HERE) is None
    assert memory.recall(identifier(0), THERE) is None
    assert memory.recall(identifier(1), HERE) == 1


def test_the_limit_counts_both_kinds() -> None:
    """The oldest of all goes."""
    memory = TransactionMemory(MAX_RECENT + 2)
    for number in range(2 * MAX_RECENT):
        memory.remember(identifier(number), HERE, 1)
    assert len(memory) == MAX_RECENT + 2
    assert memory.recall(identifier(MAX_RECENT - 3), HERE) == 0
    assert memory.recall(identifier(MAX_RECENT - 2), HERE) is None
