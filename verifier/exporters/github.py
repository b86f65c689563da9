"""A judgement as annotations of GitHub Actions: a workflow command a line, on the contract's line.

GitHub keeps ten annotations a level and step; where there are more, the tenth says how many.  What a command carries is
escaped as actions/toolkit does it: `%`, CR and LF in a message, and in a property `:` and `,` too.
"""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.display import show
from verifier.exporters import markdown
from verifier.exporters.proof import headline, proof, summary
from verifier.judgement import BROKEN, FAILED, OPEN, Judgement, why_open
from verifier.verdict import plural

MOST = 10
"""Annotations of a level that a step may have."""
SUMMARY = 1_000_000
"""Characters of a step summary; GitHub takes 1 MiB a step, and drops what is larger."""

Annotation = tuple[str, str]
"""(the properties, the message)"""


def message(text: str) -> str:
    """Return a text as the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def value(text: str) -> str:
    """Return a text as the value of a workflow command's property."""
    return message(text).replace(":", "%3A").replace(",", "%2C")


def command(level: str, text: str, **properties: str | int) -> str:
    """Return a workflow command, without its line end."""
    given = ",".join(f"{name}={value(str(what))}" for name, what in properties.items())
    return f"::{level}{' ' if given else ''}{given}::{message(text)}"


def pieces(judgement: Judgement) -> Iterator[str]:
    """Yield the annotations, one a line."""
    for level, found in (("error", _errors), ("warning", _warnings), ("notice", _notices)):
        annotations = list(found(judgement))
        room = annotations if len(annotations) <= MOST else annotations[: MOST - 1]
        for text, properties in room:
            yield command(level, text, **properties) + "\n"
        if len(room) < len(annotations):
            more = f"and {plural(len(annotations) - len(room), f'more {level}')}: GitHub shows {MOST} a step"
            yield command(level, f"{more}; the step summary and the log tell of them", title="goldentape") + "\n"


def step_summary(judgement: Judgement) -> Iterator[str]:
    """Yield the Markdown of the step summary."""
    return markdown.pieces(judgement, SUMMARY)


def _violations(judgement: Judgement, wanted: bool) -> Iterator[tuple[str, dict[str, str | int]]]:
    for one in judgement.judged:
        for found in one.distinct():
            if (found.standing == FAILED) is wanted:
                outcome, lines = found.outcome, proof(one, found, excerpts=judgement.excerpts)
                text = "\n".join([f"{headline(found.group)} ({show(one.tape, 200)})", *lines])
                yield text, _at(judgement, outcome.file, outcome.line, f"{outcome.name}: {outcome.kind}")


def _at(judgement: Judgement, file: str, line: int, title: str) -> dict[str, str | int]:
    return {"file": show(judgement.file(file), 400), "line": line, "title": show(title, 200)}


def _errors(judgement: Judgement) -> Iterator[tuple[str, dict[str, str | int]]]:
    for lost in judgement.unjudged:
        yield show(lost.why, 1000), {"title": "goldentape: no verdict"}
    yield from _violations(judgement, wanted=True)
    for one in judgement.judged:
        for outcome in one.verdict.outcomes:
            standing = one.standing(outcome)
            if standing == BROKEN or (standing == FAILED and not outcome.groups):
                what = f"{outcome.verdict}: {why_open(outcome)} ({one.tape})"
                yield show(what, 600), _at(judgement, outcome.file, outcome.line, outcome.name)


def _warnings(judgement: Judgement) -> Iterator[tuple[str, dict[str, str | int]]]:
    yield from _violations(judgement, wanted=False)
    for one in judgement.judged:
        for outcome in one.verdict.outcomes:
            if one.standing(outcome) == OPEN and outcome.counts:
                what = f"{outcome.verdict}: {why_open(outcome)} ({one.tape})"
                yield show(what, 600), _at(judgement, outcome.file, outcome.line, outcome.name)


def _notices(judgement: Judgement) -> Iterator[tuple[str, dict[str, str | int]]]:
    yield f"goldentape {judgement.command}: {summary(judgement)}", {"title": "goldentape"}
