"""A `TapeReport` for people, and as JSON.  Every recorded text goes out through `show`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from goldentape.columns import columns
from goldentape.display import show
from verifier.fuzz.offline.order import PartialOrder, Slices
from verifier.fuzz.offline.recorded import Kind
from verifier.fuzz.offline.run import CONSUMER, Possible, TapeReport
from verifier.record import S2C
from verifier.verdict import Violation, plural

NAMED = 6
"""Steps of a slice that are named; of a longer one the middle is left out."""
Row = tuple[str, ...]


def lines(report: TapeReport, tape: str, contract: str | None) -> Iterator[str]:
    """Yield the report.  `contract`: its name and file, as the caller shows them."""
    steps = report.recorded.steps
    yield (
        f"{show(tape, 400)}: {plural(report.users, 'user')}, "
        f"{plural(len(report.recorded.draft.connections), 'connection')}, {plural(len(steps), 'step')}; "
        f"{_kept(report.edges)}"
    )
    if contract is not None:
        yield f"against {contract}"
    for name, violation in report.broken:
        yield ""
        yield f"BROKEN   {name}: the recording itself breaks it, so no other order is looked at"
        yield f"  {show(violation.why, 400)}"
        yield f"  next: goldentape verify {show(tape, 400)} --only {name} --contract ..."
    if report.permuted:
        yield from _own(report)
    for possible in report.possible:
        yield ""
        yield from possible_story(report, possible)
    yield ""
    yield from _searched(report)
    yield summary(report)


def _kept(edges: int) -> str:
    if not edges:
        return "nothing orders one user's steps before another's"
    return f"{plural(edges, 'step')} must come before another user's"


def summary(report: TapeReport) -> str:
    """Return the last line."""
    explored = report.explored
    if report.vacuous is not None and not explored.interleavings:
        return f"vacuous: {show(report.vacuous, 600)}"
    found = f", {plural(len(report.dependent), 'rule')} that the order of others changes" if report.dependent else ""
    return (
        f"interleavings {explored.interleavings:,} ({explored.rate:,.0f}/s), distinct traces {explored.traces:,}, "
        f"possible violations {len(report.possible)}{found}"
    )


def _own(report: TapeReport) -> Iterator[str]:
    many = plural(len(report.rules.own), "rule")
    if not report.dependent:
        yield (
            f"{many} of connections, runs and users came to the same verdict in {report.permuted} interleavings of the "
            f"users ({report.permuted_seconds:.1f} s)"
        )
    for one in report.dependent:
        yield ""
        yield f"ORDER    {one.invariant}: its verdict depends on what other users do in between, and must not"
        yield f"  as recorded: {show(one.recorded)}; in this order: {show(one.other)}"
        yield from _story(report, report.by_user, one.slices, frozenset())


def possible_story(report: TapeReport, possible: Possible) -> Iterator[str]:
    """Yield what could have happened, and in which order of the users."""
    violation = possible.violation
    if possible.invariant == CONSUMER:
        yield "DIFFERS  the consumer's end state depends on an order that the recording leaves open"
    else:
        yield f"POSSIBLE {possible.invariant}: the recording does not exclude it; it did not happen in it"
    yield f"  why: {show(told_of(report, possible), 600)}"
    marked = frozenset() if violation is None else frozenset(witnesses(possible))
    yield from _story(report, report.order, possible.slices, marked)
    switches = max(0, len(report.order.slices_of(possible.order[: _last(possible, marked) + 1])) - 1)
    yield f"  {plural(switches, 'switch', 'switches')} between connections until then"


def told_of(report: TapeReport, possible: Possible) -> str:
    """Return why it is a violation, with the messages' places in the tape."""
    if possible.violation is None:
        return possible.why
    places = {step: n for n, step in enumerate(possible.order)}
    recorded = {}
    for step in witnesses(possible):
        line = report.recorded.line(step)
        if line is not None:
            recorded[2 * places[step] + 2] = line.seq
    return re.sub(r"#(\d+)", lambda m: f"#{recorded.get(int(m[1]), int(m[1]))}", possible.why)


