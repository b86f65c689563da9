"""What things cost: processor time, so that a busy machine does not make results worse."""

from __future__ import annotations

import os
import time


def spent() -> float:
    """Return the seconds of processor time that this process has used, with its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system
