"""What several reports say of one violation: its sentence and its proof, as plain lines.  Recorded text is escaped."""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.display import show
from verifier.exporters.text import ID, witness
from verifier.judgement import FAILED, Distinct, Judged, Judgement
from verifier.verdict import Group, Violation, plural


def headline(group: Group, width: int = 400) -> str:
    """Return why it is a violation, in one line."""
    return show(group.first[0].why, width)


def proof(judged: Judged, found: Distinct, *, excerpts: bool) -> Iterator[str]:
    """Yield the lines of a violation's proof: what the records say, what was wanted, how often it was seen."""
    outcome, group = found.outcome, found.group
    first = group.first[0]
    slice = where(first)
    if slice:
        yield f"where: {slice}"
    yield from witness(first.witness, judged.verdict.begin, excerpts=excerpts)
    late = f" (late by {first.late_by / 1e9:.3f} s)" if first.late_by else ""
    yield f"why: {headline(group, 600)}{late}"
    if first.expected and first.expected not in first.why:
        yield f"wanted: {show(first.expected, 400)}"
    yield from first.told
    if outcome.impact:
        yield f"impact: {show(outcome.impact, 400)}"
    yield f"seen: {plural(group.count, 'time')}, {plural(len(group.users), 'user')}; fault: {first.fault}"
    yield f"id: {outcome.name}/{found.number}, fingerprint {first.fingerprint}"


def where(violation: Violation) -> str:
    """Return the slice of a violation: `user=alice run=r1`."""
    return " ".join(f"{show(n, 32)}={show(v[:ID] if n == 'connection' else v, 64)}" for n, v in violation.slice)


def summary(judgement: Judgement) -> str:
    """Return what came of it, in a line: `2 violations, 1 inconclusive, 14 held`."""
    distinct = [found for one in judgement.judged for found in one.distinct()]
    violations = sum(found.standing == FAILED for found in distinct)
    warnings = len(distinct) - violations
    tapes = sum(one.tape is not None for one in judgement.unjudged)
    counts = judgement.counts()
    said = [
        plural(violations, "distinct violation") if violations else "",
        f"{counts['error']:,} not evaluated" if "error" in counts else "",
        plural(warnings, "warning") if warnings else "",
        f"{counts['open']:,} could not be judged" if "open" in counts else "",
        f"{counts['passed']:,} held" if "passed" in counts else "",
        plural(tapes, "tape without a verdict", "tapes without a verdict") if tapes else "",
        "no verdict" if len(judgement.unjudged) > tapes else "",
    ]  # fmt: skip
    return ", ".join(part for part in said if part) or "nothing was judged"
