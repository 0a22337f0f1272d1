"""The association: RFC 9260 sections 4, 5, 8 and 9, two of ours on a virtual path."""

from __future__ import annotations

import pytest

from rtcproto.sctp import AssociationState, Established, SctpCloseReason
from rtcproto.testing import LinkConfig
from tests.support.sctp import AssociationPair

GOOD = LinkConfig(delay=0.01)
BAD = LinkConfig(delay=0.01, loss=0.05, duplicate=0.05, reorder=0.05)


@pytest.mark.parametrize("link", [GOOD, BAD], ids=["good", "bad"])
def test_messages_arrive_whole_and_in_order(link: LinkConfig) -> None:
    """RFC 9260 section 1.5.2: whole messages, in the order of their stream."""
    pair = AssociationPair(link)
    pair.connect()
    messages = [bytes([number % 251]) * size for number, size in enumerate((1, 262_144, 5000) * 3)]
    pair.send(*messages)
    pair.run_until(lambda: len(pair.heard()) == len(messages))
    assert pair.heard() == messages


def test_both_sides_start_at_once() -> None:
    """RFC 8831 section 6.2: INITs that cross make one association (RFC 9260 5.2)."""
    pair = AssociationPair(GOOD)
    pair.connect()
    assert len(pair.events(Established)) == len(pair.events(Established, second=False)) == 1


def test_shutdown_delivers_what_was_sent() -> None:
    """RFC 9260 section 9.2: an orderly end loses nothing."""
    pair = AssociationPair(BAD)
    pair.connect()
    pair.send(b"x" * 50_000)
    pair.first.close(pair.now)
    pair.settle()
    pair.run_until(lambda: len(pair.ends()) == 2)
    assert pair.heard() == [b"x" * 50_000]
    assert [end.reason for end in pair.ends()] == [
        SctpCloseReason.LOCAL,
        SctpCloseReason.PEER_CLOSED,
    ]
    assert pair.first.state is pair.second.state is AssociationState.ENDED
