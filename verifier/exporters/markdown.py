"""A judgement as Markdown, for a comment on a pull request or a step summary.

Recorded text stands in code only, so that it can neither mention people nor link, embed or format anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from goldentape.display import show
from verifier.exporters.proof import headline, proof, summary
from verifier.judgement import BROKEN, FAILED, HELD, OPEN, SKIPPED, WARNED, Distinct, Judged, Judgement, why_open
from verifier.verdict import plural

COMMENT = 60_000
"""Characters of the whole; GitHub takes 65,536 in a comment."""

SIGNS = {FAILED: "❌", BROKEN: "❌", WARNED: "⚠️", OPEN: "❔", HELD: "✅", SKIPPED: "➖"}


def pieces(judgement: Judgement, most: int = COMMENT) -> Iterator[str]:
    """Yield the text, of `most` characters at most; what was left out is said."""
    left = most - 400
    said: list[str] = []
    omitted = 0
    for part in _parts(judgement):
        if len(part) > left:
            omitted += 1
            continue
        left -= len(part)
        said.append(part)
    yield from said
    if omitted:
        yield f"\n_{plural(omitted, 'section')} of this report had no room here; the log has everything._\n"


def code(text: str, width: int = 120) -> str:
    """Return recorded text as a code span that nothing in it can end."""
    shown = show(text, width)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    room = " " if shown[:1] == "`" or shown[-1:] == "`" or not shown else ""
    return f"{fence}{room}{shown}{room}{fence}"


def cell(text: str, width: int = 120) -> str:
    """Return recorded text as a code span within a table, where a bar would end the cell."""
    return code(text, width).replace("|", "\\|")


def block(lines: Sequence[str]) -> str:
    """Return lines as a code block that nothing in them can end."""
    text = "\n".join(lines)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text}\n{fence}\n"


def _parts(judgement: Judgement) -> Iterator[str]:
    good = int(judgement.exit) == 0
    yield f"### {'✅' if good else '❌'} goldentape {judgement.command}: {summary(judgement)}\n\n"
    if judgement.judged:
        yield "| | tape | contract | users | messages | verdict |\n|---|---|---|--:|--:|---|\n"
        for one in judgement.judged:
            yield _row(one)
        yield "\n"
    for lost in judgement.unjudged:
        yield f"❌ no verdict: {code(lost.why, 600)}\n\n"
    for one in judgement.judged:
        for found in one.distinct():
            yield _violation(judgement, one, found)
    for one in judgement.judged:
        yield _table(judgement, one)


def _row(one: Judged) -> str:
    v = one.verdict
    sign = "✅" if int(one.exit) == 0 else "❔" if v.verdict in ("inconclusive", "vacuous") else "❌"
    called = f"{cell(one.tape, 200)} | {cell(v.contract)} {cell(v.version)}"
    return f"| {sign} | {called} | {v.users:,} | {v.messages:,} | {v.verdict} |\n"


def _violation(judgement: Judgement, one: Judged, found: Distinct) -> str:
    outcome, group, standing = found.outcome, found.group, found.standing
    open_ = " open" if standing == FAILED else ""
    place = f"{judgement.file(outcome.file)}:{outcome.line}"
    head = f"{SIGNS[standing]} <code>{_html(outcome.name)}</code>"
    tape = f" in {code(one.tape, 200)}" if len(judgement.judged) > 1 else ""
    return (
        f"<details{open_}><summary>{head} <code>{_html(headline(group, 200))}</code></summary>\n\n"
        f"{code(place, 400)}{tape}\n\n"
        f"{block(list(proof(one, found, excerpts=judgement.excerpts)))}\n</details>\n\n"
    )


def _html(text: str) -> str:
    """Return recorded text for an HTML element within Markdown, where nothing of it is a mark, a link or a mention."""
    return "".join(c if c.isalnum() or c in " .,;()/-" else f"&#{ord(c)};" for c in show(text, 200))


def _table(judgement: Judgement, one: Judged) -> str:
    rows = [f"<details><summary>What was judged of {_html(one.tape)}</summary>\n\n| | invariant | kind | judged | |\n"]
    rows.append("|---|---|---|--:|---|\n")
    for outcome in one.verdict.outcomes:
        standing = one.standing(outcome)
        note = why_open(outcome) if standing in (OPEN, BROKEN, SKIPPED) else ""
        if outcome.groups:
            note = plural(sum(group.count for group in outcome.groups), "violation")
        said = cell(note, 200) if note else ""
        rows.append(
            f"| {SIGNS[standing]} | {cell(outcome.name)} | {outcome.kind} | {outcome.tally.activations:,} | {said} |\n"
        )
    for outcome, one_excused in one.excused:
        rows.append(
            f"| ➖ | {cell(outcome.name)} | excused until {cell(one_excused.until)} | {one_excused.group.count:,} |"
            f" {cell(one_excused.reason, 200)} |\n"
        )
    for warning in one.verdict.warnings:
        rows.append(f"| | | note | | {cell(warning, 300)} |\n")
    return "".join(rows) + "\n</details>\n\n"