def witnesses(possible: Possible) -> list[int]:
    """Return the steps that prove it."""
    violation: Violation | None = possible.violation
    return [] if violation is None else [possible.order[(w.seq - 2) // 2] for w in violation.witness if w.seq]


def _last(possible: Possible, marked: frozenset[int]) -> int:
    return max((n for n, step in enumerate(possible.order) if step in marked), default=len(possible.order) - 1)


def _story(
    report: TapeReport, order: PartialOrder, slices: Slices, marked: frozenset[int]
) -> Iterator[str]:  # fmt: skip
    """Yield one row a slice: who goes, and through which steps; steps that prove it are marked."""
    told = order.play(slices)[0]
    last = max((n for n, step in enumerate(told) if step in marked), default=len(told) - 1)
    rows: list[Row] = []
    at = 0
    for number, (_, count) in enumerate(order.slices_of(told[: last + 1]), 1):
        part = told[at : at + count]
        at += count
        who = next((report.recorded.steps[n].user for n in part if report.recorded.steps[n].user), "(mark)")
        rows.append((f"  {number:>3}", show(who, 24), _named(report, part, marked)))
    yield from columns(rows)


def _named(report: TapeReport, part: Sequence[int], marked: frozenset[int]) -> str:
    words = [(step in marked, name(report, step)) for step in part]
    if len(words) > NAMED:
        kept = [n for n, (mark, _) in enumerate(words) if mark or n < 2 or n >= len(words) - 2]
        told, before = [], -1
        for n in kept:
            told += ["..."] if n > before + 1 else []
            told.append(words[n][1] + (" <--" if words[n][0] else ""))
            before = n
        return ", ".join(told)
    return ", ".join(word + (" <--" if mark else "") for mark, word in words)


def name(report: TapeReport, n: int) -> str:
    """Return what a step is, in a word or two."""
    step, line = report.recorded.steps[n], report.recorded.line(n)
    if step.kind is Kind.OPEN:
        return "connects"
    if step.kind is Kind.END:
        return "is gone"
    if line is None:
        return f"mark {show(step.mark.kind, 40)}" if step.mark is not None else "mark"
    names = report.names.get(n, ())
    word = names[0] if names else "close" if line.opcode == 8 else "message"
    return f"{'<' if line.dir == S2C else '>'} {show(word, 40)} #{line.seq}"


def _searched(report: TapeReport) -> Iterator[str]:
    explored = report.explored
    if report.resources:
        yield f"shared: {', '.join(show(one, 60) for one in report.resources[:10])}"
    if not explored.interleavings:
        return
    whom = ", ".join(report.searched) or "nothing: only orders were counted"
    yield f"searched for orders that break: {whom}"
    if report.engine:
        yield f"  judged message by message, which costs rate: {', '.join(report.engine)}"
    if report.rules.timed:
        yield f"  about time, so not judged in other orders: {', '.join(report.rules.timed)}"
    seen = f"{explored.pairs:,} of {explored.pairs_possible:,}"
    why = "; 200 in a row brought no new trace" if explored.satisfied else ""
    yield f"steps of two connections seen next to each other: {seen} pairs of kinds{why}"


def to_json(report: TapeReport, tape: str) -> dict[str, Any]:
    """Return the report in JSON's types; slices name the connection of each lane."""
    explored = report.explored
    return {
        "tape": tape,
        "users": report.users, "connections": len(report.recorded.draft.connections),
        "steps": len(report.recorded.steps),
        "orders_between_users": report.edges,
        "own_rules": list(report.rules.own), "permuted": report.permuted,
        "order_dependent": [
            {"invariant": one.invariant, "recorded": one.recorded, "other": one.other,
             "slices": _slices(report, report.by_user, one.slices)} for one in report.dependent
        ],
        "broken_as_recorded": [{"invariant": name, "why": violation.why} for name, violation in report.broken],
        "searched": list(report.searched), "timed": list(report.rules.timed),
        "interleavings": explored.interleavings, "per_second": round(explored.rate), "distinct_traces": explored.traces,
        "pairs_seen": explored.pairs, "pairs_possible": explored.pairs_possible, "resources": list(report.resources),
        "possible": [
            {"invariant": one.invariant, "why": told_of(report, one),
             "slices": _slices(report, report.order, one.slices),
             "witness": [line.seq for n in witnesses(one) if (line := report.recorded.line(n)) is not None],
             "order": [line.seq for n in one.order if (line := report.recorded.line(n)) is not None]}
            for one in report.possible
        ],
        "vacuous": report.vacuous,
    }  # fmt: skip


def _slices(report: TapeReport, order: PartialOrder, slices: Slices) -> list[list[Any]]:
    found: list[list[Any]] = []
    for lane, count in slices:
        step = report.recorded.steps[order.lanes[lane][0]]
        connection = report.recorded.draft.connections.get(step.connection)
        found.append([step.user, "(marks)" if connection is None else connection.id, count])
    return found
