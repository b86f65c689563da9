"""A verdict for people: each distinct violation once, with its proof; then what was judged; then what that leaves open.

The last lines are the ones that stay on the screen, so the verdict is there.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from goldentape.display import show
from verifier.verdict import (
    ERROR,
    FAIL,
    INCONCLUSIVE,
    NOT_APPLICABLE,
    PASS,
    VACUOUS,
    Group,
    Outcome,
    Verdict,
    Violation,
    Witness,
    plural,
)

_WORDS: Mapping[str, str] = {
    PASS: "ok",
    FAIL: "FAIL",
    INCONCLUSIVE: "?",
    VACUOUS: "vacuous",
    ERROR: "ERROR",
    NOT_APPLICABLE: "n/a",
}
ID = 12
"""Characters that are shown of a connection's id, which has 32."""

UNKNOWN = "wire.unknown"
UNKNOWN_SHOWN = 8
"""Kinds of unknown messages that the report names."""

AROUND = 20
"""Places in the tape before and after a proof that the command to try next shows."""

CONVERSATIONS = 10
"""Violations whose conversation is shown; of the others the command to try next tells."""

STYLES: Mapping[str, str] = {
    "FAIL": "red", "ERROR": "red", "fail": "red", "error": "red", "WARN": "yellow", "warning": "yellow", "?": "yellow",
    "vacuous": "yellow", "inconclusive": "yellow", "ok": "green", "pass": "green", "why": "cyan", "wanted": "cyan",
    "impact": "cyan", "seen": "cyan", "next": "cyan", "note": "cyan", "id": "cyan",
    "around": "cyan", "similar": "cyan", "contract": "cyan",
}  # fmt: skip
"""Colours of the first word of a line, for terminals that have some."""


Around = Callable[[Violation], Iterable[str]]
"""Gives the lines of what was said around a violation."""


def lines(
    verdict: Verdict, tape: str, state: str, around: Around | None = None, *, excerpts: bool = True
) -> Iterator[str]:
    """Yield the lines of the report.  Recorded text is escaped; the caller prints as it is."""
    shown = 0
    size = [
        plural(verdict.users, "user"), plural(verdict.connections, "connection"), plural(verdict.messages, "message"),
    ]  # fmt: skip
    seconds = (verdict.end - verdict.begin) / 1e9
    yield f"{show(tape, 400)} ({state}): {', '.join(size)} in {seconds:.1f} s"
    yield f"against {show(verdict.contract)} {show(verdict.version)} ({show(verdict.file, 400)})"
    numbered = [(outcome, list(enumerate(outcome.groups, 1))) for outcome in verdict.outcomes]
    for failed in (True, False):
        for outcome, all_groups in numbered:
            groups = [(n, group) for n, group in all_groups if (_level(outcome, group) == "FAIL") is failed]
            if outcome.name == UNKNOWN and not failed and len(groups) > 1:
                yield ""
                yield from _unknown(outcome, [group for _, group in groups])
                continue
            for number, group in groups:
                yield ""
                yield from violation(verdict, outcome, group, number, excerpts=excerpts)
                shown += 1
                if around is not None and shown <= CONVERSATIONS:
                    yield from conversation(around(group.first[0]))
                yield from next_command(group.first[0], tape)
    yield ""
    width = max((len(o.name) for o in verdict.outcomes), default=0)
    for outcome in verdict.outcomes:
        yield f"{_word(outcome):<8} {outcome.name:<{width}}  {_judged(outcome)}"
    if any(outcome.excused for outcome in verdict.outcomes):
        yield ""
        yield from excused(verdict)
    if verdict.warnings:
        yield ""
    for warning in verdict.warnings:
        yield f"note: {show(warning, 400)}"
    yield ""
    yield f"{verdict.verdict}: {_summary(verdict)}"
    yield _not_said(verdict)


def excused(verdict: Verdict) -> Iterator[str]:
    """Yield what a waiver of the contract excuses."""
    for outcome in verdict.outcomes:
        for one in outcome.excused:
            first = one.group.first[0]
            issue = f" ({show(one.issue, 80)})" if one.issue else ""
            yield (
                f"excused: {plural(one.group.count, 'violation')} of {outcome.name} ({first.fingerprint})"
                f" until {one.until}: {show(one.reason, 200)}{issue}"
            )
            yield f"  {show(first.why, 400)}"


