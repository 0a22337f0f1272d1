"""Suite-wide settings: hypothesis profiles."""

import os

from hypothesis import HealthCheck, settings

# Derandomised everywhere by default, so that a red run is red again; the
# profile "explore" draws fresh examples.
settings.register_profile(
    "default",
    derandomize=True,
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
