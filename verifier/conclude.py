"""What an engine has found, as a verdict: an outcome an invariant, what waivers excuse, and what to warn of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from goldentape.display import show
from verifier.conditions import inapplicable, untold
from verifier.contract import Spec
from verifier.invariants.coverage import Coverage
from verifier.lacks import left_open, open_questions
from verifier.lint import notes
from verifier.principal import strangers
from verifier.record import MESSAGE
from verifier.tiers import averaged
from verifier.verdict import NOT_APPLICABLE, PASS, VACUOUS, Outcome, Tally, Verdict, judge, plural
from verifier.waivers import excuse, told

if TYPE_CHECKING:
    from verifier.check import Engine


def conclude(engine: Engine) -> Verdict:
    """Return what an engine has found, after its `close`."""
    contract, found = engine.contract, engine.found
    outcomes = averaged(contract, [_outcome(engine, check.spec, check.tally) for check in engine.checks])
    outcomes += [_outcome(engine, spec, tally) for spec, tally in engine.odd.found()]
    return Verdict(
        contract=contract.id,
        version=contract.version,
        digest=contract.digest,
        file=contract.file,
        outcomes=tuple(outcomes),
        warnings=tuple(_warnings(engine)),
        connections=found.connections,
        users=found.users,
        messages=found.messages,
        events=found.events,
        begin=0,
        end=found.end,
        doubtful=found.doubtful,
    )


def _outcome(engine: Engine, spec: Spec, tally: Tally) -> Outcome:
    contract, occasion = engine.contract, engine.found.occasion
    why = inapplicable(spec.when, occasion)
    unclear = untold(spec.when, occasion) if why is None else None
    if why is not None or unclear is not None:
        tally = Tally(unknown=Counter({unclear: 1} if unclear is not None else {}))
    elif occasion.lacks and (lacking := open_questions(contract, spec, occasion.lacks)):
        tally = left_open(tally, lacking)
    tally, excused = excuse(contract.waivers, spec.name, tally, contract.today)
    return Outcome(
        name=spec.name,
        kind=spec.kind,
        title=str(spec.options.get("title", "")),
        severity=spec.severity,
        gate=spec.gate,
        verdict=NOT_APPLICABLE if why is not None else _judged(spec, tally),
        file=contract.document.file(*spec.at),
        line=spec.line,
        req=spec.req,
        impact=spec.impact,
        tally=tally,
        excused=excused,
    )


def _judged(spec: Spec, tally: Tally) -> str:
    verdict = judge(tally, spec.min_activations)
    if tally.inapplicable and verdict in (VACUOUS, PASS) and not tally.activations:
        return NOT_APPLICABLE
    if verdict == VACUOUS and spec.when.claims and tally.not_applicable and not tally.activations:
        return NOT_APPLICABLE
    return verdict


def _warnings(engine: Engine) -> Iterable[str]:
    contract, found = engine.contract, engine.found
    never = [e.name for e in contract.events.values() if e.on == MESSAGE and not found.seen[e.name]]
    if never and found.messages:
        yield f"events of the contract that never occurred: {', '.join(never)}"
    for event in contract.events.values():
        if event.deprecated is not None and found.seen[event.name]:
            times = plural(found.seen[event.name], "time")
            yield f"{event.name} came {times}, and the contract calls it deprecated: {event.deprecated}"
    for check in engine.checks:
        why = inapplicable(check.spec.when, found.occasion)
        if why is not None and check.spec.at[0] != "tiers":
            yield f"{check.spec.name} is not applicable: {why}"
        elif check.tally.inapplicable:
            yield f"{check.spec.name} is not applicable: {check.tally.inapplicable}"
        if isinstance(check.rule, Coverage) and (missing := check.rule.told()) is not None:
            yield missing
    came = {check.spec.name: set(check.tally.groups) for check in engine.checks}
    came |= {spec.name: set(tally.groups) for spec, tally in engine.odd.found()}
    yield from told(contract.waivers, came, contract.today)
    yield from strangers(contract.principal, found.occasion.rules)
    yield from notes(contract)
    if found.unreadable:
        torn = plural(found.unreadable, "message is", "messages are")
        yield f"{torn} not whole in the tape (cut off, erased): what they owe is not judged"
    if found.doubtful:
        many = plural(found.doubtful, "message was", "messages were")
        yield f"the recorder died: {many} perhaps never delivered, and neither violate nor prove anything"
    if found.ghosts:
        wanted = show(str(contract.wire.subprotocol))
        yield f"{found.ghosts} messages are of another subprotocol than {wanted}; not judged"
