"""Every fault, wherever it can be applied to the good tapes, is caught by the invariant that must catch it."""

import pytest
from agents import contract, failed, golden_path, talk, troubled
from histories import GOOD, draft, read, reading
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.check import verify
from verifier.faults import FAULTS
from verifier.faults.draft import Draft
from verifier.faults.trial import attempt, claims, judged
from verifier.history import Source
from verifier.invariants import KINDS

ALL = "every event"
NOTHING = "nothing a contract can see"
IDS = "who looks at the ids of messages, where they have some"

# For each fault: event to the invariant of golden-path that must be among its killers, with what was mutated in its
# witness.  Where the client leaves a moment later, what is owed to it is waived: NOTHING.
KILLERS: dict[str, dict[str, str]] = {
    "drop": {"agent_started": "ended", "agent_thinking": "five-events", "tool_executing": "tools-paired",
             "tool_completed": "tools-paired", "agent_completed": NOTHING},
    "omit": {"agent_started": "ended", "agent_thinking": "five-events", "tool_executing": "five-events",
             "tool_completed": "tools-paired", "agent_completed": NOTHING},
    "omit_everywhere": {"agent_started": "ended", "agent_thinking": "five-events", "tool_executing": "five-events",
                        "tool_completed": "tools-paired", "agent_completed": NOTHING},
    "duplicate": {"agent_started": "once", "agent_completed": "ended", "tool_executing": "tools-paired",
                  "tool_completed": "tools-paired", "agent_thinking": IDS},
    "swap": {"agent_thinking": "ended", "tool_executing": "right-order", "tool_completed": "tools-paired",
             "agent_completed": "ended"},
    "late": {"agent_started": "answered", "tool_completed": "tool-sla", ALL: "total-sla"},
    "silence": {"user_message": "answered", "ask": "answered", ALL: "ended"},
    "lose_completion": {ALL: "ended"},
    "early_event": {ALL: "ended"},
    "extra_after_exit": {ALL: "ended"},
    "cross_deliver": {ALL: "my-ids"},
    "forge_owner": {ALL: "mine"},
    "change_type": {ALL: "wire.unknown"},
    "truncate": {ALL: "wire.undecodable"},
    "close_1011": {ALL: "never-1011"},
    "vanish": {ALL: "never-1011"},
    "slow_handshake": {ALL: "connect-sla"},
    "expired_accepted": {ALL: "front-door"},
    "reject_valid": {ALL: "front-door"},
    "no_recovery": {"fault_begin": "degraded", "fault_end": "recovers"},
    "lost_copy": {ALL: "all-devices"},
    "leak_value": {ALL: "no-leak"},
    "outlive_token": {ALL: "expiry"},
    "forbidden": {ALL: "no-factory-error"},
    "lost_tail": {"agent_started": "ended", "agent_thinking": "five-events", "tool_executing": "tools-paired",
                  "tool_completed": "tools-paired", "agent_completed": NOTHING},
}  # fmt: skip
FIELDS = {
    ("lose_field", "timestamp"): "shapes",
    ("lose_field", "thread_id"): "shapes",
    ("lose_field", "agent_name"): "shapes",
    ("retype_field", "thread_id"): "shapes",
    ("retype_field", "agent_name"): "shapes",
    ("retype_field", "user_id"): "mine",
    ("mix_ids", "call"): "tools-paired",
}
"""The same for faults that are about one field or key."""


@pytest.mark.parametrize("tape", ["one-run", "two-users-two-runs", "two-tabs", "refused-and-refreshed"])
@pytest.mark.parametrize("name", KILLERS)
def test_each_fault_is_killed_by_the_invariant_that_must_catch_it(name, tape):
    history, fault, wanted = reading(tape), FAULTS[name], KILLERS[name]
    for place in fault.places(history):
        trial = attempt(history, fault, place)
        killer = wanted.get(place.event, wanted.get(ALL))
        if killer == IDS:
            killer = NOTHING if history.id_place(place.at[0]) is None else "no-repeat"
        if killer == NOTHING:
            assert trial.right == (), trial
        else:
            assert killer in trial.right, (trial.mutant.story, killer, trial.killers)


