"""Sizes and times on a command line: 512, 64KiB, 16MiB; 10, 500ms, 2m."""

from __future__ import annotations

import re

import click

_UNITS = {"": 1, "B": 1, "KB": 1000, "KIB": 1 << 10, "MB": 10**6, "MIB": 1 << 20, "GB": 10**9, "GIB": 1 << 30}
_SECONDS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Size(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """Bytes, with or without a unit; at least 1."""

    name = "size"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number of bytes."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", str(value))
        if found is None or found[2].upper() not in _UNITS or int(found[1]) < 1:
            self.fail(f"{value!r} is not a size such as 512, 64KiB or 16MiB", param, ctx)
        return int(found[1]) * _UNITS[found[2].upper()]


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic only from click 8.3 on
    """Seconds, or a number with the unit ms, s, m or h."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|m|h|)", str(value))
        if found is None:
            self.fail(f"{value!r} is not a time such as 10s, 500ms or 2m", param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


SIZE = Size()
DURATION = Duration()
