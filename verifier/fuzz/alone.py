"""What users see when nobody else is there, and when they come one after the other: learnt from runs.  Pure.

The first is what noninterference compares with; the second explains what shared state does that is no race: a counter
goes on, a room has a history.  What differs between two equal solo runs (ids, times, chance) is masked, and listed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from verifier.fuzz.canary import MARK
from verifier.fuzz.failure import Failure
from verifier.fuzz.message import Field, Message, Scalar, read
from verifier.fuzz.seen import Ended, Run, What

Shape = tuple[str, tuple[tuple[str, Scalar], ...]]
"""A message without what is masked."""
Names = tuple[str, ...]
Counted = tuple[tuple[str, int], ...]
"""Events of an answer, each with how many there are."""

OPEN = 6
"""Runs of an app that asks for chance that bring a value not seen before, after which a field may say anything."""
_DIGITS = re.compile(r"\d+")


def numberless(text: str) -> str:
    """Return a text with every number in it replaced by one sign."""
    return _DIGITS.sub("0", text)


def messages_of(run: Run, session: str) -> list[tuple[int, Message]]:
    """Return what the server has sent to a session until the run's end, with the place of each in the run."""
    return [(n, read(payload)) for n, payload in run.said.get(session, ())]


@dataclass
class Alone:
    """One user's view of an app: what was seen in runs without anybody else."""

    user: str
    sessions: tuple[str, ...]
    masked: set[Field] = field(default_factory=set)
    """What differs between equal runs: ids, times, chance."""
    twice: set[str] = field(default_factory=set)
    """Events of which two could be held against each other; of others a place is masked that is in any event."""
    counted: set[Field] = field(default_factory=set)
    """Numbers that also tell of others, as a counter does, since they differ where users come one after the other."""
    timed: set[Field] = field(default_factory=set)
    """Those whose values depend on how much time passes: where others are served, too, that is more."""
    shapes: dict[Shape, None] = field(default_factory=dict)
    """Everything that the user was shown alone."""
    serial: set[Shape] = field(default_factory=set)
    """And where the others came before or after."""
    values: dict[Field, set[Scalar]] = field(default_factory=dict)
    borrowed: dict[Field, set[Scalar]] = field(default_factory=dict)
    """What the user sees who does what others do: it is not theirs."""
    fields: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    """Of each event the rows of paths that it came with."""
    correlation: str = ""
    """The path of an id that is one for all events of an answer and another for the next; empty: there is none."""
    recurring: frozenset[str] = frozenset()
    """Events that come again and again though nobody says anything: of no answer, and as many as there is time for."""
    totals: dict[str, list[Counter[str]]] = field(default_factory=dict)
    """Of each session how many of each event its answers had, in each run."""
    serial_totals: dict[str, list[Counter[str]]] = field(default_factory=dict)
    """The same, where the others came before or after."""
    answer_kinds: set[Counted] = field(default_factory=set)
    """The events of an answer, counted: all that were seen."""
    once: frozenset[str] = frozenset()
    """Events that come in as many answers as there are questions, over all connections of a user who has several."""
    before: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Whether all of one event always came before all of another, in one answer."""
    apart: dict[tuple[str, str], bool] = field(default_factory=dict)
    """The same on one connection, where the user has no other, or one after the other: nobody is interrupted."""
    most: Counter[str] = field(default_factory=Counter)
    """How many of an event there were at most in one answer on one connection, where nobody is interrupted."""
    endings: dict[str, set[tuple[str, int]]] = field(default_factory=dict)
    """How the server ended each session."""
    known: set[str] = field(default_factory=set)
    """Fingerprints of what goes wrong alone, too."""
    ended: set[Ended] = field(default_factory=set)
    chance: bool = False
    """Whether the app asked for something random, but for ids."""
    news: Counter[Field] = field(default_factory=Counter)
    """Then: how many runs brought a value of a field that none before had."""
    runs: int = 0
    walks: int = 0
    _placed: tuple[int, set[str]] = field(default=(0, set()), repr=False, compare=False)

    def shape(self, message: Message) -> Shape:
        """Return a message without what is masked."""
        name = message.name
        return name, tuple((p, v) for p, v in message.values if not self.is_masked((name, p)))

    def is_masked(self, field_: Field) -> bool:
        """Return whether a field differs from run to run, as far as is known."""
        name, path = field_
        return field_ in self.masked or (name not in self.twice and path in self._places)

    @property
    def _places(self) -> set[str]:
        if len(self.masked) != self._placed[0]:
            self._placed = len(self.masked), {path for _, path in self.masked}
        return self._placed[1]

    def mask(self, first: Run, second: Run) -> None:
        """Learn what differs between two runs that should be equal."""
        self.masked |= differing(first, second, self.sessions, lambda a, b: True)
        for session in self.sessions:
            both = zip(messages_of(first, session), messages_of(second, session), strict=False)
            self.twice |= {one.name for (_, one), (_, other) in both if one.name == other.name}

    def count(self, alone: Run, serial: Run) -> None:
        """Learn which numbers differ from a run alone to one where the users come one after the other."""
        self.counted |= differing(alone, serial, self.sessions, numeric) - self.masked

    def add(self, run: Run, failures: Iterable[Failure] = ()) -> None:
        """Learn from a run in which nobody else is there."""
        self.runs += 1
        self.chance = self.chance or run.chance
        self.ended.add(run.ended)
        self.known |= {failure.fingerprint for failure in failures}
        for session in self.sessions:
            answers = self.add_content(session, run)
            self.totals.setdefault(session, []).append(Counter(m.name for answer in answers for _, m in answer))
            self.answer_kinds.update(counted(answer) for answer in answers)
            self.endings.setdefault(session, set()).update(endings_of(run, session))

    def add_timed(self, run: Run) -> None:
        """Learn which values depend on the time that passes, from a run alone while time passes elsewhere."""
        for session in self.sessions:
            for _, message in messages_of(run, session):
                for path, value in message.values:
                    known = self.values.get((message.name, path))
                    if known and value not in known:
                        self.timed.add((message.name, path))

    def add_turns(self, runs: list[Run]) -> None:
        """Learn which events come once for each question, from runs in which the user's connections take turns."""
        if self.correlation and runs and all(run.ended is Ended.DONE for run in runs):
            found = [(self.answers_with(run), self.asked(run)) for run in runs]
            names = set().union(*(counts for counts, _ in found))
            self.once = frozenset(name for name in names if all(counts[name] == asked for counts, asked in found))

    def asked(self, run: Run) -> int:
        """Return how many questions the user's clients sent: messages with a canary, or all where none has one."""
        said = [
            str(m.payload)
            for s in self.sessions
            for m in run.by_session.get(s, ())
            if m.dir == "c2s" and m.what is What.MESSAGE
        ]
        return sum(MARK in text for text in said) or len(said)

    def answers_with(self, run: Run) -> Counter[str]:
        """Return in how many answers each event comes, over all connections: what is mirrored is one."""
        pairs = {
            (id_, message.name)
            for session in self.sessions
            for id_, answer in self.answers(messages_of(run, session)).items()
            for _, message in answer
        }
        return Counter(name for _, name in pairs)

    def borrow(self, run: Run) -> None:
        """Learn from a run in which the user did what another does, and nobody else was there."""
        for session in run.names:
            for _, message in messages_of(run, session):
                for path, value in message.values:
                    self.borrowed.setdefault((message.name, path), set()).add(value)

    def fixed(self, field_: Field) -> set[Scalar]:
        """Return the one value that a field always has when the user is alone; empty: it has several, or none."""
        values = self.values.get(field_, set())
        return values if len(values) == 1 and not self.is_masked(field_) else set()

    def add_serial(self, run: Run) -> None:
        """Learn from a run in which the users come one after the other."""
        for session in self.sessions:
            said = messages_of(run, session)
            self.serial |= {self.shape(message) for _, message in said}
            counts = Counter(m.name for answer in self.answers(said).values() for _, m in answer)
            self.serial_totals.setdefault(session, []).append(counts)

    @property
    def by_chance(self) -> bool:
        """Whether the ids of answers are random: then one stands for one answer, on whichever connection."""
        return any(path == self.correlation for _, path in self.masked)

    def at_most(self, name: str) -> int:
        """Return how many of an event there were at most in one answer on one connection, in any run alone."""
        return max((dict(kind).get(name, 0) for kind in self.answer_kinds), default=0)

    def add_content(self, session: str, run: Run) -> list[list[tuple[int, Message]]]:
        """Learn what the messages of a session say, and in which order they come; return them by answer."""
        said = messages_of(run, session)
        news: set[Field] = set()
        for _, message in said:
            self.shapes[self.shape(message)] = None
            self.fields.setdefault(message.name, set()).add(tuple(path for path, _ in message.values))
            for path, value in message.values:
                known = self.values.setdefault((message.name, path), set())
                if known and value not in known:
                    news.add((message.name, path))
                known.add(value)
        if self.chance:
            self.news.update(news)
            self.masked |= {field_ for field_ in news if self.news[field_] >= OPEN}
        answers = list(self.answers(said).values())
        _learn_order(self.before, answers)
        return answers

    def add_apart(self, others: Iterable[Alone], runs: Iterable[Run]) -> None:
        """Learn how an answer's events come from each connection alone, and from runs in which they take turns."""
        self.apart.clear()
        self.most.clear()
        for other in others:
            for pair, holds in other.before.items():
                self.apart[pair] = self.apart.get(pair, True) and holds
            for kind in other.answer_kinds:
                self.most |= Counter(dict(kind))
        for run in runs:
            for session in self.sessions:
                answers = list(self.answers(messages_of(run, session)).values())
                _learn_order(self.apart, answers)
                for answer in answers:
                    self.most |= Counter(dict(counted(answer)))

    def answers(self, said: list[tuple[int, Message]]) -> dict[Scalar, list[tuple[int, Message]]]:
        """Return messages by the answer that they are of; those of none are left out.

        Where no id joins them, all of a session but what recurs are taken together.
        """
        found: dict[Scalar, list[tuple[int, Message]]] = {}
        for n, message in said:
            id_: Scalar = None
            if message.name in self.recurring:
                continue
            if self.correlation:
                id_ = next((v for p, v in message.values if p == self.correlation), None)
                if id_ is None:
                    continue
            found.setdefault(id_, []).append((n, message))
        return found