def test_every_fault_has_a_place_on_some_tape():
    everything = [reading(path.stem) for path in GOOD.glob("*.txt")]
    numbered = read(golden_path(), "alice < agent_started t1 r1 e1 n:=1", "alice < agent_thinking t1 r1 e2 n:=2")

    assert [name for name, f in FAULTS.items() if not any(list(f.places(h)) for h in [*everything, numbered])] == []


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_fault_of_one_field_is_killed_by_the_invariant_that_reads_it(name, field):
    history, fault, killer = reading("two-users-two-runs"), FAULTS[name], FIELDS[name, field]
    places = [place for place in fault.places(history) if field in (place.field, place.how)]
    assert places
    for place in places:
        trial = attempt(history, fault, place)
        assert killer in trial.right, (trial.mutant.story, killer, trial.killers)


def test_results_that_reach_the_wrong_call_are_killed():
    history = reading("parallel-tools")
    places = [p for p in FAULTS["reorder_tools"].places(history) if "cost" in str(history.seen[p.at[1]].value)]
    assert places
    for place in places:
        assert "tools-paired" in attempt(history, FAULTS["reorder_tools"], place).right


def test_a_readdressed_message_is_caught_by_its_ids():
    history = reading("two-users-two-runs")
    for place in FAULTS["cross_deliver"].places(history):
        trial = attempt(history, FAULTS["cross_deliver"], place)
        assert ("mine" in trial.right) == (place.how == "as is")


@pytest.mark.parametrize("name", sorted(path.stem for path in GOOD.glob("*.txt")))
def test_a_draft_without_a_fault_is_judged_as_the_tape_is(name):
    verdict, mutated = judged(golden_path(), draft(name))

    assert failed(verdict) == set(), troubled(verdict)
    assert not mutated


@pytest.mark.parametrize("name", FAULTS)
@given(data=st.data())
@settings(max_examples=6)
def test_a_fault_is_a_pure_function_whose_strategy_gives_what_it_gives(name, data):
    history, fault = reading("two-users-two-runs"), FAULTS[name]
    before = history.draft
    places = list(fault.places(history))
    if not places:
        return
    mutant = data.draw(fault.strategy(history))

    assert mutant in [fault.apply(history, place) for place in places]
    assert mutant.draft != before
    assert history.draft is before
    assert mutant.story and mutant.users


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_names_kinds_that_there_are_and_has_a_page(name):
    fault = FAULTS[name]
    kinds = {word.partition(".")[0] for word in fault.kinds}

    assert kinds <= {*KINDS, "wire"}
    assert fault.page.startswith(f"{name}: ")
    assert "Applied " in fault.page


def test_two_messages_of_one_packet_are_in_order_all_the_same():
    history = reading("one-run")
    [at] = [n for n in history.told if history.event(n) == "tool_completed"]
    twice = history.draft.inserted(at, history.lines[at])
    after = history.draft.inserted(at + 1, history.lines[at])

    assert twice.lines[at].t == twice.lines[at + 1].t
    assert "tools-paired" in failed(judged(golden_path(), twice)[0])
    assert "ended" in failed(judged(golden_path(), after)[0])


def test_a_contract_claims_only_what_its_options_ask_for():
    rules = contract("bounded: {kind: count, scope: run, event: agent_thinking, max: 3, min_activations: 0}")
    history = read(rules, "alice > ask t1", "alice < agent_started t1 r1", "alice < agent_thinking t1 r1")
    [first, second] = FAULTS["drop"].places(history)

    assert claims(history, FAULTS["drop"], second) == ()
    assert claims(history, FAULTS["duplicate"], second) == ("bounded",)
    assert claims(history, FAULTS["duplicate"], first) == ()


def test_a_draft_of_two_users_parts_is_the_draft_of_the_whole():
    lines = (GOOD / "two-users-two-runs.txt").read_text("utf-8").splitlines()
    tape = talk(*(line for line in lines if not line.startswith("#"))).tape
    whole = Draft.of(Source.of(tape))
    parts = Draft.merged([Draft.of(Source.of(tape, user)) for user in ("alice", "bob")])

    assert parts.lines == whole.lines
    assert parts.connections == whole.connections
    assert failed(verify(golden_path(), parts.source()[0])) == set()
