"""Violations of a contract that are new, gone, or more frequent: by fingerprint, over all tapes of a side.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from goldentape.display import show
from verifier.diff.certainty import ALPHA
from verifier.diff.finding import CHANGED, ERROR, GONE, INFO, NEW, WARNING, Finding
from verifier.diff.stats import mid_p
from verifier.verdict import Outcome, Verdict, Violation, plural

OVER = ("exits", "responds", "gap", "pair", "count", "protocol", "latency", "ratio")
"""Kinds of invariants that a run without an end breaks."""


@dataclass(slots=True)
class _Seen:
    outcome: Outcome
    violation: Violation
    count: int = 0
    tapes: int = 0


def compare_verdicts(baseline: Sequence[Verdict], candidate: Sequence[Verdict]) -> Iterator[Finding]:
    """Yield what the contract finds on one side only, or much more often."""
    before, after = _seen(baseline), _seen(candidate)
    judged = [_judged(side) for side in (baseline, candidate)]
    for fingerprint in sorted(after.keys() | before.keys()):
        old, new = before.get(fingerprint), after.get(fingerprint)
        one = new or old
        assert one is not None
        name, violation = one.outcome.name, one.violation
        severity = one.outcome.severity if one.outcome.severity in (ERROR, WARNING) else INFO
        if violation.fault == "client" and severity == ERROR:
            severity = WARNING
        why = show(violation.why, 200)
        x, y = (0 if seen is None else seen.count for seen in (old, new))
        figures = {"fingerprint": fingerprint, "baseline": x, "candidate": y, "invariant": name}
        if old is None:
            title = f"violation new: {show(name, 60)}, {plural(y, 'time')}: {why}"
            mark, level = NEW, severity
        elif new is None:
            mark, level, title = GONE, INFO, f"violation gone: {show(name, 60)}, before {plural(x, 'time')}: {why}"
        else:
            n, m = (max(count, side.get(name, 0)) for count, side in zip((x, y), judged, strict=True))
            if mid_p([(x, n, y, m)])[1] > ALPHA:
                continue
            mark, level = CHANGED, severity
            title = f"violation more frequent: {show(name, 60)}, {y:,} of {m:,}, before {x:,} of {n:,}: {why}"
        yield Finding(
            kind="violation", mark=mark, level=level, title=title,
            why=(f"fingerprint {fingerprint}, {show(one.outcome.file, 200)}:{one.outcome.line}",),
            events=tuple(dict.fromkeys(w.event for w in violation.witness)), paths=(fingerprint,),
            weight=0.5 if mark == NEW else 0.1, figures=figures,
        )  # fmt: skip


def _seen(verdicts: Sequence[Verdict]) -> dict[str, _Seen]:
    found: dict[str, _Seen] = {}
    for verdict in verdicts:
        for outcome in verdict.outcomes:
            for group in outcome.groups:
                first = group.first[0]
                seen = found.setdefault(first.fingerprint, _Seen(outcome, first))
                seen.count += group.count
                seen.tapes += 1
    return found


def _judged(verdicts: Sequence[Verdict]) -> dict[str, int]:
    found: dict[str, int] = {}
    for verdict in verdicts:
        for outcome in verdict.outcomes:
            found[outcome.name] = found.get(outcome.name, 0) + outcome.tally.activations
    return found


def follows(violation: Finding, cause: Finding, text: str) -> bool:
    """Whether a violation is what the contract says of another finding; `text`: the violation's sentence."""
    names = {*cause.events, *(cause.paths if cause.kind == "renamed" else ())} - {""}
    if cause.kind in ("renamed", "event", "type", "field", "order", "count"):
        return bool(names & set(violation.events)) or any(name in text for name in names)
    if cause.kind == "unfinished":
        return any(name in text for name in names) or "never" in text or "no end" in text or "not end" in text
    if cause.kind == "latency":
        return bool(set(cause.events) & set(violation.events)) and ("late" in text or "took" in text or " ms" in text)
    return cause.kind == "closing" and any(word in text for word in ("clos", "1011", "1006"))
