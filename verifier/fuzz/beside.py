"""The order of one answer on one connection of a user who has several: what was missed and what goes on.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from verifier.fuzz.alone import Alone, messages_of, ordered
from verifier.fuzz.failure import BESIDE, Failure, Kind
from verifier.fuzz.seen import Run


def beside(alone: Alone, run: Run, is_shared: Callable[[str], bool]) -> Iterator[Failure]:
    """Yield where events of one answer come in an order that they never have on one connection at a time.

    `is_shared`: which events others cause as well.
    """
    answers = [answer for s in alone.sessions for answer in alone.answers(messages_of(run, s)).items() if alone.apart]
    # An id that stands for two answers, as one that each connection counts for itself, says nothing of an order.
    if len({id_ for id_, _ in answers}) != alone.asked(run):
        return
    by_itself = set(run.names) <= set(alone.sessions)
    for _, answer in answers:
        names = [message.name for _, message in answer if not is_shared(message.name)]
        # Only what comes once: what is told again is no other order.
        once = [name for name in names if names.count(name) == 1]
        # What never comes to the user alone is `_order`'s, and others' doing.
        own = [p for p in ordered(once) if alone.apart.get(p) and (by_itself or not alone.before.get(p, True))]
        pair = next(((b, a) for a, b in own if once.index(b) < once.index(a)), None)
        if pair is not None:
            at = next(n for n, message in answer if message.name == pair[0])
            yield Failure(
                Kind.ORDER, alone.user, "", f"{pair[0]} before {pair[1]}{BESIDE}",
                f"{alone.user} gets {pair[0]} before {pair[1]} in one answer; on one connection at a time it is"
                " always the other way round", (at,),
            )  # fmt: skip
            return
