"""`noninterference`: what others change in what a user sees, and what they may."""

import json

import pytest
from agents import contract, talk, troubled

from verifier.check import verify
from verifier.history import Source
from verifier.whole import verify_tape

ALONE = """{kind: noninterference, baseline: {match: script}, view: {order: per_run, fields: shape,
 ignore: [timestamp, user_id, "**.*_id"]}}""".replace("\n", "")
VALUES = ALONE.replace("fields: shape", "fields: values")
TYPES = ALONE.replace("fields: shape", "fields: types")
SESSION = ALONE.replace("order: per_run", "order: per_session")


def run(who, thread="t1", id="r1", thoughts=1, result="done", **more):
    fields = " ".join(f"{name}:={json.dumps(value)}" for name, value in more.items())
    return [
        f"{who} > ask {thread}",
        f"{who} < agent_started {thread} {id}",
        *[f"{who} < agent_thinking {thread} {id} thought=hm" for _ in range(thoughts)],
        f"{who} < agent_completed {thread} {id} data.result={result} {fields}".strip(),
    ]


def leaves(who):
    return [f"{who} > (close 1000)", f"{who} < (close 1000)"]


def tags(script):
    return json.dumps({"tags": {"script": script}} if script else {})


def found(invariant, alone, *sentences, tag=None):
    talked = talk(*sentences, options=tags(tag))
    pairs = [one if isinstance(one, tuple) else (one, None) for one in alone]
    solos = [talk(*one, options=tags(script)).tape for one, script in pairs]
    rules = contract(invariant)
    whole = verify(rules, Source.of(talked.tape), [Source.of(tape) for tape in solos])
    divided = verify_tape(rules, talked.tape, None, [Source.of(tape) for tape in solos])
    outcome = whole.outcome("it")
    assert divided.outcome("it").verdict == outcome.verdict, (troubled(whole), troubled(divided))
    witnesses = [set(violation.seqs) for group in outcome.groups for violation in group.first]
    if talked.culprits:
        assert any(talked.culprits <= witness for witness in witnesses), (talked.culprits, witnesses)
    return outcome


def solo(**more):
    return [*run("ann", **more), *leaves("ann")]


TWICE = [solo(), solo()]
TOGETHER = [line for pair in zip(run("bob", "t1", "r5"), run("eve", "t2", "r6"), strict=True) for line in pair]


@pytest.mark.parametrize("invariant", [ALONE, VALUES, TYPES, SESSION])
def test_who_sees_the_same_as_alone_is_not_interfered_with(invariant):
    outcome = found(invariant, TWICE, *run("bob"), *leaves("bob"))

    assert outcome.verdict == "pass"
    assert outcome.tally.activations == 1


def test_two_users_at_once_each_see_what_is_seen_alone():
    script = ALONE.replace('"**.*_id"', '"**.*_id", thread_id')

    assert found(script, TWICE, *TOGETHER).tally.activations == 2


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ALONE, [*run("bob")[:2], "* bob < agent_error r1 message=busy", *run("bob")[2:], *leaves("bob")]),
        (ALONE, [*run("bob")[:2], f"* {run('bob')[3]}", *leaves("bob")]),  # a thought less
        (ALONE, [*run("bob")[:3], "* bob < agent_completed t1 r1 data.result:=[1]", *leaves("bob")]),
        (ALONE, [*run("bob")[:3], "* bob < agent_completed t1 r1 data.result=done data.queue:=3", *leaves("bob")]),
        (TYPES, [*run("bob")[:2], f"* {run('bob')[3]}", run("bob")[2], *leaves("bob")]),  # in another order
        (VALUES, [*run("bob")[:3], "* bob < agent_completed t1 r1 data.result=other", *leaves("bob")]),
        (ALONE, [*run("bob"), "* bob < agent_started t9 r9", *leaves("bob")]),  # a run of somebody else's
    ],
)
def test_what_others_change_is_found(invariant, sentences):
    assert found(invariant, TWICE, *sentences).verdict == "fail"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ALONE, [*run("bob", result="something-else"), *leaves("bob")]),
        (TYPES, [*run("bob")[:3], "bob < agent_completed t1 r1 data.result:=[1]", *leaves("bob")]),
        (VALUES, [*run("bob", id="r77"), *leaves("bob")]),
        (ALONE.replace("order: per_run", "order: set"), [run("bob")[0], *run("bob")[:0:-1], *leaves("bob")]),
    ],
)
def test_what_the_view_leaves_out_may_differ(invariant, sentences):
    assert found(invariant, TWICE, *sentences).verdict == "pass"


