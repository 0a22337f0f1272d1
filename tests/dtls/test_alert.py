"""Alerts, RFC 5246 section 7.2."""

from __future__ import annotations

import pytest

from rtcproto.dtls.alert import Alert, AlertDescription, AlertLevel
from rtcproto.errors import ParseError


@pytest.mark.parametrize("level", [0, 1, 2, 255])
@pytest.mark.parametrize("description", [0, 40, 80, 255])
def test_both_ways(level: int, description: int) -> None:
    """Two bytes, and every value of them survives."""
    alert = Alert.parse(bytes((level, description)))
    assert alert == Alert(level, description)
    assert alert.serialize() == bytes((level, description))


@pytest.mark.parametrize("payload", [b"", b"\x01", b"\x01\x00\x00", b"\x02\x28\x01\x00"])
def test_other_sizes(payload: bytes) -> None:
    """Anything but two bytes is no alert."""
    with pytest.raises(ParseError):
        Alert.parse(payload)


def test_in_words() -> None:
    """What a closing event says."""
    assert str(Alert(AlertLevel.FATAL, AlertDescription.INTERNAL_ERROR)) == (
        "fatal alert 80 (internal error)"
    )
    assert str(Alert(1, 90)) == "warning alert 90 (user canceled)"
    assert str(Alert(2, 200)) == "fatal alert 200 (unknown)"
