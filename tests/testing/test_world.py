"""The virtual clock."""

import pytest

from rtcproto.testing.world import LawBroken, LimitReached, World


def test_events_happen_in_order_of_time_then_of_planning() -> None:
    """The heap orders by instant; simultaneous events keep the order of planning."""
    world = World(1)
    seen: list[str] = []
    world.call_later(2.0, lambda: seen.append("late"))
    world.call_later(1.0, lambda: seen.append("first"))
    world.call_later(1.0, lambda: seen.append("second"))
    world.run_for(5.0)
    assert seen == ["first", "second", "late"]
    assert world.now == 1005.0


def test_step_does_one_event() -> None:
    """A step moves the clock to the next event and says whether there was one."""
    world = World(1, start=0.0)
    seen: list[float] = []
    world.call_at(3.0, lambda: seen.append(world.now))
    assert world.step()
    assert seen == [3.0]
    assert not world.step()


def test_the_past_means_now() -> None:
    """An event planned for the past happens at once; the clock never runs backwards."""
    world = World(1, start=10.0)
    seen: list[float] = []
    world.call_at(3.0, lambda: seen.append(world.now))
    world.run_for(0.0)
    assert seen == [10.0]


def test_run_until_returns_the_time_it_took() -> None:
    """run_until stops right behind the event that met the condition."""
    world = World(1)
    seen: list[int] = []
    for second in range(1, 6):
        world.call_later(second, lambda: seen.append(1))
    assert world.run_until(lambda: len(seen) == 3) == 3.0
    assert world.now == 1003.0


def test_run_until_gives_up_and_names_the_seed() -> None:
    """Whatever leaves a run carries the seed and the instant."""
    world = World(4711)
    world.call_later(61.0, lambda: None)
    with pytest.raises(LimitReached) as caught:
        world.run_until(lambda: False, limit=60.0)
    assert caught.value.__notes__ == ["World(seed=4711) at t=1000.000000"]
    assert world.now == 1000.0


def test_run_until_notices_that_nothing_is_left() -> None:
    """An empty heap ends the wait at once instead of looping."""
    with pytest.raises(LimitReached, match="nothing more"):
        World(1).run_until(lambda: False)


def test_exceptions_of_events_carry_the_seed() -> None:
    """An exception out of a machine is passed on as it is, with the note."""
    world = World(5)
    world.call_later(1.5, lambda: {}["missing"])
    with pytest.raises(KeyError) as caught:
        world.run_for(2.0)
    assert "seed=5" in caught.value.__notes__[0]
    assert "t=1001.5" in caught.value.__notes__[0]


def test_a_loop_without_time_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events that plan events for the same instant for ever are a broken law."""
    monkeypatch.setattr("rtcproto.testing.world.MAX_EVENTS_PER_INSTANT", 50)
    world = World(1)

    def again() -> None:
        world.call_later(0.0, again)

    again()
    with pytest.raises(LawBroken, match="without time passing"):
        world.run_for(1.0)


def test_randomness_is_derived_by_name() -> None:
    """One seed and name give one stream; another name or seed another."""
    draws = [World(s).rng(n).random() for s, n in [(1, "a"), (1, "a"), (1, "b"), (2, "a")]]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
    first, second = World(1).entropy("a"), World(1).entropy("a")
    assert [first(16), first(8)] == [second(16), second(8)]
    assert len(first(0)) == 0
