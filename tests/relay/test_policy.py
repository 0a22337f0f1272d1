"""The relay's settings and counters."""

from __future__ import annotations

from rtcproto.relay.policy import Drop, RelayConfig, RelayStats
from rtcproto.routing.table import IDLE_TIMEOUT, MAX_FLOWS, TAKEOVER_SILENCE


def test_defaults_are_those_of_the_table() -> None:
    """Numbers have one home: the table's named constants."""
    config = RelayConfig(publics=frozenset((("203.0.113.1", 3478),)))
    assert config.max_flows == MAX_FLOWS
    assert (config.idle_timeout, config.takeover_silence) == (IDLE_TIMEOUT, TAKEOVER_SILENCE)


def test_drop_reasons_index_a_list() -> None:
    """Counters are a list by reason, so reasons count up from zero."""
    assert [int(reason) for reason in Drop] == list(range(len(Drop)))


def test_stats_name_no_address() -> None:
    """Counters are numbers, so that whatever exports them cannot leak an address."""
    numbers = {name: kind for name, kind in RelayStats.__annotations__.items() if kind != "int"}
    assert list(numbers) == ["drops"]
