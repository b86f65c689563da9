"""The deterministic event loop: a virtual clock, a FIFO ready queue, and latencies that end when they are told to.

No I/O and no `select`: somebody else decides what happens next (`world.py`) and calls `batch`, `end_latency`, `fire`.
Three kinds of things wait for time:

- *sleeps* (`asyncio.sleep`, and `anyio.sleep` above it) stand for the latency of something outside; they end in any
  order within a window, but never after a strict timer that is due before;
- *jobs* (`run_in_executor`, `to_thread`) run inline, at a moment that somebody else picks;
- *strict timers* (timeouts, `call_later`) fire in their order, and only when nothing else is to do before.
"""

# ruff: noqa: D102 - the methods of a loop are asyncio's
from __future__ import annotations

import asyncio
import contextvars
import heapq
import inspect
import threading
from asyncio import events, futures
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, NoReturn

from verifier.fuzz.escape import call_site, escaped, threads
from verifier.fuzz.going import Going
from verifier.fuzz.identity import Task
from verifier.fuzz.outside import refuse
from verifier.fuzz.whose import SESSION, whose

if TYPE_CHECKING:
    from verifier.fuzz.workers import Alarm, Worker

START = 1000.0
"""What the monotonic clock says when a run begins, in seconds."""

RECURS = 8
"""Who has begun so many timers since a script last came further only recurs: a heartbeat, a poll."""

_SLEEPER = getattr(futures, "_set_result_unless_cancelled", None)
"""The callback that ends an `asyncio.sleep`; no other timer has it."""

Context = contextvars.Context


class Job:
    """A function that was handed to an executor."""

    __slots__ = ("args", "func", "future", "owner", "site")

    def __init__(
        self, func: Callable[..., Any], args: tuple[Any, ...], future: asyncio.Future[Any], owner: int
    ) -> None:
        self.func = func
        self.args = args
        self.future = future
        self.owner = owner
        self.site = call_site()

    def cancelled(self) -> bool:
        """Return whether nobody waits for it any more."""
        return self.future.done()

    def _run(self) -> None:
        raise NotImplementedError("the loop runs it")


Latency = tuple[float, int, "asyncio.TimerHandle | Job | Alarm", object]
"""When it is due, its number, what happens then, and who began it: a task, or the name of a callback."""


