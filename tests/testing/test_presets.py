"""The named profiles."""

import pytest

from rtcproto.testing import presets
from rtcproto.testing.link import GilbertElliott, LinkConfig


def test_every_profile_is_listed_under_its_name() -> None:
    """PRESETS and the module's constants are the same set."""
    constants = {n.lower(): v for n, v in vars(presets).items() if isinstance(v, LinkConfig)}
    assert dict(presets.PRESETS) == constants
    assert {name.lower() for name in presets.__all__} == {*constants, "presets"}


@pytest.mark.parametrize(
    ("name", "delay", "loss", "rate"),
    [
        ("wifi", 0.005, 0.01, None),
        ("lossy_wifi", 0.015, 0.05, None),
        ("congested_wifi", 0.010, 0.10, 5e6),
        ("cellular", 0.050, 0.02, 30e6),
        ("satellite", 0.600, 0.03, None),
        ("congested", 0.080, 0.10, 10e6),
        ("voice_worst", 0.100, 0.03, 1e6),
    ],
)
def test_figures(name: str, delay: float, loss: float, rate: float | None) -> None:
    """Mean loss of a chain is its share of time in the bad state."""
    profile = presets.PRESETS[name]
    mean = profile.loss
    if isinstance(mean, GilbertElliott):
        mean = mean.good_to_bad / (mean.good_to_bad + mean.bad_to_good)
    assert profile.delay == delay
    assert mean == pytest.approx(loss)
    assert profile.rate == rate
