"""One direction of a path."""

import random

import pytest

from rtcproto.testing.link import HEADER_OVERHEAD, GilbertElliott, Link, LinkConfig


def link(**settings: object) -> Link:
    """A link with a fixed seed."""
    return Link(LinkConfig(**settings), random.Random(7))


def run(subject: Link, count: int, spacing: float = 0.02) -> list[list[tuple[float, bytes]]]:
    """Send `count` numbered datagrams, one per `spacing` seconds from 0."""
    return [subject.transmit(b"%06d" % n, n * spacing) for n in range(count)]


def test_a_perfect_link_delivers_at_once() -> None:
    """The default changes nothing, and hands on the very object."""
    data = b"payload"
    ((arrival, arrived),) = link().transmit(data, 5.0)
    assert arrival == 5.0
    assert arrived is data


def test_delay_and_jitter_stay_in_bounds_and_in_order() -> None:
    """Arrivals lie within delay +- jitter (or behind the one before), never out of order."""
    subject = link(delay=0.05, jitter=0.03)
    arrivals = [out[0][0] for out in run(subject, 500, spacing=0.01)]
    assert arrivals == sorted(arrivals)
    waits = [arrival - 0.01 * n for n, arrival in enumerate(arrivals)]
    assert 0.02 <= min(waits) < 0.03
    assert 0.07 < max(waits) <= 0.08


def test_jitter_above_delay_never_goes_back_in_time() -> None:
    """10 ms +- 20 ms is a profile in use: nothing arrives before it was sent."""
    arrivals = [out[0][0] for out in run(link(delay=0.01, jitter=0.02), 300)]
    assert all(arrival >= 0.02 * n for n, arrival in enumerate(arrivals))


def test_independent_loss_has_its_rate() -> None:
    """30 % of 5,000 datagrams, within four standard deviations."""
    subject = link(loss=0.3)
    run(subject, 5000)
    assert abs(subject.stats.lost - 1500) < 130
    assert subject.stats.lost + subject.stats.delivered == subject.stats.sent == 5000


def test_bursts_have_their_rate_and_length() -> None:
    """The chain of `GilbertElliott.of` loses the share asked for, in runs of the length asked."""
    subject = link(loss=GilbertElliott.of(0.1, burst=4.0))
    lost = [not out for out in run(subject, 40_000)]
    runs = sum(1 for n, gone in enumerate(lost) if gone and (n == 0 or not lost[n - 1]))
    assert 0.085 < sum(lost) / len(lost) < 0.115
    assert 3.5 < sum(lost) / runs < 4.5


def test_duplication() -> None:
    """Copies are equal to the original and never earlier."""
    subject = link(duplicate=1.0, delay=0.02, jitter=0.01)
    for copies in run(subject, 100):
        (first, data), (second, again) = copies
        assert data == again
        assert second >= first
    assert subject.stats.duplicated == 100


def test_reordering_lets_later_datagrams_pass() -> None:
    """A reordered datagram is held back, its successors are not."""
    subject = link(delay=0.01, reorder=0.2, reorder_delay=0.05)
    arrivals = sorted(out[0] for out in run(subject, 200))
    order = [int(data) for _, data in arrivals]
    assert order != sorted(order)
    assert sorted(order) == list(range(200))
    assert subject.stats.reordered == sum(
        1 for n, out in enumerate(run(link(delay=0.01, reorder=0.2, reorder_delay=0.05), 200))
        if out[0][0] > 0.02 * n + 0.02
    )  # fmt: skip


def test_rate_spaces_datagrams() -> None:
    """Two datagrams sent together arrive one serialisation time apart, headers counted."""
    subject = link(rate=80_000)
    data = bytes(100 - HEADER_OVERHEAD)
    first, second = (subject.transmit(data, 0.0)[0][0] for _ in range(2))
    assert (first, second) == (0.01, 0.02)
    assert subject.transmit(data, 10.0)[0][0] == 10.01


def test_queue_drops_at_the_tail() -> None:
    """What does not fit the queue is dropped, until the line has drained it."""
    subject = link(rate=80_000, queue=300)
    data = bytes(100 - HEADER_OVERHEAD)
    delivered = [bool(subject.transmit(data, 0.0)) for _ in range(6)]
    assert delivered == [True, True, True, False, False, False]
    assert subject.stats.queue_drops == 3
    assert subject.transmit(data, 0.011)


def test_a_datagram_larger_than_the_queue_still_passes_an_idle_line() -> None:
    """A queue bounds what waits, not what is being sent."""
    assert link(rate=80_000, queue=10).transmit(bytes(500), 0.0)


def test_mtu_drops_what_is_longer() -> None:
    """A path MTU is a silent drop, as with blocked ICMP."""
    subject = link(mtu=100)
    assert subject.transmit(bytes(100), 0.0)
    assert subject.transmit(bytes(101), 0.0) == []
    assert subject.stats.too_large == 1


def test_corruption_flips_exactly_one_bit() -> None:
    """Length is kept, one bit differs."""
    subject = link(corrupt=1.0)
    data = bytes(range(50))
    arrived = subject.transmit(data, 0.0)[0][1]
    difference = int.from_bytes(data, "big") ^ int.from_bytes(arrived, "big")
    assert len(arrived) == 50
    assert difference.bit_count() == 1
    assert subject.transmit(b"", 0.0) == [(0.0, b"")]


def test_the_seed_decides_everything() -> None:
    """Two links with equal seeds treat equal traffic alike."""
    settings = {"delay": 0.05, "jitter": 0.02, "loss": 0.2, "duplicate": 0.1, "corrupt": 0.1}
    assert run(link(**settings), 200) == run(link(**settings), 200)


@pytest.mark.parametrize(
    "settings", [{"delay": -1}, {"duplicate": 1.5}, {"corrupt": -0.1}, {"reorder": 2}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    """A typing slip in a scenario fails where it was made."""
    with pytest.raises(ValueError, match=next(iter(settings))):
        LinkConfig(**settings)


@pytest.mark.parametrize(("loss", "burst"), [(1.0, 3.0), (-0.1, 3.0), (0.5, 0.5)])
def test_impossible_chains_are_refused(loss: float, burst: float) -> None:
    """Loss is a share below one, a burst at least one datagram."""
    with pytest.raises(ValueError, match="no such chain"):
        GilbertElliott.of(loss, burst)
