"""A comparison of two releases for people, the worst change first, each with an example side by side; and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goldentape.display import home_and_here, show
from verifier.diff.finding import DIFFERENT, EQUAL, UNCERTAIN, WORSE, Comparison, Example, Finding, SideFacts
from verifier.verdict import plural

WIDTH = 118
"""Columns of a side-by-side example."""
WORDS = {"error": "WORSE", "warning": "WARN", "info": "INFO"}
STYLES = {
    "WORSE": "red", "WARN": "yellow", "INFO": "cyan", "EQUAL": "green", "DIFFERENT": "yellow", "UNCERTAIN": "magenta",
    "HINT": "magenta",
}  # fmt: skip
"""Colours of the first words of lines."""


def lines(found: Comparison, *, excerpts: bool = True, examples: int = 12) -> Iterator[str]:
    """Yield the report."""
    yield from _head(found)
    for number, finding in enumerate(found.findings, 1):
        yield ""
        yield from _finding(number, finding, excerpts=excerpts and number <= examples)
    for hint in found.hints:
        yield ""
        yield f"HINT   {hint.title}"
        yield from (f"       {line}" for line in hint.why)
        if hint.example is not None and excerpts:
            yield ""
            yield from _example(hint.example)
    yield ""
    yield from _tail(found)


def _head(found: Comparison) -> Iterator[str]:
    for word, side in (("baseline", found.baseline), ("candidate", found.candidate)):
        names = ", ".join(show(home_and_here(tape), 60) for tape in side.tapes[:4])
        more = f" and {len(side.tapes) - 4} more" if len(side.tapes) > 4 else ""
        yield f"{word:<10} {names}{more}: {_facts(side)}"


def _facts(side: SideFacts) -> str:
    return ", ".join(
        (plural(side.runs, "run"), plural(side.messages, "message"), plural(side.connections, "connection"))
    )


def _finding(number: int, finding: Finding, *, excerpts: bool) -> Iterator[str]:
    yield f"{WORDS.get(finding.level, 'INFO'):<6} {number}. {finding.title}"
    for line in finding.why:
        yield f"       {line}"
    for line in finding.also:
        yield f"       also: {show(line, 200)}"
    if finding.example is not None and excerpts:
        yield ""
        yield from _example(finding.example)


def example(finding: Finding) -> Iterator[str]:
    """Yield a finding's example pair."""
    if finding.example is not None:
        yield from _example(finding.example)


def _example(example: Example) -> Iterator[str]:
    half = (WIDTH - 7) // 2
    shown = [(mark, _cell(left), _cell(right)) for mark, left, right in example.rows]
    widest = max([len(show(example.before, half)), *(len(left) for _, left, _ in shown)])
    left_width = min(half, max(24, widest))
    yield f"       {show(example.before, left_width):<{left_width}}   {show(example.after, half)}"
    for mark, left, right in shown:
        if mark == "…":
            yield "       …"
            continue
        cut_left, cut_right = show(left, left_width), show(right, WIDTH - left_width - 10)
        yield f"     {mark} {cut_left:<{left_width}} {'|' if mark == ' ' else mark} {cut_right}".rstrip()


def _cell(text: str) -> str:
    return show(text, 200)


def _tail(found: Comparison) -> Iterator[str]:
    counts = [sum(finding.level == level for finding in found.findings) for level in ("error", "warning", "info")]
    verdict = found.verdict
    if verdict == WORSE:
        rest = f"{plural(counts[1], 'warning')}, {counts[2]} for information"
        yield f"WORSE  {plural(counts[0], 'change')} for the worse, {rest}"
    elif verdict == UNCERTAIN:
        yield f"UNCERTAIN  {'; '.join(found.doubts)}"
    elif verdict == DIFFERENT:
        yield f"DIFFERENT  nothing is worse; {plural(counts[1], 'warning')}, {counts[2]} for information"
    else:
        assert verdict == EQUAL
        yield "EQUAL  nothing differs beyond what differs anyway"
    yield f"       what counts as worse: {found.policy}"
    yield f"       {found.telling}"
    if found.guessed:
        yield "       noise is guessed from one baseline tape; with a second one of the same release it is measured"
    else:
        yield f"       noise is measured: what differs among the {len(found.baseline.tapes)} tapes of the baseline"
    for note in found.notes:
        yield f"       {show(note, 300)}"


# -- for programs


def render(found: Comparison, *, excerpts: bool = True) -> dict[str, Any]:
    """Return the comparison as one JSON object: `schemas/diff.schema.json` describes it."""
    return {
        "goldentape": 1,
        "verdict": found.verdict,
        "exit": int(found.exit_code),
        "policy": found.policy,
        "noise": "guessed" if found.guessed else "measured",
        "baseline": _side(found.baseline),
        "candidate": _side(found.candidate),
        "findings": [_json(finding, excerpts) for finding in found.findings],
        "hints": [_json(finding, excerpts) for finding in found.hints],
        "doubts": list(found.doubts),
        "telling": found.telling,
        "notes": list(found.notes),
    }


def _side(side: SideFacts) -> dict[str, Any]:
    return {
        "tapes": [home_and_here(tape) for tape in side.tapes], "messages": side.messages, "left_out": side.left_out,
        "connections": side.connections, "runs": side.runs, "kinds": side.kinds,
    }  # fmt: skip


def _json(finding: Finding, excerpts: bool) -> dict[str, Any]:
    example = finding.example if excerpts else None
    return {
        "kind": finding.kind, "mark": finding.mark, "level": finding.level, "title": finding.title,
        "why": list(finding.why), "also": list(finding.also), "events": list(finding.events),
        "paths": list(finding.paths), "p": finding.p, "fingerprint": finding.fingerprint,
        "figures": dict(finding.figures),
        "places": [_place(place) for place in finding.places],
        "example": None if example is None else {
            "before": example.before, "after": example.after,
            "rows": [{"mark": mark, "before": left, "after": right} for mark, left, right in example.rows],
        },
    }  # fmt: skip


def _place(place: Any) -> dict[str, Any] | None:
    return None if place is None else {"tape": place.tape, "seqs": list(place.seqs)}
