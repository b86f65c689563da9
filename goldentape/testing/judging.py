"""A tape of a test judged: contracts as the command line names them, and a sentence or a proof for each invariant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from goldentape.check import check
from goldentape.commands.finding import read_contracts
from goldentape.display import home_and_here, show
from goldentape.errors import NothingVerified
from goldentape.tape import open_tape
from verifier.choose import WIRE, choose, demand_known, of_a_part
from verifier.contract import Contract
from verifier.exporters.text import next_command, violation
from verifier.minimal import completed, logs_of
from verifier.verdict import ERROR, FAIL, INCONCLUSIVE, NOT_APPLICABLE, PASS, VACUOUS, Outcome, Verdict
from verifier.whole import verify_tape

SHOWN = 5
"""Distinct violations of one invariant whose proofs are told; the others are counted."""


@dataclass(frozen=True, slots=True)
class Demanded:
    """What a test demands of its tape."""

    contracts: tuple[Contract, ...] = ()
    only: frozenset[str] = frozenset()
    """Invariants that were named: of these, one that judged nothing has not held."""
    strict: bool = False
    """What could not be judged is a failure."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one invariant, or of a contract as a whole."""

    name: str
    """`golden-path: no-leak`; of the whole: `golden-path`."""
    how: str
    """`pass`, `fail`, `open` (could not be judged), or `note` (something to know of, and no failure)."""
    text: str
    """The proof, or why it is open."""


@lru_cache(maxsize=64)
def read_demands(
    names: tuple[str, ...], settings: tuple[tuple[str, str], ...], only: frozenset[str], strict: bool, allow_code: bool
) -> Demanded:
    """Return what to demand; read once a session.

    Raises InputError (ContractError) for what cannot be read, or is not there.
    """
    read = read_contracts(names, dict(settings), allow_code=allow_code) if names else []
    if only:
        demand_known(read, only, ())
        read = [choose(contract, only, ()) for contract in read]
    return Demanded(tuple(c for c in read if c.invariants), only, strict)


def judge(path: Path, demanded: Demanded, told: Callable[[Path], str] = home_and_here) -> list[Result]:
    """Check a sealed tape, judge it by each contract, and tell what became of each invariant; `told` names files.

    Raises TapeError for a tape that is not as it was sealed, NothingVerified for one without a connection.
    """
    with open_tape(path, quick_check=False) as tape:
        check(tape).demand(tape)
        if next(tape.connections(), None) is None:
            raise NothingVerified(
                "nothing was recorded: no client connected to the recorder's address", where=told(path)
            )
        found: list[Result] = []
        for contract in demanded.contracts:
            verdict = verify_tape(contract, tape)
            completed(contract, verdict, logs_of(tape))
            if demanded.only:
                verdict = of_a_part(verdict, demanded.only)
            found += results(_named(verdict, told), demanded, told(path))
        return found


def _named(verdict: Verdict, told: Callable[[Path], str]) -> Verdict:
    """Return the verdict with its files as reports name them."""
    outcomes = tuple(replace(o, file=told(Path(o.file))) for o in verdict.outcomes)
    return replace(verdict, file=told(Path(verdict.file)), outcomes=outcomes)


def results(verdict: Verdict, demanded: Demanded, tape: str) -> Iterator[Result]:
    """Yield one result an invariant, and one of the whole where nothing was judged at all."""
    for outcome in verdict.outcomes:
        yield Result(f"{verdict.contract}: {outcome.name}", *_result(verdict, outcome, demanded, tape))
    judged = any(o.tally.activations for o in verdict.outcomes if o.name not in WIRE)
    if verdict.verdict in (PASS, VACUOUS, INCONCLUSIVE) and not judged:
        yield Result(verdict.contract, "fail", f"nothing was verified: {_nothing(verdict)}")
    elif verdict.doubtful:
        yield Result(verdict.contract, "open", f"{verdict.doubtful:,} messages were perhaps never delivered")


def _result(verdict: Verdict, outcome: Outcome, demanded: Demanded, tape: str) -> tuple[str, str]:
    if outcome.verdict == NOT_APPLICABLE:
        return "pass", "not applicable"
    if outcome.verdict in (FAIL, ERROR):
        proof = "\n".join(_proof(verdict, outcome, tape))
        return ("fail" if outcome.counts else "note"), proof
    if outcome.verdict == PASS:
        if outcome.tally.demoted:
            return "note", "\n".join(_proof(verdict, outcome, tape))
        return "pass", f"{outcome.tally.activations:,} judged"
    why = f"{outcome.verdict}: {_why(outcome)}"
    demands = outcome.name in demanded.only or (demanded.strict and outcome.counts)
    return ("fail" if demands else "open" if outcome.counts else "pass"), why


def _why(outcome: Outcome) -> str:
    if outcome.verdict == VACUOUS:
        return f"{outcome.tally.activations:,} judged, which is too few to say anything"
    told = [f"{count:,} times {show(why)}" for why, count in sorted(outcome.tally.unknown.items())]
    return "; ".join(told) or "the recording does not say"


def _proof(verdict: Verdict, outcome: Outcome, tape: str) -> Iterator[str]:
    for group in outcome.groups[:SHOWN]:
        yield from violation(verdict, outcome, group)
        yield from next_command(group.first[0], tape)
        yield ""
    if len(outcome.groups) > SHOWN:
        yield f"and {len(outcome.groups) - SHOWN} more distinct violations of {outcome.name}"
    for why, count in sorted(outcome.tally.errors.items()):
        yield f"{count:,} not evaluated: {show(why)}"


def _nothing(verdict: Verdict) -> str:
    if not verdict.messages:
        return "no message is on the tape"
    if not verdict.events:
        return "no message on the tape is an event of the contract"
    return "nothing of what the contract is about happened"