def test_runs_may_interleave_as_they_like():
    two = [*run("ann", id="r1"), *run("ann", id="r2"), *leaves("ann")]
    asks, rest = (
        [run("bob")[0]] * 2,
        [pair for i in (1, 2, 3) for pair in (run("bob", id="r2")[i], run("bob", id="r1")[i])],
    )
    mixed = [asks[0], *rest[:3], asks[1], *rest[3:], *leaves("bob")]

    assert found(ALONE, [two, two], *mixed).verdict == "pass"
    assert found(SESSION, [two, two], *mixed).verdict == "fail"


def test_recordings_that_differ_say_how_much_may():
    spread = [solo(thoughts=1), solo(thoughts=4)]

    assert found(ALONE, spread, *run("bob", thoughts=2), *leaves("bob")).verdict == "pass"
    assert found(ALONE, spread, *run("bob", thoughts=7), *leaves("bob")).verdict == "pass"
    assert found(ALONE, spread, *run("bob", thoughts=8), *leaves("bob")).verdict == "fail"


def test_one_recording_is_not_enough():
    assert found(ALONE, [solo()], *run("bob"), *leaves("bob")).verdict == "inconclusive"
    assert found(ALONE.replace("match: script", "repeats: 3"), TWICE, *run("bob")).verdict == "inconclusive"


def test_who_did_something_else_is_not_compared():
    outcome = found(ALONE, TWICE, "bob > ask t1 content=hello", *run("bob")[1:], *leaves("bob"))

    assert (outcome.verdict, outcome.tally.not_applicable) == ("vacuous", 1)


def test_users_can_be_compared_by_name():
    named = ALONE.replace("match: script", "match: user")

    assert found(named, TWICE, *run("ann"), *leaves("ann")).verdict == "pass"
    assert found(named, TWICE, *run("ann")[:2], run("ann")[3], *leaves("ann")).verdict == "fail"
    assert found(named, TWICE, *run("bob"), *leaves("bob")).verdict == "vacuous"


def test_without_any_baseline_it_is_not_applicable_and_spoils_no_pass():
    talked = talk(*run("bob"), *leaves("bob"))
    rules = contract(f"it: {ALONE}", "other: {kind: never, event: agent_error}")
    verdict = verify_tape(rules, talked.tape)

    assert verdict.outcome("it").verdict == "not applicable"
    assert verdict.verdict == "pass"
    assert any("it is not applicable" in warning and "--baseline" in warning for warning in verdict.warnings)


def test_a_view_that_stops_early_is_no_interference_while_the_connection_is_open():
    assert found(ALONE, TWICE, *run("bob")[:3]).verdict == "inconclusive"


def test_recordings_of_another_script_are_left_out_by_their_tag():
    tagged = [(solo(), "refund"), (solo(), "refund"), (solo(thoughts=5), "other")]

    assert found(ALONE, tagged, *run("bob", thoughts=2), *leaves("bob"), tag="refund").verdict == "fail"
    assert found(ALONE, tagged, *run("bob", thoughts=2), *leaves("bob")).verdict == "pass"
    assert found(ALONE, tagged, *run("bob"), *leaves("bob"), tag="third").verdict == "vacuous"
