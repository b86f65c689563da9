"""Good conversations with an agent, by chance; and what a bad server makes of them.

`converse(random)` is what several users saw of a server that keeps the golden path: runs side by side, tools in
parallel, retries, errors, time-outs, two tabs, reconnects with a replay, clients that leave, ids here and there.
`MUTATIONS` break one thing each and name the invariants of which one must notice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any

QUESTIONS = ("What drives our costs?", "Which nodes are idle?", "Go on")
ANSWER = "Most of the cost comes from nodes that idle at night.  I recommend to reduce the pool to eight of them."

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = 1000
"""Times are in milliseconds here."""


@dataclass(frozen=True)
class Step:
    """One sentence, and when."""

    t: int
    who: str
    """The user, with the tab."""
    what: str
    """The sentence behind it, where it is no message."""
    message: dict[str, Any] | None = None
    by_server: bool = True
    event: int = -1
    """Which event of its user's server this is: the same number in two tabs is the same event."""
    run: int = -1
    copy: bool = False

    @property
    def user(self) -> str:
        return self.who.partition("/")[0]

    @property
    def type(self) -> str:
        return "" if self.message is None else self.message["type"]

    def sentence(self) -> str:
        if self.message is None:
            return f"{self.who} {self.what}".strip()
        return f"{self.who} {'<' if self.by_server else '>'} {json.dumps(self.message)}"


@dataclass
class Style:
    """How a server of this kind writes its messages."""

    run: str | None
    call: tuple[str | None, str | None]
    """Where a call's id stands when it begins, and when it ends."""
    event_id: bool
    ask_names_thread: bool
    one_thread: bool
    owner: str | None
    seq: bool
    """Events are numbered within their run, thoughts come in pieces, and the end says what there was."""


@dataclass
class Tab:
    name: str
    opened: int
    closed: int | None
    how: tuple[str, ...] = ()
    lag: int = 0
    """How much later than elsewhere events come here."""