def _learn_order(before: dict[tuple[str, str], bool], answers: Iterable[list[tuple[int, Message]]]) -> None:
    """Learn whether all of one event come before all of another."""
    for answer in answers:
        names = [message.name for _, message in answer]
        for a, b in ordered(names):
            before[a, b] = before.get((a, b), True) and _all_before(names, a, b)


def recurring_in(run: Run) -> frozenset[str]:
    """Return the events of which several came to one session, in a run in which nobody says anything."""
    return frozenset(
        name
        for session in run.by_session
        for name, count in Counter(message.name for _, message in messages_of(run, session)).items()
        if count > 1
    )


def correlation_of(runs: Iterable[Run]) -> str:
    """Return the path of the id that joins the events of an answer, in runs whose clients wait for each answer.

    It has one value in all events of an answer that have it, and another in each other answer; empty: there is none.
    """
    answers: list[tuple[int, list[Message]]] = []
    for n, run in enumerate(runs):
        answers += [(n, answer) for session in run.by_session for answer in _segments(run, session) if answer]
    seen: Counter[str] = Counter()
    for _, answer in answers:
        values: dict[str, set[Scalar]] = {}
        for message in answer:
            for path, value in message.values:
                if path.lower().endswith("id") and isinstance(value, str | int) and value != "":
                    values.setdefault(path, set()).add(value)
        seen.update(path for path, found in values.items() if len(found) == 1)
    best, most = "", 1
    for path in sorted(path for path, count in seen.items() if count == len(answers)):
        named = [(n, [v for m in answer for p, v in m.values if p == path]) for n, answer in answers]
        events = sum(len(values) for _, values in named)
        several = max(Counter(n for n, _ in answers).values()) > 1
        if several and len({(n, values[0]) for n, values in named}) == len(answers) and events > most:
            best, most = path, events
    return best


