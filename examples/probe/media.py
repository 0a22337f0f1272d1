"""What the probe sends: recorded Opus frames of 20 ms."""

from __future__ import annotations

from pathlib import Path

from examples.probe.ogg import read_ogg_opus
from rtcproto.errors import ParseError
from rtcproto.opus import samples_per_packet

__all__ = ["FRAME_SAMPLES", "FRAME_SECONDS", "SPEECH", "TONE", "load_frames"]

_MEDIA = Path(__file__).parent.parent / "media"

SPEECH = _MEDIA / "speech.ogg"
TONE = _MEDIA / "tone.ogg"

# One frame: what browsers send by default, RFC 7587 section 4.2.
FRAME_SECONDS = 0.02
FRAME_SAMPLES = 960


def load_frames(path: Path) -> tuple[bytes, ...]:
    """The frames of a recording. Raises ValueError (not one of ours) or OSError."""
    frames = read_ogg_opus(path.read_bytes()).packets
    for number, frame in enumerate(frames):
        try:
            samples = samples_per_packet(frame)
        except ParseError as error:
            raise ValueError(f"{path.name}: packet {number}: {error.reason}") from None
        if samples != FRAME_SAMPLES:
            raise ValueError(f"{path.name}: packet {number} is not of 20 ms")
    return frames
