"""The level of packets whose sender does not say it."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import pytest

from examples.probe.ogg import read_ogg_opus
from examples.transceiver import meter
from examples.transceiver.levels import thresholds
from examples.transceiver.meter import LevelMeter
from examples.transceiver.parrot import _SPEECH


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Look for the codec anew in every test."""
    meter._codec.cache_clear()
    yield
    meter._codec.cache_clear()


def test_speech_is_told_from_silence() -> None:
    """The recording's first word, the pause behind it, and the next."""
    pytest.importorskip("av")
    packets = read_ogg_opus(_SPEECH.read_bytes()).packets
    measure = LevelMeter()
    levels = [measure.level_of(packet) for packet in packets[:60]]
    known = [level for level in levels if level is not None]
    assert len(known) == 60
    on = thresholds(0.5, 127).on
    assert max(known[3:24]) < on - 10
    assert min(known[28:40]) > on + 20
    assert max(known[44:57]) < on


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x4b", b"\x03" + bytes(10)])
def test_what_cannot_be_decoded_has_no_level(payload: bytes) -> None:
    """A packet of nonsense costs no more than itself."""
    pytest.importorskip("av")
    measure = LevelMeter()
    assert measure.level_of(payload) is None
    packets = read_ogg_opus(_SPEECH.read_bytes()).packets
    assert [measure.level_of(packet) for packet in packets[:10]][-1] is not None


def test_without_a_codec_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """PyAV is not there: no level, one line in the log whatever the number of calls."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name == "av":
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    for _ in range(3):
        assert LevelMeter().level_of(b"\x78\x00\x00") is None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "PyAV" in caplog.text
