"""A `TapeReport` for people, and as JSON.  Every recorded text goes out through `show`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from goldentape.columns import columns
from goldentape.display import home_and_here, show
from verifier.fuzz.offline.order import PartialOrder, Slices
from verifier.fuzz.offline.recorded import Kind
from verifier.fuzz.offline.replaying import MARKS
from verifier.fuzz.offline.report import CONSUMER, Possible, TapeReport
from verifier.fuzz.offline.repro import TapeRepro
from verifier.record import S2C
from verifier.verdict import Violation, plural

NAMED = 6
"""Steps of a slice that are named; of a longer one the middle is left out."""
Row = tuple[str, ...]


def lines(
    report: TapeReport, tape: str, contract: str | None, saved: Sequence[Path | None] = (), *, code: bool = False
) -> Iterator[str]:  # fmt: skip
    """Yield the report.

    `contract`: its name and file, as the caller shows them; `saved`: where repro files are; `code`: the contract brings
    code of its own, which a replay has to allow, too.
    """
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
    for possible, path in zip_longest(report.possible, saved):
        yield ""
        yield from possible_story(report, possible)
        if path is not None:
            yield from _again(possible, home_and_here(path), code)
    yield ""
    yield from _searched(report)
    if any(possible.violation is not None for possible in report.possible):
        from_tape = f"--from {show(tape, 400)}"
        yield f"next: goldentape fuzz app MODULE:APP {from_tape}, or fuzz live URL {from_tape}, tries the real thing"
    if report.interrupted:
        yield "interrupted: what is above is what was found until then"
    yield summary(report)


def _kept(edges: int) -> str:
    if not edges:
        return "nothing orders one user's steps before another's"
    return f"{plural(edges, 'step')} must come before another user's"


def summary(report: TapeReport) -> str:
    """Return the last line."""
    explored = report.explored
    if report.vacuous is not None and not explored.interleavings:
        changed = f"{plural(len(report.dependent), 'rule')} whose verdict changes; " if report.dependent else ""
        return f"{changed}vacuous: {show(report.vacuous, 600)}"
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
        if one.again:
            yield f"ORDER    {one.invariant}: judged twice over the same messages, it comes to two verdicts"
            yield f"  first: {show(one.recorded)}; then: {show(one.other)}"
            yield "  next: keep nothing outside of the state that `start` returns, and draw nothing by chance"
            continue
        yield f"ORDER    {one.invariant}: its verdict depends on what other users do in between, and must not"
        yield f"  as recorded: {show(one.recorded)}; in this order: {show(one.other)}"
        yield from _story(report, report.by_user, one.slices, frozenset())


def possible_story(report: TapeReport, possible: Possible) -> Iterator[str]:
    """Yield what could have happened, and in which order of the users."""
    violation = possible.violation
    if possible.invariant == CONSUMER:
        yield "DIFFERS  the consumer's end state depends on an order that the recording leaves open"
    else:
        warns = " (it would only warn)" if possible.warns else ""
        yield f"POSSIBLE {possible.invariant}: the recording does not exclude it; it did not happen in it{warns}"
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
    """Yield one row a slice: who goes, and through which steps; switches are marked, and steps that prove it."""
    told = order.play(slices)[0]
    last = max((n for n, step in enumerate(told) if step in marked), default=len(told) - 1)
    rows: list[Row] = []
    switches: dict[int, str] = {}
    taken = [0] * len(order.lanes)
    at = 0
    for number, (lane, count) in enumerate(order.slices_of(told[: last + 1]), 1):
        part = told[at : at + count]
        at += count
        taken[lane] += count
        who = next((report.recorded.steps[n].user for n in part if report.recorded.steps[n].user), "(mark)")
        rows.append((f"  {number:>3}", show(who, 24), _named(report, part, marked)))
        if taken[lane] < len(order.lanes[lane]) and at <= last:
            switches[number] = show(who, 24)
    for number, line in enumerate(columns(rows), 1):
        yield line
        if number in switches:
            yield f"       ~~~~ switch: {switches[number]} is interrupted here, {rows[number][1]} goes on ~~~~"


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
    word = "close" if line.opcode == 8 else report.words.get(n, "message")
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
        yield f"  judged over all messages each time, which costs rate: {', '.join(report.engine)}"
    if report.rules.timed:
        yield f"  about time, so not judged in other orders: {', '.join(report.rules.timed)}"
    seen = f"{explored.pairs:,} of {explored.pairs_possible:,}"
    why = "; 200 in a row brought no new trace" if explored.satisfied and not explored.complete else ""
    if explored.complete:
        why = "; every legal order was judged"
    yield f"steps of two connections seen next to each other: {seen} pairs of kinds{why}"


def _again(possible: Possible, path: str, code: bool) -> Iterator[str]:
    """Yield how to see it again, on the command line and as a test."""
    command, allowed = (" --allow-code", ", allow_code=True") if code else ("", "")
    yield f"  repro: {show(path, 300)}    (goldentape fuzz replay {show(path, 300)}{command})"
    word = re.sub(r"\W", "_", possible.invariant, flags=re.ASCII)
    test = ("from verifier.fuzz import replay", "", f"def test_{word}():", f"    replay({path!r}{allowed}).check()")
    yield from (f"      {line}".rstrip() for line in test)


def repro_of(
    report: TapeReport, possible: Possible, *, tape: str, contract: str, settings: Mapping[str, str],
    shared: Sequence[str], ordered: Sequence[str],
) -> TapeRepro:  # fmt: skip
    """Return the repro file of what is possible.  `tape`, `contract` and the rest: as the user named them."""
    assert possible.violation is not None, "a consumer's state is no violation"
    slices = _slices(report, report.order, possible.slices)
    return TapeRepro(
        tape=tape, contract=contract, settings=settings, shared=tuple(shared), ordered=tuple(ordered),
        slices=tuple((user, connection, count) for user, connection, count in slices),
        steps=len(report.recorded.steps), invariant=possible.invariant, sentence=told_of(report, possible),
        fingerprint=possible.violation.fingerprint, story=tuple(possible_story(report, possible)),
    )  # fmt: skip


def to_json(report: TapeReport, tape: str, saved: Sequence[Path | None] = ()) -> dict[str, Any]:
    """Return the report in JSON's types; slices name the connection of each lane; `saved`: the repro files."""
    explored = report.explored
    return {
        "tape": tape,
        "users": report.users, "connections": len(report.recorded.draft.connections),
        "steps": len(report.recorded.steps),
        "orders_between_users": report.edges,
        "own_rules": list(report.rules.own), "permuted": report.permuted,
        "order_dependent": [
            {"invariant": one.invariant, "recorded": one.recorded, "other": one.other, "same_order": one.again,
             "slices": _slices(report, report.by_user, one.slices)} for one in report.dependent
        ],
        "broken_as_recorded": [{"invariant": name, "why": violation.why} for name, violation in report.broken],
        "searched": list(report.searched), "timed": list(report.rules.timed),
        "interleavings": explored.interleavings, "per_second": round(explored.rate), "distinct_traces": explored.traces,
        "complete": explored.complete, "interrupted": report.interrupted,
        "pairs_seen": explored.pairs, "pairs_possible": explored.pairs_possible, "resources": list(report.resources),
        "possible": [
            {"invariant": one.invariant, "why": told_of(report, one),
             "severity": "error" if one.violation is None else one.violation.severity,
             "slices": _slices(report, report.order, one.slices),
             "witness": [line.seq for n in witnesses(one) if (line := report.recorded.line(n)) is not None],
             "order": [line.seq for n in one.order if (line := report.recorded.line(n)) is not None],
             "story": list(possible_story(report, one)), "repro": None if path is None else str(path)}
            for one, path in zip_longest(report.possible, saved)
        ],
        "vacuous": report.vacuous,
    }  # fmt: skip


def _slices(report: TapeReport, order: PartialOrder, slices: Slices) -> list[list[Any]]:
    found: list[list[Any]] = []
    for lane, count in slices:
        step = report.recorded.steps[order.lanes[lane][0]]
        connection = report.recorded.draft.connections.get(step.connection)
        found.append([step.user, MARKS if connection is None else connection.id, count])
    return found
