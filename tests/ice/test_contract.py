"""What both ICE machines share."""

from __future__ import annotations

import inspect
from typing import get_args

import attrs
import pytest

from rtcproto.ice import Credentials, IceAgent, IceConfig, IceEvent, IceLite, IceMachine
from rtcproto.ice.contract import IceStats, PathLost, PathProven, PathSelected, PathValidated


@pytest.mark.parametrize("machine", [IceLite, IceAgent])
def test_both_machines_have_every_method(machine: type) -> None:
    """Name by name, with the same parameters, so that a session never learns which it has."""
    names = [name for name in vars(IceMachine) if not name.startswith("_")]
    assert len(names) >= 12
    for name in names:
        promised, kept = getattr(IceMachine, name), getattr(machine, name)
        if inspect.isfunction(promised):
            expected = list(inspect.signature(promised).parameters)
            assert list(inspect.signature(kept).parameters) == expected
        else:
            assert isinstance(kept, property)


def test_credentials_hide_the_password() -> None:
    """K2: a repr ends up in logs."""
    shown = repr(Credentials("frag", "this is the password"))
    assert "frag" in shown
    assert "password" not in shown


def test_defaults_are_the_rfcs() -> None:
    """RFC 7675 section 5.1 and RFC 8445 section 14; the ceilings are ours."""
    config = IceConfig()
    assert (config.consent_timeout, config.consent_interval) == (30.0, 5.0)
    assert (config.pacing, config.request_rto) == (0.05, 0.5)
    assert (config.max_paths, config.max_remote_candidates) == (8, 64)
    assert config.max_transactions == 4096


def test_events_and_stats_are_plain_values() -> None:
    """The union is complete, and a snapshot does not share its counters."""
    assert set(get_args(IceEvent)) == {PathValidated, PathProven, PathSelected, PathLost}
    assert all(attrs.has(kind) for kind in get_args(IceEvent))
    first, second = IceStats(), IceStats()
    assert first == second
    assert first.rejected is not second.rejected
