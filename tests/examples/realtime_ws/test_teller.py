"""What a connection was told, and what the server says of it."""

from __future__ import annotations

import json

from examples.transceiver.realtime_ws.teller import MAX_TOLD_EVENTS, Teller
from tests.examples.realtime_ws.room import Copier


def teller() -> Teller:
    """One with a connection."""
    made = Teller(Copier())
    made.reset(connected=True)
    return made


def test_nothing_is_said_to_nobody() -> None:
    """Without a connection, what is said is lost: the next is told all that there is."""
    made = Teller(Copier())
    assert made.say("response.cancel", {}) == ""
    made.reset(connected=True)
    assert made.outgoing.next_message() is None


def test_errors_name_what_was_said() -> None:
    """Once; of what was never said, or long ago, there is nothing."""
    made = teller()
    first = made.say("response.create", {})
    assert made.refused("nonsense") == ""
    assert made.refused(first) == "response.create"
    assert made.refused(first) == ""
    old = made.say("response.create", {}, replay=True)
    for _ in range(MAX_TOLD_EVENTS - 1):
        newest = made.say("response.cancel", {})
    assert made.refused(old) == "replay"
    old = made.say("response.create", {})
    for _ in range(MAX_TOLD_EVENTS):
        newest = made.say("response.cancel", {})
    assert made.refused(old) == ""
    assert made.refused(newest) == "response.cancel"


def test_turns_have_names_in_their_order() -> None:
    """Less those that were refused."""
    made = teller()
    for item_id in ("a", "b", "c"):
        made.commit(item_id)
    made.refused("bridge_2")
    assert [made.committed(), made.committed(), made.committed()] == ["a", "c", None]


def test_names_fit() -> None:
    """A long one is replaced, each by another."""
    made = teller()
    assert made.name_of("item_1") == "item_1"
    names = {made.name_of("x" * 64), made.name_of("y" * 64)}
    assert len(names) == 2
    assert all(len(name) <= 32 for name in names)


def test_the_format_is_that_of_the_newest_session() -> None:
    """What a server says of an older one comes too late."""
    made = teller()
    made.update({"audio": {"input": {"format": {"type": "audio/pcmu"}}}})
    made.update({"audio": {"input": {"format": {"type": "audio/pcma"}}}})
    kinds = []
    while (text := made.outgoing.next_message()) is not None:
        kinds.append(json.loads(text)["type"])
    assert kinds == ["session.update"] * 2
    made.updated("audio/pcm")
    made.commit("item_1")
    message = made.outgoing.next_message()
    assert message is not None
    assert json.loads(message)["audio"].startswith("1dXV")
    made.updated("audio/pcm")
    made.commit("item_2")
    made.outgoing.next_message()
    message = made.outgoing.next_message()
    assert message is not None
    assert json.loads(message)["audio"].startswith("AAAA")
