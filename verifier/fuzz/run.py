"""`run_app`: one run of an app with a workload, under a schedule or a policy, in this process."""

from __future__ import annotations

import gc
import io
import os
import pickle
import sys
import threading
from asyncio import events
from collections.abc import Callable
from pathlib import Path
from typing import Any

from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz.asgi import App
from verifier.fuzz.chance import stir
from verifier.fuzz.escape import Escaped, Stuck, escaped, forget, held, notes
from verifier.fuzz.escape import first as escapes
from verifier.fuzz.load import Target
from verifier.fuzz.loop import START
from verifier.fuzz.patches import Patched
from verifier.fuzz.played import schedule_of
from verifier.fuzz.policy import Choosing, Play, Player
from verifier.fuzz.schedule import APP, SERIAL, Schedule
from verifier.fuzz.seen import Ended, Owed, Rest, Run
from verifier.fuzz.waits import loose
from verifier.fuzz.watch import Watch
from verifier.fuzz.workload import Workload
from verifier.fuzz.world import LIVELOCK, World

EXPLORE = ("arrival", "ready")
WINDOW = 1.0
GRACE = 30.0
WARMER = 6
"""How much longer a turn may take in the first run, in which an app may load what it works with."""
NOTHING: tuple[Owed, ...] = ()


class Runner:
    """An app, loaded once, and run as often as wanted."""

    def __init__(
        self,
        app: str | App | Target,
        *,
        app_dir: str | Path = ".",
        factory: bool = False,
        isolate: str = "reexec",
        explore: str = "arrival",
        window: float = WINDOW,
        grace: float = GRACE,
        limit: int = LIVELOCK,
        seed: int = 0,
        patience: float = 5.0,
        quiet: bool = True,
    ) -> None:
        """Load the app (`load.py`); raises `InputError`.

        `explore`: `arrival` keeps the ready queue FIFO, as asyncio does; `ready` keeps it FIFO only within a session.
        `window`: virtual seconds within which latencies may end in any order.  `grace`: virtual seconds that a run goes
        on after the last thing visible.  `limit`: steps without anything visible that make a livelock.  `seed`: of the
        app's own randomness (`random`, `uuid`, `secrets`).  `patience`: seconds that a turn of the loop may take
        before the app is stopped, since it does not give the loop back (`watch.py`; 0: any).  `quiet`: what the
        app prints in a run goes nowhere, as what it logs.
        """
        if explore not in EXPLORE:
            raise InputError("no such way to explore", found=explore, wanted=", ".join(EXPLORE))
        self.target = app if isinstance(app, Target) else Target(app, app_dir=app_dir, factory=factory, isolate=isolate)
        self.explore = explore
        self.window = window
        self.grace = grace
        self.limit = limit
        self.seed = seed
        self.watch = Watch(patience)
        self.quiet = quiet
        self.world: Callable[..., World] = World
        """What plays a run; another one may look closer."""

    def run(self, workload: Workload, how: Schedule | Choosing) -> Run:
        """Return what one run shows.  The same arguments give the same run, byte for byte."""
        if self.target.isolate == "fork":
            return in_child(lambda: self._run(workload, how))
        if not self.target.warm:  # what an app and its libraries load when first used must not make one run another
            self.target.warm = True
            usual, self.watch = self.watch, Watch(WARMER * self.watch.patience)
            self._run(workload, SERIAL)
            self.watch = usual
        return self._run(workload, how)

    def _run(self, workload: Workload, how: Schedule | Choosing) -> Run:
        policy = Play(how) if isinstance(how, Schedule) else how
        names = [session.name for session in workload.sessions]
        chooser = policy.chooser(names)
        forget()
        running = events._get_running_loop()
        world = self.world(
            workload, window=self.window, grace=self.grace, ready_mode=self.explore == "ready", limit=self.limit
        )
        collecting, hooks = gc.isenabled(), sys.get_asyncgen_hooks()
        shown = sys.stdout, sys.stderr
        if self.quiet:
            sys.stdout = sys.stderr = _Nowhere()
        gc.disable()
        sys.set_asyncgen_hooks(None, world.loop.finalize)
        events._set_running_loop(None)
        try:
            keep = self.target.isolate == "factory" or not isinstance(self.target.reference, str)
            patched = Patched(world.loop, self.seed, keep=keep)
            with self.watch.over(lambda: world.loop.turns), patched:
                events._set_running_loop(world.loop)
                ended, owed = Ended.DONE, NOTHING
                try:
                    with self.target.fresh() as world.app:
                        if world.start():
                            stir()
                            ended, owed = world.go(chooser)
                        if ended is Ended.DEADLOCK and loose():
                            escaped("a thread that is not under control", "thread")  # it may still call
                        if held:
                            ended, owed = _held_up(workload)
                        world.finish()
                except Escaped:
                    pass
                except Stuck:
                    if not world.at_end:
                        ended, owed = _held_up(workload)
                if escapes:
                    ended, owed = Ended.ESCAPED, NOTHING
        finally:
            world.loop.close()
            sys.stdout, sys.stderr = shown
            events._set_running_loop(running)
            sys.set_asyncgen_hooks(*hooks)
            if collecting:
                gc.enable()
        schedule, taken = schedule_of(world.choices, names)
        return Run(
            moments=tuple(world.moments),
            schedule=schedule,
            choices=tuple((way, ways) for way, ways, _, _ in world.choices),
            names=tuple(names),
            decisions=sum(ways > 1 for _, ways, _, _ in world.choices),
            ended=ended,
            open=owed,
            errors=tuple(world.tell.errors),
            protocol_errors=tuple(world.tell.protocol_errors),
            escaped=escapes[0] if escapes else None,
            uncontrolled=tuple(dict.fromkeys([*self.target.uncontrolled, *notes])),
            landed=chooser.landed if isinstance(chooser, Player) else len(schedule),
            slice_of_step=taken,
            at=round((world.loop.now - START) * 1e9),
            chance=patched.chance,
        )


def _held_up(workload: Workload) -> tuple[Ended, tuple[Owed, ...]]:
    """Return how a run ended whose event loop is held up, and by what."""
    owner, where, text, spins = held[0]
    name = workload.sessions[owner - 1].name if owner else APP
    return Ended.LIVELOCK if spins else Ended.DEADLOCK, (Owed(name, -1, text, Rest.FROZEN, where),)


class _Nowhere(io.TextIOBase):
    """Where apps print to in a run."""

    def write(self, text: str) -> int:
        return len(text)


def run_app(app: str | App | Target, workload: Workload, how: Schedule | Choosing, **options: Any) -> Run:
    """Run an app once; `options` are those of `Runner`, which is cheaper where there are many runs.

    run = run_app("shop.main:app", crowd(3, 2), Walk(seed=1))
    again = run_app("shop.main:app", crowd(3, 2), run.schedule)
    assert again.log_bytes() == run.log_bytes()
    """
    return Runner(app, **options).run(workload, how)


def in_child(work: Any) -> Run:
    """Do the work in a forked child and return its result; the child's state ends with it."""
    if threading.active_count() > 1:
        raise EnvironmentFault(
            "a process with several threads cannot be forked safely",
            found=", ".join(sorted(thread.name for thread in threading.enumerate())),
            fix="use --isolate reexec, or --factory",
        )
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            try:
                result: Any = work()
            except BaseException as error:
                result = error
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(result, pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    if not data:
        raise EnvironmentFault("a forked run ended without a result", fix="use --isolate reexec")
    found = pickle.loads(data)  # our own child wrote it
    if isinstance(found, BaseException):
        raise found
    assert isinstance(found, Run)
    return found
