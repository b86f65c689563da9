"""`coverage`: what was seen, and what never was."""

import json

import pytest
from agents import contract, golden_path, judge, talk
from crowds import crowd, leave

from goldentape.errors import GoldentapeError
from verifier.whole import verify_tape

RUN = ["bob < agent_started r1", "bob < agent_completed r1"]
THINK = "think: {kind: never, event: agent_thinking, scope: run}"


def missing(invariant: str, *sentences: str, **options) -> str | None:
    verdict = judge(contract(THINK, f"{{kind: coverage, {invariant}}}"), talk(*sentences, **options).tape)
    told = next((w for w in verdict.warnings if w.startswith("it: ")), None)
    assert (verdict.outcome("it").verdict == "pass") is (told is None)
    assert verdict.outcome("it").verdict in ("pass", "vacuous")
    return told


@pytest.mark.parametrize(
    "invariant, sentences, never",
    [
        ("exits: {run: completed}", RUN, None),
        ("exits: {run: [completed, failed]}", RUN, "exit of run failed"),
        ("exits: {run: disconnected}", [RUN[0], *leave("bob"), "2min", "tick"], None),
        ("exits: {run: disconnected}", [*RUN, *leave("bob"), "2min", "tick"], "exit of run disconnected"),
        ("events: [agent_started, agent_error]", RUN, "event agent_error"),
        ("users: [1, 2]", ["bob connects /", "eve connects /"], None),
        ("users: [1, 2]", ["bob connects /", "bob/2 connects /"], "users at once 2"),
        ("users: [2]", ["bob connects /", *leave("bob"), "eve connects /"], "users at once 2"),
        ("auth: [expired, none]", ["bob refused 401 credential=expired", "eve refused 401 rule=connection"], None),
        ("auth: [expired, valid]", ["bob refused 401 credential=expired"], "credential valid"),
        ("auth: none", ["bob connects / rule=header:X"], "credential none"),  # nobody knows
        ("invariants: all_activated", RUN, None),
        ("invariants: all_activated", ["bob > ask"], "invariant think"),
    ],
)
def test_what_was_never_seen_is_told(invariant, sentences, never):
    assert missing(invariant, *sentences) == (f"it: never seen: {never}" if never else None)


def test_a_valid_token_is_one_whose_signature_was_checked():
    said = ["bob connects / credential=valid"]

    assert missing("auth: valid", *said) == "it: never seen: credential valid"
    assert missing("auth: unverified", *said) is None
    assert missing("auth: valid", *said, options='{"signatures": true}') is None


def test_tags_are_those_of_the_recording():
    said = {"options": json.dumps({"tags": {"tier": "hard"}})}

    assert missing("tags: {tier: [hard]}", *RUN, **said) is None
    assert missing("tags: {tier: [hard, easy]}", *RUN, **said) == "it: never seen: tag tier easy"


def test_a_part_of_it_may_be_enough():
    said = "{kind: coverage, exits: {run: [completed, failed]}, min_activations: 1}"

    assert judge(contract(said), talk(*RUN).tape).outcome("it").verdict == "pass"


def test_golden_path_tells_what_a_tape_does_not_show_and_fails_nothing():
    verdict = judge(golden_path(), talk(*crowd(12, 0)).tape)

    assert (verdict.verdict, verdict.outcome("covered").verdict) == ("pass", "vacuous")
    assert any(
        "exit of run failed, timed_out, disconnected and shut_down; users at once 50" in w for w in verdict.warnings
    )


def test_the_quick_way_has_seen_the_same():
    talked = talk(*crowd(12, 2), "x < agent_started t99 r99", "x < agent_error t99 r99", *leave("x"))
    one, other = judge(golden_path(), talked.tape), verify_tape(golden_path(), talked.tape)

    assert one.outcome("covered").tally.activations == other.outcome("covered").tally.activations == 4
    assert one.warnings == other.warnings


@pytest.mark.parametrize(
    "invariant, word",
    [
        ("{kind: coverage}", "nothing is named"),
        ("{kind: coverage, exits: {run: done}}", "no such exit"),
        ("{kind: coverage, auth: expird}", "did you mean expired?"),
        ("{kind: coverage, events: nothing}", "no such event"),
        ("{kind: coverage, users: [1], per: user}", "neither"),
    ],
)
def test_what_makes_no_sense_is_refused(invariant, word):
    with pytest.raises(GoldentapeError) as error:
        judge(contract(invariant), talk("bob > ask").tape)
    assert word in str(error.value)
