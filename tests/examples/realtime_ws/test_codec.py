"""Opus, PCM and G.711, with the codec itself."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from examples.probe.ogg import read_ogg_opus
from examples.transceiver.realtime_ws.codec import FORMATS, AvCodec, Format, available
from rtcproto.opus import samples_per_packet

pytest.importorskip("av", reason="PyAV is not installed (the extra 'examples')")

SPEECH = read_ogg_opus(
    (Path(__file__).parent.parent.parent.parent / "examples/media/speech.ogg").read_bytes()
).packets[:50]

ALL = list(FORMATS.values())


def decoded(packets: Sequence[bytes], target: Format) -> bytes:
    """Packets as samples."""
    decoder = AvCodec().decoder(target)
    return b"".join(decoder.decode(packet) for packet in packets)


def encoded(data: bytes, source: Format) -> list[tuple[bytes, int]]:
    """Samples as packets."""
    encoder = AvCodec().encoder(source)
    encoder.feed(data)
    encoder.finish()
    return list(iter(encoder.next_packet, None))  # type: ignore[arg-type]


def loudness(data: bytes) -> list[float]:
    """Of PCM at 24 kHz, the root mean square of each 20 ms."""
    samples = struct.unpack(f"<{len(data) // 2}h", data)
    cut = [samples[n : n + 480] for n in range(0, len(samples) - 479, 480)]
    return [math.sqrt(sum(each * each for each in part) / 480) for part in cut]


@pytest.mark.parametrize("target", ALL, ids=lambda each: each.name)
def test_packets_become_samples_of_their_length(target: Format) -> None:
    """50 packets are a second; a millisecond may still be in the resampler."""
    data = decoded(SPEECH, target)
    assert 0 <= target.rate * target.width - len(data) <= target.rate * target.width // 500


@pytest.mark.parametrize("source", ALL, ids=lambda each: each.name)
def test_samples_become_packets_of_20_ms(source: Format) -> None:
    """As many as the audio is long, and one for what the encoder is behind."""
    packets = encoded(decoded(SPEECH, source), source)
    assert len(packets) == 51
    for packet, level in packets:
        assert samples_per_packet(packet) == 960
        assert 0 <= level <= 127
    # The recording begins with a word and goes on with a pause.
    levels = [level for _, level in packets]
    assert min(levels[3:24]) < 40 < min(levels[28:40])


@pytest.mark.parametrize("source", ALL, ids=lambda each: each.name)
def test_speech_stays_speech(source: Format) -> None:
    """There and back and decoded again: as loud as before at every time."""
    before = loudness(decoded(SPEECH, FORMATS["audio/pcm"]))
    packets = [packet for packet, _ in encoded(decoded(SPEECH, source), source)]
    after = loudness(decoded(packets, FORMATS["audio/pcm"]))
    mean, other = sum(before) / len(before), sum(after) / len(after)
    pairs = list(zip(before, after, strict=False))
    covariance = sum((a - mean) * (b - other) for a, b in pairs)
    spread = math.sqrt(
        sum((a - mean) ** 2 for a, _ in pairs) * sum((b - other) ** 2 for _, b in pairs)
    )
    assert covariance / spread > 0.85


def test_silence_is_silence() -> None:
    """In every format: its bytes are decoded to nothing."""
    for each in ALL:
        assert [level for _, level in encoded(each.silent(48_000), each)][5:] == [127] * 46 or (
            # A-law has no zero: its silence is one step of sixteen.
            each.name == "audio/pcma"
        )
        assert len(each.silent(960)) == each.rate // 50 * each.width


def test_audio_is_cut_anywhere() -> None:
    """Halves of samples find each other; one that is left over is nothing."""
    pcm = FORMATS["audio/pcm"]
    data = decoded(SPEECH, pcm)
    whole = encoded(data, pcm)
    encoder = AvCodec().encoder(pcm)
    for start in range(0, len(data), 333):
        encoder.feed(data[start : start + 333])
    encoder.feed(b"\x01")
    encoder.finish()
    assert list(iter(encoder.next_packet, None)) == whole  # type: ignore[arg-type]


def test_nothing_is_nothing() -> None:
    """An answer without audio has no packet."""
    assert encoded(b"", FORMATS["audio/pcm"]) == []


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x4b", b"\x03" + bytes(10)])
def test_what_is_no_opus_costs_itself(payload: bytes) -> None:
    """The packets after it are decoded."""
    decoder = AvCodec().decoder(FORMATS["audio/pcm"])
    assert decoder.decode(payload) == b""
    assert len(decoder.decode(SPEECH[0])) > 900


def test_it_is_there() -> None:
    """As it says."""
    assert available()
