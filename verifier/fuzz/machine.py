"""Users as a Hypothesis stateful machine: its rules are what users do, and each example is a workload that is searched.

    class Shop(UserMachine):
        app = "shop:app"

        @rule(user=users("alice", "bob"), text=st.text())
        def ask(self, user, text):
            self.send(user, {"type": "user_message", "content": "{content} " + text})
            self.wait(user, "agent_completed")

        @rule(user=users("alice", "bob"))
        def vanish(self, user):
            self.drop(user)

    TestShop = Shop.TestCase

Rules only write down what users do; when an example is complete, so many schedules of it are run in process, and the
first that is wrong fails the test with its story.  Hypothesis remembers the example; users, messages and switches are
made few by us, as for `fuzz app`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy

from goldentape.errors import EnvironmentFault
from verifier.fuzz.asgi import App
from verifier.fuzz.baselines import Baselines
from verifier.fuzz.canary import canary
from verifier.fuzz.crowd import filled
from verifier.fuzz.doors import path_of, paths_of
from verifier.fuzz.found import ScheduleFailure
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.looking import Looking, Unconfirmed
from verifier.fuzz.passport import Passport
from verifier.fuzz.prepare import prepared
from verifier.fuzz.script import Action, Close, Drop, Fast, Send, Slow, Wait
from verifier.fuzz.settings import Settings, named
from verifier.fuzz.workload import After, Session, User, Workload

if TYPE_CHECKING:
    from verifier.contract import Contract


RULES: Final = 12
"""Rules of one example, unless somebody says how many: a race needs few."""
STEPS: Final = 50
"""What Hypothesis has for that."""
HOME: Final = Path(".goldentape")
"""Where repro files go, by machine."""


def users(*names: str) -> SearchStrategy[str]:
    """Return the users that rules choose from."""
    return st.sampled_from(names)


class _Usual:
    """`Shop.TestCase`: few rules an example, and none of Hypothesis' shrinking, for failures are made small by us."""

    def __get__(self, machine: object, kind: type[RuleBasedStateMachine]) -> Any:
        made = RuleBasedStateMachine.__dict__["TestCase"].__get__(None, kind)
        if "_ours" not in vars(made):
            usual = settings()
            phases = [phase for phase in usual.phases if phase not in (Phase.shrink, Phase.explain)]
            steps = RULES if usual.stateful_step_count == STEPS else usual.stateful_step_count
            made.settings = settings(
                usual, deadline=None, suppress_health_check=list(HealthCheck), phases=phases, stateful_step_count=steps
            )
            made._ours = True
        return made


