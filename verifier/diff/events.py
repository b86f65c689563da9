"""Events that are renamed, gone, new, rarer or more frequent, in runs and outside of them.  Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from goldentape.display import show
from verifier.diff.certainty import ALPHA, ALPHA_RULE, chance, of_runs
from verifier.diff.finding import CHANGED, GONE, IGNORE, NEW, WARNING, Finding
from verifier.diff.policy import Policy
from verifier.diff.sides import Rate, Side, rate_of
from verifier.diff.stats import Stratum, holm, least_p, mid_p
from verifier.diff.tally import Place


def compare_events(a: Side, b: Side, ends: frozenset[str], renamed: Mapping[str, str], policy: Policy) -> list[Finding]:
    """Return what became of each event, told in as few findings as there are causes."""
    found = [*_renamed(a, b, renamed, policy)]
    rates: dict[str, Rate] = {}
    for name in a.events.keys() | b.events.keys():
        if a.running[name] or b.running[name]:
            rates[name] = _among_finished(a, b, name, ends)
    tests = {name: rate.test() for name, rate in rates.items()}
    ps = holm(tests)  # type: ignore[arg-type]
    changed: list[tuple[str, bool, Rate, float]] = []
    for name in sorted(rates):
        rate = rates[name]
        p = ps.get(name, 1.0)
        before, after = rate.shares
        whole = (name in a.events) != (name in b.events)
        alpha = ALPHA_RULE if rate.without_exception or whole else ALPHA
        if p <= alpha and rate.stands_out and before != after:
            changed.append((name, after > before, rate, p))
    found += _grouped(a, b, changed, policy)
    told = {event for finding in found for event in finding.events}
    found += [one for one in _asides(a, b, policy) if not set(one.events) & told]
    return found


def _renamed(a: Side, b: Side, renamed: Mapping[str, str], policy: Policy) -> Iterator[Finding]:
    for new, old in sorted(renamed.items()):
        if policy.level("lost_event") == IGNORE:
            return
        yield Finding(
            kind="renamed", mark=CHANGED, level=policy.level("lost_event"),
            title=f"event renamed: {show(old, 60)} is now {show(new, 60)}",
            why=(f"{a.events[old]:,} times before, {b.events[old]:,} times now, with the same fields",),
            events=(old,), paths=(new,), weight=1.0, places=(a.place(old), b.place(old)),
            figures={"from": old, "to": new, "baseline": a.events[old], "candidate": b.events[old]},
        )  # fmt: skip


def _among_finished(a: Side, b: Side, name: str, ends: frozenset[str]) -> Rate:
    """Return the shares of an event among the runs that ended: what an unfinished run lacks has another cause."""
    rate = rate_of(a, b, name)
    if not ends:
        return rate
    sides = [_finished(side, name, ends) for side in (a, b)]
    common = [kind for kind in sides[0] if kind in sides[1]]
    strata: list[Stratum] = [(*sides[0][kind], *sides[1][kind]) for kind in common]
    return Rate(tuple(strata), rate.effect, rate.noise) if strata else rate


def _finished(side: Side, name: str, ends: frozenset[str]) -> dict[str, tuple[int, int]]:
    n: Counter[str] = Counter()
    x: Counter[str] = Counter()
    for (kind, names), (count, _) in side.variants.items():
        if names & ends:
            n[kind] += count
            x[kind] += count if name in names else 0
    return {kind: (x[kind], count) for kind, count in n.items()}


def _grouped(
    a: Side, b: Side, changed: list[tuple[str, bool, Rate, float]], policy: Policy
) -> Iterator[Finding]:  # fmt: skip
    """Yield one finding for events that are lost, or come, in the same runs."""
    left = sorted(changed, key=lambda one: (one[3], one[0]))
    while left:
        name, rose, rate, p = left.pop(0)
        together = [one for one in left if _same_runs(b, (name, rose), (one[0], one[1]))]
        left = [one for one in left if one not in together]
        group = [(name, rose, rate, p), *together]
        lost = [one for one in group if not one[1]]
        lead = next((one for one in group if not one[1]), group[0])
        instead = [one[0] for one in group if one[1] and one[0] != lead[0]] if lost else []
        yield _change(a, b, lead, [one[0] for one in group], instead, policy)


def _change(
    a: Side, b: Side, lead: tuple[str, bool, Rate, float], names: list[str], instead: list[str], policy: Policy
) -> Finding:
    name, rose, rate, p = lead
    (xa, na), (xb, nb) = rate.a, rate.b
    there, here = name in a.events, name in b.events
    shown = show(name, 60)
    figures = {"baseline": [xa, na], "candidate": [xb, nb], "p": p, "events": sorted(names), "rose": rose}
    if rose:
        mark, level = (CHANGED, milder(policy.level("new_event"))) if there and xa else (NEW, policy.level("new_event"))
        word = "event more often" if mark == CHANGED else "new event"
        title = f"{word}: {shown}, in {of_runs(xb, nb)}" + (f", before in {of_runs(xa, na)}" if xa else "")
        places: tuple[Place | None, Place | None] = (None, having(b, name))
    elif here and xb:
        mark = CHANGED
        level = policy.level("lost_event")
        title = f"event missing: {shown} does not come in {of_runs(nb - xb, nb)}, before in {of_runs(na - xa, na)}"
        places = (having(a, name), _lacking(b, name))
    else:
        mark, level = GONE, policy.level("lost_event")
        title = f"event gone: {shown}, before in {of_runs(xa, na)}"
        places = (having(a, name), _lacking(b, name))
    also = []
    others = [other for other in names if other != name and other not in instead]
    if others:
        also.append(f"in the same runs: {', '.join(show(other, 40) for other in others)}")
    if instead:
        also.append(f"instead comes {', '.join(show(other, 40) for other in instead)}")
    before, after = rate.shares
    return Finding(
        kind="event", mark=mark, level=level, title=title, why=(chance(p),), also=tuple(also),
        events=(name, *sorted(other for other in names if other != name)), p=p,
        weight=min(1.0, 0.3 + abs(after - before)), places=places, figures=figures,
    )  # fmt: skip


def milder(level: str) -> str:
    """Return a level that fails nothing."""
    return WARNING if level == "error" else level


def having(side: Side, name: str) -> Place | None:
    """Return a run that has an event."""
    found = [(n, place) for (_, names), (n, place) in side.variants.items() if name in names]
    return max(found, key=lambda one: one[0])[1] if found else side.place(name)


def _lacking(side: Side, name: str) -> Place | None:
    found = [(n, place) for (_, names), (n, place) in side.variants.items() if name not in names]
    return max(found, key=lambda one: one[0])[1] if found else None


def _same_runs(side: Side, first: tuple[str, bool], second: tuple[str, bool]) -> bool:
    """Whether two changes are in the same runs of the candidate."""

    def concerned(names: Iterable[str], change: tuple[str, bool]) -> bool:
        return (change[0] in names) == change[1]

    both = either = 0
    for (_, names), (n, _) in side.variants.items():
        x, y = concerned(names, first), concerned(names, second)
        both += n if x and y else 0
        either += n if x or y else 0
    return both >= 0.7 * either > 0


def _asides(a: Side, b: Side, policy: Policy) -> Iterator[Finding]:
    """Yield what is gone or new of what the server says outside of runs."""
    seen = [sum((part.asides for part in side.parts), Counter()) for side in (a, b)]
    connections = [sum(part.connections for part in side.parts) for side in (a, b)]
    for side, other, mark in ((0, 1, GONE), (1, 0, NEW)):
        names = (a, b)[other]
        for name, n in sorted(seen[side].items()):
            old = (a, b)[side].name(name)
            if old in names.events:
                continue
            strata = [(0.0, connections[other], float(min(n, connections[side])), connections[side])]
            p = mid_p(strata)[1]
            level = policy.level("lost_event" if mark == GONE else "new_event")
            if 2 * p > ALPHA_RULE or level == IGNORE or least_p(strata) > ALPHA_RULE:
                continue
            word = "event gone" if mark == GONE else "new event"
            yield Finding(
                kind="event", mark=mark, level=level,
                title=f"{word}: {show(old, 60)}, on {n:,} of {connections[side]:,} connections outside of runs",
                why=(chance(p),), events=(old,), p=p, weight=0.5,
                places=(a.place(old), None) if mark == GONE else (None, b.place(old)),
                figures={"connections": [n, connections[side]], "rose": mark == NEW},
            )  # fmt: skip
