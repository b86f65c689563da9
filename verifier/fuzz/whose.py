"""Whose code runs: the number of a session, which tasks and callbacks inherit with their context."""

from __future__ import annotations

import asyncio
import contextvars
from typing import cast

SESSION: contextvars.ContextVar[int] = contextvars.ContextVar("goldentape_session", default=0)
"""The number of a session, from 1; 0 is the app's own (start-up, and what it left running)."""


def whose(handle: asyncio.Handle) -> int:
    """Return to whom a callback belongs that waits for its turn."""
    return cast(int, handle._context.get(SESSION, 0))  # type: ignore[attr-defined]
