"""What of a run a contract accepts at a glance: each user's log as a whole, as logs of tapes are.  Pure.

What is not accepted is not refused: the engine judges it, over all users.  A log like one that was judged before is
not judged again; of how users look beside one another only ids and texts are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from verifier.batch.accept import Unsupported
from verifier.batch.chunk import Unclear
from verifier.batch.judge import Batch
from verifier.batch.table import ACCEPTORS
from verifier.check import Engine, verify
from verifier.choose import WIRE, choose
from verifier.contract import Contract
from verifier.fuzz.digest import digest
from verifier.fuzz.recording import Recording, recording
from verifier.fuzz.seen import Moment, Run, What
from verifier.fuzz.traces import Traces
from verifier.invariants.latency import Latency
from verifier.invariants.owner import OwnedKeys
from verifier.invariants.ratio import Ratio
from verifier.invariants.taint import Taint
from verifier.odd import OddMessages
from verifier.rule import Rule, Stateless
from verifier.scopes import Scoped
from verifier.slicing import RECORDING
from verifier.taint.ahead import Ahead, Ear
from verifier.taint.prints import Shown
from verifier.verdict import Outcome

KEPT = 20_000
"""Logs that are remembered."""


@dataclass(frozen=True, slots=True)
class Log:
    """What is known of a user's log."""

    doubts: frozenset[str]
    """Invariants that are not accepted."""
    owns: Mapping[str, frozenset[bytes]]
    """The ids that it shows, by invariant."""
    said: Mapping[str, frozenset[int]]
    """Keys of what the user said, and ..."""
    shown: Mapping[str, frozenset[int]]
    """... of what the user was shown, by invariant."""


