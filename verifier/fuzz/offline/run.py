"""`fuzz tape` as a function: a recording and a contract in, what its other orders would show out.  Pure.

1. Rules of one user must come to the same verdict whatever the others do in between: the metamorphic check.
2. Rules of all users, and of a user with several connections, are searched for orders that break them, which the
   recording does not exclude.  That is possible, and never said to have happened.
3. A consumer of the merged stream must come to the same end state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from goldentape.path import Path
from verifier.check import verify
from verifier.contract import Contract
from verifier.equality import number_of
from verifier.fuzz.offline.consumer import Consumer, Consuming
from verifier.fuzz.offline.edges import Edges, lanes_of
from verifier.fuzz.offline.invariance import Invariance
from verifier.fuzz.offline.parts import Parts
from verifier.fuzz.offline.recorded import Kind, Recorded
from verifier.fuzz.offline.report import CONSUMER, Dependent, Possible, TapeReport
from verifier.fuzz.offline.rules import OWN_CODE, Rules, checks_over, untimed
from verifier.fuzz.offline.said import Said
from verifier.fuzz.offline.search import explore
from verifier.history import Source
from verifier.paths import as_list, compile_value_path
from verifier.record import S2C
from verifier.verdict import ERROR, FAIL, NOT_APPLICABLE, Verdict, Violation

INTERLEAVINGS = 2_000
"""Interleavings of a search where nobody says how many."""
Say = Callable[[int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a recording is searched."""

    interleavings: int = INTERLEAVINGS
    seconds: float = 60.0
    seed: int = 0
    consumer: Consumer | None = None
    shared: Sequence[Path] = ()
    """Paths whose equal values are one thing, so that the order of what touches it counts."""
    ordered: Sequence[Path] = ()
    """Paths whose equal values the server orders itself: their recorded order is kept."""
    say: Say = lambda done, seconds: None


def fuzz_tape(
    contract: Contract | None, source: Source, *, reading_by: Contract | None = None, **options: object
) -> TapeReport:
    """Judge other orders of a recording by a contract, by a consumer, or by both.  Takes the fields of `Options`.

    `reading_by`: the contract that says how messages are read, where none is to be judged.
    Raises nothing of its own; what makes a search vacuous is in the report.
    """
    return Searched(contract, source, reading_by=reading_by, **options).report()


