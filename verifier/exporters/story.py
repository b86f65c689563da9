"""The whole story of one violation: its proof, what the contract says, what would have held, the talk around it."""

from __future__ import annotations

from collections.abc import Iterator

from goldentape.display import show
from verifier.contract import Contract
from verifier.exporters.text import Around, conversation, next_command, violation
from verifier.verdict import Group, Outcome, Verdict

LINES = 24
"""Lines of the contract that are shown of an invariant."""


def find(verdict: Verdict, id: str) -> tuple[Outcome, Group] | None:
    """Return the violation of an id: a fingerprint or the begin of one, `invariant/2`, or `invariant` for its first."""
    name, slash, number = id.rpartition("/")
    if not slash:
        name, number = id, "1"
    for outcome in verdict.outcomes:
        groups = outcome.groups
        if outcome.name == name and number.isascii() and number.isdigit() and 0 < int(number) <= len(groups):
            return outcome, groups[int(number) - 1]
    if len(id) >= 4:
        for outcome in verdict.outcomes:
            for group in outcome.groups:
                if group.first[0].fingerprint.startswith(id):
                    return outcome, group
    return None


def ids(verdict: Verdict) -> Iterator[str]:
    """Yield the ids of all violations."""
    for outcome in verdict.outcomes:
        for number in range(1, len(outcome.groups) + 1):
            yield f"{outcome.name}/{number}"


def lines(
    verdict: Verdict,
    outcome: Outcome,
    group: Group,
    contract: Contract,
    tape: str,
    around: Around,
    *,
    excerpts: bool = True,
) -> Iterator[str]:
    """Yield the story.  Recorded text is escaped."""
    first = group.first[0]
    yield from violation(verdict, outcome, group, excerpts=excerpts)
    if outcome.title:
        yield f"title: {show(outcome.title, 200)}"
    if first.expected and first.expected in first.why:
        yield f"wanted: {show(first.expected, 600)}"
    yield from demand(outcome, contract)
    for other in group.first[1:]:
        where = " ".join(f"{show(name, 32)}={show(value, 40)}" for name, value in other.slice)
        yield f"similar: {show(other.why, 400)} ({where})"
    if group.count > len(group.first):
        yield f"similar: {group.count - len(group.first):,} more"
    yield from conversation(around(first))
    yield from next_command(first, tape)


def demand(outcome: Outcome, contract: Contract) -> Iterator[str]:
    """Yield what the contract says: the invariant as it is written, and the events that it names."""
    spec = contract.invariants.get(outcome.name)
    if spec is None:
        return
    written = contract.document.excerpt(*spec.at)
    if not written:
        return
    yield f"contract: {show(outcome.file, 400)}:{outcome.line}"
    yield from (f"    {show(line, 400)}" for line in written[:LINES])
    if len(written) > LINES:
        yield f"    … {len(written) - LINES} more lines"
    named = set(_words(spec.options))
    for name in [name for name in contract.events if name in named][:LINES]:
        for line in contract.document.excerpt("events", name)[:1]:
            yield f"    {show(line.strip(), 400)}"


def _words(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
