"""`clock`: the time that a message says it was sent at, and how far its clock is from the recorder's.  Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from verifier.paths import Getter, as_list

if TYPE_CHECKING:
    from verifier.contract import Contract

SECOND: Final = 1_000_000_000
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:[.,](\d{1,12}))?\s?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,12})?", re.ASCII)
_UNITS = ((10**17, 1), (10**14, 1_000), (10**11, 1_000_000), (0, SECOND))
"""From this size on a number is of a unit of so many nanoseconds: 10**11 seconds is the year 5138."""
_FIXED = {"epoch_s": SECOND, "epoch_ms": 1_000_000}


@dataclass(frozen=True, slots=True)
class Clock:
    """Where a message's time stands, and what is known of the clock."""

    get: Getter
    paths: tuple[str, ...]
    format: str
    skew: int | None
    """How far the recorder's clock is ahead, in nanoseconds; None: estimated for each connection."""
    tolerance: int


def compile_clock(contract: Contract, value: Mapping[str, Any] | None) -> Clock | None:
    """Return the contract's clock.  Raises ContractError."""
    if value is None:
        return None
    if "path" not in value:
        raise contract.error(("clock",), "`path` is missing", fix="say where a message's time stands")
    skew = value.get("skew", "estimate")
    return Clock(
        contract.getters(value["path"], ("clock", "path")),
        as_list(value["path"]),
        value.get("format", "auto"),
        None if skew == "estimate" else contract.time(skew, ("clock", "skew")),
        contract.time(value["tolerance"], ("clock", "tolerance")) if "tolerance" in value else 0,
    )


def read_stamp(value: Any, form: str) -> tuple[int, int] | None:
    """Return (Unix time, how exact it is), both in nanoseconds, or None: what stands there is no time."""
    if type(value) is int and form == "auto" and 0 <= value < 10**20:
        unit = next(unit for least, unit in _UNITS if value >= least)
        return value * unit, unit
    if isinstance(value, str) and form in ("auto", "rfc3339"):
        found = _read_text(value)
        if found is not None or form == "rfc3339":
            return found
    if form == "rfc3339" or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    text = value if isinstance(value, str) else repr(value)
    if _NUMBER.fullmatch(text) is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    unit = _FIXED.get(form) or next(unit for least, unit in _UNITS if number >= least)
    digits = len(text.partition(".")[2])
    return int(number * unit), max(1, unit // 10**digits)


def _read_text(text: str) -> tuple[int, int] | None:
    # Many messages are of one second.
    if text[19:20] == "." and text[-1] == "Z" and (whole := _seconds.get(text[:19])) is not None:
        digits = text[20:-1]
        if digits.isascii() and digits.isdigit() and len(digits) <= 9:
            return whole + int(digits) * 10 ** (9 - len(digits)), SECOND // 10 ** len(digits)
    found = _read_whole(text)
    if found is not None and text[-1:] == "Z":
        if len(_seconds) >= MOST_SECONDS:
            _seconds.clear()
        _seconds[text[:19]] = found[0] // SECOND * SECOND
    return found


_seconds: dict[str, int] = {}
"""Texts of whole seconds, in UTC, and which they are."""
MOST_SECONDS = 4096


def _read_whole(text: str) -> tuple[int, int] | None:
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    try:
        whole = datetime.fromisoformat(f"{day}T{time}{(zone or 'Z').upper()}")
    except ValueError:
        return None
    since = whole - datetime(1970, 1, 1, tzinfo=UTC)
    digits = (fraction or "")[:9]
    return (since.days * 86400 + since.seconds) * SECOND + int(digits.ljust(9, "0")), SECOND // 10 ** len(digits)


__all__ = ["Clock", "compile_clock", "read_stamp"]
