"""The congestion window: RFC 9260 section 7.2."""

from __future__ import annotations

from rtcproto.sctp.congestion import CongestionWindow

MTU = 1000


def test_it_starts_with_ten_packets() -> None:
    """RFC 6928."""
    assert CongestionWindow(MTU, 100_000).window == 10 * MTU


def test_slow_start_grows_with_what_is_acknowledged() -> None:
    """7.2.1: by what was acknowledged, two packets per SACK at most."""
    window = CongestionWindow(MTU, 100_000)
    window.on_acknowledged(500, 10 * MTU, 1)
    assert window.window == 10_500
    window.on_acknowledged(5 * MTU, 10_500, 2)
    assert window.window == 12_500


def test_a_window_that_was_not_used_does_not_grow() -> None:
    """7.2.1: only when the window was the limit; and only if the cumulative TSN moved."""
    window = CongestionWindow(MTU, 100_000)
    window.on_acknowledged(MTU, 5 * MTU, 1)
    window.on_acknowledged(MTU, 10 * MTU, None)
    assert window.window == 10 * MTU


def test_congestion_avoidance_adds_a_packet_per_window() -> None:
    """7.2.2."""
    window = CongestionWindow(MTU, 2 * MTU)
    for tsn in range(9):
        window.on_acknowledged(MTU, 10 * MTU, tsn)
    assert window.window == 10 * MTU
    window.on_acknowledged(MTU, 10 * MTU, 9)
    assert window.window == 11 * MTU


def test_one_loss_episode_halves_once() -> None:
    """7.2.4: until everything sent before is acknowledged, further losses cost nothing more."""
    window = CongestionWindow(MTU, 100_000)
    assert window.on_loss(100, 0)
    assert window.window == 5 * MTU
    assert not window.on_loss(120, 0)
    assert window.recovering
    window.on_acknowledged(2 * MTU, 5 * MTU, 99)
    assert window.window == 5 * MTU
    window.on_acknowledged(MTU, 5 * MTU, 100)
    assert not window.recovering
    assert window.on_loss(130, 0)


def test_the_window_never_halves_below_four_packets() -> None:
    """7.2.3: ssthresh is at least 4 MTU."""
    window = CongestionWindow(MTU, 100_000)
    for tsn in range(10):
        window.on_loss(tsn, 0)
        window.on_acknowledged(1, 0, tsn)
    assert window.window == 4 * MTU


def test_a_loss_without_a_queue_costs_what_the_queue_holds() -> None:
    """A pipe that holds the window keeps it; one that holds less than half gets half; it is
    never more than the window was."""
    for pipe, left in ((0, 5), (1, 5), (4, 7), (7, 10), (20, 10)):
        window = CongestionWindow(MTU, 100_000)
        window.on_loss(100, pipe * MTU)
        assert window.window == left * MTU


def rounds(*shortest: float, samples: int = 8) -> CongestionWindow:
    """Slow start with rounds of so many samples, all of them one of these round trips."""
    window = CongestionWindow(MTU, 10_000_000)
    tsn = 0
    for round_trip in shortest:
        for _ in range(samples):
            window.on_round_trip(round_trip, tsn, tsn + 10)
        tsn += 11
    return window


def grows_fast(window: CongestionWindow) -> bool:
    """Whether it is still in slow start."""
    before = window.window
    window.on_acknowledged(2 * MTU, before, 1000)
    window.on_acknowledged(2 * MTU, window.window, 1001)
    return window.window == before + 4 * MTU


def test_slow_start_ends_when_round_trips_grow() -> None:
    """RFC 9406 section 4.3: by an eighth, at least 4 ms and at most 16 ms, seen by 8 samples."""
    assert not grows_fast(rounds(0.064, 0.0721))
    assert grows_fast(rounds(0.064, 0.0719))
    assert not grows_fast(rounds(0.001, 0.0051))
    assert grows_fast(rounds(0.001, 0.0049))
    assert not grows_fast(rounds(1.0, 1.0161))
    assert grows_fast(rounds(1.0, 1.0159))
    assert grows_fast(rounds(0.064, 0.2, samples=7))


def test_round_trips_count_against_the_round_before() -> None:
    """RFC 9406: a path that is a little longer every time was not filled in one round."""
    assert grows_fast(rounds(0.064, 0.068, 0.072, 0.075))
    assert not grows_fast(rounds(0.064, 0.068, 0.080))


def test_a_time_out_leaves_one_packet() -> None:
    """7.2.3: and slow start follows up to half of what was."""
    window = CongestionWindow(MTU, 100_000)
    window.on_timeout()
    assert window.window == MTU
    for tsn in range(1, 20):
        window.on_acknowledged(2 * MTU, window.window, tsn)
    assert 5 * MTU < window.window <= 14 * MTU


def test_bursts_are_limited() -> None:
    """6.1 D: a large window that was idle is not sent at once."""
    window = CongestionWindow(MTU, 10_000_000)
    for tsn in range(100):
        window.on_acknowledged(2 * MTU, window.window, tsn)
    assert window.window == 210 * MTU
    assert window.allowance(0) == 10 * MTU
    assert window.allowance(205 * MTU) == 210 * MTU
