"""Plans for a running server: who goes when, as turns of so many steps, perhaps after a moment.  Pure values.

A step of a session is what its client does (dial, open, and each action of its script) or one thing that it is sent.
A turn ends when its steps are taken, or when its session can do nothing for a while.  After the last turn everything
goes on serially, session after session.  The number of turns is the number of switches that a person has to follow.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from goldentape.errors import InputError
from verifier.fuzz.schedule import Schedule, Slice

LONGEST: Final = 8
"""Milliseconds that a turn waits at most before it begins."""
HELLO: Final = 3
"""Steps until a session is open: dial, open, and the server's answer."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One stretch in which a session goes on."""

    session: str
    steps: int = 0
    """How many of its own; 0: until it can do nothing."""
    delay: int = 0
    """Milliseconds before it."""

    def __str__(self) -> str:
        after = f" after {self.delay} ms" if self.delay else ""
        return f"{self.session} {self.steps or 'until it waits'}{after}"


Plan = tuple[Turn, ...]


def drawn(sessions: Sequence[str], seed: int, n: int) -> Plan:
    """Return the n-th plan of a seed.

    Half of them open all connections first, so that what follows is close together; half of them wait before turns.
    """
    rng = random.Random(f"{seed}:{n}")
    turns: list[Turn] = []
    if rng.random() < 0.6:
        turns += [Turn(name, HELLO) for name in rng.sample(list(sessions), len(sessions))]
    waits = rng.random() < 0.5
    longest = rng.choice((1, 2, 3, 5, 8))
    for _ in range(rng.randint(2, 6 * len(sessions))):
        steps = 0 if rng.random() < 0.1 else rng.randint(1, longest)
        delay = rng.randint(1, LONGEST) if waits and rng.random() < 0.4 else 0
        turns.append(Turn(rng.choice(sessions), steps, delay))
    return joined(turns)


def joined(turns: Sequence[Turn]) -> Plan:
    """Return the plan in which no two turns that follow each other are of one session, where that changes nothing."""
    found: list[Turn] = []
    for turn in turns:
        last = found[-1] if found else None
        if last is not None and last.session == turn.session and not turn.delay:
            steps = last.steps + turn.steps if last.steps and turn.steps else 0
            found[-1] = replace(last, steps=steps)
        else:
            found.append(turn)
    return tuple(found)


def simpler(plan: Plan) -> Iterator[Plan]:
    """Yield plans that are simpler, the most simple first: nothing at all, no delays, fewer turns, fewer delays."""
    if plan:
        yield ()
    if any(turn.delay for turn in plan):
        yield tuple(replace(turn, delay=0) for turn in plan)
    size = len(plan) // 2
    while size >= 1:
        for at in range(0, len(plan), size):
            yield joined((*plan[:at], *plan[at + size :]))
        size //= 2
    if sum(turn.delay > 0 for turn in plan) > 1:
        for n, turn in enumerate(plan):
            if turn.delay:
                yield (*plan[:n], replace(turn, delay=0), *plan[n + 1 :])


def schedule(plan: Plan) -> Schedule:
    """Return the plan as a schedule, without its delays."""
    return Schedule(tuple(Slice(turn.session, turn.steps) for turn in plan))


def to_json(plan: Plan) -> list[list[Any]]:
    """Return it as JSON: `[[session, steps, milliseconds], ...]`."""
    return [[turn.session, turn.steps, turn.delay] for turn in plan]


MOST = 60_000
"""Steps, or milliseconds, of a turn that is read from a file."""


def from_json(value: Any) -> Plan:
    """Read what `to_json` wrote; raises InputError."""
    if not isinstance(value, list):
        raise InputError("a plan is a list of turns", found=type(value).__name__)
    found = []
    for n, item in enumerate(value):
        good = isinstance(item, list) and len(item) == 3 and isinstance(item[0], str)
        if not good or not all(type(part) is int and 0 <= part <= MOST for part in item[1:]):
            raise InputError("not a turn", where=f"turn {n}", found=item, wanted='["session", steps, milliseconds]')
        found.append(Turn(*item))
    return tuple(found)
