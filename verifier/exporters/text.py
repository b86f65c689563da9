"""A verdict for people: one line an invariant, then each distinct violation once, with its proof."""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.display import show
from verifier.verdict import FAIL, PASS, Group, Outcome, Verdict, Witness, plural

_WORDS = {"pass": "ok", "fail": "FAIL", "inconclusive": "?", "vacuous": "vacuous", "error": "ERROR"}


def lines(verdict: Verdict, tape: str, state: str) -> Iterator[str]:
    """Yield the lines of the report.  Recorded text is escaped; the caller prints as it is."""
    yield f"{show(tape)} ({state}) against {show(verdict.contract)} {show(verdict.version)}: " + ", ".join(
        [
            plural(verdict.users, "user"),
            plural(verdict.connections, "connection"),
            plural(verdict.messages, "message"),
            f"{(verdict.end - verdict.begin) / 1e9:.1f} s",
        ]
    )
    width = max((len(o.name) for o in verdict.outcomes), default=0)
    for outcome in verdict.outcomes:
        yield f"  {_word(outcome):<8} {outcome.name:<{width}}  {_judged(outcome)}"
    for outcome in verdict.outcomes:
        for group in outcome.groups:
            yield ""
            yield from _violation(verdict, outcome, group)
    for warning in verdict.warnings:
        yield f"note: {show(warning, 400)}"
    yield ""
    yield f"{verdict.verdict}: {_summary(verdict)}"


def _word(outcome: Outcome) -> str:
    word = _WORDS[outcome.verdict]
    return "warning" if outcome.verdict == FAIL and not outcome.counts else word


def _judged(outcome: Outcome) -> str:
    tally = outcome.tally
    parts = [f"{tally.activations:,} judged"]
    for count, word in (
        (tally.violated, "violated"), (tally.demoted, "the client's fault"), (tally.waived, "waived"),
        (tally.not_applicable, "not applicable"), (tally.raced, "raced"),
    ):  # fmt: skip
        if count:
            parts.append(f"{count:,} {word}")
    parts += [f"{count:,} inconclusive: {show(why)}" for why, count in sorted(tally.unknown.items())]
    parts += [f"{count:,} not evaluated: {show(why)}" for why, count in sorted(tally.errors.items())]
    return ", ".join(parts)


def _place(witness: Witness, begin: int) -> str:
    fields = "  ".join(f"{show(path, 40)}={show(value, 64)}" for path, value in witness.fields)
    who = "" if witness.user is None else f"  {show(witness.user, 32)}"
    note = f"   {show(witness.note, 200)}" if witness.note else ""
    return (
        f"  {witness.label:>6}  {(witness.t - begin) / 1e9:9.3f} s  {witness.dir or '':<3}{who}  "
        f"{show(witness.event, 40)}  {fields}{note}"
    )


def _violation(verdict: Verdict, outcome: Outcome, group: Group) -> Iterator[str]:
    first = group.first[0]
    where = "  ".join(f"{show(name, 32)}={show(value, 64)}" for name, value in first.slice)
    req = f"   {' '.join(outcome.req)}" if outcome.req else ""
    ending = f"   ending {show(first.ending)}" if first.ending else ""
    level = "FAIL" if outcome.counts and first.fault != "client" else "WARN"
    yield (
        f"{level}  {outcome.name}  {show(outcome.file)}:{outcome.line} ({outcome.kind}, {outcome.severity})   "
        f"{where}{ending}   fault: {first.fault}{req}"
    )
    for witness in first.witness:
        yield _place(witness, verdict.begin)
    late = f" (late by {first.late_by / 1e9:.3f} s)" if first.late_by else ""
    yield f"why: {show(first.why, 600)}{late}"
    yield f"wanted: {show(first.expected, 400)}"
    if outcome.impact:
        yield f"impact: {show(outcome.impact, 400)}"
    if group.count > 1:
        times, users = plural(group.count, "time"), plural(len(group.users), "user")
        yield f"{times} like this, {users}; fingerprint {first.fingerprint}"


def _summary(verdict: Verdict) -> str:
    failed = [o for o in verdict.outcomes if o.counts and o.verdict == FAIL]
    if failed:
        found = sum(len(o.groups) for o in failed)
        return f"{plural(found, 'distinct violation')} of {', '.join(o.name for o in failed)}"
    if verdict.verdict == PASS:
        return f"everything demanded holds ({sum(o.tally.activations for o in verdict.outcomes):,} judged)"
    open_ones = [o.name for o in verdict.outcomes if o.counts and o.verdict == verdict.verdict]
    return ", ".join(open_ones) if open_ones else "nothing was verified"
