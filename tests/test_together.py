"""`together`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, judge, talk

RUN = "{kind: together, scope: run, events: [tool_executing, tool_completed]}"
LINE = "{kind: together, per: connection, events: [agent_started, agent_completed, stop]}"
USER = "{kind: together, per: user, events: [agent_started, agent_completed]}"
BYE = ["bob > (close 1000)", "bob < (close 1000)"]
LET_GO = ["bob < (close 1000)", "bob > (close 1000)"]
START, DONE = "bob < agent_started r1", "bob < agent_completed r1"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (RUN, [START, "* bob < tool_executing r1", "* " + DONE]),
        (RUN, [START, "* bob < tool_completed r1", "* " + DONE]),
        (RUN, [START, "bob < tool_executing r1", "bob < agent_started r2", "bob < tool_completed r2", DONE]),
        (LINE, ["* bob < agent_started", "bob > stop", "* bob < (close 1000)", "bob > (close 1000)"]),
        (USER, [START, *LET_GO]),
    ],
)
def test_one_without_the_other_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (RUN, [START, "bob < tool_completed r1", "bob < tool_executing r1", DONE]),  # in any order
        (RUN, [START, "bob < tool_executing r1", "bob < tool_executing r1", "bob < tool_completed r1", DONE]),
        (RUN, [START, "bob < tool_executing r1", "bob ends eof by client", "bob/2 < tool_completed r1",
               "bob/2 < agent_completed r1"]),
        (RUN, [START, "bob < tool_executing r1", *BYE, "2min"]),  # the client left: waived
        (USER, [START, "bob ends reset by server", "bob/2 < agent_completed r1", "bob/2 < (close 1000)"]),
        (LINE, ["bob > stop", "bob < agent_completed", "bob < agent_started", *LET_GO]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (RUN, "inconclusive", [START, "bob < tool_executing r1"]),  # the recording stopped
        (RUN, "inconclusive", [START, "bob < tool_executing r1", "mark gap", DONE]),
        (RUN, "vacuous", [START, DONE]),
    ],
)
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_each_that_is_missing_is_a_finding_of_its_own_and_a_clients_only_warns():
    outcome = judge(contract(LINE), talk("bob < agent_started", *LET_GO).tape).outcome("it")

    assert {group.first[0].expected: group.first[0].fault for group in outcome.groups} == {
        "agent_completed": "server",
        "stop": "client",
    }
