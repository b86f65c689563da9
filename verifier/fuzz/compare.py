"""Noninterference: what a user sees with others against what the user sees alone.  Pure.

A message that the user never saw alone is held against what others saw alone (then it is theirs), and against runs in
which the users come one after the other (then shared state explains it).  A number or a time that differs proves
nothing by itself, unless it is another user's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from verifier.fuzz.alone import Alone, counted, endings_of, messages_of, numeric, ordered
from verifier.fuzz.beside import beside
from verifier.fuzz.digest import digest
from verifier.fuzz.failure import TWICE, Failure, Kind
from verifier.fuzz.full import others_are_connected, others_are_served, refusal, says_full, says_wait
from verifier.fuzz.message import ERRORS, Field, Message, Scalar
from verifier.fuzz.seen import Ended, Run

TELLING = 1000
"""Whole numbers below are anybody's."""
REMEMBERED = 20_000
"""Messages in which nothing differs that are remembered."""
FEW = 4
"""Values that a user sees alone at a place, of which one can be held against another."""
LONG = 4
"""Characters that a name needs to be looked for inside of texts."""
SHORT = 3
"""The same, in a value that is known to be wrong."""


class Comparison:
    """One run against what each user sees alone."""

    def __init__(
        self, alone: Mapping[str, Alone], shared: Callable[[str], bool] = lambda path: False,
        learnt: Collection[Alone] = (),
    ) -> None:  # fmt: skip
        """`learnt`: what users saw alone in other workloads, too: it tells whose a value is, not that it is wrong."""
        self._alone = alone
        self._learnt = learnt
        self._shared = shared
        self.unproven: set[Field] = set()
        """Fields whose numbers differ from those seen alone: shared state, or a fault that cannot be told from it."""
        self.full: set[str] = set()
        """Events and codes by which users are refused while others are served: that may be meant."""
        self.waiting: set[str] = set()
        """Events by which users are told, while others are served, that it is not their turn yet."""
        self._turns: set[str] = set()
        """Those of this run: the answer comes after them, or is found missing."""
        self._refused = False
        self._leaving: frozenset[str] = frozenset()
        self._like: set[tuple[str, Message]] = set()
        """Messages of users in which nothing differs; a heartbeat comes often."""
        self._quiet: set[bytes] = set()
        """What sessions showed in which nothing differs: most come again but for the time of day."""

    def failures(self, run: Run, unsteady: frozenset[str] = frozenset()) -> Iterator[Failure]:
        """Yield what differs; `unsteady` are sessions whose client leaves in the middle: of them nothing is counted."""
        self._leaving = unsteady
        said = (found for session in run.names for found in messages_of(run, session))
        self._turns = {m.name for n, m in said if says_wait(m) and others_are_served(run, n, unsteady)}
        for alone in self._alone.values():
            whole = alone.ended <= {Ended.DONE} and run.ended in (Ended.DONE, Ended.DEADLOCK)
            keys = {
                session: digest((whole and session not in unsteady, str(run.ended), session, run.shown.get(session)))
                for session in alone.sessions
            }
            self._refused = False
            found = {s: list(self._differences(alone, s, run)) for s, key in keys.items() if key not in self._quiet}
            for session, failures in found.items():
                # Who is refused gets less of an answer, and comes back with less of it; who never came gets none.
                if whole and session not in unsteady and not self._refused and session in run.by_session:
                    failures += self._counts(alone, session, messages_of(run, session))
                if not (failures or self._refused or self._turns) and len(self._quiet) < REMEMBERED:
                    self._quiet.add(keys[session])
                yield from failures
            if whole and alone.once and not unsteady & set(alone.sessions):
                yield from self._twice(alone, run)
            if len(alone.sessions) > 1:
                yield from beside(alone, run, partial(self._comes_of_others, alone))

    def _differences(self, alone: Alone, session: str, run: Run) -> Iterator[Failure]:
        """Yield what differs in one session, but for how much came."""
        said = messages_of(run, session)
        for n, message in said:
            if (alone.user, message) not in self._like:
                found = list(self._content(alone, n, message))
                if (found or message.name not in alone.fields) and says_full(message):
                    yield from self._but_for_a_full_house(found, run, n, message)
                    continue
                if found and says_wait(message) and others_are_served(run, n, self._leaving):
                    self.waiting.add(message.name)
                    yield from (failure for failure in found if failure.kind is not Kind.DIFFERENT)
                    continue
                yield from found
                if not found and len(self._like) < REMEMBERED:
                    self._like.add((alone.user, message))
        yield from self._endings(alone, session, run)
        yield from self._order(alone, said)

    # -- one message

    def _but_for_a_full_house(self, found: list[Failure], run: Run, n: int, message: Message) -> Iterator[Failure]:
        """Yield what is wrong with a refusal, but for that it comes while others are served."""
        self._refused = True
        differs = any(failure.kind is Kind.DIFFERENT for failure in found)
        served = others_are_served(run, n, self._leaving)
        if differs and served and not self._shared(message.name) and not self._carries_shared(message):
            self.full.add(message.name)
        for failure in found:
            if failure.kind is not Kind.DIFFERENT:
                yield failure
            elif not served:
                yield replace(failure, sentence=f"{failure.sentence}; nobody else is being served")

    def _content(self, alone: Alone, n: int, message: Message) -> Iterator[Failure]:
        if alone.shape(message) in alone.shapes:
            return
        if message.name not in alone.fields:
            yield from self._unknown(alone, n, message)
            return
        nearest: dict[str, Scalar] | None = None
        for path, value in message.values:
            field = message.name, path
            if alone.is_masked(field) or self._shared(path) or value in alone.values.get(field, ()):
                continue
            if nearest is None:
                nearest = _nearest(alone, message)
            was = nearest.get(path)
            owner = self._owner(alone, message, path, value, was)
            if owner:
                yield _mixed(alone, n, owner, field, value, was)
                return
            if field in alone.counted:
                continue
            if numeric(value, was) or _in_serial(alone, message, path, value):
                self.unproven.add(field)
                continue
            yield Failure(
                Kind.DIFFERENT, alone.user, "", f"{message.name}.{path}",
                f"{alone.user} receives {_told(value)} in {message.name}.{path}; {_else(alone, field, was)}", (n,),
            )  # fmt: skip
            return

    def _owner(self, alone: Alone, message: Message, path: str, value: Scalar, was: Scalar) -> str:
        """Return whose a value is, judged by what each user sees alone; empty: nobody's, or that cannot be told."""
        field = message.name, path
        others = self._everybody
        if (
            value in alone.borrowed.get(field, ())
            or field in alone.counted
            or (numeric(value, was) and any(field in one.timed for one in others))
        ):
            return ""
        owner, _ = _fixed_owner(alone.user, field, value, others)
        if _is_anybodys(value):
            # `true`, or 7: another's only if each of both has always one of its own, and not when they take turns.
            return "" if owner and _in_serial(alone, message, path, value, exactly=True) else owner
        if owner or _in_serial(alone, message, path, value):
            return owner
        owner = _owner(alone, field, value, self._alone.values(), LONG)
        return owner if owner or numeric(value, was) else _owner(alone, field, value, others, SHORT)

    def _comes_serially(self, alone: Alone, message: Message) -> bool:
        """Return whether a message comes where the users take turns, though not to one alone."""
        if alone.shape(message) in alone.serial:
            return True
        return any(name == message.name for name, _ in alone.serial) and all(
            alone.is_masked((message.name, path)) or self._shared(path) or _in_serial(alone, message, path, value)
            for path, value in message.values
        )

    def _unknown(self, alone: Alone, n: int, message: Message) -> Iterator[Failure]:
        """Yield what is wrong with an event that this user never sees alone in this workload, if anything."""
        for path, value in message.values:
            field = message.name, path
            if isinstance(value, str) and not alone.is_masked(field) and not self._shared(path):
                owner, was = _fixed_owner(alone.user, field, value, self._everybody)
                if owner and not numeric(value, was):
                    yield _mixed(alone, n, owner, field, value, was)
                    return
        # What carries something that is shared on purpose comes because of others, too.
        meant = self._carries_shared(message) and not says_full(message)
        if not meant and not self._comes_serially(alone, message):
            told = ", ".join(
                _told(v) for p, v in message.values if isinstance(v, str) and ("error" in p or "reason" in p)
            )
            what = f"{message.name}{f' ({told})' if told else ''}"
            yield Failure(
                Kind.DIFFERENT, alone.user, "", message.name,
                f"{alone.user} receives {what}, which never comes when {alone.user} is alone", (n,),
            )  # fmt: skip

    def _carries_shared(self, message: Message) -> bool:
        """Return whether something in an event is named as shared on purpose."""
        return any(self._shared(path) for path, _ in message.values)

    @property
    def _everybody(self) -> list[Alone]:
        """What each user of this workload sees alone, in this workload and in others."""
        return [one for one in (*self._alone.values(), *self._learnt) if one.user in self._alone]

    # -- many messages

    def _counts(self, alone: Alone, session: str, said: list[tuple[int, Message]]) -> Iterator[Failure]:
        totals = alone.totals.get(session)
        if not totals:
            return
        answers = alone.answers(said)
        mine = Counter(message.name for answer in answers.values() for _, message in answer)
        # Who is told of an error is told no more of the answer; the error is looked at for itself.
        refused = any(message.name in ERRORS for _, message in said)
        for name in sorted(set(mine) | set(totals[0])):
            # What changes when others come before or after is no race: a room, a shared queue.
            wanted = {total[name] for total in (*totals, *alone.serial_totals.get(session, ()))}
            if len(wanted) > 1 or name not in totals[0] or self._comes_of_others(alone, name):
                continue
            alone_count = wanted.pop()
            if mine[name] < alone_count and not refused:
                yield Failure(
                    Kind.LOST, alone.user, "", name,
                    f"{alone.user} gets {_times(mine[name], name)}; alone it is {alone_count}",
                    tuple(n for n, _ in said[-1:]),
                )  # fmt: skip
            elif mine[name] > alone_count:
                places = tuple(n for n, message in said if message.name == name)
                yield Failure(
                    Kind.DUPLICATED, alone.user, "", name,
                    f"{alone.user} gets {_times(mine[name], name)}; alone it is {alone_count}", places[-2:],
                )  # fmt: skip
        if alone.correlation and len({tuple(sorted(total.items())) for total in totals}) == 1:
            yield from self._answers(alone, answers)

    def _twice(self, alone: Alone, run: Run) -> Iterator[Failure]:
        """Yield where a user's connections get more answers than they asked questions, and not so in turns."""
        mine, asked = alone.answers_with(run), alone.asked(run)
        name = next((name for name in sorted(alone.once) if mine[name] > asked), None)
        if name is not None and not self._is_shared(alone, name):
            told = [found for session in alone.sessions for found in messages_of(run, session)]
            places = [n for n, message in told if message.name == name]
            yield Failure(
                Kind.DUPLICATED, alone.user, "", TWICE,
                f"{alone.user}'s {len(alone.sessions)} connections ask {asked} and get {name} of {mine[name]} answers;"
                " used in turns they get one for each", tuple(sorted(places)),
            )  # fmt: skip

    def _is_shared(self, alone: Alone, name: str) -> bool:
        """Return whether an event carries something that is shared on purpose: then others cause it, too."""
        return any(self._shared(path) for paths in alone.fields.get(name, ()) for path in paths)

    def _comes_of_others(self, alone: Alone, name: str) -> bool:
        return name in self._turns or self._is_shared(alone, name)

    def _answers(self, alone: Alone, answers: Mapping[Scalar, list[tuple[int, Message]]]) -> Iterator[Failure]:
        """Yield answers with too much or too little in them, where the totals do not show it."""
        if not alone.answer_kinds:  # alone nothing was answered: there is nothing to compare with
            return
        for id_, answer in answers.items():
            mine = counted(answer)
            if mine in alone.answer_kinds:
                continue
            most = {name: max(dict(kind).get(name, 0) for kind in alone.answer_kinds) for name, _ in mine}
            more = [name for name, count in mine if count > most[name] > 0 and name not in self._turns]
            if more:
                yield Failure(
                    Kind.DUPLICATED, alone.user, "", more[0],
                    f"{alone.user} gets {_times(dict(mine)[more[0]], more[0])} in the answer {_told(id_)};"
                    f" alone it is {most[more[0]]}", (answer[-1][0],),
                )  # fmt: skip

    def _order(self, alone: Alone, said: list[tuple[int, Message]]) -> Iterator[Failure]:
        for answer in alone.answers(said).values():
            # What others cause, too, comes when they do.
            names = [message.name for _, message in answer if not self._comes_of_others(alone, message.name)]
            for a, b in ordered(names):
                if alone.before.get((a, b)) and names.index(b) < (len(names) - 1 - names[::-1].index(a)):
                    at = next(n for n, m in answer if m.name == b)
                    yield Failure(
                        Kind.ORDER, alone.user, "", f"{b} before {a}",
                        f"{alone.user} gets {b} before {a}; alone it is always the other way round", (at,),
                    )  # fmt: skip
                    return

    def _endings(self, alone: Alone, session: str, run: Run) -> Iterator[Failure]:
        known = alone.endings.get(session, set())
        for how, code in sorted(endings_of(run, session) - known):
            what = {
                "close": f"closes {session}'s connection with {code}",
                "lost": f"ends {session}'s connection without a word",
                "reject": f"refuses {session}'s connection" + (f" with {code}" if code else ""),
            }[how]
            places = tuple(
                n for n, m in enumerate(run.moments) if m.session == session and m.what == how and m.dir == "s2c"
            )
            said = run.moments[places[0]].payload
            name = refusal(how, code, said if isinstance(said, str) else "")
            if name and (self._shared(name) or others_are_connected(run, places[0])):
                self._refused = True
                self.full |= set() if self._shared(name) else {name}
                continue
            yield Failure(
                Kind.CLOSED, alone.user, "", f"{how} {code}",
                f"the server {what}, which it does not when {alone.user} is alone", places[:1],
            )  # fmt: skip