class Loop(asyncio.AbstractEventLoop):
    """An event loop that never runs by itself."""

    def __init__(self) -> None:
        self.now = START
        self.ready: deque[asyncio.Handle] = deque()
        self.latencies: dict[int, list[Latency]] = {}
        """Heaps of sleeps and jobs, by whose they are."""
        self.strict: list[tuple[float, int, asyncio.TimerHandle, object]] = []
        self.jobs = 0
        """How many jobs wait to be run."""
        self.tasks: list[asyncio.Task[Any]] = []
        """Every task, in order: strong references, so that nothing depends on the garbage collector."""
        self.owners: list[int] = []
        """Whose each task is."""
        self.failures: list[tuple[int, dict[str, Any]]] = []
        """What came to the exception handler, and whose it was."""
        self.rearmed: dict[object, int] = {}
        """How many timers each task has begun since `rearmed` was last cleared."""
        self._armed: dict[object, int] = {}
        """The same, of the whole run."""
        self.going = Going()
        self.news = 0
        """How many things have ended that waited for time and did not only recur."""
        self.turns = 0
        """How often the loop has been given back."""
        self.workers: list[Worker] = []
        """The app's own threads, in the order in which they were started."""
        self.controls: Callable[[], bool] = lambda: threading.get_ident() == self._thread
        """Whether the thread that asks is one that runs only when it is told to."""
        self._thread = threading.get_ident()
        self._count = 0
        self._closed = False
        self._task_factory: Any = None
        self._handler: Any = None

    # What asyncio asks of a loop

    def get_debug(self) -> bool:
        return False

    def set_debug(self, enabled: bool) -> None:
        pass

    def time(self) -> float:
        return self.now

    def is_running(self) -> bool:
        return not self._closed

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        for task in self.tasks:
            coroutine = task.get_coro()
            if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # Hypothesis may give a run up before this one had its turn
        self.ready.clear()
        self.latencies.clear()
        self.strict.clear()

    def stop(self) -> None:
        raise RuntimeError("the app stopped the event loop")

    def run_forever(self) -> NoReturn:
        raise RuntimeError("This event loop is already running")

    def run_until_complete(self, future: Any) -> NoReturn:
        if asyncio.iscoroutine(future):
            future.close()
        raise RuntimeError("This event loop is already running")

    async def shutdown_asyncgens(self) -> None:
        pass

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        pass

    def set_default_executor(self, executor: Any) -> None:
        pass

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        handle = asyncio.Handle(callback, args, self, context)
        self.ready.append(handle)
        owner = whose(handle)
        if owner not in self.going.owners:
            self.going.begin(owner, self.going.moment(SESSION.get(), self.now, self._count))
        return handle

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]
        if not self.controls():
            raise escaped("a thread that calls into the event loop", "thread")
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._count = count = self._count + 1
        began: object = asyncio.current_task(self) or str(getattr(callback, "__qualname__", ""))
        self._began(began)
        owner = SESSION.get()
        behind = self.now - self.going.moment(owner, self.now, count)[0]
        due = when - behind if behind else when
        if callback is _SLEEPER:
            heap = self.latencies.get(owner)
            if heap is None:
                heap = self.latencies[owner] = []
            heapq.heappush(heap, (due, count, handle, began))
        else:
            heapq.heappush(self.strict, (due, count, handle, began))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,
    ) -> asyncio.Task[Any]:
        name = name or f"Task-{len(self.tasks) + 1}"
        task: asyncio.Task[Any]
        if self._task_factory is not None:
            task = self._task_factory(self, coro, **({"context": context} if context is not None else {}), **options)
            task.set_name(name)
        elif context is None:
            task = Task(coro, loop=self, name=name, **options)
        else:
            task = Task(coro, loop=self, name=name, context=context, **options)
        self.tasks.append(task)
        self.owners.append(SESSION.get() if context is None else context.get(SESSION, 0))
        return task

    def set_task_factory(self, factory: Any) -> None:
        self._task_factory = factory

    def get_task_factory(self) -> Any:
        return self._task_factory

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = self.create_future()
        owner = SESSION.get()
        self.hand(Job(func, args, future, owner), owner, asyncio.current_task(self))
        return future

    def get_exception_handler(self) -> Any:
        return self._handler

    def set_exception_handler(self, handler: Any) -> None:
        self._handler = handler

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            self.failures.append((SESSION.get(), context))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._handler is None or self._closed:
            self.default_exception_handler(context)
        else:
            self._handler(self, context)

    def add_signal_handler(self, sig: int, callback: Any, *args: Any) -> None:  # type: ignore[override]
        pass

    def remove_signal_handler(self, sig: int) -> bool:
        return False

    # What the app's own threads call

    def hand(self, job: Job, owner: int, began: object) -> None:
        """Take a job that somebody may pick from now on."""
        self._count += 1
        at, _ = self.going.moment(owner, self.now, self._count)
        heapq.heappush(self.latencies.setdefault(owner, []), (at, self._count, job, began))
        self.jobs += 1

    def set_alarm(self, alarm: Alarm, owner: int, began: object) -> None:
        """Take the end of a thread's wait, which is a latency as that of `asyncio.sleep`."""
        self._count += 1
        self._began(began)
        heapq.heappush(self.latencies.setdefault(owner, []), (alarm.at, self._count, alarm, began))

    # What decides calls

    def finalize(self, generator: Any) -> None:
        """Close an async generator that was left unfinished, as asyncio's hook does."""
        if not self._closed:
            self.call_soon(self.create_task, generator.aclose())

    def batch(self, owner: int | None = None) -> None:
        """Run what is ready now, in order, as one turn of a loop does; with an owner only what is theirs."""
        ready = self.ready
        self.turns += 1
        if owner is None:
            handles = [ready.popleft() for _ in range(len(ready))]
        else:
            handles = [handle for handle in ready if whose(handle) == owner]
            rest = [handle for handle in ready if whose(handle) != owner]
            ready.clear()
            ready.extend(rest)
        for handle in handles:
            if not handle._cancelled:
                handle._run()
        self.going.rest(self.ready)

    def next_latency(self, owner: int) -> float | None:
        """Return when the earliest latency of somebody is due; None where there is none."""
        heap = self.latencies.get(owner)
        while heap:
            when, _, what, _ = heap[0]
            if not what.cancelled():
                return when
            heapq.heappop(heap)
            if isinstance(what, Job):
                self.jobs -= 1
        return None

    def due(self) -> list[tuple[float, int]]:
        """Return when the earliest latency of each is due who has one, and whose it is."""
        owners = (owner for owner, heap in self.latencies.items() if heap)
        return [(at, owner) for owner in owners if (at := self.next_latency(owner)) is not None]

    def may_end(self, owner: int) -> bool:
        """Return whether somebody's earliest latency can end now: a job (in no time), or behind none who goes on."""
        _, number, what, _ = self.latencies[owner][0]
        return isinstance(what, Job) or self.going.began_behind(number)

    def recurs(self, owner: int) -> bool:
        """Return whether the earliest latency of somebody was begun by what does so again and again."""
        return self._armed.get(self.latencies[owner][0][3], 0) >= RECURS

    def _began(self, task: object) -> None:
        self.rearmed[task] = self.rearmed.get(task, 0) + 1
        self._armed[task] = self._armed.get(task, 0) + 1

    def next_strict(self) -> tuple[float, int] | None:
        """Return when the first strict timer is due, and whose it is."""
        strict = self.strict
        while strict and strict[0][2].cancelled():
            heapq.heappop(strict)
        if not strict:
            return None
        when, _, handle, _ = strict[0]
        return when, whose(handle)

    def end_latency(self, owner: int) -> None:
        """End the earliest latency of somebody who has one: a sleep is over, or a job runs."""
        self.turns += 1
        when, _, what, began = heapq.heappop(self.latencies[owner])
        self.news += self.rearmed.get(began, 0) < RECURS
        self._pass(when, what)
        self.going.begin(owner, (self.now, self._count))
        if isinstance(what, Job):
            self.jobs -= 1
        if type(what) is Job:
            self._run_job(what)
        else:
            what._run()
        self.going.rest(self.ready)

    def fire(self) -> None:
        """Fire the first strict timer."""
        self.turns += 1
        when, _, handle, began = heapq.heappop(self.strict)
        self.news += self.rearmed.get(began, 0) < RECURS
        self._pass(when, handle)
        self.going.begin(whose(handle), (self.now, self._count))
        handle._run()
        self.going.rest(self.ready)

    def _pass(self, due: float, what: object) -> None:
        """Let the clock go to where something ends: as late as it was told to, where it has one to look at."""
        at = what.when() if isinstance(what, asyncio.TimerHandle) else due
        if at > self.now:
            self.now = at

    def recurring(self) -> bool:
        """Return whether all that waits for time was begun by somebody who does so again and again (see `rearmed`)."""
        entries = [
            (what, began) for heap in self.latencies.values() for _, _, what, began in heap if not what.cancelled()
        ]
        entries += [(handle, began) for _, _, handle, began in self.strict if not handle.cancelled()]
        return all(not isinstance(what, Job) and self.rearmed.get(began, 0) >= RECURS for what, began in entries)

    def _run_job(self, job: Job) -> None:
        """Run a job as a thread would: with an empty context, and no loop in sight."""
        context = contextvars.Context()
        context.run(SESSION.set, job.owner)
        events._set_running_loop(None)
        threads.append(job.site)
        try:
            result = context.run(job.func, *job.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            outcome: tuple[Any, BaseException | None] = None, error
        else:
            outcome = result, None
        finally:
            threads.pop()
            events._set_running_loop(self)
        if job.future.done():
            return
        if outcome[1] is not None:
            job.future.set_exception(outcome[1])
        else:
            job.future.set_result(outcome[0])


refuse(Loop)
Loop.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]
