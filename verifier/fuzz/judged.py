"""What a contract says of a run: each violation that is the server's, as a failure.  Equal runs are judged once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from verifier.choose import WIRE, choose
from verifier.contract import Contract
from verifier.fuzz.digest import digest
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.quick import Quick
from verifier.fuzz.seen import Ended, Run, What
from verifier.garbage import no_collection
from verifier.verdict import Outcome, Violation

KEPT = 4096
"""Runs whose verdict is remembered."""
JUDGES = 32
"""Contracts that are kept ready."""
_WINDOW = 1_000_000_000
"""Nanoseconds that a schedule may make things late by itself."""
_SUITES = frozenset({"coverage"})
"""Kinds that say something of a suite of recordings, of which one run is none."""
_FOREIGN = frozenset({"owner", "taint", "noninterference", "unique"})
"""Kinds whose proof shows whose something was."""


class Contracts:
    """Contracts, ready to judge runs of one workload by."""

    def __init__(self, contracts: tuple[Contract, ...], user_of: Callable[[str], str]) -> None:
        self._quick = [quick for quick in map(_judge_of, contracts) if quick is not None]
        self._user_of = user_of
        self._known: dict[bytes, tuple[Failure, ...]] = {}
        self._excused: frozenset[str] = frozenset()

    def excuse(self, name: str) -> None:
        """Judge by an invariant no more: what it finds in this workload was found to be no matter."""
        self._excused |= {name}
        self._known.clear()

    def failures(self, run: Run) -> tuple[Failure, ...]:
        """Return what each contract finds: violations of severity error that are not the client's fault."""
        if not self._quick:
            return ()
        seen = _seen(run)
        found = self._known.get(seen)
        if found is None:
            with no_collection():
                found = tuple(
                    failure for quick in self._quick
                    for failure in _failures(quick.contract, quick.outcomes(run, self._user_of, self._excused), run)
                )  # fmt: skip
            if len(self._known) < KEPT:
                self._known[seen] = found
        return found


_judges: dict[int, tuple[Contract, Quick | None]] = {}
"""By contract, since what is known of one log is known in all workloads."""


def _judge_of(contract: Contract) -> Quick | None:
    """Return what judges by a contract; None where nothing in it counts."""
    known = _judges.get(id(contract))
    if known is None:
        counting = _counting(contract)
        if len(_judges) >= JUDGES:
            _judges.clear()
        known = _judges[id(contract)] = contract, None if counting is None else Quick(counting)
    return known[1]


def _failures(contract: Contract, outcomes: Iterable[Outcome], run: Run) -> Iterator[Failure]:
    places = [
        n for n, moment in enumerate(run.moments)
        if moment.what is What.MESSAGE or moment.what is What.CLOSE
    ]  # fmt: skip
    for outcome in outcomes:
        if not outcome.counts:
            continue
        for group in outcome.groups:
            first = next((v for v in group.first if v.fault != "client" and not _ours(contract, outcome, v, run)), None)
            if first is not None:
                yield _failure(outcome, first, places)


def _seen(run: Run) -> bytes:
    """Return a digest of all that contracts are told of a run; by which steps it came to it is none of that."""
    seen: list[object] = [str(run.ended)]
    for _, session, at, side, what, payload, code in run.moments:
        if what is What.END:
            break
        seen.append((session, at, side, str(what), payload, code))
    return digest(seen)


def _counting(contract: Contract) -> Contract | None:
    """Return the contract without what only warns, and without what is asked of a suite."""
    names = {
        spec.name for spec in contract.invariants.values()
        if spec.severity == "error" and spec.kind not in _SUITES
    }  # fmt: skip
    return choose(contract, names | set(WIRE), frozenset()) if names else None


def _ours(contract: Contract, outcome: Outcome, violation: Violation, run: Run) -> bool:
    """Return whether it is the run's end that makes a connection silent, or the schedule that makes it late."""
    spec = contract.invariants.get(outcome.name)
    if violation.late_by is not None and (run.schedule or len(run.names) > 1):
        # A slow reader's messages come late, and latencies end in any order within the window.
        return violation.late_by <= _WINDOW or any(moment.what is What.SLOW for moment in run.moments)
    return outcome.kind == "gap" and spec is not None and spec.scope is None and run.ended is Ended.DONE


def _failure(outcome: Outcome, violation: Violation, places: list[int]) -> Failure:
    users = [w.user for w in violation.witness if w.user and w.user != violation.user]
    owner = users[0] if users and outcome.kind in _FOREIGN else ""
    what = f"{outcome.title}: " if outcome.title else ""
    shown = tuple(places[seq - 1] for seq in violation.seqs if 0 < seq <= len(places))
    whose = f"{violation.user}: " if violation.user and violation.user not in violation.why else ""

    def as_told(found: re.Match[str]) -> str:
        """Return the number that a message has in the story, which counts connects and the like, too."""
        seq = int(found[1])
        return f"#{places[seq - 1] + 1}" if 0 < seq <= len(places) else found[0]

    sentence = f"{whose}{what}{outcome.name}: {_SEQ.sub(as_told, violation.why)}"
    return Failure(Kind.CONTRACT, violation.user or "", owner, outcome.name, sentence, shown)


_SEQ = re.compile(r"#(\d{1,9})\b")
