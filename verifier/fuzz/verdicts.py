"""What a search has found as a verdict, so that every report can show it: a rule for each kind of failure.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldentape.display import home_and_here, show
from goldentape.errors import Exit
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.found import Found, Report
from verifier.fuzz.workload import Workload
from verifier.judgement import Judged
from verifier.verdict import ERROR, FAIL, INCONCLUSIVE, PASS, Group, Outcome, Tally, Verdict, Violation

if TYPE_CHECKING:
    from verifier.contract import Contract
    from verifier.fuzz.live.caught import Hunted
    from verifier.fuzz.offline.report import TapeReport

TITLES: Mapping[Kind, str] = {
    Kind.LEAK: "no user is shown what another one has said",
    Kind.EXCEPTION: "the app lets no exception out",
    Kind.MIXED: "no user is shown what is another one's",
    Kind.DUPLICATED: "nothing comes more often than to a user alone",
    Kind.DIFFERENT: "users are shown what they are shown alone",
    Kind.LOST: "nothing is missing that comes to a user alone",
    Kind.ORDER: "events come in an order that they have alone",
    Kind.CLOSED: "connections end as they do alone",
    Kind.CONTRACT: "the contract holds in every order",
    Kind.PROTOCOL: "the app keeps to the ASGI specification",
    Kind.DEADLOCK: "nobody waits for ever",
    Kind.LIVELOCK: "the app comes to an end",
}
"""The rules, by the kind of failure that breaks them."""
LIVE = tuple(kind for kind in Kind if kind not in (Kind.CONTRACT, Kind.PROTOCOL, Kind.LIVELOCK))
"""What is looked for on a running server, whose insides are not seen."""
CONFIRMED = "confirmed"
"""The rule that what looked wrong came again: nobody can tell of what did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where reports point to: a file, and its line."""

    file: str
    line: int = 1


def judged_app(
    report: Report, saved: Sequence[Path | None], *, app: str, workload: Workload | None, size: tuple[int, int],
    contracts: Sequence[Contract], place: Place, document: Mapping[str, Any],
) -> Judged:  # fmt: skip
    """Return a search of an app as one judgement.  `size`: users and messages of each, where there is no workload."""
    found = [
        _One(one.failure, (*one.narrative(110).splitlines()[1:], *_repro(path)), one.also, _in_code(one))
        for one, path in zip(report.failures, saved, strict=True)
    ]
    exit = Exit.VIOLATION if found else Exit.INCONCLUSIVE if report.unconfirmed else Exit.OK
    users, messages = size
    who = (len(workload.users), len(workload.sessions), workload.messages) if workload else \
        (users, users, users * messages)  # fmt: skip
    kinds = [kind for kind in Kind if contracts or kind is not Kind.CONTRACT]
    outcomes = _by_kind(found, report.coverage.schedules, report.unconfirmed, kinds, place)
    return _judged(app, "searched", outcomes, who, contracts, report.notes, exit, document)


def judged_live(
    hunted: Hunted, saved: Sequence[Path | None], *, url: str, workload: Workload, contracts: Sequence[Contract],
    place: Place, document: Mapping[str, Any],
) -> Judged:  # fmt: skip
    """Return a search of a running server as one judgement."""
    from verifier.fuzz.live.telling import rate, story  # each of the three commands loads its own

    found: list[_One] = []
    doubts: list[str] = []
    for one, path in zip(hunted.caught, saved, strict=True):
        if one.is_confirmed:
            found.append(_One(one.failure, (*list(story(one))[1:], *_repro(path)), one.shown.failures))
        else:
            doubts.append(f"{one.failure.title}: {rate(one)}")
    if not hunted.tries and not hunted.caught:
        doubts.append(f"nothing was tried: {hunted.ended or 'it was interrupted'}")
    doubts += hunted.doubts
    exit = Exit.VIOLATION if found else Exit.INCONCLUSIVE if doubts else Exit.OK
    who = len(workload.users), len(workload.sessions), workload.messages
    notes = [note for note in (hunted.waiting, hunted.ended, *hunted.notes) if note]
    kinds = [*LIVE, *([Kind.CONTRACT] if contracts else [])]
    outcomes = _by_kind(found, hunted.tries, doubts, kinds, place)
    return _judged(url, "searched", outcomes, who, contracts, notes, exit, document)


def judged_tape(
    report: TapeReport, *, tape: str, contract: Contract | None, exit: Exit, document: Mapping[str, Any]
) -> Judged:  # fmt: skip
    """Return what other orders of a tape would show as one judgement."""
    contracts = [] if contract is None else [contract]
    outcomes = list(_of_tape(report, tape, contract))
    recorded = report.recorded
    messages = sum(recorded.line(n) is not None for n in range(len(recorded.steps)))
    who = report.users, len(recorded.draft.connections), messages
    return _judged(tape, "searched", outcomes, who, contracts, (), exit, document)


@dataclass(frozen=True, slots=True)
class _One:
    """A failure that is told, with its story, and what else was wrong in the same run."""

    failure: Failure
    told: tuple[str, ...]
    also: Sequence[Failure]
    place: Place | None = None
    """The line of the app that it showed at, where that is known."""


def _in_code(found: Found) -> Place | None:
    """Return the line of the app that raised or sent what is wrong, else where its victim's code stood in the end."""
    standing = found.standing
    raised = [standing.handled[n][1] for n in found.failure.moments if n in standing.handled]
    sent = [standing.sent.get(n, ()) for n in found.failure.moments if found.failure.kind is not Kind.LOST]
    mine = [session.name for session in found.workload.sessions if session.user == found.failure.victim]
    for sites in (*raised, *sent, *(standing.end.get(name, ()) for name in mine)):
        if sites:
            return Place(file=sites[0].file, line=sites[0].line)
    return None


