"""Laws of the verifier, over every kind of invariant, on good histories and on what every fault makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random

import pytest
from agents import golden_path
from conversations import converse, sentences
from histories import GOOD, draft, taped, told
from hypothesis import given, settings
from hypothesis import strategies as st
from sink import sink

from verifier.check import Engine, verify
from verifier.contract import Contract
from verifier.faults import FAULTS
from verifier.faults.draft import CLOSE, Draft
from verifier.faults.reading import Reading
from verifier.faults.trial import judged
from verifier.history import Source
from verifier.invariants import KINDS
from verifier.minimal import proven
from verifier.slicing import RECORDING, RECORDS, SESSION
from verifier.verdict import Outcome, Verdict, Violation
from verifier.whole import Judge

TAPES = sorted(path.stem for path in GOOD.glob("*.txt"))
CONTRACTS: dict[str, Callable[[], Contract]] = {"golden-path": golden_path, "sink": sink}
CHECK = settings(derandomize=True, deadline=None, max_examples=30)
SECOND = 1_000_000_000


TALKS = tuple(f"talk {seed}" for seed in range(12))
"""Conversations by chance."""


@cache
def reading(name: str) -> Reading:
    if not name.startswith("talk "):
        return Reading(sink(), draft(name))
    random = Random(int(name.removeprefix("talk ")))
    return Reading(sink(), told(*sentences(converse(random, stays=random.random() < 0.5))))


@st.composite
def histories(draw: st.DrawFn, tapes: tuple[str, ...] = (*TAPES, *TALKS), without: tuple[str, ...] = ()) -> Draft:
    """A good history, or what a fault makes of it."""
    found = reading(draw(st.sampled_from(tapes)))
    name = draw(st.sampled_from(["", *(fault for fault in FAULTS if fault not in without)]))
    if not name:
        return found.draft
    places = list(FAULTS[name].places(found))
    return FAULTS[name].apply(found, draw(st.sampled_from(places))).draft if places else found.draft


def counts(outcome: Outcome) -> tuple[object, ...]:
    """Return what an invariant found, without times and places."""
    tally = outcome.tally
    return (
        outcome.verdict, tally.activations, tally.violated, tally.demoted, tally.waived, tally.not_applicable,
        tally.raced, sum(tally.unknown.values()), sum(tally.errors.values()),
        Counter({fingerprint: group.count for fingerprint, group in tally.groups.items()}),
    )  # fmt: skip


def found(verdict: Verdict, names: set[str] | None = None) -> dict[str, tuple[object, ...]]:
    return {o.name: counts(o) for o in verdict.outcomes if names is None or o.name in names}


def apart(contract: Contract) -> set[str]:
    """Return the invariants that judge each user alone."""
    return {
        c.spec.name for c in Engine(contract).checks
        if not c.rule.across and c.mode != RECORDING and c.spec.kind not in ("ratio", "coverage")
    }  # fmt: skip


def test_the_laws_are_tried_on_every_kind():
    missing = set(KINDS) - {spec.kind for spec in sink().invariants.values()}

    # These have tests of their own against what they compare with: AG-UI's client, solo recordings, a kit.
    assert missing <= {"attributed", "noninterference", "python"}


# -- the order of what does not concern each other does not matter


def shifted(history: Draft, by: Callable[[int], int]) -> Draft:
    """Return the history in which each connection is so much later, in the order of time."""
    lines = [replace(line, t=line.t + by(line.connection)) for line in history.lines]
    order = sorted(range(len(lines)), key=lambda n: (lines[n].t, n))
    end = 10 * (len(lines) + 1)
    return replace(
        history,
        lines=tuple(replace(lines[n], seq=10 * (at + 1)) for at, n in enumerate(order)),
        connections={
            n: replace(c, opened=c.opened + by(n), accepted=None if c.accepted is None else c.accepted + by(n),
                       closed=None if c.closed is None else c.closed + by(n),
                       identities=tuple(
                           replace(i, expires=None if i.expires is None else i.expires + by(n) // SECOND)
                           for i in c.identities
                       ))
            for n, c in history.connections.items()
        },
        marks=tuple(replace(mark, seq=end if mark.seq > history.lines[0].seq else 0) for mark in history.marks),
    )  # fmt: skip


ACROSS = ("cross_deliver", "leak_value")
"""Faults that make the findings of one user depend on another."""
QUIET = (*(name for name in TAPES if name not in ("noise", "faults")), *TALKS)
"""Tapes without marks in the middle: what a mark is to a user depends on when it comes."""


@pytest.mark.parametrize("name", CONTRACTS)
@given(histories(QUIET, ACROSS), st.randoms(use_true_random=False))
@CHECK
def test_when_others_do_what_does_not_matter(name, history, random):
    if any(mark.kind not in ("begin", "end", "tick", "credential") for mark in history.marks) or not history.lines:
        return
    contract = CONTRACTS[name]()
    history = history.running_on()
    users = {c.user for c in history.connections.values()}
    offset = {user: random.randrange(0, 40) * SECOND for user in sorted(users)}
    of = {n: offset[c.user] for n, c in history.connections.items()}
    one, _ = judged(contract, history)
    other, _ = judged(contract, shifted(history, of.__getitem__))

    assert found(other, apart(contract)) == found(one, apart(contract))


@given(histories(("two-tabs", "reconnect", "endings", "two-users-two-runs")), st.randoms(use_true_random=False))
@CHECK
def test_what_is_judged_by_connection_needs_no_other_connection(history, random):
    if any(mark.kind not in ("begin", "end", "tick", "credential") for mark in history.marks) or not history.lines:
        return
    contract = sink()
    history = history.running_on()
    of = {n: random.randrange(0, 40) * SECOND for n in history.connections}
    names = {c.spec.name for c in Engine(contract).checks if c.mode in (SESSION, RECORDS)} & apart(contract)
    names -= {"devices", "back"}  # these look at a user's connections together
    one, _ = judged(contract, history)
    other, _ = judged(contract, shifted(history, of.__getitem__))

    assert found(other, names) == found(one, names)


# -- the whole is its parts; the quick way is the exact way


@pytest.mark.parametrize("name", CONTRACTS)
@given(histories())
@settings(CHECK, max_examples=25)
def test_the_quick_way_is_the_exact_way(name, history):
    contract = CONTRACTS[name]()
    with taped(history) as tape:
        quick, exact = Judge(contract, tape).verdict(), verify(contract, Source.of(tape))

    assert found(quick) == found(exact)
    assert [o.tally.groups for o in quick.outcomes] == [o.tally.groups for o in exact.outcomes]


@pytest.mark.parametrize("name", CONTRACTS)
@given(histories(without=ACROSS))
@settings(CHECK, max_examples=25)
def test_the_whole_is_its_users_together(name, history):
    contract = CONTRACTS[name]()
    aggregates = {"quick", "first-fast", "total-sla"}  # percentiles of parts do not add up
    names = apart(contract) - aggregates
    with taped(history) as tape:
        whole = found(verify(contract, Source.of(tape)), names)
        parts = [found(verify(contract, Source.of(tape, user.name)), names) for user in tape.users()]

    for invariant in names:
        numbers = [part[invariant][1:9] for part in parts]
        assert tuple(map(sum, zip(*numbers, strict=True))) == whole[invariant][1:9], invariant


# -- a witness by itself


def cut_to(contract: Contract, history: Draft, kept: set[int]) -> Verdict:
    """Judge a history of which only some messages are left; handshakes, closes and marks stay."""
    lines = tuple(line for line in history.lines if line.opcode >= CLOSE or line.seq in kept)
    return verify(contract, replace(history, lines=lines).source(renumbered=False)[0])


def says(verdict: Verdict, violation: Violation) -> bool:
    return any(violation.fingerprint in outcome.tally.groups for outcome in verdict.outcomes)


@pytest.mark.parametrize("name", CONTRACTS)
@given(histories())
@settings(CHECK, max_examples=25)
def test_a_witness_by_itself_still_fails_and_with_less_it_does_not(name, history):
    contract = CONTRACTS[name]()
    source, seqs = history.source()
    history = replace(history, lines=tuple(replace(x, seq=s) for x, s in zip(history.lines, seqs, strict=True)),
                      marks=tuple(source.marks))  # fmt: skip
    messages = {line.seq for line in history.lines if line.opcode < CLOSE}
    for outcome in verify(contract, source).outcomes:
        for group in outcome.groups:
            violation = group.first[0]
            if outcome.kind == "wire" or violation.paths[:1] in (("p95",), ("p99",), ("mean",)):
                continue
            violation = proven(contract, history, violation)
            proof = set(violation.seqs) & messages
            assert says(cut_to(contract, history, proof), violation), (violation.why, violation)
            for seq in proof:
                assert not says(cut_to(contract, history, proof - {seq}), violation), (violation, seq)
