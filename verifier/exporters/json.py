"""A verdict as one JSON object: `schemas/verdict.schema.json` describes it; a tape without one, an object too.

`schemas/report.schema.json` describes a line of the report, which is either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from goldentape.errors import Exit
from verifier.judgement import Judgement
from verifier.verdict import Excused, Group, Outcome, Verdict, Violation, Witness


def _witness(w: Witness, excerpts: bool) -> dict[str, Any]:
    return {
        "role": w.role, "seq": w.seq, "t": w.t, "user": w.user, "connection": w.session, "dir": w.dir,
        "event": w.event, "fields": dict(w.fields) if excerpts else {}, "note": w.note,
    }  # fmt: skip


def _violation(v: Violation, excerpts: bool) -> dict[str, Any]:
    return {
        "fault": v.fault, "user": v.user, "slice": dict(v.slice), "expected": v.expected, "why": v.why,
        "late_by": v.late_by, "ending": v.ending, "witness": [_witness(w, excerpts) for w in v.witness],
    }  # fmt: skip


def _group(id: str, group: Group, excerpts: bool) -> dict[str, Any]:
    return {
        "id": id, "fingerprint": group.first[0].fingerprint, "count": group.count, "users": len(group.users),
        "examples": [_violation(v, excerpts) for v in group.first],
    }  # fmt: skip


def _excused(one: Excused) -> dict[str, Any]:
    return {
        "fingerprint": one.group.first[0].fingerprint, "count": one.group.count, "users": len(one.group.users),
        "why": one.group.first[0].why, "reason": one.reason, "until": one.until, "issue": one.issue,
    }  # fmt: skip


def _invariant(o: Outcome, excerpts: bool) -> dict[str, Any]:
    tally = o.tally
    return {
        "name": o.name, "kind": o.kind, "verdict": o.verdict, "severity": o.severity, "gate": o.gate,
        "averaged": o.averaged,
        "contract": {"file": o.file, "line": o.line}, "req": list(o.req), "impact": o.impact,
        "activations": tally.activations, "violated": tally.violated, "waived": tally.waived,
        "not_applicable": tally.not_applicable, "raced": tally.raced, "client_faults": tally.demoted,
        "suppressed": dict(sorted(tally.suppressed.items())),
        "passed_over": dict(sorted(tally.passed_over.items())),
        "inconclusive": dict(sorted(tally.unknown.items())), "errors": dict(sorted(tally.errors.items())),
        "violations": [_group(f"{o.name}/{n}", group, excerpts) for n, group in enumerate(o.groups, 1)],
        "excused": [_excused(one) for one in o.excused],
    }  # fmt: skip


def render(verdict: Verdict, tape: str, state: str, *, excerpts: bool = True) -> dict[str, Any]:
    """Return the object for one tape and one contract; `excerpts=False`: without values of messages."""
    return {
        "goldentape": 1,
        "tape": tape,
        "state": state,
        "contract": {
            "id": verdict.contract, "version": verdict.version, "sha256": verdict.digest, "file": verdict.file
        },
        "verdict": verdict.verdict,
        "connections": verdict.connections,
        "users": verdict.users,
        "messages": verdict.messages,
        "events": verdict.events,
        "seconds": (verdict.end - verdict.begin) / 1e9,
        "invariants": [_invariant(o, excerpts) for o in verdict.outcomes],
        "warnings": list(verdict.warnings),
    }  # fmt: skip


def unjudged(tape: str | None, why: str, exit: Exit) -> dict[str, Any]:
    """Return the object for a tape of which there is no verdict."""
    return {"goldentape": 1, "tape": tape, "error": {"exit": int(exit), "message": why}}


def pieces(judgement: Judgement) -> Iterator[str]:
    """Yield the report: an object a line, as `--json` prints them."""
    for one in judgement.judged:
        plain = render(one.verdict, one.tape, one.state, excerpts=judgement.excerpts) if one.document is None else None
        yield json.dumps(plain if plain is not None else one.document) + "\n"
    for lost in judgement.unjudged:
        yield json.dumps(unjudged(lost.tape, lost.why, lost.exit)) + "\n"
