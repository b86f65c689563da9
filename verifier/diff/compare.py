"""Two releases compared: from open tapes to a `Comparison`.  Reads tapes; opens and prints nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from goldentape.display import show
from goldentape.tape import Tape
from verifier.contract import Contract
from verifier.diff import policy as policies
from verifier.diff.certainty import ALPHA_ENDS
from verifier.diff.counts import compare_counts, compare_order
from verifier.diff.endings import compare_endings
from verifier.diff.events import compare_events
from verifier.diff.fields import compare_fields
from verifier.diff.finding import IGNORE, Comparison, Finding, SideFacts
from verifier.diff.hear import MOST, Conversation, Heard, conversations
from verifier.diff.learn import Model, learn, part_of
from verifier.diff.names import Steps
from verifier.diff.pairs import Reader
from verifier.diff.rank import ranked
from verifier.diff.renames import renames
from verifier.diff.runs import cut
from verifier.diff.sides import Side
from verifier.diff.stats import mid_p
from verifier.diff.tally import Tally, Teller
from verifier.diff.times import compare_times
from verifier.diff.unfinished import unfinished
from verifier.diff.violations import compare_verdicts, concerned
from verifier.whole import verify_tape

SHOWN = 12
"""Findings with an example."""
FEWEST_RUNS = 8
"""With fewer runs on a side nobody can tell much."""
Told = Callable[[str], None]


@dataclass(slots=True)
class _Counted:
    """One side's tables."""

    parts: list[Tally]
    heard: list[Heard]


def compare(
    baseline: Sequence[Tape], candidate: Sequence[Tape], contract: Contract | None = None, *,
    most: int = MOST, told: Told = lambda _: None,
) -> Comparison:  # fmt: skip
    """Return what differs between the releases, beyond what differs anyway."""
    policy = policies.of(contract)
    form, given = _wire(contract)
    told("learning the protocol")
    model = learn(_first(baseline, form), _first(candidate, form), given)
    told("counting the baseline")
    before = _count(baseline, model, 0, form, most, halves=len(baseline) == 1)
    told("counting the candidate")
    after = _count(candidate, model, 1, form, most, halves=False)
    told("comparing")
    a, b = Side(before.parts), Side(after.parts)
    renamed = renames(a, b)
    b = Side(after.parts, renamed)
    found: list[Finding] = []
    lost, hint, ends = unfinished(a, b, policy)
    found += [lost] if lost is not None else []
    found += compare_events(a, b, ends, renamed, policy)
    found += compare_order(a, b, policy)
    found += compare_counts(a, b, policy)
    found += compare_fields(a, b, policy, model.namings[0].places)
    if min(sum(a.runs.values()), sum(b.runs.values())) >= FEWEST_RUNS:
        found += compare_times(a, b, policy, guessed=len(baseline) == 1)
    found += compare_endings(a, b, policy)
    about: dict[str, frozenset[str]] = {}
    seldom: list[str] = []
    if contract is not None and contract.invariants:
        told("judging by the contract")
        runs = sum(a.runs.values()), sum(b.runs.values())
        verdicts = [[verify_tape(contract, tape) for tape in side] for side in (baseline, candidate)]
        found += compare_verdicts(verdicts[0], verdicts[1], runs, seldom)
        about = concerned(contract)
    found = ranked((finding for finding in found if finding.level != IGNORE), about)
    told_of = {name for one in found for name in one.events}
    reader = Reader((baseline, candidate), model, renamed, form)
    found = [replace(one, example=reader.example(one) if n < SHOWN else None) for n, one in enumerate(found)]
    hints = (replace(hint, example=reader.example(hint)),) if hint is not None else ()
    sides = (_facts(baseline, before, a), _facts(candidate, after, b))
    return Comparison(
        baseline=sides[0], candidate=sides[1], findings=tuple(found), hints=hints,
        notes=(*_notes(a, b, sides, model, told_of), *seldom), guessed=len(baseline) == 1, policy=policy.source,
        telling=_telling(sides), doubts=tuple(_doubts(sides, hints)),
    )  # fmt: skip


