"""The verifier against conversations by chance: no false alarm on the good ones, no miss on what a bad server makes."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from importlib.resources import files
from random import Random

import msgpack
import pytest
from agents import failed, golden_path, judge, talk, troubled
from conversations import MUTATIONS, Step, converse, sentences
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.contract import Contract, read_contract
from verifier.verdict import Verdict

SEEDS = st.integers(0, 1 << 32)
CHECK = settings(derandomize=True, deadline=None, max_examples=25)
ACROSS = {
    "my-ids",
    "degraded",
    "recovers",
    "first-fast",
    "total-sla",
    "covered",
    "delivered",
    "under-load",
    "sessions",
    "useful",
}
"""Invariants that look at all users together: who owns an id, what follows a fault, percentiles."""


def trouble(verdict: Verdict) -> dict[str, object]:
    """Return what failed or could not be evaluated, odd messages aside."""
    names = {name for name in failed(verdict) if not name.startswith("wire.")}
    names |= {o.name for o in verdict.outcomes if o.tally.errors}
    return {name: why for name, why in troubled(verdict).items() if name in names}


def written(steps: list[Step], **options) -> Verdict:
    return judge(golden_path(), talk(*sentences(steps), **options).tape)


@given(SEEDS, st.booleans())
@CHECK
def test_a_good_conversation_raises_nothing(seed, stays):
    assert trouble(written(converse(Random(seed), stays))) == {}


@given(SEEDS, st.floats(0, 1), st.sampled_from([{}, {"crashed": True}, {"seal": False}]))
@CHECK
def test_a_recording_that_stops_anywhere_raises_nothing(seed, share, how):
    steps = converse(Random(seed))

    assert trouble(written(steps[: int(len(steps) * share)], **how)) == {}


@given(SEEDS, st.floats(0, 1), st.integers(1, 12), st.booleans())
@CHECK
def test_what_is_lost_in_a_gap_raises_nothing(seed, share, size, blind):
    steps = converse(Random(seed))
    at = int(len(steps) * share)
    stop = min(len(steps), at + size)
    # Handshakes and ends are known all the same; connections that were open then may not be followed any further.
    lost = [step for step in steps[at:stop] if is_known(step)]
    cut = {step.who for step in steps[:stop] if step.what.startswith("connects")} if blind else set()
    rest = [step for step in steps[stop:] if is_known(step) or step.who not in cut]
    length = (steps[stop - 1].t - steps[at].t + 1) * 1_000_000 if at < stop else 1
    mark = Step(steps[stop - 1].t, "mark", f'gap {{"ns": {length + size * 1_000_000}}}')

    assert trouble(written([*steps[:at], *lost, mark, *rest])) == {}


def is_known(step: Step) -> bool:
    return step.what.startswith(("connects", "refused", "ends")) or step.who in ("mark", "tick", "get")


@given(SEEDS, st.integers(0, 1 << 16), st.sampled_from(["truncated", "erased"]))
@CHECK
def test_a_message_that_is_not_whole_raises_nothing(seed, which, flag):
    steps = converse(Random(seed))
    said = [n for n, step in enumerate(steps) if step.message is not None]
    if not said:
        return
    at = said[which % len(said)]
    steps[at] = Step(steps[at].t, steps[at].who, f"{'<' if steps[at].by_server else '>'} !{flag} {{")

    assert trouble(written(steps)) == {}


@cache
def in_messagepack() -> Contract:
    text = files("goldentape.schemas").joinpath("contracts/golden-path.yaml").read_bytes()
    return read_contract(text.replace(b"format: json", b"format: msgpack"), "golden-path.yaml")


@given(SEEDS)
@settings(CHECK, max_examples=15)
def test_messagepack_is_judged_as_json_is(seed):
    steps = converse(Random(seed))
    if seed % 2:
        steps = MUTATIONS["tool_completed never comes"][0](Random(seed), steps) or steps
    packed = [
        step
        if step.message is None
        else replace(
            step,
            message=None,
            what=f"{'<' if step.by_server else '>'} 0x{msgpack.packb(step.message).hex()}",
        )
        for step in steps
    ]
    assert counts(judge(in_messagepack(), talk(*sentences(packed)).tape)) == counts(written(steps))


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_a_bad_server_makes_of_it_is_caught(name):
    mutate, killers = MUTATIONS[name]
    caught = 0
    for seed in range(40):
        random = Random(f"{name}{seed}")
        steps = mutate(random, converse(random, stays=True))
        if steps is None:
            continue
        verdict = written(steps)
        assert failed(verdict) & killers, (seed, troubled(verdict))
        caught += 1
        if caught == 5:
            return
    assert caught


# -- the same, told otherwise


def counts(verdict: Verdict, without: frozenset[str] = frozenset()) -> dict[str, tuple[int, ...]]:
    """Return what each invariant has counted."""
    return {
        o.name: (o.tally.activations, o.tally.violated + o.tally.demoted, o.tally.waived, o.tally.not_applicable)
        for o in verdict.outcomes
        if o.name not in without and not o.name.startswith("wire.")
    }


def interleaved(random: Random, steps: list[Step]) -> list[Step]:
    """Return another order that keeps each user's own."""
    queues: dict[str, list[Step]] = {}
    for step in steps:
        queues.setdefault(step.user, []).append(step)
    found = []
    while queues:
        user = random.choice(sorted(queues))
        found += queues[user][: (size := random.randint(1, 8))]
        del queues[user][:size]
        if not queues[user]:
            del queues[user]
    return found


