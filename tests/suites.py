"""Somebody's own test suite, run by a pytest of its own; on a desk, whatever this one runs in."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

PLUGIN = (
    ()
    if any(point.name == "goldentape" for point in entry_points(group="pytest11"))
    else ("-p", "goldentape.pytest_plugin")
)
"""Where goldentape was installed before it had a plugin, pytest is told of it."""
CI = frozenset({
    "CI", "BUILD_NUMBER", "TF_BUILD", "BUILDKITE", "CIRCLECI", "CIRRUS_CI", "CODEBUILD_BUILD_ID", "GITHUB_ACTIONS",
    "GITLAB_CI", "HEROKU_TEST_RUN_ID", "TEAMCITY_VERSION", "bamboo.buildKey",
    "__TOX_ENVIRONMENT_VARIABLE_ORIGINAL_CI",
})  # fmt: skip
"""What tells pytest and Hypothesis that they run in CI, where they keep no examples and shorten nothing."""


def desk(**env: str) -> dict[str, str]:
    """The environment without CI, and with what is given."""
    known = {name: value for name, value in os.environ.items() if name not in CI}
    return {**known, "PYTHONDONTWRITEBYTECODE": "1", **env}


def run_pytest(home: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in `home`; `CI="true"` among `env` is how it runs in CI."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *PLUGIN, *args], cwd=home, capture_output=True, text=True, timeout=110,
        env=desk(**env),
    )  # fmt: skip
