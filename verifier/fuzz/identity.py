"""Numbers instead of addresses: so that sets of connections, queues and tasks have one order, in every process.

Python hashes an object by its address unless its class says otherwise, and `for socket in self.sockets` then goes in
another order each time.  During a run, what apps like to keep in sets is hashed by the order in which it was first
hashed: the app's own classes, asyncio's and anyio's primitives, Starlette's connections, tasks.
"""

from __future__ import annotations

import asyncio
import builtins
import itertools
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

_PLAIN: Any = object.__hash__
"""The hash that is an address."""
_known: dict[int, tuple[weakref.ref[Any], int]] = {}
_counter = itertools.count(1)
own: set[str] = set()
"""Names of the app's own modules, while a run is on."""


def number(value: Any) -> int:
    """Return the number of an object that can be referred to weakly."""
    key = id(value)
    found = _known.get(key)
    if found is not None and found[0]() is value:
        return found[1]
    new = next(_counter)
    _known[key] = weakref.ref(value), new
    return new


def ident(value: Any) -> int:
    """Stand in for `id` in the app's own modules: a number where there can be one."""
    if not own or not type(value).__weakrefoffset__:
        return id(value)
    return 0x7F0000000000 + 16 * number(value)


def forget() -> None:
    """Begin to count again: a new run."""
    global _counter
    _known.clear()
    _counter = itertools.count(1)


class Task(asyncio.Task[Any]):
    """A task with a number."""

    def __hash__(self) -> int:
        try:
            return self._number
        except AttributeError:
            self._number: int = len(self.get_loop().tasks) + 1  # type: ignore[attr-defined]
            return self._number


def _build_class(real: Callable[..., Any]) -> Callable[..., Any]:
    def build(func: Any, name: str, *bases: Any, **options: Any) -> Any:
        made = real(func, name, *bases, **options)
        if own and func.__globals__.get("__name__") in own:
            try:
                if made.__hash__ is _PLAIN and made.__weakrefoffset__:
                    made.__hash__ = number
            except (AttributeError, TypeError):  # a metaclass of its own mind
                pass
        return made

    return build


def patches() -> Iterator[tuple[Any, str, Any]]:
    """Yield what stands where during a run: owner, attribute, value."""
    yield builtins, "__build_class__", _build_class(builtins.__build_class__)
    for name in ("Queue", "Event", "Lock", "Condition", "Semaphore"):
        yield getattr(asyncio, name), "__hash__", number
    for module, names in (
        ("starlette.requests", ("HTTPConnection",)),
        ("anyio.streams.memory", ("MemoryObjectSendStream", "MemoryObjectReceiveStream")),
        ("anyio", ("Event", "Lock")),
    ):
        for name in names:
            found = getattr(sys.modules.get(module), name, None)
            if isinstance(found, type) and found.__weakrefoffset__ and getattr(found, "__hash__", None) is _PLAIN:
                yield found, "__hash__", number
