"""Hashes of texts that are the same in every process: sets then have one order, and runs replay."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "PYTHONHASHSEED"


def demand_steady_hashes() -> None:
    """Start this program again with hashes that do not change, unless that was done; only where we are the program."""
    if not sys.flags.hash_randomization or os.environ.get(VARIABLE, "random") != "random":
        return
    program = Path(sys.argv[0])
    if program.name != "goldentape" and program.parts[-2:] != ("goldentape", "__main__.py"):
        return
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os.environ[VARIABLE] = "0"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
