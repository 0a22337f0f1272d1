"""How many calls each may have, and that calls which are over are forgotten."""

from __future__ import annotations

import pytest

from examples.transceiver.auth import Caller
from examples.transceiver.callid import CallId
from examples.transceiver.register import Limits, Register, TooManyCalls
from tests.support.desk import PaperCalls

KEY = Caller(key="key 1", token="key 1")
SECRET = Caller(key="key 1", token="secret 0123", full=False)
SOURCE = Caller(key="source 192.0.2.1", token="source 192.0.2.1")
OTHER = Caller(key="source 192.0.2.2", token="source 192.0.2.2")
LIMITS = Limits(per_key=3, per_secret=2, per_source=1)


def begin(register: Register, calls: PaperCalls, caller: Caller) -> CallId:
    """A call of `caller`."""
    register.admit(caller)
    call_id, _ = calls.create("", None, None)
    register.add(call_id, caller)
    return call_id


@pytest.mark.parametrize(("caller", "limit"), [(KEY, 3), (SECRET, 2), (SOURCE, 1)])
def test_h4_one_more_is_too_many(caller: Caller, limit: int) -> None:
    """Threat H4: N calls per token; others are not concerned; an end makes room."""
    calls = PaperCalls()
    register = Register(calls, LIMITS)
    begun = [begin(register, calls, caller) for _ in range(limit)]
    for _ in range(3):
        with pytest.raises(TooManyCalls, match=f"there are {limit} calls already"):
            register.admit(caller)
    begin(register, calls, OTHER)
    calls.hang_up(begun[0])
    begin(register, calls, caller)
    with pytest.raises(TooManyCalls):
        register.admit(caller)


def test_sources_are_counted_until_they_connect() -> None:
    """Abandoned offers are what is limited where everybody may call, not calls."""
    calls = PaperCalls()
    register = Register(calls, LIMITS)
    for _ in range(20):
        call_id = begin(register, calls, SOURCE)
        with pytest.raises(TooManyCalls):
            register.admit(SOURCE)
        calls.calls[call_id].connected = True
    assert len(calls.calls) == 20


def test_calls_that_are_over_are_forgotten() -> None:
    """10,000 calls one after the other, by as many sources: some dozens are remembered."""
    calls = PaperCalls()
    register = Register(calls, LIMITS)
    for number in range(10_000):
        caller = Caller(key="k", token=f"source {number}")
        calls.hang_up(begin(register, calls, caller))
        assert len(register) <= 64
        assert len(register._by_token) <= 64
    live = [begin(register, calls, Caller(key="k", token=f"source {n}")) for n in range(200)]
    assert all(register.find(call_id) is not None for call_id in live)


def test_who_is_refused_costs_no_look_at_the_calls_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refusal is cheap: it looks at the caller's own calls, not at all there are."""
    calls = PaperCalls()
    register = Register(calls, LIMITS)
    for number in range(500):
        begin(register, calls, Caller(key="k", token=f"source {number}"))
    begin(register, calls, SOURCE)
    looked: list[CallId] = []
    find = calls.find

    def counted(call_id: CallId) -> object:
        looked.append(call_id)
        return find(call_id)

    monkeypatch.setattr(calls, "find", counted)
    for _ in range(10):
        with pytest.raises(TooManyCalls):
            register.admit(SOURCE)
    assert len(looked) <= 10 * 2


def test_entries() -> None:
    """What is remembered: who began the call, and an entity tag of its own."""
    calls = PaperCalls()
    register = Register(calls, LIMITS)
    first, second = (register.find(begin(register, calls, KEY)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first.key, first.token) == ("key 1", "key 1")
    assert first.etag != second.etag
    assert first.etag.startswith('"')
    assert first.etag.endswith('"')
    assert register.find(CallId(0, 1, 0, "unknown")) is None
