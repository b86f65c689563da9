"""`exclusive`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, judge, talk

RUN = "{kind: exclusive, scope: run, events: [tool_executing, agent_error, agent_timeout]}"
LINE = "{kind: exclusive, per: connection, events: [agent_completed, agent_error]}"
USER = "{kind: exclusive, per: user, events: [agent_completed, agent_error]}"
STOPPED = "{kind: exclusive, per: connection, events: [stop, agent_completed]}"
WHERE = "{kind: exclusive, per: connection, events: [agent_completed, agent_error], where: {data.final: true}}"
MARKED = "{kind: exclusive, per: recording, events: [fault_begin, agent_error]}"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (RUN, ["bob < agent_started r1", "* bob < tool_executing r1", "* bob < agent_error r1"]),
        (LINE, ["* bob < agent_completed", "* bob < agent_error", "bob < agent_error", "bob < agent_completed"]),
        (LINE, ["* bob < agent_completed", "mark gap", "* bob < agent_error"]),  # both were there
        (USER, ["* bob < agent_completed", "bob ends eof by client", "* bob/2 < agent_error"]),
        (STOPPED, ["* bob > stop", "300ms", "* bob < agent_completed"]),
        (STOPPED, ["* bob > stop", "bob < agent_completed", "300ms", "* bob < agent_completed"]),
        (WHERE, ["* bob < agent_completed data.final:=true", "* bob < agent_error data.final:=true"]),
        (MARKED, ["* bob < agent_error", "mark fault_begin"]),
    ],
)
def test_two_where_one_may_be_are_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (RUN, ["bob < agent_started r1", "bob < agent_started r2", "bob < tool_executing r1", "bob < agent_error r2",
               "bob < tool_executing r1"]),
        (RUN, ["bob < agent_started r1", "bob < tool_executing r1", "bob < agent_completed r1",
               "bob < agent_started r1", "bob < agent_error r1"]),
        (LINE, ["bob < agent_completed", "bob < agent_completed", "bob/2 < agent_error", "eve < agent_error"]),
        (STOPPED, ["bob > stop", "bob < agent_completed"]),  # they crossed on the way
        (WHERE, ["bob < agent_completed data.final:=true", "bob < agent_error data.final:=false", "bob < agent_error"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


def test_what_cannot_be_known_is_not_judged():
    expect(LINE, "vacuous", "bob > ask")
    expect(RUN, "inconclusive", "bob < agent_started", "bob < tool_executing", "mark gap", "bob < agent_error")


def test_each_event_is_reported_once():
    every = "{kind: exclusive, per: connection, events: [agent_thinking, agent_completed, agent_error]}"
    said = ["agent_thinking", "agent_error", "agent_completed", "agent_error", "agent_thinking"]

    assert judge(contract(every), talk(*(f"bob < {type_}" for type_ in said)).tape).outcome("it").tally.violated == 2
