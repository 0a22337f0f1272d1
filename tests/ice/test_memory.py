"""Transaction memory: what is new, what is repeated, what is replayed."""

from __future__ import annotations

from rtcproto.ice.memory import ANSWER_WINDOW, MAX_ANSWERS, MAX_RECENT, TransactionMemory

HERE = (("192.0.2.1", 5000), None)
THERE = (("203.0.113.7", 1024), None)


def identifier(number: int) -> bytes:
    """The transaction id with this number."""
    return number.to_bytes(12, "big")


def test_new_repeated_and_replayed() -> None:
    """A count on the path that an id came on, None from any other."""
    memory = TransactionMemory(8)
    assert memory.recall(identifier(1), HERE, 5.0) == 0
    memory.remember(identifier(1), HERE, 5.0)
    memory.remember(identifier(1), HERE, 6.0)
    assert memory.recall(identifier(1), HERE, 7.0) == 2
    assert memory.recall(identifier(1), THERE, 7.0) is None
    memory.clear()
    assert memory.recall(identifier(1), HERE, 7.0) == 0


def test_retransmissions_are_few_and_soon() -> None:
    """Seven answers at most, within 39.5 s of the first coming; then it is a replay."""
    memory = TransactionMemory(8)
    for answers in range(MAX_ANSWERS):
        assert memory.recall(identifier(1), HERE, 5.0) == answers
        memory.remember(identifier(1), HERE, 5.0)
    assert memory.recall(identifier(1), HERE, 5.0) is None
    memory.remember(identifier(2), HERE, 5.0)
    memory.remember(identifier(2), HERE, 30.0)
    assert memory.recall(identifier(2), HERE, 4.9 + ANSWER_WINDOW) == 2
    assert memory.recall(identifier(2), HERE, 5.0 + ANSWER_WINDOW) is None


def test_older_ids_are_replays_from_anywhere() -> None:
    """Beyond the recent ones only the id is kept, and it is of no use on any path."""
    memory = TransactionMemory(4096)
    for number in range(MAX_RECENT + 1):
        memory.remember(identifier(number), HERE, 1.0)
    assert memory.recall(identifier(0), HERE, 1.0) is None
    assert memory.recall(identifier(0), THERE, 1.0) is None
    assert memory.recall(identifier(1), HERE, 1.0) == 1


def test_the_limit_counts_both_kinds() -> None:
    """The oldest of all goes."""
    memory = TransactionMemory(MAX_RECENT + 2)
    for number in range(2 * MAX_RECENT):
        memory.remember(identifier(number), HERE, 1.0)
    assert len(memory) == MAX_RECENT + 2
    assert memory.recall(identifier(MAX_RECENT - 3), HERE, 1.0) == 0
    assert memory.recall(identifier(MAX_RECENT - 2), HERE, 1.0) is None