def _mixed(alone: Alone, n: int, owner: str, field: Field, value: Scalar, was: Scalar) -> Failure:
    where = ".".join(field)
    told = f"{alone.user} receives {_told(value)} in {where}, which is {owner}'s; {_else(alone, field, was)}"
    return Failure(Kind.MIXED, alone.user, owner, where, told, (n,))


def _else(alone: Alone, field: Field, was: Scalar) -> str:
    """Return what the user sees alone, in words."""
    return "alone that never comes" if len(alone.values.get(field, ())) > FEW else f"alone it is {_told(was)}"


def _is_anybodys(value: Scalar) -> bool:
    return isinstance(value, bool) or value is None or (isinstance(value, int) and abs(value) < TELLING)


def _fixed_owner(user: str, field: Field, value: Scalar, all_: Iterable[Alone]) -> tuple[str, Scalar]:
    """Return who always sees this value at a place where a user always sees another one, and which; empty: nobody."""
    seen: dict[str, set[Scalar]] = {}
    for alone in all_:
        if not alone.is_masked(field):
            seen.setdefault(alone.user, set()).update(alone.values.get(field, ()))
    mine = seen.pop(user, set())
    if value is None or len(mine) != 1 or value in mine:
        return "", None
    return next((other for other, values in seen.items() if values == {value}), ""), next(iter(mine))