def tabs_swapped(random: Random, steps: list[Step]) -> list[Step]:
    """Return an order in which copies come in other tabs first, as far as one cannot tell."""
    steps = list(steps)
    for _ in range(3 * len(steps)):
        at = random.randrange(len(steps) - 1) if len(steps) > 1 else 0
        one, other = steps[at : at + 2] if len(steps) > 1 else (steps[0], steps[0])
        if one.user == other.user and one.who != other.who and one.event >= 0 and one.event == other.event:
            steps[at], steps[at + 1] = replace(other, copy=False), replace(one, copy=True)
    return steps


ANY_OF = ["", "", *MUTATIONS]
PRIVATE = [name for name in ANY_OF if "another" not in name]
"""Mutations that stay with one user."""


def maybe_broken(seed: int, names: list[str]) -> list[Step]:
    random = Random(seed)
    steps = converse(random, stays=bool(seed % 2))
    name = random.choice(names)
    return (MUTATIONS[name][0](random, steps) or steps) if name else steps


def slowly(steps: list[Step]) -> list[str]:
    """Return the sentences without the time between them."""
    return [step.sentence() for step in steps]


@given(SEEDS)
@CHECK
def test_the_order_of_different_users_does_not_matter(seed):
    steps = maybe_broken(seed, PRIVATE)
    patient = golden_path(connect="1h", first="1h", total="1h", devices="1h")
    one = judge(patient, talk(*slowly(steps)).tape)
    other = judge(patient, talk(*slowly(tabs_swapped(Random(seed), interleaved(Random(seed), steps)))).tape)

    # Which connection takes part in what the user's others are told, shows only in which was told first.
    told_first = ACROSS | {"all-devices", "delivery-sla"}  # and the stamps are of the time that was left out
    assert counts(other, told_first) == counts(one, told_first)
    assert not other.outcome("all-devices").tally.violated


@given(SEEDS)
@CHECK
def test_the_whole_is_its_users_together(seed):
    steps = maybe_broken(seed, PRIVATE)
    talked = talk(*sentences(steps))
    whole = counts(judge(golden_path(), talked.tape), ACROSS)
    total = dict.fromkeys(whole, (0, 0, 0, 0))
    for user in talked.tape.users():
        for name, found in counts(judge(golden_path(), talked.tape, user.name), ACROSS).items():
            total[name] = tuple(map(sum, zip(total[name], found, strict=True)))

    assert total == whole


@given(SEEDS)
@settings(CHECK, max_examples=30)
def test_a_witness_by_itself_still_fails_and_with_less_it_does_not(seed):
    steps = maybe_broken(seed, [name for name in ANY_OF if name])
    said = sentences(steps)
    talked = talk(*said)
    messages = {seq for seq, sentence in zip(talked.seqs, said, strict=True) if is_message(sentence)}
    for outcome in judge(golden_path(), talked.tape).outcomes:
        for group in outcome.groups:
            violation = group.first[0]
            if outcome.name.startswith("wire.") or violation.paths == ("p95",):
                continue
            proof = set(violation.seqs) & messages
            assert violation.fingerprint in cut_to(proof, said, talked.seqs), violation
            for seq in proof:
                assert violation.fingerprint not in cut_to(proof - {seq}, said, talked.seqs), (violation, seq)


def is_message(sentence: str) -> bool:
    return " > {" in sentence or " < {" in sentence


def cut_to(kept: set[int], said: list[str], seqs: tuple[int, ...]) -> set[str]:
    """Return the fingerprints of what fails when only these messages were there, at their times."""
    cut = ["1ms" if is_message(s) and seq not in kept else s for s, seq in zip(said, seqs, strict=True)]
    verdict = judge(golden_path(), talk(*cut).tape)
    return {fingerprint for outcome in verdict.outcomes for fingerprint in outcome.tally.groups}


def test_the_generator_is_worth_its_name():
    steps = [step for seed in range(60) for step in converse(Random(seed))]
    text = json.dumps([step.sentence() for step in steps])

    for wanted in ("refused", "ends eof by client", "close 1001", "agent_timeout", "agent_error", "token_refresh",
                   "tool_call_id", "event_id", "/3 connects", "{not JSON", "0x00ff10", "delivery_unknown"):  # fmt: skip
        assert wanted in text