def differing(first: Run, second: Run, sessions: Iterable[str], counts: Callable[[Scalar, Scalar], bool]) -> set[Field]:
    """Return the fields that differ from one run to another and for which `counts` says so, message by message."""
    found: set[Field] = set()
    for session in sessions:
        for (_, one), (_, other) in zip(messages_of(first, session), messages_of(second, session), strict=False):
            if one.name != other.name:
                break
            others = dict(other.values)
            for path, value in one.values:
                if path in others and _differ(value, others[path]) and counts(value, others[path]):
                    found.add((one.name, path))
    return found


def _differ(one: Scalar, other: Scalar) -> bool:
    return type(one) is not type(other) or one != other


def numeric(one: Scalar, other: Scalar) -> bool:
    """Return whether two values differ in numbers at most."""
    if isinstance(one, str) and isinstance(other, str):
        return numberless(one) == numberless(other)
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))


def counted(answer: list[tuple[int, Message]]) -> Counted:
    """Return the events of an answer, counted."""
    return tuple(sorted(Counter(message.name for _, message in answer).items()))


def ordered(names: list[str]) -> Iterable[tuple[str, str]]:
    """Yield each pair of different events that are in an answer."""
    distinct = sorted(set(names))
    return ((a, b) for a in distinct for b in distinct if a != b)


def _all_before(names: list[str], a: str, b: str) -> bool:
    last = max(n for n, name in enumerate(names) if name == a)
    return last < names.index(b)


def endings_of(run: Run, session: str) -> set[tuple[str, int]]:
    """Return how the server ended a session's connection before the run's end: `close` and a code, `lost`, `reject`."""
    found: set[tuple[str, int]] = set()
    for moment in run.moments:
        if moment.what is What.END:
            break
        ends = moment.what in (What.CLOSE, What.LOST, What.REJECT)
        if ends and moment.session == session and moment.dir == "s2c":
            found.add((str(moment.what), moment.code))
    return found


def _segments(run: Run, session: str) -> list[list[Message]]:
    """Return what came to a session behind each of its messages."""
    found: list[list[Message]] = []
    for moment in run.moments:
        if moment.what is What.END:
            break
        if moment.session != session or moment.what is not What.MESSAGE:
            continue
        if moment.dir == "c2s":
            found.append([])
        elif found:
            found[-1].append(read(moment.payload))
    return found
