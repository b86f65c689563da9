"""Durations as contracts write them (`500ms`, `2s`, `1.5m`, `1h`), in nanoseconds.  Pure."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_UNITS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)


@lru_cache(1024)
def parse_duration(text: str) -> int:
    """Return nanoseconds.  Raises ValueError with a sentence for people."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("a duration is a number and a unit: 500ms, 2s, 1.5m, 1h")
    return int(Fraction(match[1]) * _UNITS[match[2]])


def duration(ns: int) -> str:
    """Write nanoseconds for people: `87 ms`, `5.250 s`."""
    if abs(ns) < 1_000_000:
        return f"{ns / 1_000:.0f} us"
    if abs(ns) < 1_000_000_000:
        return f"{ns / 1_000_000:.0f} ms"
    return f"{ns / 1_000_000_000:.3f} s"
