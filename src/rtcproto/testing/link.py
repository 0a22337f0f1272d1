"""One direction of a network path: what happens to a datagram between two hosts.

A `Link` is a pure function of its configuration, its seeded generator and the
datagrams it saw: `transmit(data, now)` returns what arrives and when. Order of
effects, as on a real access line: MTU, tail drop at the queue, serialisation at
the line rate, loss on the medium, corruption, propagation delay with jitter,
duplication, reordering.

Jitter alone never reorders: a queue delays packets, it does not shuffle them.
Reordering is a knob of its own.
"""

from __future__ import annotations

import random

import attrs

__all__ = ["GilbertElliott", "Link", "LinkConfig", "LinkStats"]

# IPv4 and UDP headers, bytes: they use up the line like the payload does.
HEADER_OVERHEAD = 28


def _probability(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{attribute.name} is a probability, not {value}")


def _not_negative(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if value < 0:
        raise ValueError(f"{attribute.name} cannot be negative: {value}")


@attrs.frozen(kw_only=True)
class GilbertElliott:
    """Loss in bursts: a chain of a good and a bad state, advanced once per datagram.

    E. N. Gilbert (1960), E. O. Elliott (1963). All four are probabilities.
    """

    good_to_bad: float = attrs.field(validator=_probability)
    bad_to_good: float = attrs.field(validator=_probability)
    loss_in_good: float = attrs.field(default=0.0, validator=_probability)
    loss_in_bad: float = attrs.field(default=1.0, validator=_probability)

    @classmethod
    def of(cls, loss: float, burst: float = 3.0) -> GilbertElliott:
        """The chain that loses the share `loss` of datagrams, `burst` in a row on average."""
        if not 0.0 <= loss < 1.0 or burst < 1.0:
            raise ValueError(f"no such chain: loss {loss}, burst {burst}")
        leave = 1.0 / burst
        return cls(good_to_bad=min(1.0, leave * loss / (1.0 - loss)), bad_to_good=leave)


@attrs.frozen(kw_only=True)
class LinkConfig:
    """What one direction does. Times in seconds, sizes in bytes, shares in 0..1."""

    delay: float = attrs.field(default=0.0, validator=_not_negative)
    # Uniform in delay +- jitter, never less than zero.
    jitter: float = attrs.field(default=0.0, validator=_not_negative)
    # Independent loss, or loss in bursts.
    loss: float | GilbertElliott = 0.0
    duplicate: float = attrs.field(default=0.0, validator=_probability)
    # A reordered datagram is held back for reorder_delay; later ones pass it.
    reorder: float = attrs.field(default=0.0, validator=_probability)
    reorder_delay: float = attrs.field(default=0.03, validator=_not_negative)
    # Flips one bit; real networks mostly drop such datagrams by the UDP checksum.
    corrupt: float = attrs.field(default=0.0, validator=_probability)
    # Bits per second, IP and UDP headers included; None is unlimited.
    rate: float | None = None
    # Bytes that wait for the line before the newest is dropped; None is unlimited.
    queue: int | None = None
    # Longest UDP payload that passes.
    mtu: int | None = None


@attrs.define
class LinkStats:
    """Counts of datagrams."""

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    queue_drops: int = 0
    too_large: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0


class Link:
    """One direction, with the state that its configuration needs."""

    __slots__ = ("_bad", "_busy_until", "_last_arrival", "_rng", "config", "stats")

    def __init__(self, config: LinkConfig, rng: random.Random) -> None:
        self.config = config
        self.stats = LinkStats()
        self._rng = rng
        self._busy_until = 0.0
        self._last_arrival = 0.0
        self._bad = False

    def transmit(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """What becomes of `data` sent at `now`: (arrival, data) of each copy that arrives."""
        config, stats, rng = self.config, self.stats, self._rng
        stats.sent += 1
        if config.mtu is not None and len(data) > config.mtu:
            stats.too_large += 1
            return []
        departure = self._serialise(len(data), now)
        if departure is None:
            stats.queue_drops += 1
            return []
        if self._is_lost():
            stats.lost += 1
            return []
        if config.corrupt and data and rng.random() < config.corrupt:
            stats.corrupted += 1
            data = _flip_one_bit(data, rng)
        arrival = departure + self._propagation()
        if config.reorder and rng.random() < config.reorder:
            stats.reordered += 1
            arrival += config.reorder_delay
        else:
            arrival = self._last_arrival = max(arrival, self._last_arrival)
        arrivals = [(arrival, data)]
        if config.duplicate and rng.random() < config.duplicate:
            stats.duplicated += 1
            arrivals.append((arrival + abs(self._propagation() - config.delay), data))
        stats.delivered += len(arrivals)
        return arrivals

    def _serialise(self, size: int, now: float) -> float | None:
        rate = self.config.rate
        if rate is None:
            return now
        waiting = max(0.0, self._busy_until - now) * rate / 8
        size += HEADER_OVERHEAD
        # A datagram that finds the line free is sent however small the queue is.
        if self.config.queue is not None and waiting and waiting + size > self.config.queue:
            return None
        self._busy_until = max(now, self._busy_until) + size * 8 / rate
        return self._busy_until

    def _is_lost(self) -> bool:
        loss = self.config.loss
        if isinstance(loss, GilbertElliott):
            leave = loss.bad_to_good if self._bad else loss.good_to_bad
            if self._rng.random() < leave:
                self._bad = not self._bad
            chance = loss.loss_in_bad if self._bad else loss.loss_in_good
        else:
            chance = loss
        return chance > 0 and self._rng.random() < chance

    def _propagation(self) -> float:
        config = self.config
        if not config.jitter:
            return config.delay
        return max(0.0, config.delay + self._rng.uniform(-config.jitter, config.jitter))


def _flip_one_bit(data: bytes, rng: random.Random) -> bytes:
    bit = rng.randrange(len(data) * 8)
    flipped = bytearray(data)
    flipped[bit >> 3] ^= 1 << (bit & 7)
    return bytes(flipped)
