"""Violations of a contract that are new, gone, or more frequent: by fingerprint, over all tapes of a side.  Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from goldentape.display import show
from verifier.contract import Contract
from verifier.diff.certainty import ALPHA, ALPHA_RULE
from verifier.diff.finding import CHANGED, ERROR, GONE, INFO, NEW, WARNING, Finding
from verifier.diff.stats import mid_p
from verifier.verdict import Outcome, Verdict, Violation, plural

_WORD = re.compile(r"[\w.$-]+")


@dataclass(slots=True)
class _Seen:
    outcome: Outcome
    violation: Violation
    count: int = 0
    tapes: int = 0


def concerned(contract: Contract) -> dict[str, frozenset[str]]:
    """Return for each type of message the invariants that name it, or a union or span that it is in."""
    names: dict[str, set[str]] = {}
    for event in contract.events.values():
        for word in event.types or ():
            names.setdefault(word, set()).add(event.name)
    for event in contract.events.values():
        for found in names.values():
            if event.any_of is not None and found & set(event.any_of):
                found.add(event.name)
    spans = {
        span.name: {*span.open, *(event for exit in span.exits.values() for event in exit)}
        for span in contract.spans.values()
    }
    about: dict[str, set[str]] = {}
    for spec in contract.invariants.values():
        words = set(_WORD.findall(json.dumps(spec.options, default=str)))
        about[spec.name] = words | (spans.get(spec.scope, set()) if spec.scope is not None else set())
    whom: dict[str, frozenset[str]] = {}
    for word, events in names.items():
        direct = {name for name, words in about.items() if words & events}
        whom[word] = frozenset(direct | {name for name, words in about.items() if words & direct})
    return whom


def compare_verdicts(
    baseline: Sequence[Verdict], candidate: Sequence[Verdict], runs: tuple[int, int], notes: list[str]
) -> Iterator[Finding]:
    """Yield what the contract finds on one side only, or much more often; note what may be chance.

    `runs`: how many there are on each side.
    """
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
        if not (x and y) and not (y and severity == ERROR):
            n, m = max(x, runs[0]), max(y, runs[1])
            if min(mid_p([(x, n, y, m)])) > ALPHA_RULE:
                side = "candidate" if y else "baseline"
                notes.append(
                    f"violated in the {side} only, and too seldom to tell: {show(name, 60)}, {plural(x or y, 'time')}"
                )
                continue
        figures = {
            "fingerprint": fingerprint,
            "baseline": x,
            "candidate": y,
            "invariant": name,
            "kind": violation.kind,
            "last": max(violation.seqs, default=None),
        }
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


def follows(violation: Finding, cause: Finding, text: str, about: Mapping[str, frozenset[str]]) -> bool:
    """Whether a violation is what the contract says of another finding; `text`: the violation's sentence.

    `about`: the invariants that each event concerns.
    """
    if cause.kind == "unfinished" and violation.figures["candidate"] > 3 * cause.figures["candidate"][0]:
        return False  # there are far more of them than runs without an end
    if cause.kind in ("renamed", "event", "unfinished", "order", "count") and any(
        violation.figures["invariant"] in about.get(event, ()) for event in cause.events
    ):
        return True
    names = {*cause.events, *(cause.paths if cause.kind == "renamed" else ())} - {""}
    if cause.kind in ("renamed", "event", "type", "field", "order", "count"):
        return bool(names & set(violation.events)) or any(name in text for name in names)
    if cause.kind == "unfinished":
        return any(name in text for name in names) or "never" in text or "no end" in text or "not end" in text
    if cause.kind == "latency":
        return bool(set(cause.events) & set(violation.events)) and ("late" in text or "took" in text or " ms" in text)
    return cause.kind == "closing" and any(word in text for word in ("clos", "1011", "1006"))