def _owner(alone: Alone, field: Field, value: Scalar, others: Iterable[Alone], long: int) -> str:
    """Return who sees a value alone, or is named in it; empty: nobody."""
    for other in others:
        if other.user == alone.user:
            continue
        if value in other.values.get(field, ()) and not other.is_masked(field):
            return other.user
        if value == other.user or (isinstance(value, str) and len(other.user) >= long and _names(value, other.user)):
            return other.user
    return ""


def _in_serial(alone: Alone, message: Message, path: str, value: Scalar, *, exactly: bool = False) -> bool:
    """Return whether users who take turns see such a value at this place."""
    return any(
        name == message.name
        and any(p == path and (v == value or (not exactly and numeric(v, value))) for p, v in values)
        for name, values in alone.serial
    )


def _nearest(alone: Alone, message: Message) -> dict[str, Scalar]:
    """Return the values of the message that the user saw alone and that is most like this one."""
    mine = set(alone.shape(message)[1])
    best: dict[str, Scalar] = {}
    most = -1
    for name, values in alone.shapes:
        if name == message.name and (same := len(mine & set(values))) > most:
            best, most = dict(values), same
    return best


def _names(text: str, user: str) -> bool:
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(user)}(?![0-9A-Za-z])", text) is not None


def _told(value: Scalar) -> str:
    if value is None:
        return "nothing"
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1] if text[-1] == chr(34) else ''}"


def _times(count: int, name: str) -> str:
    return f"no {name}" if not count else f"{count} {name}"
