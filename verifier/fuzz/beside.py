"""One answer on one connection of a user who has several: in its order, and each event told once.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from verifier.fuzz.alone import Alone, messages_of, ordered
from verifier.fuzz.failure import BESIDE, Failure, Kind
from verifier.fuzz.message import Message
from verifier.fuzz.seen import Run


def beside(alone: Alone, run: Run, is_shared: Callable[[str], bool]) -> Iterator[Failure]:
    """Yield where an answer comes as it never does on one connection at a time: twice, or in another order.

    `is_shared`: which events others cause as well.
    """
    answers = [answer for s in alone.sessions for answer in alone.answers(messages_of(run, s)).items() if alone.apart]
    by_itself = set(run.names) <= set(alone.sessions)
    # An id that stands for two answers, as one that each connection counts for itself, tells nothing of one.
    whole = len({id_ for id_, _ in answers}) == alone.asked(run)
    for _, answer in answers if whole or alone.by_chance else ():
        found = _twice(alone, answer, is_shared, by_itself) or _turned(alone, answer, is_shared, by_itself)
        if found is not None:
            yield found
            return


def _twice(
    alone: Alone, answer: list[tuple[int, Message]], is_shared: Callable[[str], bool], by_itself: bool
) -> Failure | None:
    """Return that an event comes twice, of which there is always one."""
    mine = Counter(message.name for _, message in answer)
    # What never comes to the user alone is others' doing, and told as such.
    names = [m.name for _, m in answer if mine[m.name] > 1 == alone.most[m.name] and not is_shared(m.name)]
    name = next((name for name in reversed(names) if by_itself or alone.at_most(name) > 1), None)
    if name is None:
        return None
    places = tuple(n for n, message in answer if message.name == name)
    return Failure(
        Kind.DUPLICATED, alone.user, "", f"{name}{BESIDE}",
        f"{alone.user} gets {mine[name]} {name} in one answer, on one connection; with one connection at a time it is"
        " always one", places,
    )  # fmt: skip


def _turned(
    alone: Alone, answer: list[tuple[int, Message]], is_shared: Callable[[str], bool], by_itself: bool
) -> Failure | None:
    """Return that an event comes before another behind which it always is."""
    names = [message.name for _, message in answer if not is_shared(message.name)]
    # Only what comes once: what is told again is no other order.
    once = [name for name in names if names.count(name) == 1]
    # What never comes to the user alone is `_order`'s, and others' doing.
    own = [p for p in ordered(once) if alone.apart.get(p) and (by_itself or not alone.before.get(p, True))]
    pair = next(((b, a) for a, b in own if once.index(b) < once.index(a)), None)
    if pair is None:
        return None
    at = next(n for n, message in answer if message.name == pair[0])
    return Failure(
        Kind.ORDER, alone.user, "", f"{pair[0]} before {pair[1]}{BESIDE}",
        f"{alone.user} gets {pair[0]} before {pair[1]} in one answer; on one connection at a time it is"
        " always the other way round", (at,),
    )  # fmt: skip
