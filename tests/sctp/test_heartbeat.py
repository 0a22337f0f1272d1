"""Heartbeats: RFC 9260 section 8.3."""

from __future__ import annotations

from rtcproto.sctp.control_chunks import HeartbeatAck
from rtcproto.sctp.heartbeat import Heartbeats
from rtcproto.sctp.parameters import Parameter

NONCE = bytes(range(8))


def test_an_answer_measures_the_round_trip() -> None:
    """And closes the question."""
    heartbeats = Heartbeats()
    question = heartbeats.ask(NONCE, 10.0)
    assert heartbeats.open
    assert heartbeats.receive(HeartbeatAck(question.parameters), 10.25) == 0.25
    assert not heartbeats.open
    assert heartbeats.receive(HeartbeatAck(question.parameters), 10.5) is None


def test_only_the_newest_counts() -> None:
    """An answer to an older one, or a forged one, measures nothing."""
    heartbeats = Heartbeats()
    old = heartbeats.ask(NONCE, 10.0)
    heartbeats.ask(bytes(8), 20.0)
    assert heartbeats.receive(HeartbeatAck(old.parameters), 20.1) is None
    assert heartbeats.receive(HeartbeatAck((Parameter(1, b"short"),)), 20.1) is None
    assert heartbeats.receive(HeartbeatAck(), 20.1) is None
    assert heartbeats.open
