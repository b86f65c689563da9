"""During a run: virtual clocks, seeded randomness, threads as jobs, and real I/O refused.  Put in and taken out again.

What an app bound at import (`from time import time`) is covered as well, because its modules are executed again under
these patches (`load.py`); what a C extension reads for itself is not.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime as datetime_module
import inspect
import logging
import random
import socket
import subprocess
import sys
import threading
import time
from asyncio import events
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType
from typing import Any, NoReturn

from verifier.fuzz import chance, identity, waits
from verifier.fuzz.escape import escaped, notes
from verifier.fuzz.loop import START, Loop
from verifier.fuzz.workers import Crew, crews

WALL = 1_767_225_600.0
"""What the wall clock says when a run begins: 2026-01-01T00:00:00Z, in seconds."""

TICK = 1e-6
"""Each look at a clock takes this long, so that two looks never see the same time."""

_active: list[Loop] = []
"""The loop of the run that is on."""
_real_datetime = datetime_module.datetime
_real_date = datetime_module.date


def _now() -> float:
    loop = _active[-1]
    loop.now += TICK
    return loop.now


def _clock(real: Callable[[], Any], virtual: Callable[[float], Any]) -> Callable[[], Any]:
    def clock() -> Any:
        return virtual(_now()) if _active else real()

    return clock


def _dated(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function such as `time.localtime`, which takes a time, else the clock's."""

    def dated(seconds: float | None = None) -> Any:
        return real(_wall() if _active and seconds is None else seconds)

    return dated


def _strftime(format: str, at: Any = None, _real: Any = time.strftime, _local: Any = time.localtime) -> str:
    return str(_real(format, at if at is not None else _local(_wall() if _active else None)))


def _asctime(at: Any = None, _real: Any = time.asctime, _local: Any = time.localtime) -> str:
    return str(_real(at if at is not None else _local(_wall() if _active else None)))


class _Like(type):
    """Makes a stand-in for a class of `datetime` that every real value is an instance of."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.__mro__[1])

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, cls.__mro__[1])


class _Datetime(_real_datetime, metaclass=_Like):
    """`datetime.datetime` on the virtual clock; its values are real ones."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return _real_datetime(*args, **options)

    @classmethod
    def now(cls, tz: datetime_module.tzinfo | None = None) -> Any:
        return _real_datetime.fromtimestamp(_wall(), tz) if _active else _real_datetime.now(tz)

    @classmethod
    def utcnow(cls) -> Any:
        at = _wall() if _active else _real_time()
        return _real_datetime.fromtimestamp(at, datetime_module.UTC).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler.generate_schema(_real_datetime)


class _Date(_real_date, metaclass=_Like):
    """`datetime.date` on the virtual clock; its values are real ones."""

    def __new__(cls, *args: Any, **options: Any) -> Any:
        return _real_date(*args, **options)

    @classmethod
    def today(cls) -> Any:
        return _real_date.fromtimestamp(_wall()) if _active else _real_date.today()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return handler.generate_schema(_real_date)


_Datetime.__name__ = _Datetime.__qualname__ = "datetime"
_Date.__name__ = _Date.__qualname__ = "date"
_Datetime.__module__ = _Date.__module__ = "datetime"
_real_time = time.time


def _wall() -> float:
    return _now() - START + WALL


_SECOND_LOOP = "a second event loop (asyncio.run)"


def _refuse(call: str, kind: str) -> Callable[[Any], Callable[..., Any]]:
    def patched(real: Any) -> Callable[..., Any]:
        def refused(*args: Any, **options: Any) -> Any:
            if _active and threading.get_ident() == _thread[-1]:
                raise escaped(call, kind)
            if crews and (worker := crews[-1].me()) is not None:
                if call == _SECOND_LOOP:
                    raise escaped(call, kind)
                if kind != "thread":
                    notes.append(f"{call} in a thread of the app's own ({worker.site}): it is done for real")
            return real(*args, **options)

        return refused

    return patched


