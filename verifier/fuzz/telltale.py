"""What went wrong inside the app, as values: exceptions with tracebacks that are the same on any machine."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verifier.fuzz.asgi import ClientDisconnected, Lifespan
from verifier.fuzz.escape import Escaped, Stuck, short
from verifier.fuzz.schedule import APP
from verifier.fuzz.seen import AppError, ProtocolError, Where, without_addresses

if TYPE_CHECKING:
    from verifier.fuzz.world import World

_OURS = str(Path(__file__).parent)


class Telltale:
    """Collects the errors of one run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.errors: list[AppError] = []
        self.protocol_errors: list[ProtocolError] = []

    def protocol(self, session: str, text: str) -> None:
        """Take note of something against the ASGI specification."""
        self.protocol_errors.append(ProtocolError(session, text, self.world.step, self.world.at_end))

    def connection(self, session: str, error: BaseException, left: bool) -> None:
        """Take note of what came out of an ASGI call, unless it says that a client has left who has."""
        if not (left and about_leaving(error)):
            self._add(session, Where.CONNECTION, error, self.world.step)

    def lifespan(self, lifespan: Lifespan, *, started: bool) -> None:
        """Take note of what start-up or shut-down came to."""
        if lifespan.error is not None:
            self._add(APP, Where.LIFESPAN, lifespan.error, self.world.step)
        elif lifespan.failure and not any(error.where is Where.LIFESPAN for error in self.errors):
            last = lifespan.failure.strip().splitlines()[-1:]
            kind, _, message = (last[0] if last else "").partition(": ")
            text = "\n".join(_shortened(line) for line in lifespan.failure.splitlines())
            self.errors.append(
                AppError(
                    APP,
                    Where.LIFESPAN,
                    kind or "failure",
                    without_addresses(message),
                    without_addresses(text),
                    self.world.step,
                    not started,
                )
            )

    def tasks(self) -> None:
        """Take note of the exceptions of tasks that nobody has looked at, and of what came to the exception handler."""
        loop = self.world.loop
        for task, owner in zip(loop.tasks, loop.owners, strict=True):
            if task.done() and not task.cancelled() and task._log_traceback:
                task._log_traceback = False
                error = task.exception()
                if error is not None:
                    self._task(owner, error)
        failures, loop.failures = loop.failures, []
        for owner, context in failures:
            found = context.get("exception")
            if isinstance(found, BaseException):
                self._task(owner, found)

    def _task(self, owner: int, error: BaseException) -> None:
        if owner:
            session = self.world.sessions[owner - 1]
            if (session.left or session.client.over) and about_leaving(error):
                return
        name = APP if not owner else self.world.sessions[owner - 1].name
        self._add(name, Where.TASK, error, -1)

    def _add(self, session: str, where: Where, error: BaseException, step: int) -> None:
        if isinstance(error, Escaped | Stuck):
            return
        kind = f"{type(error).__module__}.{type(error).__qualname__}"
        text = "\n".join(_lines(error))
        self.errors.append(
            AppError(
                session, where, kind, without_addresses(str(error)), without_addresses(text), step, self.world.at_end
            )
        )


def about_leaving(error: BaseException) -> bool:
    """Return whether an exception only says that a client has left."""
    if isinstance(error, BaseExceptionGroup):
        return all(about_leaving(inner) for inner in error.exceptions)
    return isinstance(error, OSError | ClientDisconnected) or type(error).__name__.startswith("WebSocketDisconnect")


def _lines(error: BaseException) -> Iterator[str]:
    told = traceback.TracebackException.from_exception(error)
    _cut(told)
    for chunk in told.format():
        for line in chunk.rstrip("\n").split("\n"):
            yield _shortened(line)


def _cut(told: Any) -> None:
    """Take our own frames out of a traceback, and of those it came from."""
    told.stack = traceback.StackSummary.from_list(
        [frame for frame in told.stack if not frame.filename.startswith(_OURS)]
    )
    for inner in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if inner is not None:
            _cut(inner)


def _shortened(line: str) -> str:
    return re.sub(r'File "([^"]+)"', lambda found: f'File "{short(found[1])}"', line)
