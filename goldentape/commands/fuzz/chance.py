"""What is chance in a command: the same everywhere, on a desk and in CI."""

from __future__ import annotations

import hypothesis


def usual_settings() -> hypothesis.settings:
    """Return Hypothesis' own settings; the profiles that are loaded by name or by an environment are for tests."""
    return hypothesis.settings.get_profile("default")
