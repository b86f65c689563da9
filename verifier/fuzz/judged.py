"""What a contract says of a run: each violation that is the server's, as a failure.  Equal runs are judged once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

from verifier.check import verify
from verifier.choose import WIRE, choose
from verifier.contract import Contract
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.recording import recording
from verifier.fuzz.seen import Ended, Run, What
from verifier.garbage import no_collection
from verifier.rule import Rule
from verifier.verdict import Outcome, Violation

KEPT = 4096
"""Runs whose verdict is remembered."""
_SUITES = frozenset({"coverage"})
"""Kinds that say something of a suite of recordings, of which one run is none."""
_FOREIGN = frozenset({"owner", "taint", "noninterference", "unique"})
"""Kinds whose proof shows whose something was."""


class Contracts:
    """Contracts, ready to judge runs of one workload by."""

    def __init__(self, contracts: tuple[Contract, ...], user_of: Callable[[str], str]) -> None:
        self._contracts = tuple(filter(None, map(_counting, contracts)))
        self._user_of = user_of
        self._lasting: list[dict[str, Rule]] = [{} for _ in self._contracts]
        self._known: dict[bytes, tuple[Failure, ...]] = {}

    def failures(self, run: Run) -> tuple[Failure, ...]:
        """Return what each contract finds: violations of severity error that are not the client's fault."""
        if not self._contracts:
            return ()
        seen = _seen(run)
        found = self._known.get(seen)
        if found is None:
            with no_collection():
                judged = zip(self._contracts, self._lasting, strict=True)
                found = tuple(failure for contract, rules in judged for failure in self._judge(contract, rules, run))
            if len(self._known) < KEPT:
                self._known[seen] = found
        return found

    def _judge(self, contract: Contract, rules: dict[str, Rule], run: Run) -> Iterator[Failure]:
        source = recording(run, self._user_of)
        places = [
            n for n, moment in enumerate(run.moments)
            if moment.what is What.MESSAGE or moment.what is What.CLOSE
        ]  # fmt: skip
        for outcome in verify(contract, source, lasting=rules).outcomes:
            if not outcome.counts:
                continue
            for group in outcome.groups:
                first = next(
                    (v for v in group.first if v.fault != "client" and not _ours(contract, outcome, v, run)), None
                )
                if first is not None:
                    yield _failure(outcome, first, places)


def _seen(run: Run) -> bytes:
    """Return a digest of all that contracts are told of a run; by which steps it came to it is none of that."""
    seen: list[object] = [run.ended]
    for moment in run.moments:
        if moment.what is What.END:
            break
        seen.append(moment[1:])
    return hashlib.sha256(repr(seen).encode("utf-8", "backslashreplace")).digest()


def _counting(contract: Contract) -> Contract | None:
    """Return the contract without what only warns, and without what is asked of a suite."""
    names = {
        spec.name for spec in contract.invariants.values()
        if spec.severity == "error" and spec.kind not in _SUITES
    }  # fmt: skip
    return choose(contract, names | set(WIRE), frozenset()) if names else None


def _ours(contract: Contract, outcome: Outcome, violation: Violation, run: Run) -> bool:
    """Return whether it is the run's end that makes a connection silent, not the app."""
    spec = contract.invariants.get(outcome.name)
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
