"""A judgement as one page to look at: users on a common time axis, violations marked (docs/reports.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldentape.display import home_and_here, show
from goldentape.tape import Tape, open_tape
from verifier.exporters.proof import summary, where
from verifier.judgement import FAILED, Judged, Judgement
from verifier.page import shell
from verifier.page.gather import Budget, Gathered, gather, nothing
from verifier.verdict import Violation, Witness

GROUPS = 2_000
"""Distinct violations that a page tells of, over all tapes."""


@dataclass(slots=True)
class Shown:
    """A tape that the page shows, and what was judged of it."""

    path: Path | None
    """None: of what was judged there is no tape to draw; the page tells of it in words."""
    judged: list[Judged] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What the page calls it."""
        return show(self.judged[0].tape if self.path is None else home_and_here(self.path), 200)


def pieces(judgement: Judgement) -> Iterator[str]:
    """Yield the page of all tapes that were judged."""
    shown: dict[Path | str, Shown] = {}
    for one in judgement.judged:
        shown.setdefault(one.path or one.tape, Shown(one.path)).judged.append(one)
    yield from page(list(shown.values()), judgement)


def page(shown: list[Shown], judgement: Judgement) -> Iterator[str]:
    """Yield the page of some tapes."""
    names = [one.name for one in shown]
    headlines = [summary(judgement)] if judgement.judged or judgement.unjudged else []
    headlines += [show(lost.why, 500) for lost in judgement.unjudged]
    headlines += [
        f"{found.outcome.name}: {show(found.group.first[0].why, 400)}"
        for one in judgement.judged for found in one.distinct()[:50]
    ]  # fmt: skip
    room = GROUPS // max(1, len(shown))
    about = {
        "command": judgement.command, "summary": headlines[0] if headlines else "",
        "excerpts": judgement.excerpts,
        "unjudged": [[show(lost.tape or "", 200), show(lost.why, 1000)] for lost in judgement.unjudged],
        "tapes": [_about(one, judgement.excerpts, room) for one in shown],
    }  # fmt: skip
    title = f"{', '.join(names[:3])} · goldentape" if names else "goldentape"
    yield from shell.pieces(title, headlines, about, (
        _gathered(one, len(shown), judgement) for one in shown
    ))  # fmt: skip


def _gathered(one: Shown, count: int, judgement: Judgement) -> Gathered:
    budget = Budget().share(count)
    if not judgement.excerpts:
        budget = budget.without_texts()
    if one.path is None:
        return nothing(one.judged[0].verdict)
    with open_tape(one.path, quick_check=False) as tape:
        contracts = [judged.contract for judged in one.judged if judged.contract is not None]
        with nullcontext() if judgement.watch is None else judgement.watch(tape, "drawing"):
            return gather(tape, contracts, list(_witnesses(one.judged)), budget)


def _witnesses(judged: list[Judged]) -> Iterator[tuple[str, int]]:
    for one in judged:
        for found in one.distinct():
            for violation in found.group.first:
                for record in violation.witness:
                    if record.seq is not None:
                        yield record.user, record.seq


def _about(one: Shown, excerpts: bool, room: int) -> dict[str, Any]:
    verdicts = [_verdict(judged, excerpts, room) for judged in one.judged]
    if one.path is None:
        return {"name": one.name, "state": one.judged[0].state, "recorded": {}, "verdicts": verdicts}
    with open_tape(one.path, quick_check=False) as tape:
        return {"name": one.name, "state": tape.state, "recorded": _recorded(tape), "verdicts": verdicts}


def _recorded(tape: Tape) -> dict[str, Any]:
    epoch = next(iter(tape.epochs), None)
    return {} if epoch is None else {"upstream": show(epoch.upstream, 200), "software": show(epoch.software, 80)}


def _verdict(judged: Judged, excerpts: bool, room: int) -> dict[str, Any]:
    verdict = judged.verdict
    distinct = judged.distinct()
    return {
        "contract": show(verdict.contract), "version": show(verdict.version), "file": show(verdict.file, 400),
        "verdict": verdict.verdict, "warnings": [show(warning, 400) for warning in verdict.warnings[:50]],
        "invariants": [
            [o.name, o.kind, show(o.title, 200), o.verdict, judged.standing(o), o.tally.activations, o.line]
            for o in verdict.outcomes
        ],
        "violations": [
            {
                "invariant": d.outcome.name, "kind": d.outcome.kind, "failed": d.standing == FAILED, "number": d.number,
                "severity": d.outcome.severity, "file": show(d.outcome.file, 400), "line": d.outcome.line,
                "impact": show(d.outcome.impact or "", 400), "count": d.group.count, "users": len(d.group.users),
                "fingerprint": d.group.first[0].fingerprint,
                "examples": [_violation(v, excerpts) for v in d.group.first],
            }
            for d in distinct[:room]
        ],
        "more": max(0, len(distinct) - room),
    }  # fmt: skip


def _violation(v: Violation, excerpts: bool) -> dict[str, Any]:
    return {
        "why": show(v.why, 600), "wanted": show(v.expected, 400), "user": show(v.user or "", 80), "where": where(v),
        "fault": v.fault, "late": v.late_by, "told": [show(line, 400) for line in v.told[:200]],
        "witness": [_witness(w, excerpts) for w in v.witness[:60]],
    }  # fmt: skip


def _witness(w: Witness, excerpts: bool) -> dict[str, Any]:
    return {
        "label": w.label, "role": w.role, "seq": w.seq, "t": w.t // 1000, "user": show(w.user, 80), "dir": w.dir or "",
        "event": show(w.event, 80), "note": show(w.note, 300), "connection": (w.session or "")[:32],
        "fields": [[show(path, 80), show(value, 200)] for path, value in w.fields] if excerpts else [],
    }  # fmt: skip
