"""One Hypothesis profile for all: the same examples in every run, so that a gate that is green stays green.

`HYPOTHESIS_PROFILE=search pytest` looks for new ones.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "gate", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("search", deadline=None, max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

from verifying import run  # noqa: E402, F401  # a fixture