def _wire(contract: Contract | None) -> tuple[str | None, Steps | None]:
    if contract is None:
        return None, None
    path = contract.wire.type
    plain = path is not None and path.replace(".", "").replace("_", "").replace("-", "").isalnum()
    return contract.wire.format, tuple(path.split(".")) if path is not None and plain else None


def _first(tapes: Sequence[Tape], form: str | None) -> list[Conversation]:
    found: list[Conversation] = []
    for tape in tapes[:4]:
        found += part_of(conversations(tape, Heard(), form))
    return found


def _count(
    tapes: Sequence[Tape], model: Model, side: int, form: str | None, most: int, *, halves: bool
) -> _Counted:  # fmt: skip
    counted = _Counted([], [])
    for number, tape in enumerate(tapes):
        parts = [Tally() for _ in range(2 if halves else 1)]
        heard = Heard()
        connections = list(tape.connections())
        begin = min((connection.opened for connection in connections), default=0)
        teller = Teller(number, model, len(connections), begin, tape.last_t(), parts)
        for about in connections:
            teller.connection(about)
        for conversation in conversations(tape, heard, form, most):
            if conversation.said:
                teller.take(*cut(conversation, model, side))
        counted.parts += parts
        counted.heard.append(heard)
    return counted


def _facts(tapes: Sequence[Tape], counted: _Counted, side: Side) -> SideFacts:
    return SideFacts(
        tapes=tuple(str(tape.path) for tape in tapes), messages=sum(heard.messages for heard in counted.heard),
        left_out=sum(heard.left_out for heard in counted.heard), connections=sum(p.connections for p in counted.parts),
        runs=sum(side.runs.values()), kinds=len(side.runs),
    )  # fmt: skip


def _notes(a: Side, b: Side, sides: tuple[SideFacts, SideFacts], model: Model, told: Collection[str]) -> list[str]:
    notes = []
    for facts, word in zip(sides, ("baseline", "candidate"), strict=True):
        if facts.left_out:
            notes.append(
                f"of the {word} {facts.left_out:,} messages were left out: whole users were chosen by a digest"
            )
    only = [sorted(one.runs.keys() - other.runs.keys()) for one, other in ((a, b), (b, a))]
    for kinds, word, side in zip(only, ("baseline", "candidate"), (a, b), strict=True):
        if kinds:
            n = sum(side.runs[kind] for kind in kinds)
            some = ", ".join(show(kind, 40) for kind in kinds[:3])
            notes.append(
                f"only in the {word}: {n:,} runs of kinds that the other side has not ({some}); they are not compared"
            )
    if model.links.run is not None:
        places = [".".join(map(str, steps)) for steps in (*model.links.run.places[0], *model.links.run.places[1])]
        notes.append(f"runs are held together by {', '.join(dict.fromkeys(show(place, 40) for place in places))}")
    else:
        notes.append("no id holds runs together: a run goes from one message of the client to the next")
    seldom = sorted(name for name in b.events if name not in a.events and name not in told)
    if seldom:
        some = ", ".join(f"{show(name, 40)} ({b.events[name]:,} times)" for name in seldom[:4])
        notes.append(f"only in the candidate, and too seldom to tell: {some}")
    scripts = [sum((part.scripts for part in side.parts), Counter[tuple[str, ...]]()) for side in (a, b)]
    both = sum((scripts[0] & scripts[1]).values())
    notes.append(
        f"{both:,} of {sum(scripts[1].values()):,} conversations have one in the baseline with the same script"
    )
    return notes


def _telling(sides: tuple[SideFacts, SideFacts]) -> str:
    """Return what would have been seen."""
    n, m = (max(1, side.runs) for side in sides)
    for lost in range(1, m + 1):
        if mid_p([(0, n, lost, m)])[1] <= ALPHA_ENDS:
            return f"an ending lost in {lost:,} of {m:,} runs would have been seen"
    return "nothing would have been seen: there are too few runs"


def _doubts(sides: tuple[SideFacts, SideFacts], hints: Sequence[Finding]) -> list[str]:
    doubts = [
        f"the {word} has {side.runs:,} runs; at least {FEWEST_RUNS} on each side say something"
        for side, word in zip(sides, ("baseline", "candidate"), strict=True) if side.runs < FEWEST_RUNS
    ]  # fmt: skip
    return [*doubts, *(hint.title for hint in hints)]