def suppressed(verdict: Verdict) -> Iterator[str]:
    """Yield what looked like a violation and was none, one by one, and how many values were not looked for."""
    yield ""
    for outcome in verdict.outcomes:
        tally = outcome.tally
        for line in tally.suppressions:
            yield f"{outcome.name}  {show(line, 400)}"
        for why, count in sorted(tally.passed_over.items()):
            yield f"{outcome.name}  {plural(count, 'value')} of sources not looked for: {show(why)}"


def _unknown(outcome: Outcome, groups: Sequence[Group]) -> Iterator[str]:
    """A contract that names a few of many messages on purpose: all the others in one place."""
    yield f"WARN  {outcome.name}  {show(outcome.file, 400)}:{outcome.line} ({outcome.kind}, warning)"
    for group in groups[:UNKNOWN_SHOWN]:
        one = group.first[0].witness[0]
        who = f"{one.dir or ''}  {show(one.user, 32)}"
        yield f"  {one.label}  {who}  {show(one.event, 60)}  {plural(group.count, 'time')}"
    if len(groups) > UNKNOWN_SHOWN:
        yield f"  and {len(groups) - UNKNOWN_SHOWN} more kinds of messages"
    yield f"why: {len(groups)} kinds of messages are no event of the contract; is it the contract for this tape?"
    yield "wanted: each under `events`, or `wire: {unknown: ignore}`"


def _level(outcome: Outcome, group: Group) -> str:
    return "FAIL" if outcome.counts and group.first[0].fault != "client" else "WARN"


def _word(outcome: Outcome) -> str:
    if outcome.verdict == PASS and not outcome.tally.activations:
        return "-"
    return "warning" if outcome.verdict == FAIL and not outcome.counts else _WORDS[outcome.verdict]


def _judged(outcome: Outcome) -> str:
    tally = outcome.tally
    parts = [f"{tally.activations:,} judged"]
    if outcome.verdict == NOT_APPLICABLE:
        return "its `when` does not hold for this recording"
    if not tally.activations and outcome.verdict == PASS and outcome.kind != "wire":
        parts = ["nothing to judge, which the contract allows"]
    elif outcome.kind == "coverage":
        parts = [f"{tally.activations:,} seen" + (", not everything" if outcome.verdict == VACUOUS else "")]
    elif outcome.verdict == VACUOUS:
        parts[0] += ", which is too few to say anything"
    for count, word in (
        (tally.violated, "violated"), (tally.demoted, "the client's fault"), (tally.waived, "waived"),
        (tally.not_applicable, "not applicable"), (tally.raced, "raced"),
    ):  # fmt: skip
        if count:
            parts.append(f"{count:,} {word}")
    parts += [f"{count:,} set aside: {show(why)}" for why, count in sorted(tally.suppressed.items())]
    parts += [f"{count:,} inconclusive: {show(why)}" for why, count in sorted(tally.unknown.items())]
    parts += [f"{count:,} not evaluated: {show(why)}" for why, count in sorted(tally.errors.items())]
    return ", ".join(parts)


def violation(
    verdict: Verdict, outcome: Outcome, group: Group, number: int | None = None, *, excerpts: bool = True
) -> Iterator[str]:
    """Yield one distinct violation: its proof, why it is one, and how often it was seen.

    `number`: its place among those of the invariant, from 1, where the caller knows it.
    """
    number = number or 1 + outcome.groups.index(group)
    first = group.first[0]
    where = " ".join(f"{show(name, 32)}={_value(name, value)}" for name, value in first.slice)
    parts = [f"{show(outcome.file, 400)}:{outcome.line} ({outcome.kind}, {first.severity})", where]
    if first.ending:
        parts.append(f"ending {show(first.ending)}")
    parts += [f"fault: {first.fault}", " ".join(outcome.req)]
    yield f"{_level(outcome, group)}  {outcome.name}  {'   '.join(part for part in parts if part)}"
    yield from witness(first.witness, verdict.begin, excerpts=excerpts)
    late = f" (late by {first.late_by / 1e9:.3f} s)" if first.late_by else ""
    yield f"why: {show(first.why, 600)}{late}"
    if first.expected not in first.why:
        yield f"wanted: {show(first.expected, 400)}"
    if outcome.impact:
        yield f"impact: {show(outcome.impact, 400)}"
    if group.count > 1:
        yield f"seen: {_seen(group)}"
    yield f"id: {outcome.name}/{number}, fingerprint {first.fingerprint}"


