"""Counters and values of a DTLS association."""

import attrs
import pytest

from rtcproto.dtls import DtlsClosed, DtlsCloseReason
from rtcproto.dtls.events import Counters, Drop


def test_counters_by_reason() -> None:
    """Every reason has one name; stats() is a value that does not change afterwards."""
    counters = Counters()
    assert counters.drop(Drop.CONFLICT) is False
    before = counters.stats()
    counters.drop(Drop.CONFLICT)
    counters.drop(Drop.PLAINTEXT_ALERT)
    assert before.dropped == {"conflict": 1}
    assert counters.stats().dropped == {"conflict": 2, "plaintext_alert": 1}


def test_events_are_frozen() -> None:
    """An event is a value."""
    event = DtlsClosed(reason=DtlsCloseReason.LOCAL)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.detail = "changed"  # type: ignore[misc]
