"""Values of which the tape has placeholders only: what equals what, and what nobody can tell.  Pure."""

from __future__ import annotations

import re
from typing import Any

from goldentape.event import Flag
from verifier.equality import write
from verifier.record import Record

REDACTED = int(Flag.REDACTED)
_LABEL = re.compile(r"\[r:[a-z]+:(?=[0-9a-f]{32}\])")


def redacted(record: Record, *values: Any) -> bool:
    """Return whether a part of these values of a record is not in the tape."""
    if not record.flags & REDACTED:
        return False
    return any("[r:" in (value if isinstance(value, str) else write(value)) for value in values)


def unlabelled(record: Record, value: Any) -> Any:
    """Return a value so that equal secrets are equal: their label says what they looked like, and may differ."""
    if record.flags & REDACTED and isinstance(value, str):
        return _LABEL.sub("[r:", value)
    return value


__all__ = ["REDACTED", "redacted", "unlabelled"]
