"""Replies: what the server says first to a message of the client, and how soon."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from verifier.mining.candidate import Candidate, slug
from verifier.mining.listen import Said
from verifier.mining.model import ALMOST, Model
from verifier.mining.vocabulary import at

ANSWERS = 4
LEAST = 1_000_000_000
"""Nanoseconds: no time is mined that is shorter, for a busier machine is not a fault."""


def propose(model: Model) -> Iterator[Candidate]:
    """Yield an answer for each message of clients that almost always gets one."""
    for event in model.events.values():
        if event.dir == 0:
            yield from _of(model, event.name)


def _of(model: Model, name: str) -> Iterator[Candidate]:
    shared = [key for key, path in model.keys.items() if key in model.owned and path in model.events[name].fields]
    for key in [*shared[:1], None]:
        answers: Counter[str] = Counter()
        times: list[int] = []
        asked = 0
        for slice in model.connections:
            waiting: dict[object, Said] = {}
            for said in slice.said:
                value = at(said, model.keys[key]) if key is not None else ""
                if said.event == name:
                    asked += 1
                    waiting[value] = said
                elif said.dir == 1 and value in waiting:
                    answers[said.event] += 1
                    times.append(said.t - waiting.pop(value).t)
        common = [event for event, n in answers.most_common(ANSWERS) if n >= 3]
        if not asked or sum(answers[event] for event in common) < ALMOST * asked:
            continue
        per: dict[str, object] = {"per": ["connection", key] if key is not None else "connection"}
        limit = duration(rank(times, 0.99))
        yield Candidate(
            name=slug(name, "answered"),
            options={"kind": "responds", **per, "trigger": name, "answer": sorted(common), "mode": "each",
                     "within": limit},
            about=f"each {name} is answered by {', '.join(sorted(common))} within {limit}",
            triggers=frozenset({name}), of=asked,
            covers=frozenset(("responds", name, event) for event in common),
        )  # fmt: skip
        yield Candidate(
            name=slug(name, "soon-answered"),
            options={"kind": "latency", **per, "from": name, "to": sorted(common), "p99": limit},
            about=f"99 of 100 {name} have the first of these answers within {limit} (p99 x 1.5, at least 1 s)",
            triggers=frozenset({name}), of=asked,
        )  # fmt: skip
        return


def rank(times: list[int], share: float) -> int:
    """Return a percentile by nearest rank."""
    ordered = sorted(times)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0


def duration(ns: int) -> str:
    """Return 1.5 times a time as a contract has it, rounded up, at least `LEAST`."""
    return f"{math.ceil(max(1.5 * ns, LEAST) / 1e8) / 10:g}s"
