"""Findings in the order in which they should be read, and what follows from another told with it.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from verifier.diff import violations
from verifier.diff.finding import GONE, LEVELS, NEW, Finding

KINDS = (
    "closing", "unfinished", "event", "renamed", "type", "field", "latency", "violation", "order", "count", "values",
    "numbers",
)  # fmt: skip
"""Of one level, these come first."""

COUNTERS = ("seq", "sequence", "index", "n", "number", "no", "nr", "position", "step", "count", "total", "offset")
"""Fields that are others where events come in another order or number."""


def ranked(findings: Iterable[Finding], about: Mapping[str, frozenset[str]]) -> list[Finding]:
    """Return the findings, worst first, those that follow from others folded into them.

    `about`: the invariants of the contract that each event concerns.
    """
    found = sorted(findings, key=lambda finding: (finding.kind == "violation", *_key(finding)))
    kept: list[Finding] = []
    for finding in found:
        cause = next((index for index, one in enumerate(kept) if _follows(finding, one, about)), None)
        if cause is None:
            kept.append(finding)
        else:
            kept[cause] = kept[cause].following(finding.title)
    return sorted(kept, key=_key)


def _key(finding: Finding) -> tuple[object, ...]:
    level = LEVELS.index(finding.level) if finding.level in LEVELS else len(LEVELS)
    kind = KINDS.index(finding.kind) if finding.kind in KINDS else len(KINDS)
    return level, kind, -finding.weight, finding.p, finding.title


def _follows(one: Finding, cause: Finding, about: Mapping[str, frozenset[str]]) -> bool:
    """Whether a finding is what another one looks like from elsewhere."""
    events, theirs = set(one.events), set(cause.events)
    if one.kind == "unfinished":
        return cause.kind == "closing" and one.figures["cut_off"] >= 0.7 * one.figures["candidate"][0]
    if one.kind == cause.kind == "violation":
        # What several invariants say of one message has one cause.
        last = one.figures["last"]
        return one.mark == cause.mark == NEW and last is not None and last == cause.figures["last"]
    if one.kind == "violation":
        return one.mark != GONE and violations.follows(one, cause, one.title, about)
    if one.kind == "order":
        return cause.kind in ("event", "unfinished") and bool(events & theirs)
    if one.kind == "numbers" and cause.kind in ("order", "count", "event", "unfinished") and _last(one) in COUNTERS:
        return True
    if one.kind == "numbers" and cause.kind == "latency":
        return any(event in theirs for event in events) and _like_time(one)
    if one.kind == "numbers" and cause.kind in ("type", "field", "count"):
        return bool(events & theirs) and one.paths == cause.paths
    if one.kind == "count" and cause.kind == "event":
        return events <= theirs
    if one.kind == "latency" and cause.kind in ("count", "event"):
        return one.events[:1] == ("",) or (one.level != "error" and bool(events & theirs))
    return False


def _last(finding: Finding) -> str:
    return (finding.paths or ("",))[0].rpartition(".")[2].lower()


def _like_time(finding: Finding) -> bool:
    word = _last(finding)
    return any(part in word for part in ("ms", "took", "duration", "elapsed", "latency", "seconds", "time"))
