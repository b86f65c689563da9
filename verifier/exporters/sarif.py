"""A judgement as SARIF 2.1.0, for GitHub's code scanning and other viewers: results at lines of the contract.

One run, one rule an invariant, one result a distinct violation and invariant, over all tapes.  GitHub's limits are kept
by leaving out (docs.github.com, "SARIF results exceed limits"); a notification of the run says what.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any
from urllib.parse import quote

from goldentape.display import show
from verifier.exporters.proof import headline, proof
from verifier.judgement import BROKEN, FAILED, OPEN, Distinct, Judged, Judgement, why_open
from verifier.verdict import Outcome, plural

Json = dict[str, Any]
SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RESULTS = 5_000
"""Results of a run that GitHub shows; it takes 25,000."""
TAPES = 100
"""Tapes that a result names; GitHub shows 100 locations of a result, and takes 1,000."""
TAGS = 10
"""Tags of a rule that GitHub shows; it takes 20."""
BYTES = 8 << 20
"""Of the whole file, before it is packed; GitHub takes 10 MB after."""
TEXT = 4_000
"""Characters of a result's message."""


@dataclass(slots=True)
class _Found:
    """One result: the first of a fingerprint, and on which tapes it was seen."""

    judged: Judged
    first: Distinct
    level: str
    count: int = 0
    tapes: dict[str, None] = field(default_factory=dict)


def pieces(judgement: Judgement) -> Iterator[str]:
    """Yield the file."""
    rules: dict[str, Json] = {}
    for one in judgement.judged:
        for outcome in one.verdict.outcomes:
            rules.setdefault(_id(one, outcome), _rule(one, outcome))
    places = {name: index for index, name in enumerate(rules)}
    found = _found(judgement)
    results: list[Json] = []
    size = len(json.dumps(list(rules.values())))
    for one_found in found[:RESULTS]:
        result = _result(judgement, one_found, places)
        size += len(json.dumps(result))
        if size > BYTES:
            break
        results.append(result)
    notes = list(_notes(judgement))
    if len(results) < len(found):
        left = plural(len(found) - len(results), "distinct violation")
        notes.insert(0, _note("warning", f"{left} had no room here (limits of code scanning); --report json has all"))
    contracts = sorted({one.verdict.contract for one in judgement.judged})
    run = {
        "tool": {
            "driver": {
                "name": "goldentape", "semanticVersion": version("goldentape"), "rules": list(rules.values()),
            }
        },
        "automationDetails": {"id": f"goldentape/{judgement.command}/{'+'.join(map(show, contracts))[:200]}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not judgement.unjudged, "exitCode": int(judgement.exit),
                "toolExecutionNotifications": notes[:RESULTS],
            }
        ],
        "results": results,
    }  # fmt: skip
    yield json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _id(judged: Judged, outcome: Outcome) -> str:
    return f"{show(judged.verdict.contract)}/{show(outcome.name, 200)}"


def _found(judgement: Judgement) -> list[_Found]:
    """Return the distinct violations of all tapes: what counts first, then as they were found."""
    found: dict[tuple[str, str], _Found] = {}
    for one in judgement.judged:
        for distinct in one.distinct():
            outcome, group = distinct.outcome, distinct.group
            slot = _id(one, outcome), group.first[0].fingerprint
            weak = "note" if outcome.severity == "info" else "warning"
            level = "error" if distinct.standing == FAILED else weak
            mine = found.setdefault(slot, _Found(one, distinct, level))
            mine.level = "error" if "error" in (mine.level, level) else mine.level
            mine.count += group.count
            mine.tapes[one.tape] = None
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found.values(), key=lambda one: order[one.level])


def _rule(judged: Judged, outcome: Outcome) -> Json:
    name = show(outcome.name, 200)
    rule: Json = {
        "id": _id(judged, outcome),
        "name": name,
        "shortDescription": {"text": show(outcome.title, 200) or name},
        "fullDescription": {"text": show(outcome.impact or outcome.title or f"{name} ({outcome.kind})", 900)},
        "help": {"text": f"An invariant of the kind {outcome.kind} in the contract {show(judged.verdict.contract)}."},
        "defaultConfiguration": {"level": {"error": "error", "warning": "warning"}.get(outcome.severity, "note")},
        "properties": {"tags": [show(tag, 60) for tag in (outcome.kind, *outcome.req)][:TAGS]},
    }
    return rule


def _result(judgement: Judgement, one: _Found, places: dict[str, int]) -> Json:
    lines = proof(one.judged, one.first, excerpts=judgement.excerpts)
    outcome, group = one.first.outcome, one.first.group
    first, id = group.first[0], _id(one.judged, outcome)
    tapes = list(one.tapes)
    more = f" and {plural(len(tapes) - 3, 'other tape')}" if len(tapes) > 3 else ""
    on = ", ".join(show(tape, 200) for tape in tapes[:3]) + more
    text = "\n".join([f"{headline(group, 600)} ({on})", *lines])
    return {
        "ruleId": id,
        "ruleIndex": places[id],
        "level": one.level,
        "message": {"text": text if len(text) <= TEXT else text[: TEXT - 1] + "…"},
        "occurrenceCount": one.count,
        "locations": [_location(judgement, outcome)],
        "partialFingerprints": {
            # What GitHub knows alerts by from run to run; the line may move within the contract.
            "primaryLocationLineHash": f"{first.fingerprint}:1",
            "goldentape/v1": f"{id}/{first.fingerprint}",
        },
        "properties": {"tapes": [show(tape, 400) for tape in tapes[:TAPES]], "fault": first.fault,
                       **({"tapesLeftOut": len(tapes) - TAPES} if len(tapes) > TAPES else {})},
    }  # fmt: skip


def _location(judgement: Judgement, outcome: Outcome) -> Json:
    name = judgement.file(outcome.file)
    uri = quote(name, safe="/~")
    where: Json = {"uri": f"file://{uri}"} if name.startswith("/") else {"uri": uri, "uriBaseId": "%SRCROOT%"}
    return {
        "physicalLocation": {"artifactLocation": where, "region": {"startLine": max(1, outcome.line)}},
        "logicalLocations": [{"fullyQualifiedName": f"invariants.{show(outcome.name, 200)}", "kind": "member"}],
    }


def _notes(judgement: Judgement) -> Iterator[Json]:
    """Yield what is no result: tapes without a verdict, invariants without one, what was excused."""
    for lost in judgement.unjudged:
        yield _note("error", show(lost.why, 1000))
    for one in judgement.judged:
        for outcome in one.verdict.outcomes:
            standing = one.standing(outcome)
            if standing in (BROKEN, OPEN) or (standing == FAILED and not outcome.groups):
                level = "warning" if standing == OPEN else "error"
                what = f"{outcome.name} is {outcome.verdict} on {one.tape}: {why_open(outcome)}"
                yield _note(level, show(what, 600), _location(judgement, outcome))
        for outcome, excused in one.excused:
            what = f"{outcome.name}: {plural(excused.group.count, 'violation')} excused until {excused.until}"
            yield _note("note", show(f"{what}: {excused.reason}", 600), _location(judgement, outcome))


def _note(level: str, text: str, location: Json | None = None) -> Json:
    return {"level": level, "message": {"text": text}, **({} if location is None else {"locations": [location]})}