def _log(self: logging.Logger, record: logging.LogRecord, _real: Any = logging.Logger.callHandlers) -> None:
    if not _active:  # what the app logs in thousands of runs helps nobody
        _real(self, record)


def _submit(self: Any, fn: Any, /, *args: Any, _real: Any = ThreadPoolExecutor.submit, **options: Any) -> Any:
    if not _active or threading.get_ident() != _thread[-1]:
        return _real(self, fn, *args, **options)
    promised: Future[Any] = Future()

    def work() -> None:
        if promised.set_running_or_notify_cancel():
            try:
                promised.set_result(fn(*args, **options))
            except Exception as error:
                promised.set_exception(error)

    _active[-1].run_in_executor(None, work)
    return promised


_thread: list[int] = []
"""The thread of the run that is on."""

Patch = tuple[Any, str, Any]
"""Where, which attribute, and what stands there during a run."""


def _table() -> list[Patch]:
    patches: list[Patch] = [
        (time, "time", _clock(time.time, lambda now: now - START + WALL)),
        (time, "time_ns", _clock(time.time_ns, lambda now: int((now - START + WALL) * 1e9))),
        (time, "monotonic", _clock(time.monotonic, lambda now: now)),
        (time, "monotonic_ns", _clock(time.monotonic_ns, lambda now: int(now * 1e9))),
        (time, "perf_counter", _clock(time.perf_counter, lambda now: now)),
        (time, "perf_counter_ns", _clock(time.perf_counter_ns, lambda now: int(now * 1e9))),
        *((time, name, _dated(getattr(time, name))) for name in ("localtime", "gmtime", "ctime")),
        (time, "strftime", _strftime),
        (time, "asctime", _asctime),
        (datetime_module, "datetime", _Datetime),
        (datetime_module, "date", _Date),
        (ThreadPoolExecutor, "submit", _submit),
        (logging.Logger, "callHandlers", _log),
    ]
    for where, name, call, kind in (
        (socket.socket, "connect", "socket.connect", "socket"),
        (socket.socket, "connect_ex", "socket.connect", "socket"),
        (socket.socket, "bind", "socket.bind", "socket"),
        (socket, "getaddrinfo", "socket.getaddrinfo", "socket"),
        (subprocess.Popen, "__init__", "subprocess.Popen", "subprocess"),
        (events, "new_event_loop", _SECOND_LOOP, "thread"),
        (asyncio, "run_coroutine_threadsafe", "asyncio.run_coroutine_threadsafe", "thread"),
    ):
        patches.append((where, name, _refuse(call, kind)(getattr(where, name))))
    patches.append((inspect, "getsourcelines", _source_lines))
    return [*patches, *_anyio(), *chance.patches(), *identity.patches(), *waits.patches()]


_get_source_lines = inspect.getsourcelines
_lines: dict[Any, tuple[list[str], int]] = {}


def _source_lines(thing: Any) -> tuple[list[str], int]:
    """Return the source of a function, read once: FastAPI asks for that of each route, in each run anew."""
    thing = inspect.unwrap(thing)
    code = getattr(thing, "__code__", None)
    if code is None:
        return _get_source_lines(thing)
    found = _lines.get(code)
    if found is None:
        found = _lines[code] = _get_source_lines(thing)
    return list(found[0]), found[1]