class Quick:
    """One contract, ready to judge runs."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract
        checks = Engine(contract).checks
        self._shares = frozenset(check.spec.name for check in checks if isinstance(check.rule, Ratio))
        """What is never too small where all is well."""
        self._over_all = frozenset(
            check.spec.name for check in checks
            if check.mode == RECORDING or not check.rule.divisible or _gathers(check.rule)
        )  # fmt: skip
        apart = {check.spec.name for check in checks} - self._shares - self._over_all
        self._engine = Engine(contract, apart, apart=True)
        self._checks = {check.spec.name: check for check in self._engine.active}
        self._lasting: dict[str, Rule] = {}
        self._some: dict[frozenset[str], Contract] = {}
        """Parts of the contract."""
        self._taints: dict[str, tuple[Ear, Taint]] = {}
        self._owned: dict[str, OwnedKeys] = {}
        for name, check in self._checks.items():
            if isinstance(check.rule, Taint):
                check.rule.sketcher.strict = True
                check.rule.foreseen = Ahead({}, None, Shown(), True)
                self._taints[name] = Ear(check.rule, contract), check.rule
            elif isinstance(check.rule, OwnedKeys):
                self._owned[name] = check.rule
        self._batch: Batch | None = None
        with suppress(Unsupported):
            self._batch = Batch(self._engine)
        # Where it matters how many users there are at once, a log says not enough of itself.
        crowd = any(check.spec.when.users is not None for check in self._engine.active)
        self._traces = None if crowd else Traces(contract)
        self._known: dict[bytes, Log] = {}

    def outcomes(
        self, run: Run, user_of: Callable[[str], str], excused: frozenset[str] = frozenset()
    ) -> tuple[Outcome, ...]:
        """Return what the contract says of a run, as far as anything that is not excused speaks against a pass."""
        told = _Told(run, user_of)
        names = self._doubts(told) - excused
        if not names:
            return ()
        found = self._judged(told.recording, names | self._shares - excused)
        wrong = any(outcome.tally.groups for outcome in found if outcome.name in names)
        return found if wrong else tuple(outcome for outcome in found if outcome.name in names)

    def _judged(self, run: Recording, names: frozenset[str]) -> tuple[Outcome, ...]:
        return verify(self._part(names), run.source(), lasting=self._lasting).outcomes

    def _part(self, names: frozenset[str]) -> Contract:
        part = self._some.get(names)
        if part is None:
            part = self._some[names] = choose(self.contract, names, frozenset())
        return part

    def _doubts(self, run: _Told) -> frozenset[str]:
        """Return the invariants that are not accepted at a glance: to be judged over all users."""
        logs = [self._log(run, user, moments) for user, moments in run.moments.items()]
        doubts = set(self._over_all).union(*(log.doubts for log in logs))
        for name in self._owned.keys() - doubts:
            if sum(len(log.owns[name]) for log in logs) > len(frozenset().union(*(log.owns[name] for log in logs))):
                doubts.add(name)
        for name in self._taints.keys() - doubts:
            if any(
                not log.shown[name].isdisjoint(other.said[name]) for log in logs for other in logs if log is not other
            ):
                doubts.add(name)
        return frozenset(doubts)

    def _log(self, run: _Told, user: str, moments: Sequence[Moment]) -> Log:
        trace = None if self._traces is None else self._traces.of(moments)
        key = None if trace is None else digest((user, trace))
        found = None if key is None else self._known.get(key)
        if found is None:
            found = self._looked_at(run.recording, run.number(user))
            if key is not None and len(self._known) < KEPT:
                self._known[key] = found
        return found

    def _looked_at(self, run: Recording, number: int) -> Log:
        """Judge a user's log, as far as it can be judged by itself."""
        engine = self._engine
        engine.provisional.clear()
        said, shown = {}, {}
        for check in self._checks.values():
            check.rule.forget()
        for name, (ear, rule) in self._taints.items():
            heard = ear.hear(run.part(number), run.users[number], [run.columns(number)])
            said[name] = frozenset(key for _, _, keys in heard for key in keys)
            shown[name] = Shown()
            rule.foreseen = Ahead({}, None, shown[name], True)
        names, seqs = self._refused(run, number)
        doubts = self._doubts_of(run, number, names, seqs) if names else set()
        doubts |= engine.provisional
        if any(engine.odd.found()):
            doubts |= _odd(engine)
            engine.odd = OddMessages(engine)
        doubts |= {name for name, (_, rule) in self._taints.items() if rule.suspicions}
        for name, check in self._checks.items():
            if isinstance(check.rule, Latency) and not check.rule.calm:
                doubts.add(name)
        owns = {name: frozenset(rule.part()[1]) for name, rule in self._owned.items()}
        return Log(frozenset(doubts), owns, said, {name: frozenset(all_.keys) for name, all_ in shown.items()})

    def _refused(self, run: Recording, number: int) -> tuple[frozenset[str], frozenset[int] | None]:
        """Return what is not accepted of a log as a whole, and the messages that it is about; None: all."""
        if self._batch is not None:
            with suppress(Unclear):
                refused = self._batch.accept(run.part(number), [run.columns(number)])
                return refused.names, refused.seqs
        return frozenset(self._checks), None

    def _doubts_of(
        self, run: Recording, number: int, names: frozenset[str], seqs: frozenset[int] | None
    ) -> set[str]:  # fmt: skip
        """Return which of some invariants the engine does not accept for one user."""
        everything = len(names) == len(self._checks)
        engine = Engine(
            self._part(names | set(WIRE) if everything else names), names, apart=True, lasting=self._lasting
        )  # fmt: skip
        for check in engine.active:
            check.rule.foreseen = self._checks[check.spec.name].rule.foreseen
        engine.feed(run.part(number, seqs))
        self._engine.provisional |= engine.provisional
        doubts = _odd(engine)
        for check in engine.active:
            if check.tally.groups or check.tally.errors:
                doubts.add(check.spec.name)
            self._checks[check.spec.name].rule.absorb(check.rule.part())
        return doubts


class _Told:
    """A run by user; and as the verifier reads it, if it must be read."""

    def __init__(self, run: Run, user_of: Callable[[str], str]) -> None:
        self._run = run
        self._user_of = user_of
        self._recording: Recording | None = None
        self.moments: dict[str, list[Moment]] = {}
        user: dict[str, str] = {}
        for moment in run.moments:
            if moment.what is What.END:
                break
            if moment.what is What.CONNECT:
                user[moment.session] = user_of(moment.session)
                self.moments.setdefault(user[moment.session], [])
            if moment.session in user:
                self.moments[user[moment.session]].append(moment)

    @property
    def recording(self) -> Recording:
        """The run as a tape would have it."""
        if self._recording is None:
            self._recording = recording(self._run, self._user_of)
        return self._recording

    def number(self, user: str) -> int:
        """Return a user's number there."""
        return next(number for number, name in self.recording.users.items() if name == user)


def _odd(engine: Engine) -> set[str]:
    """Return the names of what the contract does not allow messages to be: what it warns of is allowed."""
    return {spec.name for spec, _ in engine.odd.found() if spec.severity == "error"}


def _gathers(rule: Rule) -> bool:
    """Return whether a rule keeps something over a whole recording that is compared in no other way."""
    rule = rule.rule if isinstance(rule, Scoped) else rule
    absorbs: object = type(rule).absorb
    if rule.across and not isinstance(rule, (OwnedKeys, Taint)):
        return True
    return type(rule) not in ACCEPTORS and absorbs is not Stateless.absorb