class UserMachine(RuleBasedStateMachine):
    """Subclass it: class attributes say what is searched, rules what users do."""

    app: ClassVar[str | App] = ""
    """`module:attribute`, or the app itself; empty: workloads are only made, as for `workloads`."""
    app_dir: ClassVar[str] = "."
    contracts: ClassVar[Sequence[Contract]] = ()
    passports: ClassVar[Sequence[Passport]] = ()
    """How users say who they are."""
    path: ClassVar[str] = ""
    """Empty: the app's own route."""
    schedules: ClassVar[int] = 24
    """Of each workload."""
    shared: ClassVar[Sequence[str]] = ()
    """Paths whose values users share on purpose."""

    TestCase = _Usual()

    def __init__(self) -> None:
        super().__init__()
        self._scripts: dict[str, list[list[Action]]] = {}
        self._counts: dict[str, int] = {}

    # -- what rules say

    def send(self, user: str, message: Any) -> None:
        """Let a user send a message: text, or a value that is sent as JSON.

        `{content}` in it becomes a text with the user's canary, `{user}`, `{id}` and `{n}` what they say.
        """
        n = self._counts[user] = self._counts.get(user, 0) + 1
        text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
        token = canary(user, n)
        self._add(user, Send(filled(text, user, n, token), token if "{content}" in text else ""))

    def wait(self, user: str, event: str = "") -> None:
        """Let a user wait for the answer to the last message: an event of it, or whatever carries its canary."""
        sent = [action for action in self._here(user) if isinstance(action, Send)]
        if sent:
            self._add(user, Wait(sent[-1].canary, event))

    def close(self, user: str, code: int = 1000) -> None:
        """Let a user close; what the user does next is on a new connection."""
        self._add(user, Close(code))

    def drop(self, user: str) -> None:
        """Let a user vanish without a close frame; what the user does next is on a new connection."""
        self._add(user, Drop())

    def slow(self, user: str) -> None:
        """Let a user read slowly from here on."""
        self._add(user, Slow())

    def fast(self, user: str) -> None:
        """Let a user read at once again."""
        self._add(user, Fast())

    # -- what becomes of it

    def workload(self) -> Workload:
        """Return what the users were told to do so far."""
        sessions = []
        for user, scripts in self._scripts.items():
            for n, script in enumerate(scripts):
                ended = script and isinstance(script[-1], Close | Drop)
                sessions.append(
                    Session(
                        name=user if not n else f"{user}-{n + 1}", user=user, path=self.path,
                        after=None if not n else After(user if n == 1 else f"{user}-{n}"),
                        script=tuple(script) if ended else (*script, Close()),
                    )
                )  # fmt: skip
        return Workload(tuple(User(user) for user in self._scripts), tuple(sessions), tuple(self.passports))

    def teardown(self) -> None:
        """Search the workload; raises `ScheduleFailure`."""
        workload = self.workload()
        if self.app and workload.messages:
            self.search(workload)

    def search(self, workload: Workload) -> None:
        """Run schedules of a workload in process; raise `ScheduleFailure` for the first that is wrong, made small."""
        __tracebackhide__ = True
        failed = _searcher(type(self)).failure(workload)
        if failed is not None:
            raise failed.with_traceback(None)

    @classmethod
    def workloads(cls, count: int = 20) -> list[Workload]:
        """Return workloads that the rules make, the same each time: for `fuzz_app(workload=...)` and for live runs."""
        found: dict[Workload, None] = {}

        class Collecting(cls):  # type: ignore[valid-type, misc]  # a subclass of whatever was asked
            def teardown(self) -> None:
                if (made := self.workload()).messages:
                    found[made] = None

        run_state_machine_as_test(
            Collecting,
            settings=settings(
                max_examples=count, derandomize=True, database=None, deadline=None, phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
        return list(found)

    def _here(self, user: str) -> list[Action]:
        return self._scripts.get(user, [[]])[-1]

    def _add(self, user: str, action: Action) -> None:
        scripts = self._scripts.setdefault(user, [[]])
        if scripts[-1] and isinstance(scripts[-1][-1], Close | Drop):
            scripts.append([])
        scripts[-1].append(action)


class _Searcher:
    """Searches the workloads of one machine: its app is loaded once, and a failure made small once."""

    def __init__(self, machine: type[UserMachine]) -> None:
        app = machine.app  # of the class: a function would become a method of an instance
        self._machine = machine
        named_ = app if isinstance(app, str) else named(app)
        self._settings = Settings(app=named_, app_dir=str(machine.app_dir))
        self._player = InProcess(self._settings, None if isinstance(app, str) else app)
        self._told: dict[str, ScheduleFailure] = {}
        with self._player.target.fresh() as made:
            self._path, self._routes = path_of(made), paths_of(made)

    def failure(self, workload: Workload) -> ScheduleFailure | None:
        """Return what is wrong with a workload: the same each time, and one failure for all that show it."""
        machine = self._machine
        workload, _ = prepared(self._player, workload.at(self._path), self._routes)
        baselines = Baselines(self._player, tuple(machine.contracts), tuple(machine.shared))
        oracle = baselines.oracle(workload)
        for n in range(machine.schedules):
            # Of the workload alone: the same example is the same test.
            _, run = self._player.walk(workload, "mix", 0, n)
            for failure in oracle.judge(run):
                if failure.fingerprint in self._told:
                    return self._told[failure.fingerprint]
                try:
                    found = Looking(self._player, self._settings, baselines, 0).into(workload, run, failure, n + 1)
                except Unconfirmed:
                    continue
                found = replace(found, contracts=tuple(c.file for c in machine.contracts), shared=tuple(machine.shared))
                home = HOME / re.sub(r"[^\w.-]+", "-", f"{machine.__module__}.{machine.__qualname__}")
                saved: Path | None = None
                with suppress(EnvironmentFault):  # the story is told without a file, too
                    saved = found.save(home / f"{found.failure.kind}-{found.failure.fingerprint}.json")
                told = ScheduleFailure(found, saved)
                for fingerprint in {failure.fingerprint, found.failure.fingerprint}:
                    self._told[fingerprint] = told
                return told
        return None


_searcher = lru_cache(64)(_Searcher)
