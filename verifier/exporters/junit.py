"""A judgement as JUnit XML: a suite for each tape and contract, a test case for each invariant.

What only warns passes, with a word in `system-out`; what could not be judged is skipped, unless it was asked to fail.
"""

from __future__ import annotations

from collections.abc import Iterator

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from goldentape.display import show
from verifier.exporters.proof import headline, proof
from verifier.judgement import BROKEN, FAILED, OPEN, SKIPPED, WARNED, Distinct, Judged, Judgement, Unjudged, why_open
from verifier.verdict import FAIL, Outcome, plural

MOST = 20
"""Distinct violations of one invariant that are told in full."""


def pieces(judgement: Judgement) -> Iterator[str]:
    """Yield the file."""
    xml = JUnitXml(f"goldentape {judgement.command}")
    for one in judgement.judged:
        xml.add_testsuite(_suite(judgement, one))
    for lost in judgement.unjudged:
        xml.add_testsuite(_lost(lost))
    xml.update_statistics()  # type: ignore[no-untyped-call]
    # `show` leaves printable characters only, all of which XML 1.0 has.
    yield '<?xml version="1.0" encoding="utf-8"?>\n'
    text: bytes = xml.tostring()  # type: ignore[no-untyped-call]
    yield text.decode("utf-8") + "\n"


def _suite(judgement: Judgement, judged: Judged) -> TestSuite:
    verdict = judged.verdict
    suite = TestSuite(f"{show(judged.tape, 400)} against {show(verdict.contract)}")
    for name, value in (
        ("tape", judged.tape), ("state", judged.state), ("contract", verdict.contract), ("version", verdict.version),
        ("verdict", verdict.verdict), ("users", str(verdict.users)), ("connections", str(verdict.connections)),
        ("messages", str(verdict.messages)),
    ):  # fmt: skip
        suite.add_property(name, show(value, 400))
    for outcome in verdict.outcomes:
        suite.add_testcase(_case(judgement, judged, outcome))
    return suite


def _case(judgement: Judgement, judged: Judged, outcome: Outcome) -> TestCase:
    case = TestCase(show(outcome.name, 200), f"{show(judged.verdict.contract)}.{show(judged.tape, 400)}", 0)
    case._elem.set("file", show(judgement.file(outcome.file), 400))
    case._elem.set("line", str(outcome.line))
    standing = judged.standing(outcome)
    groups = outcome.groups
    if outcome.verdict == FAIL and not (outcome.name in judged.expect_fail and standing != FAILED):
        text = _told(judgement, judged, outcome)
        first = headline(groups[0]) if groups else "violated"
        message = first if len(groups) < 2 else f"{plural(len(groups), 'distinct violation')}, the first: {first}"
        if standing == FAILED:
            case.result = [_with_text(Failure(message, outcome.kind), text)]
        else:
            case.system_out = f"{outcome.severity}: {message}\n{text}"
    elif standing == BROKEN:
        case.result = [Error(show(why_open(outcome), 600), outcome.kind)]
    elif standing == FAILED:
        expected = "was expected to fail" if outcome.name in judged.expect_fail else f"is {outcome.verdict}"
        case.result = [Failure(show(f"{expected}: {why_open(outcome)}", 600), outcome.kind)]
    elif standing in (OPEN, SKIPPED):
        case.result = [Skipped(show(f"{outcome.verdict}: {why_open(outcome)}", 600))]
    elif standing == WARNED:
        case.system_out = f"{outcome.severity}: {_told(judgement, judged, outcome)}"
    return case


def _told(judgement: Judgement, judged: Judged, outcome: Outcome) -> str:
    groups = outcome.groups
    shown = [Distinct(outcome, number, group, FAILED) for number, group in enumerate(groups[:MOST], 1)]
    told = ["\n".join(proof(judged, found, excerpts=judgement.excerpts)) for found in shown]
    if len(groups) > MOST:
        told.append(f"and {plural(len(groups) - MOST, 'more distinct violation')}, which are not told here")
    return "\n\n".join(told)


def _with_text(result: Failure, text: str) -> Failure:
    result.text = text
    return result


def _lost(lost: Unjudged) -> TestSuite:
    name = show(lost.tape or "goldentape", 400)
    suite = TestSuite(name)
    case = TestCase("tape", f"goldentape.{name}", 0)
    case.result = [Error(show(lost.why, 1000), f"exit {int(lost.exit)}")]
    suite.add_testcase(case)
    return suite