def _anyio() -> list[Patch]:
    """Return the patches of anyio's way into threads (Starlette's `run_in_threadpool`, FastAPI's sync dependencies)."""
    if "anyio" not in sys.modules:
        return []
    try:
        from anyio._backends import _asyncio
    except ImportError:
        return []
    backend: Any = _asyncio
    asyncio_backend: Any = getattr(backend, "AsyncIOBackend", None)
    if not hasattr(asyncio_backend, "run_sync_in_worker_thread"):  # it has moved: threads are then told as escaped
        return []
    real = asyncio_backend.run_sync_in_worker_thread

    async def run_sync(cls: Any, func: Any, args: Any, abandon_on_cancel: bool = False, limiter: Any = None) -> Any:
        if not _active:
            return await real(func, args, abandon_on_cancel, limiter)
        await cls.checkpoint()
        async with limiter or cls.current_default_thread_limiter():
            with backend.CancelScope(shield=not abandon_on_cancel):
                context = contextvars.copy_context()
                context.run(backend.set_current_async_library, None)

                def call() -> Any:
                    with backend.claim_worker_thread(asyncio_backend, _active[-1]):
                        return context.run(func, *args)

                return await _active[-1].run_in_executor(None, call)

    def run_async_from_thread(*args: Any, **options: Any) -> NoReturn:
        raise escaped("anyio.from_thread.run", "thread")

    def run_sync_from_thread(func: Any, args: Any, token: Any) -> Any:
        events._set_running_loop(_active[-1])
        try:
            return func(*args)
        finally:
            events._set_running_loop(None)

    patches: list[Patch] = [(asyncio_backend, "run_sync_in_worker_thread", classmethod(run_sync))]
    for ours in (run_async_from_thread, run_sync_from_thread):
        if hasattr(asyncio_backend, ours.__name__):
            patches.append((asyncio_backend, ours.__name__, staticmethod(ours)))
    return patches


_MISSING = object()


class Patched:
    """The world of one run: `with Patched(loop): ...`.  Runs do not nest."""

    _table: list[tuple[Any, str, Any, Any]] = []  # noqa: RUF012 - one for the process: where, name, ours, the original
    _modules: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = []  # noqa: RUF012 - the same of modules
    """What modules have is put in at once: names where, ours, the originals."""
    _loaded = 0

    def __init__(self, loop: Loop, seed: int = 0, *, keep: bool = False) -> None:
        """`keep`: the app keeps its state, and its threads, from run to run."""
        self.loop = loop
        self.seed = seed
        self.keep = keep
        self.chance = False
        """Whether the app has asked for something random, once the run is over."""

    def __enter__(self) -> None:
        if _active:
            raise RuntimeError("a run is on in this process already")
        loaded = len(sys.modules)
        if not Patched._table or Patched._loaded != loaded:
            Patched._loaded = loaded
            table = [(*patch, vars(patch[0]).get(patch[1], _MISSING)) for patch in _table()]
            at_once = [isinstance(patch[0], ModuleType) and patch[3] is not _MISSING for patch in table]
            Patched._table = [patch for patch, one in zip(table, at_once, strict=True) if not one]
            grouped: dict[ModuleType, tuple[dict[str, Any], dict[str, Any]]] = {}
            for where, name, ours, original in (patch for patch, one in zip(table, at_once, strict=True) if one):
                new, old = grouped.setdefault(where, ({}, {}))
                new[name], old[name] = ours, original
            Patched._modules = [(vars(where), new, old) for where, (new, old) in grouped.items()]
        self._random = random.getstate()
        identity.forget()
        for names, new, _ in Patched._modules:
            names.update(new)
        for where, name, ours, _ in Patched._table:
            setattr(where, name, ours)
        _active.append(self.loop)
        _thread.append(threading.get_ident())
        chance.begin(self.seed)
        crew = Crew(self.loop)
        self.loop.controls = crew.controls
        crews.append(crew)
        crew.adopt()

    def __exit__(self, *_: object) -> None:
        try:
            crews[-1].dismiss(keep=self.keep)
        finally:
            crews.pop()
            self._restore()

    def _restore(self) -> None:
        _active.pop()
        _thread.pop()
        self.chance = chance.end()
        for names, _, old in Patched._modules:
            names.update(old)
        for where, name, _ours, original in Patched._table:
            if original is _MISSING:
                delattr(where, name)
            else:
                setattr(where, name, original)
        random.setstate(self._random)
