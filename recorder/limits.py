"""What the process asks of the system before it listens: open files, no core dumps, the faster loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from goldentape.errors import InputError

SPARE_DESCRIPTORS = 64
"""For everything that is not a client or its upstream."""
MOST = 10_000
"""Connections at once, when nothing else is asked for."""


def room_for(asked: int | None) -> int:
    """Raise the soft limit of open files as far as is needed, and return how many connections may be open.

    Raises InputError when `asked` do not fit; None asks for MOST, or as many as do fit.
    """
    wanted = asked or MOST
    try:
        import resource
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 2 * wanted + SPARE_DESCRIPTORS
    if 0 <= soft < need:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (need if hard < 0 else min(need, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    fits = max((soft - SPARE_DESCRIPTORS) // 2, 1) if soft >= 0 else wanted
    if asked is not None and fits < asked:
        raise InputError(
            f"{asked} connections need {need} open files, the limit is {soft}",
            fix=f"raise it (ulimit -n {need}) or lower --max-connections to {fits}",
        )
    return min(wanted, fits)


def no_core_dumps() -> None:
    """Keep traffic out of core files."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it exists, None (the stdlib's) elsewhere."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