@dataclass
class Person:
    """One user's view of the server."""

    name: str
    random: Random
    stays: bool
    steps: list[Step] = field(default_factory=list)
    events: int = 0
    runs: int = 0
    emitted: list[tuple[int, dict[str, Any], int]] = field(default_factory=list)

    def talk(self, begin: int) -> list[Step]:
        random = self.random
        self.style = Style(
            run=random.choice(["run_id", "run_id", "data.run_id", None]),
            call=random.choice([("data.call_id",) * 2, ("data.call_id",) * 2, ("data.tool_call_id",) * 2,
                                (None, None), ("data.call_id", None), (None, "data.call_id")]),
            event_id=random.random() < 0.6,
            ask_names_thread=random.random() < 0.7,
            one_thread=random.random() < 0.5,
            owner=random.choice(["user_id", "data.user_id", None]),
            seq=random.random() < 0.6,
        )  # fmt: skip
        if not self.style.ask_names_thread:
            self.style.one_thread = True
        t = begin
        if random.random() < 0.15:
            self.steps.append(Step(t, self.name, f"refused {random.choice([401, 403, 503])} no"))
            t += random.randint(1, 2000)
        self.tabs = [Tab(self.name, t, None)]
        t += random.randint(1, 3000)
        for _ in range(random.randint(1, 3)):
            t = self.round(t)
        self.close_tabs(t)
        self.deliver()
        return self.steps

    # -- what happens

    def round(self, t: int) -> int:
        """A few runs, one after the other or side by side; perhaps a second tab or a reconnect meanwhile."""
        random = self.random
        side_by_side = random.randint(2, 3) if self.style.run is not None and random.random() < 0.4 else 1
        end = max(self.run(t + n * random.randint(20, 400), side_by_side == 1) for n in range(side_by_side))
        if random.random() < 0.3:
            self.tabs.append(
                Tab(
                    f"{self.name}/{len(self.tabs) + 1}",
                    random.randint(t, end),
                    random.choice([None, end]),
                    CLIENT_LEAVES,
                )
            )
        if random.random() < 0.35 and end > t + 1000:
            self.reconnect(random.randint(t + 1000, end))
        if random.random() < 0.3:
            self.say(end + 20, {"type": "token_refresh", "data": {"token": "x"}})
        return end + random.randint(100, 5000)

    def run(self, t: int, alone: bool) -> int:
        """Ask, and let the agent work."""
        random, style = self.random, self.style
        self.runs += 1
        number = self.runs
        thread = f"thread-{self.name}-{0 if style.one_thread else number}"
        ask: dict[str, Any] = {
            "type": random.choice(["user_message", "agent_request", "chat"]),
            "content": QUESTIONS[number % 3],
        }
        if style.ask_names_thread:
            ask["thread_id"] = thread
        self.say(t, ask)
        t += random.randint(5, 80)
        about = {"thread_id": thread}
        if alone and random.random() < 0.1:
            self.emit(t, "agent_error", about | {"message": "busy"})
            self.say(t + 50, ask)
            t += 100
        if style.run is not None:
            _put(about, style.run, f"run-{self.name}-{number}")
        seq = count(random.choice([0, 1, 1, 40]))
        numbered = (lambda: {"seq": next(seq)}) if style.seq else dict
        self.emit(t, "agent_started", about | numbered() | {"agent_name": "triage"}, number)
        exit = random.choice(["completed", "completed", "completed", "error", "timeout"])
        thoughts: list[str] = []
        steps = self.work(t, exit)
        for at, type_, data in steps:
            message = json.loads(json.dumps(about)) | numbered()
            for path, value in data.items():
                _put(message, path, value)
            if style.seq and type_ == "agent_thinking":
                message["delta"] = random.choice(["so ", "hm, ", "ah! ", ""])
                thoughts.append(message["delta"])
            self.emit(at, type_, message, number)
        end = steps[-1][0] if steps else t
        end += random.randint(1, 500)
        last = {"completed": "agent_completed", "error": "agent_error", "timeout": "agent_timeout"}[exit]
        result = ({"result": ANSWER}, {"data": {"response": ANSWER}}, {})[number % 3] if exit == "completed" else {}
        for path, value in result.items():
            message = about.setdefault(path, {}) if path == "data" else about
            message.update(value if path == "data" else {path: value})
        if style.seq and exit == "completed":
            calls = sum(type_ == "tool_completed" for _, type_, _ in steps)
            about = about | {"thoughts": "".join(thoughts), "calls": calls}
        self.emit(end, last, about | numbered(), number)
        return end + 1

    def work(self, t: int, exit: str) -> list[tuple[int, str, dict[str, Any]]]:
        """What comes between the start of a run and its end."""
        random = self.random
        t += random.randint(1, 500)
        found: list[tuple[int, str, dict[str, Any]]] = [(t, "agent_thinking", {})]
        calls = random.randint(1, 4) if exit == "completed" else random.randint(0, 3)
        for call in range(calls):
            begin = t + random.randint(1, 600)
            took = random.choice([3, 40, 700, 3000])
            # Without an id only the tool's name tells calls apart, and side by side they must differ.
            name = f"tool-{call}" if None in self.style.call else random.choice(["search", "cost"])
            data = {"data.tool_name": name}
            ids = [{} if path is None else {path: f"call-{call}"} for path in self.style.call]
            found.append((begin, "tool_executing", data | ids[0]))
            found.append((begin + took, "tool_completed", data | ids[1]))
            if random.random() < 0.5:
                t = begin + took  # the next one after it; else side by side
            if random.random() < 0.3:
                found.append((begin + random.randint(0, took), "agent_thinking", {}))
        found.sort(key=lambda step: step[0])
        if exit != "completed":
            del found[random.randint(0, len(found)) :]
        return found

    def reconnect(self, t: int) -> None:
        """The client's network fails, or the server lets go, and the client comes back."""
        open_ = [tab for tab in self.tabs if tab.opened < t and (tab.closed is None or tab.closed > t)]
        if not open_ or any(tab.opened >= t for tab in self.tabs):
            return
        tab = self.random.choice(open_)
        asked = [s.t for s in self.steps if s.message is not None and s.t <= t]
        tab.closed = t
        tab.how = self.random.choice(
            [CLIENT_LEAVES, ("ends eof by client",), ("ends reset by client",), SERVER_LETS_GO]
        )
        if tab.how is SERVER_LETS_GO and any(t - at < 300 for at in asked):
            tab.how = CLIENT_LEAVES
        self.tabs.append(Tab(f"{self.name}/{len(self.tabs) + 1}", t + self.random.randint(1, 20 * SECOND), None))

    def close_tabs(self, t: int) -> None:
        """At the end the client leaves, perhaps in the middle of a run; or stays, or the server shuts down."""
        if self.stays:
            for tab in self.tabs:
                if tab.closed is not None and tab is self.tabs[-1]:
                    tab.closed = None
            if all(tab.closed is not None for tab in self.tabs):
                self.tabs[-1].closed = None
            return
        how = self.random.choice([CLIENT_LEAVES, CLIENT_FAILS, ("ends reset by client",), SHUTDOWN, None])
        if how is None:
            return
        at = self.random.choice([t, t, self.random.randint(self.tabs[0].opened + 1, t)])
        for tab in self.tabs:
            if tab.closed is None and tab.opened < at:
                tab.closed, tab.how = at, how
        self.tabs = [tab for tab in self.tabs if tab.opened < at]

    # -- how it reaches the tape

    def say(self, t: int, message: dict[str, Any]) -> None:
        self.steps.append(Step(t, "", "", message, by_server=False))

    def emit(self, t: int, type_: str, fields: dict[str, Any], run: int = -1) -> None:
        self.events += 1
        stamp = (BEGIN + timedelta(milliseconds=t)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message: dict[str, Any] = {"type": type_, "timestamp": stamp, **fields}
        message = json.loads(json.dumps(message))
        if self.style.owner is not None:
            _put(message, self.style.owner, self.name)
        if self.style.event_id:
            message["event_id"] = f"{self.name}-{self.events}"
        self.emitted.append((t, message, run))

    def deliver(self) -> None:
        """Fan out to the tabs that are open; what comes while none is waits for the next one."""
        said = [step for step in self.steps if step.message is not None]
        kept = [step for step in self.steps if step.message is None]
        for step in said:
            tab = next((tab for tab in self.tabs if tab.opened < step.t and _open(tab, step.t + 1)), None)
            if tab is not None:
                kept.append(replace(step, who=tab.name))
        order = sorted(range(len(self.emitted)), key=lambda n: (self.emitted[n][0], n))
        for tab in self.tabs:
            kept.append(Step(tab.opened, tab.name, "connects /chat"))
            if tab.closed is not None:
                kept += [Step(tab.closed, tab.name, what) for what in tab.how]
        told: set[int] = set()
        for before, tab in zip(self.tabs, self.tabs[1:], strict=False):
            tab.lag = max(before.lag, self.random.choice([0, 0, 0, 5, 15]))  # a younger tab is never ahead
        for number in order:
            t, message, run = self.emitted[number]
            at = t
            tabs = [tab for tab in self.tabs if tab.opened < t and _open(tab, t + 1)]
            if not tabs:
                later = [tab for tab in self.tabs if tab.opened >= t and _open(tab, tab.opened + 2 + tab.lag)]
                if not later:
                    continue
                tabs = [min(later, key=lambda tab: tab.opened)]
                at = tabs[0].opened + 1
            for tab in tabs:
                behind = at + tab.lag
                if _open(tab, behind + 1):
                    kept.append(Step(behind, tab.name, "", message, event=number, run=run, copy=number in told))
                    told.add(number)
            later = [tab for tab in self.tabs if tab.opened > t and _open(tab, tab.opened + 2 + tab.lag)]
            if number not in told and later:  # lost with the connection, and sent again on the next
                tab = min(later, key=lambda tab: tab.opened)
                kept.append(Step(tab.opened + 1 + tab.lag, tab.name, "", message, event=number, run=run))
                told.add(number)
        if self.style.event_id:
            kept += self.replays(kept)
        self.steps = sorted(kept, key=lambda step: step.t)

    def replays(self, kept: Sequence[Step]) -> list[Step]:
        """A tab that opens later is told the last few events again."""
        found = []
        for tab in self.tabs[1:]:
            if self.random.random() < 0.5:
                before = [s for s in kept if s.event >= 0 and s.t < tab.opened and not s.copy]
                before = [s for s in before if not any(o.event == s.event and o.who == tab.name for o in kept)]
                if any(tab.opened - s.t > 30 * SECOND for s in before[-3:]) or not _open(tab, tab.opened + 1):
                    continue
                found += [replace(s, t=tab.opened, who=tab.name, copy=True) for s in before[-3:]]
        return found


CLIENT_LEAVES = ("> (close 1000)", "< (close 1000)")
CLIENT_FAILS = ("ends eof by client",)
SERVER_LETS_GO = ("< (close 1000)", "> (close 1000)")
SHUTDOWN = ("< (close 1001 restart)", "ends eof by server")


def _open(tab: Tab, t: int) -> bool:
    return tab.closed is None or t < tab.closed


def _put(message: dict[str, Any], path: str, value: Any) -> None:
    *outer, leaf = path.split(".")
    for part in outer:
        message = message.setdefault(part, {})
    message[leaf] = value


def converse(random: Random, stays: bool = False) -> list[Step]:
    """Return what some users saw of a good server, in the order of time; with `stays`, nobody leaves at the end."""
    steps: list[Step] = []
    for number in range(random.randint(1, 4)):
        steps += Person(f"user{number}", random, stays).talk(random.randint(0, 3000))
    steps += noise(random, steps)
    steps = sorted(steps, key=lambda step: step.t)
    if stays:
        steps.append(Step(steps[-1].t + 120 * SECOND, "tick", "{}"))
    return steps


def noise(random: Random, steps: Sequence[Step]) -> list[Step]:
    """What contracts do not speak of: pings, heartbeats, binary and broken messages, marks, plain HTTP."""
    found = []
    opened = [step for step in steps if step.event >= 0]
    for step in random.sample(opened, min(len(opened), random.randint(0, 6))):
        what = random.choice(
            ["< (ping)", "> (pong)", '> {"type": "heartbeat"}', '< {"type": "heartbeat"}', "< 0x00ff10", "> {not JSON",
             '< !delivery_unknown {"type": "agent_started", "run_id": "x"}', '< {"no": "type"}', "< [1, 2]"]
        )  # fmt: skip
        found.append(Step(step.t, step.who, what))
    for _ in range(random.randint(0, 3)):
        what = random.choice(["tick", 'tick {"lag": 0.05}', "mark fault_begin {}", "get /login 200", "mark note"])
        who, _, rest = what.partition(" ")
        found.append(Step(random.choice(steps).t, who, rest))
    return found


def sentences(steps: Sequence[Step]) -> list[str]:
    """Return the sentences, with the time that passes between them."""
    told, clock = [], 0
    for step in steps:
        if step.t > clock + 1:
            told.append(f"{step.t - clock - 1}ms")
            clock = step.t - 1
        told.append(step.sentence())
        if not step.sentence().startswith(("tick", "mark", "get ")):
            clock += 1
    return told


# -- what a bad server makes of it

Mutation = Callable[[Random, list[Step]], list[Step] | None]


def _pick(random: Random, steps: Sequence[Step], *types: str) -> Step | None:
    found = [step for step in steps if step.type in types and step.event >= 0 and not step.copy]
    return random.choice(found) if found else None


def _same(step: Step, other: Step) -> bool:
    return other.event == step.event >= 0 and other.user == step.user


def _without(steps: Sequence[Step], step: Step) -> list[Step]:
    return [other for other in steps if not _same(step, other)]


def _run_of(step: Step, steps: Sequence[Step]) -> list[Step]:
    return [s for s in steps if s.run == step.run and s.user == step.user and not s.copy]


def _finished(step: Step, steps: Sequence[Step]) -> bool:
    return any(s.type == "agent_completed" for s in _run_of(step, steps))


def _calm(steps: Sequence[Step]) -> list[Step]:
    """Return the events of finished runs of users who never lose a connection (what is owed to who left is waived)."""
    left = {step.user for step in steps if step.what.startswith(("ends", "> (close", "< (close"))}
    return [step for step in steps if step.user not in left and step.run >= 0 and _finished(step, steps)]


def _named(steps: Sequence[Step]) -> list[Step]:
    """Return the events that say of which run they are: without, nobody can tell a stray from an odd message."""
    return [s for s in steps if s.message and ("run_id" in s.message or "run_id" in s.message.get("data", {}))]


def dropped(*types: str) -> Mutation:
    """An event that never comes."""

    def mutate(random: Random, steps: list[Step]) -> list[Step] | None:
        step = _pick(random, _named(_calm(steps)), *types)
        return None if step is None else _without(steps, step)

    return mutate


def only_thinking(random: Random, steps: list[Step]) -> list[Step] | None:
    """A run that never tells what it thinks."""
    step = _pick(random, [s for s in steps if _finished(s, steps)], "agent_thinking")
    if step is None:
        return None
    return [s for s in steps if not (s.type == "agent_thinking" and s.run == step.run and s.user == step.user)]


def doubled(*types: str) -> Mutation:
    """An event that comes twice on one connection."""

    def mutate(random: Random, steps: list[Step]) -> list[Step] | None:
        step = _pick(random, [s for s in _named(steps) if _finished(s, steps)], *types)
        if step is None:
            return None
        at = steps.index(step)
        return [*steps[: at + 1], step, *steps[at + 1 :]]

    return mutate


def moved(type_: str, behind: str) -> Mutation:
    """An event that comes only after another one of its run, and is not shown elsewhere."""

    def mutate(random: Random, steps: list[Step]) -> list[Step] | None:
        step = _pick(random, [s for s in _named(steps) if _finished(s, steps)], type_)
        if step is None:
            return None
        last = next((s for s in reversed(_run_of(step, steps)) if s.type == behind), None)
        if last is None or steps.index(last) < steps.index(step):
            return None
        rest = _without(steps, step)
        at = max(n for n, s in enumerate(rest) if _same(last, s)) + 1
        return [*rest[:at], replace(step, t=last.t, who=last.who), *rest[at:]]

    return mutate


def _other_tab(random: Random, step: Step, steps: Sequence[Step]) -> str | None:
    """Return a connection of another user that is open at that time."""
    opened: dict[str, None] = {}
    for s in steps:
        if s is step:
            break
        if s.what.startswith("connects"):
            opened[s.who] = None
        elif s.what.startswith(("ends", "> (close", "< (close")):
            opened.pop(s.who, None)
    found = [who for who in opened if who.partition("/")[0] != step.user]
    return random.choice(found) if found else None


def delivered_elsewhere(rewritten: bool) -> Mutation:
    """An event of one user on another user's connection; perhaps with the envelope of the wrong user."""

    def mutate(random: Random, steps: list[Step]) -> list[Step] | None:
        step = _pick(random, steps, "agent_started", "agent_thinking", "tool_completed", "agent_completed")
        if step is None or step.message is None:
            return None
        who = _other_tab(random, step, steps)
        if who is None:
            return None
        message = json.loads(json.dumps(step.message))
        owned = [d for d in (message, message.get("data", {})) if "user_id" in d]
        if not owned and not rewritten:
            return None
        for place in owned if rewritten else ():
            place["user_id"] = who.partition("/")[0]
        at = steps.index(step)
        return [*steps[: at + 1], replace(step, who=who, message=message, copy=True), *steps[at + 1 :]]

    return mutate


def forged(random: Random, steps: list[Step]) -> list[Step] | None:
    """An event that names another user as its owner."""
    step = _pick(random, steps, "agent_started", "agent_thinking", "tool_completed", "agent_completed")
    if step is None or step.message is None:
        return None
    message = json.loads(json.dumps(step.message))
    place = "data.user_id" if "user_id" in message.get("data", {}) else "user_id"
    _put(message, place, "somebody-else")
    return [replace(s, message=message) if _same(step, s) else s for s in steps]


def without_field(name: str) -> Mutation:
    """An event without a field that its schema wants."""

    def mutate(random: Random, steps: list[Step]) -> list[Step] | None:
        step = _pick(random, steps, "agent_thinking", "tool_completed", "agent_completed")
        if step is None or step.message is None:
            return None
        message = {key: value for key, value in step.message.items() if key != name}
        return [replace(s, message=message) if _same(step, s) else s for s in steps]

    return mutate


def cut_off(random: Random, steps: list[Step]) -> list[Step] | None:
    """A message that ends in the middle of its text."""
    step = _pick(random, [s for s in steps if _finished(s, steps)], "tool_completed", "tool_executing")
    if step is None:
        return None
    text = json.dumps(step.message)
    return [Step(s.t, s.who, f"< {text[: len(text) // 2]}") if _same(step, s) else s for s in steps]


def internal_error(random: Random, steps: list[Step]) -> list[Step] | None:
    """The server closes with 1011 where it closed well, or where nothing was closed."""
    step = _pick(random, steps, "agent_thinking", "agent_started")
    if step is None:
        return None
    at = steps.index(step)
    rest = [s for s in steps[at + 1 :] if s.who != step.who]
    return [
        *steps[: at + 1],
        Step(step.t, step.who, "< (close 1011)"),
        Step(step.t, step.who, "ends eof by server"),
        *rest,
    ]


def factory_error(random: Random, steps: list[Step]) -> list[Step] | None:
    """An error that tells what went wrong inside."""
    step = _pick(random, steps, "agent_error", "agent_thinking")
    if step is None or step.message is None:
        return None
    message = {**step.message, "message": "FactoryInitializationError: no database"}
    return [replace(s, message=message) if _same(step, s) else s for s in steps]


def _numbered(steps: Sequence[Step]) -> list[Step]:
    """Return the events with a number of runs that are told on one connection only, but the first of each run."""
    tabs: dict[tuple[str, int], set[str]] = {}
    for s in steps:
        tabs.setdefault((s.user, s.run), set()).add(s.who)
    return [
        s for s in _named(steps)
        if s.message and "seq" in s.message and s.type != "agent_started" and len(tabs[s.user, s.run]) == 1
    ]  # fmt: skip


def _renumbered(by: int) -> Mutation:
    def mutate(random: Random, steps: list[Step]) -> list[Step] | None:
        step = _pick(random, _numbered(steps), "agent_thinking", "tool_executing", "tool_completed", "agent_completed")
        if step is None:
            return None
        rest = steps[steps.index(step) :]
        later = {s.event for s in rest if s.run == step.run and s.user == step.user}
        return [
            replace(s, message=s.message | {"seq": s.message["seq"] + by})
            if s.message is not None and s.user == step.user and s.event in later
            else s
            for s in steps
        ]

    return mutate


skipped, repeated = _renumbered(1), _renumbered(-1)
"""From one event of a run on all numbers are one more, as if one before had been lost; or one less."""


def same_id(random: Random, steps: list[Step]) -> list[Step] | None:
    """An event that carries the id of the one before it on the same connection."""
    for at, step in enumerate(steps):
        before = next((s for s in reversed(steps[:at]) if s.who == step.who and s.event >= 0 and s.run >= 0), None)
        if (
            before is None
            or step.run < 0
            or not step.message
            or "event_id" not in step.message
            or random.random() < 0.7
        ):
            continue
        assert before.message is not None
        if before.message["event_id"] != step.message["event_id"]:
            message = step.message | {"event_id": before.message["event_id"]}
            return [replace(s, message=message) if s is step else s for s in steps]
    return None


def rethreaded(random: Random, steps: list[Step]) -> list[Step] | None:
    """An event of a run that names another thread."""
    step = _pick(random, _named(steps), "agent_thinking", "tool_executing", "tool_completed", "agent_completed")
    if step is None or step.message is None:
        return None
    message = step.message | {"thread_id": "another-thread"}
    return [replace(s, message=message) if _same(step, s) else s for s in steps]


def late(type_: str, by: int) -> Mutation:
    """Everything from one event on comes later."""

    def mutate(random: Random, steps: list[Step]) -> list[Step] | None:
        step = _pick(random, _calm(steps), type_)
        if step is None:
            return None
        at = steps.index(step)
        return [*steps[:at], *(replace(s, t=s.t + by) for s in steps[at:])]

    return mutate


MUTATIONS: dict[str, tuple[Mutation, set[str]]] = {
    "agent_started never comes": (dropped("agent_started"), {"answered", "ended"}),
    "agent_thinking never comes": (only_thinking, {"five-events"}),
    "tool_executing never comes": (dropped("tool_executing"), {"tools-paired"}),
    "tool_completed never comes": (dropped("tool_completed"), {"tools-paired"}),
    "agent_completed never comes": (dropped("agent_completed"), {"ended", "once", "right-order", "total-sla"}),
    "agent_started comes twice": (doubled("agent_started"), {"once"}),
    "agent_completed comes twice": (doubled("agent_completed"), {"once", "ended"}),
    "tool_executing comes twice": (doubled("tool_executing"), {"tools-paired"}),
    "tool_completed comes twice": (doubled("tool_completed"), {"tools-paired"}),
    "a tool ends behind the run": (moved("tool_completed", "agent_completed"), {"tools-paired"}),
    "a thought behind the run": (moved("agent_thinking", "agent_completed"), {"ended", "five-events"}),
    "a start behind a thought": (moved("agent_started", "agent_thinking"), {"ended", "right-order"}),
    "on another's connection": (delivered_elsewhere(False), {"mine"}),
    "on another's connection, readdressed": (delivered_elsewhere(True), {"my-ids"}),
    "another's name": (forged, {"mine"}),
    "without a thread": (without_field("thread_id"), {"shapes"}),
    "without a timestamp": (without_field("timestamp"), {"shapes"}),
    "cut off": (cut_off, {"tools-paired"}),
    "close 1011": (internal_error, {"never-1011"}),
    "an inner error": (factory_error, {"no-factory-error"}),
    "a number is left out": (skipped, {"no-gap"}),
    "a number comes twice": (repeated, {"no-gap"}),
    "an event id comes twice": (same_id, {"no-repeat"}),
    "a thread that changes": (rethreaded, {"one-context"}),
    "a long silence": (late("tool_executing", 31 * SECOND), {"no-silence"}),
    "a late answer": (late("agent_started", 6 * SECOND), {"answered"}),
    "a late tool": (late("tool_completed", 31 * SECOND), {"tool-sla"}),
    "a late end": (late("agent_completed", 61 * SECOND), {"total-sla"}),
}
"""What goes wrong: how, and the invariants of golden-path of which at least one must fail."""
