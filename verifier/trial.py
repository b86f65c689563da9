"""The test kit for invariants of your own: the same tape judged in several ways must give the same findings.

forward   as `verify` does
again     a second time: no clock, no randomness, nothing kept outside the state
by user   each user's log by itself, as the verifier does it in parallel
saved     before each event a new instance, with a state that was written as JSON and read back
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldentape.tape import Tape
from verifier.check import Engine
from verifier.contract import Contract
from verifier.history import Source
from verifier.verdict import Outcome, plural


@dataclass(frozen=True, slots=True)
class Tried:
    """One way of judging, and what came out."""

    way: str
    outcomes: Mapping[str, Outcome]
    difference: str = ""
    """How it differs from `forward`; empty: it does not."""
    skipped: str = ""
    """Why it was not tried."""


def trial(contract: Contract, use: str, tape: Tape) -> Iterator[Tried]:
    """Judge a tape in each way by the invariants of the contract that `use` this code."""
    names = [name for name, spec in contract.invariants.items() if spec.options.get("use") == use]

    def judged(sources: list[Source]) -> dict[str, Outcome]:
        engine = Engine(contract, names)
        for source in sources:
            engine.feed(source)
        engine.close()
        verdict = engine.verdict()
        return {name: verdict.outcome(name) for name in names}

    whole = [Source.of(tape)]
    forward = judged(whole)
    yield Tried("forward", forward)

    def tried(way: str, sources: list[Source]) -> Tried:
        found = judged(sources)
        return Tried(way, found, _difference(forward, found))

    yield tried("again", whole)
    if any("recording" in contract.invariants[name].per for name in names):
        yield Tried("by user", {}, skipped="it is per: recording, which is never judged in parts")
    elif any(len({one.user for one in c.identities} | {c.user}) > 1 for c in tape.connections()):
        yield Tried("by user", {}, skipped="on this tape a connection changes its user")
    else:
        yield tried("by user", [Source.of(tape, user.name) for user in tape.users()])
    code = contract.code[use]
    if isinstance(code, type):
        contract.code[use] = saving(code)
        try:
            yield tried("saved", whole)
        finally:
            contract.code[use] = code


def saving(code: Any) -> type:
    """Return a class that does each step by a new instance, with a state that was saved as JSON."""

    class Saving:
        """The invariant, brought back from what was saved each time."""

        per = getattr(code, "per", ())
        events = getattr(code, "events", ())
        params_schema = getattr(code, "params_schema", {})

        def start(self, ctx: Any) -> Any:
            return [json.dumps(code().start(ctx))]

        def step(self, saved: Any, event: Any, ctx: Any) -> Any:
            state = json.loads(saved[0])
            found = _listed(code().step(state, event, ctx))
            saved[0] = json.dumps(state)
            return found

        def end(self, saved: Any, ending: Any, ctx: Any) -> Any:
            return code().end(json.loads(saved[0]), ending, ctx)

    return Saving


def _listed(found: Any) -> Any:
    """Run a generator to its end, for it changes the state on its way."""
    return list(found) if hasattr(found, "__next__") else found


def told(outcome: Outcome) -> str:
    """Return an invariant's outcome in a few words."""
    tally = outcome.tally
    words = [outcome.verdict, f"{tally.activations:,} judged", f"{tally.violated + tally.demoted:,} violated"]
    words += [plural(count, why, why) for why, count in sorted(tally.unknown.items())]
    words += [plural(count, why, why) for why, count in sorted(tally.errors.items())]
    return ", ".join(words)


def _difference(wanted: Mapping[str, Outcome], found: Mapping[str, Outcome]) -> str:
    for name, outcome in wanted.items():
        if _essence(outcome) != _essence(found[name]):
            before, after = told(outcome), told(found[name])
            if before != after:
                return f"{name}: {after}; forward: {before}"
            return f"{name}: other violations than forward"
    return ""


def _essence(outcome: Outcome) -> Any:
    tally = outcome.tally
    groups = {
        fingerprint: (group.count, [(v.why, v.seqs) for v in group.first])
        for fingerprint, group in tally.groups.items()
    }
    return (
        outcome.verdict, tally.activations, tally.violated, tally.demoted, tally.waived, tally.raced,
        tally.not_applicable, tally.unknown, tally.errors, groups,
    )  # fmt: skip