class Searched:
    """A recording, read by a contract, whose other orders can be asked for."""

    def __init__(
        self, contract: Contract | None, source: Source, *, reading_by: Contract | None = None, **options: object
    ) -> None:
        by = reading_by or contract
        assert by is not None, "messages are read by a contract"
        self.options = Options(**options)  # type: ignore[arg-type]
        self.recorded = Recorded(source)
        self.contract = None if contract is None else untimed(contract)
        """The contract without its times; None where a consumer only is judged."""
        self.verdict = None if contract is None else verify(contract, source)
        self.rules = Rules() if self.contract is None or self.verdict is None else _meant(self.contract, self.verdict)
        self.said = Said(self.recorded, untimed(by), self._keys(of_owner=False), self._keys(of_owner=True))
        edges = Edges(self.said, self.options.ordered, list(self._counted()))
        self.by_user = edges.order(by_user=True)
        self.order = edges.order(by_user=False)
        self.edges = edges.between

    def _keys(self, of_owner: bool) -> set[str]:
        """Return the keys of rules of all users: by which they tell what is held, a resource that nobody creates;
        or whose it is."""
        if self.contract is None:
            return set()
        specs = [self.contract.invariants[name] for name in self.rules.shared]
        of = [spec.options.get("keys" if of_owner else "key") for spec in specs if (spec.kind == "owner") is of_owner]
        return {key for keys in of for key in as_list(keys)}

    def _counted(self) -> Iterator[list[int]]:
        """Yield for each number that grows over all users the server's messages that tell it, as far as they do."""
        for name in self.rules.shared if self.contract is not None else ():
            assert self.contract is not None
            spec = self.contract.invariants[name]
            if spec.kind != "monotone":
                continue
            wanted = set(self.contract.names(spec.options["event"], spec.at))
            getters = [compile_value_path(path) for path in as_list(spec.options["path"]) if not path.startswith("@")]
            steps = []
            for n, names in self.said.names.items():
                line = self.recorded.line(n)
                values = [number_of(get(self.said.values[n])) for get in getters]
                if line is not None and line.dir == S2C and wanted.intersection(names) and any(
                    value is not None for value in values
                ):  # fmt: skip
                    steps.append(n)
            yield steps

    def broken(self) -> list[tuple[str, Violation]]:
        """Return the invariants that the recording itself breaks, each with its first violation."""
        return [
            (o.name, o.groups[0].first[0]) for o in (() if self.verdict is None else self.verdict.outcomes)
            if o.counts and o.verdict in (FAIL, ERROR) and o.groups
        ]  # fmt: skip

    def report(self) -> TapeReport:
        """Judge its other orders."""
        report = TapeReport(
            self.recorded, self.order, self.by_user, self.rules,
            len({step.user for step in self.recorded.steps if step.kind is not Kind.MARK}), self.edges,
            names=self.said.names, words=self.said.words,
        )  # fmt: skip
        parts = Parts(self.recorded, self.said, self.order)
        if report.users < 2 and not any(parts.is_free(lane) for lane in lanes_of(self.recorded, by_user=True)):
            whom = "one user" if report.users else "no user"
            report.vacuous = f"the tape has {whom}, and interleaving needs two"
            return report
        report.broken = self.broken()
        self._permute(report)
        if not report.interrupted:
            self._search(report, parts)
        return report

    # -- rules of one user

    def _permute(self, report: TapeReport) -> None:
        if self.contract is None or not self.rules.own or len(self.by_user.lanes) < 2:
            return
        check = Invariance(self.contract, self.recorded, self.by_user, self.rules.own)
        check.run(self.options.seed, self.options.seconds)
        report.permuted, report.permuted_seconds = check.permuted, check.seconds
        report.dependent, report.interrupted = check.dependent, check.interrupted

    # -- rules of several users, and consumers

    def _search(self, report: TapeReport, parts: Parts) -> None:
        options = self.options
        if self.contract is not None:
            crossed = self._crossed()
            self.rules = report.rules = self.rules.without(crossed)
            report.dependent += self._unsteady()
            as_recorded = self._violated() | {one.invariant for one in report.dependent}
            parts.add_shared(self.contract, [name for name in self.rules.shared if name not in as_recorded])
            of_user = tuple(name for name in self.rules.of_user if name not in as_recorded)
            parts.add_tabs(self.contract, Rules(of_user=of_user))
        resources = parts.add_paths(options.shared)
        report.resources = tuple(resources)
        if options.consumer is not None:
            parts.add_consumer(Consuming(options.consumer, self.recorded, self.said.values), options.shared)
        report.searched, report.engine = tuple(parts.searched), tuple(parts.slow)
        if not parts.parts:
            report.vacuous = self._why_vacuous()
            return
        report.explored = explore(
            parts.parts, most=options.interleavings, seconds=options.seconds, seed=options.seed, say=options.say
        )
        report.interrupted = report.explored.interrupted
        if not report.explored.interleavings and not report.interrupted:
            report.vacuous = "the time was up before any other order was judged"
        for name, found in report.explored.found.items():
            possible = self._confirmed(parts, name, self.order.completed(found.part.order.play(found.slices)[0]))
            if possible is not None:
                report.possible.append(possible)

    def _violated(self) -> set[str]:
        """Return the rules that find something in the recording itself."""
        return set() if self.verdict is None else {o.name for o in self.verdict.outcomes if o.groups}

    def _unsteady(self) -> list[Dependent]:
        """Return the rules of somebody's own over all users that come to two verdicts over the same messages."""
        assert self.contract is not None
        own = [name for name in self.rules.shared if self.contract.invariants[name].kind == OWN_CODE]
        check = Invariance(self.contract, self.recorded, self.order, own)
        return check.unsteady() if own else []

    def _crossed(self) -> set[str]:
        """Return the rules of all users that hold only because messages crossed on their way: about time."""
        assert self.contract is not None
        names = set(self.rules.shared) - self._violated()
        checks = checks_over(self.contract, self.recorded.told(range(len(self.recorded.steps))), names)
        return {name for name in sorted(names) if checks[name].tally.groups}

    def _confirmed(self, parts: Parts, name: str, order: list[int]) -> Possible | None:
        """Return what an interleaving breaks, as the engine says it over all messages; None where it does not."""
        if name == CONSUMER:
            assert self.options.consumer is not None
            consuming = Consuming(self.options.consumer, self.recorded, self.said.values)
            why = f"its end state is {consuming.told(order)}, and over the recorded order {consuming.told()}"
            return Possible(name, self.order.slices_of(order), tuple(order), None, why)
        found = parts.violations(name, order)
        if not found:
            return None
        print_, violation = next(iter(found.items()))
        # What comes behind the last message that proves it need not be told, nor what comes by itself.
        last = max((w.seq for w in violation.witness if w.seq), default=2 * len(order)) // 2
        slices = self.order.slices_of(order[:last])
        while slices and self.order.play(slices[:-1])[0][:last] == order[:last]:
            slices = slices[:-1]
        short = self.order.play(slices)[0]
        told = parts.violations(name, short).get(print_)
        if told is None:
            return Possible(name, self.order.slices_of(order), tuple(order), violation, violation.why)
        return Possible(name, slices, tuple(short), told, told.why)

    def _why_vacuous(self) -> str:
        if self.contract is None:
            return "nothing was given to search with"
        what = f"all interleavings of this tape are alike to {self.contract.id}"
        if self.rules.shared:
            names = ", ".join(self.rules.shared)
            return (
                f"what relates users in it ({names}) looks at nothing here that two of them have in common, so {what}"
            )
        return f"no rule of it relates users by the order of what they do, so {what}"


def _meant(contract: Contract, verdict: Verdict) -> Rules:
    """Return the rules that are meant for the recording."""
    return Rules.of(contract, {o.name for o in verdict.outcomes if o.verdict != NOT_APPLICABLE})
