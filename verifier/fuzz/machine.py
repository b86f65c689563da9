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
first that is wrong fails the test with its story.  Hypothesis makes the workload small, and remembers it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy

from verifier.fuzz.asgi import App
from verifier.fuzz.baselines import Baselines
from verifier.fuzz.canary import canary
from verifier.fuzz.crowd import filled
from verifier.fuzz.found import Found, ScheduleFailure
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.passport import Passport
from verifier.fuzz.script import Action, Close, Drop, Fast, Send, Slow, Wait
from verifier.fuzz.settings import Settings
from verifier.fuzz.workload import After, Session, User, Workload

if TYPE_CHECKING:
    from verifier.contract import Contract


def users(*names: str) -> SearchStrategy[str]:
    """Return the users that rules choose from."""
    return st.sampled_from(names)


class UserMachine(RuleBasedStateMachine):
    """Subclass it: class attributes say what is searched, rules what users do."""

    app: ClassVar[str | App] = ""
    """`module:attribute`, or the app itself; empty: workloads are only made, as for `workloads`."""
    app_dir: ClassVar[str] = "."
    contracts: ClassVar[Sequence[Contract]] = ()
    passports: ClassVar[Sequence[Passport]] = ()
    """How users say who they are."""
    path: ClassVar[str] = "/ws"
    schedules: ClassVar[int] = 24
    """Of each workload."""
    shared: ClassVar[Sequence[str]] = ()
    """Paths whose values users share on purpose."""

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
        """Run schedules of a workload in process; raise `ScheduleFailure` for the first that is wrong."""
        # Of the class: a function would become a method of ours.
        app = type(self).app
        run_by = Settings(app=app if isinstance(app, str) else type(self).__name__, app_dir=self.app_dir)
        player = InProcess(run_by, None if isinstance(app, str) else app)
        oracle = Baselines(player, tuple(self.contracts), tuple(self.shared)).oracle(workload)
        for n in range(self.schedules):
            # Of the workload alone: the same example is the same test.
            _, run = player.walk(workload, "mix", 0, n)
            failures = oracle.judge(run)
            if failures:
                raise ScheduleFailure(
                    Found(failures[0], workload, run.schedule, run, run_by, also=tuple(failures[1:]), first=n + 1)
                )

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
