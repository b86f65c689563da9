"""`count`: what breaks it, and what only looks like it."""

import pytest
from agents import expect

RUN = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"]
FIVE = f"{{kind: count, scope: run, each: [{', '.join(RUN)}], min: 1, when: {{exit: completed}}}}"
ONCE = "{kind: count, per: run, each: [agent_started, agent_completed], max: 1}"
TWO = "{kind: count, per: connection, event: [agent_thinking, agent_error], exactly: 2}"
ONE_EACH = "{kind: count, per: user, event: agent_completed, min: 1}"
LEFT = "{kind: count, per: connection, event: agent_thinking, min: 1, at_end: {left: violated}}"
ALL = [f"bob < {name} t1 r1" for name in RUN]
BYE = ["bob < (close 1000)", "bob > (close 1000)"]


@pytest.mark.parametrize("lost", range(1, 4))
def test_each_of_the_five_events_is_missed(lost):
    rest = [f"bob < {name} t1 r1" for name in RUN if name != RUN[lost]]
    rest[0], rest[-1] = "* " + rest[0], "* " + rest[-1]
    expect(FIVE, "fail", *rest)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ONCE, ["* bob < agent_started r1", "* bob < agent_started r1"]),
        (ONCE, [*ALL, "* bob < agent_completed r1"]),
        (ONCE, ["bob < agent_completed r1", "bob ends eof by client", "* bob/2 < agent_completed r1"]),
        (ONCE, ["bob < agent_started e1", "* bob < agent_started e2"]),  # without ids, and the first is still open
        (ONCE, ["bob < agent_started r1 e1", "* bob < agent_started r1 e1"]),  # a duplicate is no copy
        (TWO, ["* bob < agent_error", "* bob < agent_thinking", "* bob < agent_thinking"]),
        (TWO, ["* bob < agent_error", *BYE]),
        (TWO, ["bob connects /", *BYE]),
        (ONE_EACH, ["bob > ask t1", "bob < agent_started r1", "bob < (close 1000)", "bob ends"]),
        (ONE_EACH, ["bob < agent_completed r1", "eve > ask", "eve < (close 1000)", "eve ends eof by server"]),
        (LEFT, ["bob < agent_started r1", "* bob > (close 1000)", "bob < (close 1000)", "2min"]),
    ],
)
def test_too_many_and_too_few_are_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (FIVE, ALL),
        (FIVE, [*ALL, "bob < agent_started r2", "bob < agent_error r2"]),  # ended otherwise
        (FIVE, [*ALL[:2], "bob ends eof by client", *[s.replace("bob", "bob/2") for s in ALL[2:]]]),  # reconnects
        (FIVE, [s.replace(" r1", "") for s in ALL]),  # no ids at all, one run at a time
        (FIVE, [s.replace(" r1", "") for s in ALL] * 3),
        (FIVE, [x for s in ALL for x in (s, s.replace("r1", "r2"))]),  # side by side
        (FIVE, [*ALL, "bob < agent_started r2", "bob > (close 1000)", "bob < (close 1000)", "2min"]),
        (FIVE, [*ALL, *ALL]),  # a run id may be used again in the next run
        (ONCE, ALL),
        (ONCE, ["bob < agent_started r1", "bob < agent_started r2"]),
        (ONCE, ["bob < agent_started r1", "eve < agent_started r1"]),  # `owner` knows
        (ONCE, ["bob connects /", "bob/2 connects /", "bob < agent_started r1 e1", "bob/2 < agent_started r1 e1"]),
        (ONCE, ["bob connects /", "bob/2 connects /", "bob < agent_started r1", "bob/2 < agent_started r1"]),
        (ONCE, ["bob < agent_started r1 e1", "bob ends eof by client", "bob/2 < agent_started r1 e1"]),  # told again
        (ONCE, ["bob < agent_started", "bob < agent_completed", "bob < agent_started", "bob < agent_completed"]),
        (ONCE, ["bob < agent_started r1", "bob < !delivery_unknown agent_started r1"]),
        (TWO, ["bob < agent_error", "bob < agent_thinking", *BYE]),
        (TWO, ["bob < agent_error", "bob < agent_thinking", *BYE, "bob/2 < agent_error", "bob/2 < agent_error",
               "bob/2 < (close 1000)", "bob/2 > (close 1000)"]),
        (ONE_EACH, ["bob < agent_completed r1", *BYE]),
        (LEFT, ["bob < agent_started r1", "bob < agent_thinking r1", "bob > (close 1000)", "bob < (close 1000)"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (FIVE, "inconclusive", ["bob < agent_started r1", "bob < agent_thinking r1"]),  # the recording stopped
        (FIVE, "vacuous", ["bob < agent_started r1", "bob < agent_error r1"]),
        (FIVE, "vacuous", ["bob < agent_started r1", "bob > (close 1000)", "bob < (close 1000)"]),
        (TWO, "inconclusive", ["bob < agent_error"]),
        (TWO, "pass", ["bob < agent_error", "bob > (close 1000)", "bob < (close 1000)"]),  # waived: the client left
        (FIVE, "inconclusive", [*ALL[:3], "mark gap {}", *ALL[4:]]),
        (FIVE, "inconclusive", [*ALL[:3], "bob < !truncated x", *ALL[4:]]),
        (FIVE, "inconclusive", ["bob < agent_started", "eve < agent_started", "mark gap", "bob < agent_completed",
                                "eve < agent_completed"]),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_a_crash_of_the_recorder_leaves_open_runs_unjudged():
    expect(FIVE, "inconclusive", *ALL[:3], crashed=True)
    expect(FIVE, "inconclusive", *ALL[:3], seal=False)
    expect(FIVE, "pass", *ALL, crashed=True)
