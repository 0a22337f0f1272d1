"""Events and states."""

from __future__ import annotations

import attrs
import pytest

from rtcproto.sctp import AssociationState, MessageReceived, SctpCloseReason, StreamsReset


def test_a_message_is_not_shown() -> None:
    """What is said on a channel does not end up in a log."""
    assert repr(MessageReceived(1, 51, b"secret")) == (
        "MessageReceived(stream=1, ppid=51, 6 bytes)"
    )


def test_events_are_frozen() -> None:
    """An event is a value."""
    event = StreamsReset(streams=(1,))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.streams = (2,)  # type: ignore[misc]


def test_states_and_reasons_say_what_they_mean() -> None:
    """RFC 9260 section 4 names eight states; ours adds the end."""
    assert len(AssociationState) == 9
    assert len({reason.value for reason in SctpCloseReason}) == len(SctpCloseReason)
