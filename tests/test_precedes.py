"""`precedes`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect

from verifier.load import ContractError

ACK = "{kind: precedes, per: connection, first: agent_started, then: [tool_completed, agent_completed]}"
ASKED = "{kind: precedes, per: connection, first: ask, then: agent_started, mode: each}"
RESULT = "{kind: precedes, per: connection, first: tool_executing, then: tool_completed, agree: [data.call_id]}"
OWN = (
    "{kind: precedes, per: connection, first: tool_executing, then: tool_completed, mode: each, agree: [data.call_id]}"
)
PARENT = (
    "{kind: precedes, scope: run, first: tool_executing, then: tool_executing, where: {parent: {exists: true}},"
    " agree: {parent: id}}"
)
NEXT = "{kind: precedes, per: connection, first: agent_thinking, then: tool_executing, mode: adjacent}"
NEXT_SAME = (
    "{kind: precedes, per: connection, first: tool_executing, then: tool_completed, mode: adjacent,"
    " agree: [data.call_id]}"
)
AFTER_STOP = "{kind: precedes, per: connection, first: stop, then: agent_error, mode: adjacent}"
ACCEPTED = "{kind: precedes, per: connection, first: $accept, then: agent_started}"
USER = "{kind: precedes, per: user, first: agent_started, then: agent_completed}"
MARKED = "{kind: precedes, per: recording, first: fault_begin, then: agent_error}"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ACK, ["* bob < agent_completed", "bob < agent_started"]),
        (ACK, ["bob < agent_started", "* eve < tool_completed"]),
        (ACK, ["bob < agent_started", "bob ends", "* bob/2 < tool_completed"]),
        (ASKED, ["bob > ask", "* bob < agent_started", "* bob < agent_started"]),
        (ASKED, ["* bob < agent_started", "bob > ask"]),
        (ASKED, ["* bob < agent_started", "10ms", "bob > ask"]),  # a need is never softened by a race
        (RESULT, ["* bob < tool_executing c1", "* bob < tool_completed c2"]),
        (RESULT, ["* bob < tool_executing c1", "* bob < tool_completed"]),
        (RESULT, ["* bob < tool_executing data.call_id:=1", '* bob < tool_completed data.call_id:="1"']),
        (OWN, ["bob < tool_executing c1", "bob < tool_completed c1", "* bob < tool_completed c1"]),
        (OWN, ["bob < tool_executing c1", "bob < tool_executing c2", "bob < tool_completed c1",
               "* bob < tool_completed c1", "bob < tool_completed c2"]),
        (PARENT, ["bob < agent_started r1", "* bob < tool_executing r1 id=a",
                  "* bob < tool_executing r1 id=b parent=x"]),
        (PARENT, ["bob < agent_started r1", "* bob < tool_executing r1 id=a parent=a"]),  # itself is not earlier
        (PARENT, ["bob < agent_started r1", "bob < tool_executing r1 id=a", "bob < agent_completed r1",
                  "bob < agent_started r2", "* bob < tool_executing r2 id=b parent=a"]),  # of another run
        (NEXT, ["bob < agent_thinking", "* bob < agent_error", "* bob < tool_executing"]),
        (NEXT, ["bob < agent_thinking", "* bob < tool_executing", "* bob < tool_executing"]),
        (NEXT, ["* bob < tool_executing"]),
        (NEXT_SAME, ["* bob < tool_executing c1", "* bob < tool_completed c2"]),
        (AFTER_STOP, ["bob > stop", "* bob < agent_thinking", "1s", "* bob < agent_error"]),
        (USER, ["bob > ask", "* bob < agent_completed"]),
        (MARKED, ["* bob < agent_error", "mark fault_begin"]),
    ],
)  # fmt: skip
def test_what_comes_too_early_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ACK, ["bob < agent_started", "bob < agent_completed", "bob < tool_completed"]),
        (ASKED, ["bob > ask", "bob < agent_started", "bob > ask", "bob > ask", "bob < agent_started"]),
        (RESULT, ["bob < tool_executing c1", "bob < tool_executing c2", "bob < tool_completed c2",
                  "bob < tool_completed c1", "bob < tool_completed c1"]),
        (RESULT, ["bob < tool_executing", "bob < tool_completed"]),  # absent in both
        (RESULT, ["bob < tool_executing data.call_id:=1", "bob < tool_completed data.call_id:=1.0"]),
        (OWN, ["bob < tool_executing c1", "bob < tool_executing c2", "bob < tool_completed c2",
               "bob < tool_completed c1"]),
        (PARENT, ["bob < agent_started r1", "bob < tool_executing r1 id=a", "bob < tool_executing r1 id=b parent=a",
                  "bob < tool_executing r1 id=c parent=b"]),
        (NEXT, ["bob < agent_thinking", "bob > ask", "bob < tool_executing"]),  # the other side's are not between
        (NEXT, ["bob < agent_thinking", "bob < heartbeat", "bob < tool_executing"]),  # nor what is no event
        (NEXT_SAME, ["bob < tool_executing c1", "bob < tool_completed c1"]),
        (ACCEPTED, ["bob connects /", "bob < agent_started"]),
        (USER, ["bob < agent_started", "bob ends eof by client", "bob/2 < agent_completed"]),
        (USER, ["bob connects /", "bob/2 connects /", "bob < agent_started e1", "bob/2 < agent_started e1",
                "bob/2 < agent_completed e2", "bob < agent_completed e2"]),
        (MARKED, ["bob > ask", "mark fault_begin", "bob < agent_error"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (ACK, "inconclusive", ["bob > ask", "mark gap", "bob < agent_completed"]),
        (ACK, "inconclusive", ["bob > ask", "bob < !truncated x", "bob < agent_completed"]),
        (ASKED, "inconclusive", ["bob > ask", "bob < agent_started", "mark gap", "bob < agent_started"]),
        # what was lost before the last one is no excuse
        (ASKED, "fail", ["mark gap", "bob > ask", "* bob < agent_started", "* bob < agent_started"]),
        (NEXT, "inconclusive", ["bob < agent_thinking", "bob < agent_error", "mark gap", "bob < tool_executing"]),
        (ACK, "vacuous", ["bob < agent_started"]),
    ],
)
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_two_that_crossed_on_the_way_are_not_between():
    after_thinking = "{kind: precedes, per: connection, first: stop, then: ask, mode: adjacent}"

    expect(AFTER_STOP, "pass", "bob > stop", "bob < agent_error")
    expect(AFTER_STOP, "fail", "bob > stop", "bob < agent_thinking", "bob < agent_error")  # of the same side
    expect(AFTER_STOP, "pass", "bob > stop", "bob > ask", "bob < agent_error")
    expect(AFTER_STOP, "fail", "bob > stop", "* bob > ask", "1s", "* bob < agent_error")
    expect(after_thinking, "pass", "bob > stop", "bob < agent_thinking", "bob > ask")


@pytest.mark.parametrize(
    "invariant, told",
    [
        ("{kind: precedes, per: connection, first: fault_begin, then: ask}", "say `per: recording`"),
        ("{kind: precedes, per: [connection, thread], first: $accept, then: ask}", "say `per: connection`"),
        ("{kind: precedes, scope: run, first: $accept, then: agent_thinking}", "say `per: connection`"),
        ("{kind: precedes, first: aks, then: agent_thinking}", "did you mean ask?"),
    ],
)
def test_what_would_never_be_seen_is_refused(invariant, told):
    from verifier.lint import demand

    with pytest.raises(ContractError, match=told.replace("?", r"\?")):
        demand(contract(invariant))