def _repro(path: Path | None) -> tuple[str, ...]:
    return () if path is None else (f"again: goldentape fuzz replay {show(home_and_here(path), 300)}",)


def _by_kind(
    found: Sequence[_One], runs: int, doubts: Iterable[str], looked_for: Sequence[Kind], place: Place
) -> list[Outcome]:  # fmt: skip
    outcomes = []
    for kind, title in TITLES.items():
        tally, where = Tally(activations=runs), place
        for one in found:
            failure = one.failure
            if failure.kind is kind:
                where = one.place if one.place is not None and not tally.violated else where
                _add(tally, kind, kind, failure.sentence, failure.fingerprint, one.told, user=failure.victim or None)
            elif any(other.kind is kind for other in one.also):
                # Mostly the same cause: neither another violation, nor something that holds.
                tally.unknown[f"also wrong in the run of {failure.kind} {failure.fingerprint}"] += 1
        if tally.accepting and kind not in looked_for:
            continue
        verdict = FAIL if tally.violated else INCONCLUSIVE if tally.unknown else PASS
        outcomes.append(_outcome(kind, kind, title, verdict, tally, where))
    tally = Tally(activations=runs)
    tally.unknown.update(show(doubt, 600) for doubt in doubts)
    if tally.unknown:
        title = "what looks wrong comes again"
        outcomes.append(_outcome(CONFIRMED, CONFIRMED, title, INCONCLUSIVE, tally, place))
    return outcomes


def _of_tape(report: TapeReport, tape: str, contract: Contract | None) -> Iterator[Outcome]:
    """Yield an outcome for each rule: of one user's by the metamorphic check, of several users' by the search."""
    from verifier.fuzz.offline.report import CONSUMER
    from verifier.fuzz.offline.telling import possible_story, told_of

    home = Place(file=tape if contract is None else contract.document.name)

    def place(name: str) -> Place:
        return home if contract is None else Place(file=home.file, line=contract.document.line("invariants", name))

    seen: set[str] = set()
    for name, violation in report.broken:
        tally = Tally(activations=1)
        _add(tally, name, violation.kind, violation.why, violation.fingerprint,
             ("the recording itself breaks it, so no other order is looked at",), user=violation.user)  # fmt: skip
        seen.add(name)
        yield _outcome(name, violation.kind, "holds as recorded", FAIL, tally, place(name))
    for dependent in report.dependent:
        tally = Tally(activations=report.permuted)
        why = "its verdict depends on what other users do in between, and must not"
        if dependent.again:
            why = "judged twice over the same messages, it comes to two verdicts"
        _add(tally, dependent.invariant, "order", why, dependent.invariant,
             (f"as recorded: {dependent.recorded}; in another order: {dependent.other}",))  # fmt: skip
        seen.add(dependent.invariant)
        yield _outcome(dependent.invariant, "order", why, FAIL, tally, place(dependent.invariant))
    for possible in report.possible:
        consumer = possible.invariant == CONSUMER
        name = "consumer" if consumer else possible.invariant
        tally = Tally(activations=report.explored.interleavings)
        why = show(told_of(report, possible), 600)
        _add(tally, name, "order", why, name, tuple(possible_story(report, possible)))
        if not consumer:
            tally.unknown[f"possible, and did not happen: {why}"] += 1
        seen.add(possible.invariant)
        title = "its end state does not depend on the order" if consumer else "holds in every legal order"
        yield _outcome(name, "order", title, FAIL if consumer else INCONCLUSIVE, tally, place(name))
    for names, runs in ((report.rules.own, report.permuted), (report.searched, report.explored.interleavings)):
        for name in names:
            if name not in seen and runs:
                seen.add(name)
                tally = Tally(activations=runs)
                yield _outcome(name.strip("()"), "order", "holds in every legal order", PASS, tally, place(name))
    if report.vacuous is not None:
        tally = Tally(activations=1)
        tally.unknown[report.vacuous] += 1
        yield _outcome("enough", "order", "there is enough to tell", INCONCLUSIVE, tally, home)


def _add(
    tally: Tally, name: str, kind: str, why: str, fingerprint: str, told: tuple[str, ...], user: str | None = None
) -> None:  # fmt: skip
    violation = Violation(
        invariant=name, kind=kind, severity=ERROR, fault="server", user=user, slice=(), witness=(), expected="",
        why=why, fingerprint=fingerprint, told=told,
    )  # fmt: skip
    # Violations of one cause are one already: the search has told them apart.
    tally.groups[f"{len(tally.groups):03}{fingerprint}"] = Group([violation], 1, set() if user is None else {user})
    tally.violated += 1


def _outcome(name: str, kind: str, title: str, verdict: str, tally: Tally, place: Place) -> Outcome:
    return Outcome(
        name=name, kind=kind, title=title, severity=ERROR, gate="always", verdict=verdict, file=place.file,
        line=place.line, req=(), impact=None, tally=tally,
    )  # fmt: skip


def _judged(
    name: str, state: str, outcomes: Iterable[Outcome], who: tuple[int, int, int], contracts: Sequence[Contract],
    notes: Iterable[str], exit: Exit, document: Mapping[str, Any],
) -> Judged:  # fmt: skip
    users, connections, messages = who
    verdict = Verdict(
        contract="+".join(("fuzz", *(one.id for one in contracts))), version="+".join(one.version for one in contracts),
        digest="", file="", outcomes=tuple(outcomes), warnings=tuple(notes), connections=connections, users=users,
        messages=messages or connections, events=messages, begin=0, end=0,
    )  # fmt: skip
    return Judged(tape=name, state=state, verdict=verdict, exit=exit, document=document)
