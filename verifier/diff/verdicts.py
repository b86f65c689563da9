"""A comparison as a verdict, so that every report can show it: a rule for each kind of change.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.display import home_and_here
from goldentape.errors import Exit
from verifier.contract import Contract
from verifier.diff.finding import ERROR, INFO, LEVELS, WARNING, Comparison, Finding
from verifier.judgement import Judged
from verifier.verdict import FAIL, INCONCLUSIVE, PASS, Group, Outcome, Tally, Verdict, Violation

TITLES = {
    "unfinished": "runs end",
    "lost_event": "events are still there",
    "new_event": "there are no other events",
    "lost_field": "fields are still there",
    "new_field": "there are no other fields",
    "type": "fields are of the same types",
    "latency": "nothing takes longer",
    "closing": "connections end as before",
    "order": "events come in the same order",
    "count": "events come as often",
    "values": "fields say the same",
    "contract": "the contract finds nothing else",
}
"""The rules, by the word of `compare` that sets their level."""


def change_of(finding: Finding) -> str:
    """Return the rule that a finding breaks."""
    if finding.kind in ("renamed", "event"):
        return "new_event" if finding.kind == "event" and finding.figures.get("rose") else "lost_event"
    if finding.kind == "field":
        return "new_field" if finding.mark == "new" or finding.figures.get("rose") else "lost_field"
    return {"numbers": "values", "violation": "contract"}.get(finding.kind, finding.kind)


def judged(found: Comparison, lines: dict[str, tuple[str, ...]], contract: Contract | None, document: object) -> Judged:
    """Return the comparison as one judgement.  `lines`: of each fingerprint, its example in lines to print."""
    file, line = home_and_here(found.candidate.tapes[0]), 1
    if contract is not None:
        file, line = contract.document.name, contract.document.line("compare")
    outcomes = tuple(_outcomes(found, lines, file, line))
    id, version, digest = ("diff", "", "") if contract is None else (contract.id, contract.version, contract.digest)
    verdict = Verdict(
        contract=id, version=version, digest=digest, file=file, outcomes=outcomes, warnings=found.notes,
        connections=found.candidate.connections, users=0, messages=found.candidate.messages,
        events=found.candidate.messages, begin=0, end=0,
    )  # fmt: skip
    after, before = (" + ".join(map(home_and_here, side.tapes)) for side in (found.candidate, found.baseline))
    return Judged(
        tape=f"{after} against {before}", state="compared", verdict=verdict, exit=Exit(found.exit_code),
        document=document if isinstance(document, dict) else None,
    )  # fmt: skip


def _outcomes(found: Comparison, lines: dict[str, tuple[str, ...]], file: str, line: int) -> Iterator[Outcome]:
    for change, title in TITLES.items():
        mine = [finding for finding in found.findings if change_of(finding) == change]
        for level in LEVELS:
            these = [finding for finding in mine if finding.level == level]
            if these:
                yield _outcome(
                    change if level == ERROR else f"{change}-{level}", title, level, these, lines, file, line
                )
        if not mine:
            yield _outcome(change, title, ERROR, [], lines, file, line)
    if found.doubts:
        tally = Tally(activations=1)
        tally.unknown.update(found.doubts)
        yield _plain("enough", "there is enough to tell", ERROR, INCONCLUSIVE, tally, file, line)


def _outcome(
    name: str, title: str, level: str, these: list[Finding], lines: dict[str, tuple[str, ...]], file: str, line: int
) -> Outcome:  # fmt: skip
    tally = Tally(activations=max(1, len(these)), violated=len(these))
    for number, finding in enumerate(these):
        violation = Violation(
            invariant=name, kind=finding.kind, severity=level, fault="server", user=None, slice=(), witness=(),
            expected="", why=finding.title, fingerprint=finding.fingerprint,
            told=(*finding.why, *(f"also: {one}" for one in finding.also), *lines.get(finding.fingerprint, ())),
        )  # fmt: skip
        tally.groups[f"{number:03}{finding.fingerprint}"] = Group([violation], 1)
    return _plain(name, title, level, FAIL if these else PASS, tally, file, line)


def _plain(name: str, title: str, level: str, verdict: str, tally: Tally, file: str, line: int) -> Outcome:
    severity = level if level in (ERROR, WARNING) else INFO
    return Outcome(
        name=name, kind="compare", title=title, severity=severity, gate="always", verdict=verdict, file=file, line=line,
        req=(), impact=None, tally=tally,
    )  # fmt: skip
