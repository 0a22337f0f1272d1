"""A caller's audio as a line of time, and what of it is kept.

`TimeLine` says where a packet belongs, `InputBuffer` keeps frames until they are a
turn. Positions count 48 kHz samples from the first packet of the call. Called by the
agent of a call for every packet; both are total and bounded.
"""

from __future__ import annotations

from collections import deque

from examples.transceiver.backend import AudioFrame

__all__ = [
    "MAX_BUFFERED",
    "MAX_BUFFERED_BYTES",
    "MAX_OVERTAKEN",
    "InputBuffer",
    "TimeLine",
    "milliseconds",
]

# Samples per second: the RTP clock of Opus.
_RATE = 48_000

# Seconds that a packet may come later than its timestamp says before we believe the
# clock rather than the timestamp. A browser that plays nothing into its track sends
# nothing, and its timestamps stand still meanwhile; jitter is well below this.
_MAX_LAG = 0.5

# Seconds ahead of the clock from which a timestamp is nonsense: more than the longest
# stall that a burst of packets can end in a call that lives.
_MAX_AHEAD = 10.0

# A packet older than the newest by more than this many samples is no late one.
_MAX_LATE = _RATE

# The longest turn, samples: one minute. What is older is dropped, so a turn that never
# ends is its last minute.
MAX_BUFFERED = 60 * _RATE

# The same for packets that are larger than speech's: a minute at 280 kbit/s, or at
# 20 ms and any bit rate that a browser chooses, with what each frame costs beside its bytes.
MAX_BUFFERED_BYTES = 2 << 20
_FRAME_COST = 200

# Frames that a late one may have been overtaken by; later ones are dropped. Each is moved to
# make room: a second of the shortest packets is 400, and who repeats one timestamp has thousands.
MAX_OVERTAKEN = 400


def milliseconds(samples: int) -> int:
    """Samples as the whole milliseconds that the events speak in."""
    return samples // 48


class TimeLine:
    """Puts packets on one line, whatever their sender's clock does.

    The line goes on where RTP timestamps begin anew (another SSRC) or stand still
    while nothing is sent. In what comes in order, positions never go back.
    """

    __slots__ = ("_arrival", "_end", "_newest", "_offset", "_ssrc")

    def __init__(self) -> None:
        self._ssrc: int | None = None
        self._offset = 0
        self._newest = 0
        # Where the newest packet ended, and when that came.
        self._end = 0
        self._arrival = 0.0

    @property
    def end(self) -> int:
        """Where the line ends by now: the newest packet's end, or what was passed since."""
        return self._end

    def at(self, now: float) -> int:
        """Where the line is at `now`, packets or not."""
        if self._ssrc is None:
            return self._end
        return self._end + max(0, round((now - self._arrival) * _RATE))

    def passed(self, position: int) -> None:
        """Let nothing new come before `position`: it was told to be over."""
        if position > self._end:
            self._arrival += (position - self._end) / _RATE
            self._end = position

    def place(self, ssrc: int, timestamp: int, duration: int, now: float) -> int:
        """The position of a packet of `duration` samples that arrived at `now`."""
        if ssrc == self._ssrc and self._newest - _MAX_LATE <= timestamp <= self._newest:
            return max(0, timestamp + self._offset)
        # Where it would belong by the clock: it began before it could be sent.
        expected = max(self._end, self.at(now) - duration)
        position = timestamp + self._offset
        if (
            ssrc != self._ssrc
            or timestamp < self._newest
            or position < expected - _MAX_LAG * _RATE
            or position > expected + _MAX_AHEAD * _RATE
        ):
            position = expected
        position = max(position, self._end)
        self._ssrc, self._newest = ssrc, timestamp
        self._offset = position - timestamp
        self._end, self._arrival = position + duration, now
        return position


class InputBuffer:
    """Frames in order of their time: `MAX_BUFFERED` samples at most, the oldest go first."""

    __slots__ = ("_frames", "_samples", "_size", "dropped")

    def __init__(self) -> None:
        self._frames: deque[AudioFrame] = deque()
        self._samples = 0
        self._size = 0
        # Frames that had to go for others, ever.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def audio_ms(self) -> int:
        """Milliseconds of audio held."""
        return milliseconds(self._samples)

    @property
    def start_ms(self) -> int:
        """Where the oldest frame begins; 0 if there is none."""
        return milliseconds(self._frames[0].timestamp) if self._frames else 0

    def add(self, frame: AudioFrame) -> None:
        """Keep a frame, in its place if it is late."""
        frames = self._frames
        later: list[AudioFrame] = []
        while frames and frames[-1].timestamp > frame.timestamp and len(later) <= MAX_OVERTAKEN:
            later.append(frames.pop())
        if len(later) > MAX_OVERTAKEN:
            frames.extend(reversed(later))
            self.dropped += 1
            return
        frames.append(frame)
        frames.extend(reversed(later))
        self._samples += frame.duration
        self._size += len(frame.payload) + _FRAME_COST
        newest = frames[-1]
        oldest = newest.timestamp + newest.duration - MAX_BUFFERED
        while self._size > MAX_BUFFERED_BYTES or frames[0].timestamp < oldest:
            self._drop_first()
            self.dropped += 1

    def trim(self, position: int) -> None:
        """Forget what ended before `position`."""
        frames = self._frames
        while frames and frames[0].timestamp + frames[0].duration <= position:
            self._drop_first()

    def take(self, start_ms: int | None, end_ms: int | None) -> tuple[AudioFrame, ...]:
        """What was heard between two times, and forget all before the second.

        None for either: from the first frame on, up to the last.
        """
        taken = []
        while self._frames:
            begins = milliseconds(self._frames[0].timestamp)
            if end_ms is not None and begins >= end_ms:
                break
            frame = self._drop_first()
            if start_ms is None or milliseconds(frame.timestamp + frame.duration) > start_ms:
                taken.append(frame)
        return tuple(taken)

    def clear(self) -> None:
        """Forget everything."""
        self._frames.clear()
        self._samples = self._size = 0

    def _drop_first(self) -> AudioFrame:
        frame = self._frames.popleft()
        self._samples -= frame.duration
        self._size -= len(frame.payload) + _FRAME_COST
        return frame