def conversation(said: Iterable[str]) -> Iterator[str]:
    """Yield what was said around a proof, under a heading if it is anything."""
    for number, line in enumerate(said):
        if not number:
            yield "around:"
        yield line


def next_command(first: Violation, tape: str) -> Iterator[str]:
    """Yield a command that shows the proof among what was said around it, where it can be typed as it stands.

    A name that `show` would cut or escape is no argument.
    """
    session = first.witness[-1].session
    seqs = [one.seq for one in first.witness if one.seq is not None and one.session == session]
    if session is not None and seqs and session.isascii() and session.isalnum():
        which = f"--connection {session[:ID]} --from '#{max(1, seqs[0] - AROUND)}' --to '#{seqs[-1] + AROUND}'"
    elif first.user is not None and first.user.isprintable() and len(first.user) <= 64 and first.user[:1] != "-":
        which = f"--user {shlex.quote(first.user)}"
    else:
        return
    if tape.isprintable() and tape[:1] != "-":
        yield f"next: goldentape tape show {shlex.quote(tape)} {which}"


def witness(records: Sequence[Witness], begin: int, *, excerpts: bool = True) -> Iterator[str]:
    """Yield the records of a proof, one a line, in columns."""
    rows = []
    for one in records:
        fields = "  ".join(f"{show(path, 40)}={show(value, 64)}" for path, value in one.fields if excerpts)
        time = f"{(one.t - begin) / 1e9:.3f} s"
        rows.append(
            (one.label, time, one.dir or "", show(one.user, 32), show(one.event, 40), fields, show(one.note, 200))
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        label, time, *rest = row
        cells = [f"{label:>{widths[0]}}", f"{time:>{widths[1]}}"]
        cells += [f"{text:<{width}}" for text, width in zip(rest, widths[2:], strict=True) if width]
        yield "  " + "  ".join(cells).rstrip()


def _value(name: str, value: str) -> str:
    return show(value[:ID] if name == "connection" else value, 64)


def _seen(group: Group) -> str:
    others = [f"{_place(v)} ({show(v.user, 32)})" if v.user is not None else _place(v) for v in group.first[1:]]
    more = group.count - len(group.first)
    if more:
        others.append(f"{more:,} more")
    by = plural(len(group.users), "user")
    again = ", ".join(others[:-1]) + (" and " if len(others) > 1 else "") + others[-1]
    return f"{plural(group.count, 'time')}, {by}; again at {again}"


def _place(violation: Violation) -> str:
    last = violation.witness[-1]
    return last.label if last.seq is not None else f"{last.t / 1e9:.3f} s"


def _summary(verdict: Verdict) -> str:
    failed = [o for o in verdict.outcomes if o.counts and o.verdict == FAIL]
    judged = sum(o.tally.activations for o in verdict.outcomes)
    if failed:
        found = sum(_level(o, group) == "FAIL" for o in failed for group in o.groups)
        return f"{plural(found, 'distinct violation')} of {', '.join(o.name for o in failed)} ({judged:,} judged)"
    if verdict.verdict == PASS:
        return f"everything demanded holds ({judged:,} judged)"
    if not verdict.messages:
        return "nothing was verified: no message is in the tape"
    open_ones = [o.name for o in verdict.outcomes if o.counts and o.verdict == verdict.verdict]
    names = ", ".join(open_ones)
    if verdict.verdict == INCONCLUSIVE and not names:
        doubtful = plural(verdict.doubtful, "message was", "messages were")
        return f"nothing failed ({judged:,} judged), but {doubtful} perhaps never delivered, and not judged"
    return {
        INCONCLUSIVE: f"nothing failed, but the recording does not say whether {names} held",
        VACUOUS: f"nothing failed, but nothing was there to judge by {names}" if names else "nothing was verified",
        ERROR: f"{names} could not be evaluated",
    }.get(verdict.verdict, names)


def _not_said(verdict: Verdict) -> str:
    return (
        "This does not say that another schedule, load or conversation would hold too, nor anything that no"
        f" invariant of {show(verdict.contract)} demands."
    )
