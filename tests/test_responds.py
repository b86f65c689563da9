"""`responds`: what breaks it, and what only looks like it."""

import pytest
from agents import expect

ANSWERED = ("{kind: responds, per: [connection, thread], trigger: ask, answer: [agent_started, failure], within: 5s,"
            " mode: each}")  # fmt: skip
ANY = "{kind: responds, per: connection, trigger: ask, answer: agent_completed}"
PER_USER = "{kind: responds, per: user, trigger: ask, answer: agent_completed, mode: each}"
NEXT = "{kind: responds, per: connection, trigger: stop, answer: agent_error, mode: adjacent}"
SAME = "{kind: responds, per: connection, trigger: ask, answer: agent_completed, agree: {run_id: id}}"
UNLESS = "{kind: responds, per: connection, trigger: ask, answer: agent_completed, unless: stop, within: 1s}"
SECOND = "{kind: responds, per: connection, trigger: ask, nth: {ge: 2}, answer: [$close], within: 5s}"
RECOVERS = "{kind: responds, per: recording, trigger: fault_end, answer: agent_completed, within: 60s}"
BYE = ["bob < (close 1000)", "bob > (close 1000)"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ANSWERED, ["* bob > ask t1", "6s", "* bob < agent_started t1"]),
        (ANSWERED, ["* bob > ask t1", "6s", "bob < agent_thinking t1"]),
        (ANSWERED, ["* bob > ask t1", "6s"]),  # the recorder ran on
        (ANSWERED, ["* bob > ask t1", *BYE]),
        (ANSWERED, ["* bob > ask t1", "bob < (close 1011)", "bob ends eof by server"]),
        (ANSWERED, ["* bob > ask t1", "bob ends reset by server"]),
        (ANSWERED, ["bob > ask t1", "* bob > ask t1", "bob < agent_started t1", "6s"]),
        (ANSWERED, ["* bob > ask t1", "bob > ask t2", "bob < agent_started t2", "6s"]),
        (ANSWERED, ["* bob > ask t1", "bob/2 < agent_started t1", "6s"]),  # on the other tab only
        (ANSWERED, ["* bob > ask t1", "6s", "bob > (close 1000)"]),  # left when it was overdue
        (ANY, ["* bob > ask", *BYE]),
        (PER_USER, ["bob > ask", "* bob > ask", "bob < agent_completed", *BYE]),
        (NEXT, ["* bob > stop", "300ms", "* bob > stop", "bob < agent_error"]),
        (SAME, ["* bob > ask id=a", "bob < agent_completed run_id=b", *BYE]),
        (SAME, ["* bob > ask id:=1", "bob < agent_completed run_id:=true", *BYE]),
        (UNLESS, ["bob > ask", "bob > stop", "* bob > ask", "2s"]),
        (SECOND, ["bob > ask", "* bob > ask", "6s"]),
        (RECOVERS, ["bob > ask", "mark fault_end", "61s"]),
    ],
)
def test_silence_is_found(invariant, sentences):
    if invariant is NEXT:
        invariant = invariant.replace("trigger: stop", "trigger: agent_thinking")
        sentences = [s.replace("bob > stop", "bob < agent_thinking") for s in sentences]
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ANSWERED, ["bob > ask t1", "4s", "bob < agent_started t1"]),
        (ANSWERED, ["bob > ask t1", "bob < agent_error t1"]),
        (ANSWERED, ["bob > ask t1", "bob > ask t2", "bob < agent_started t2", "bob < agent_started t1"]),
        (ANSWERED, ["bob > ask", "bob < agent_started t1", "6s"]),  # the server names the thread
        (ANSWERED, ["bob > ask t1", "bob < agent_started", "6s"]),  # or does not
        (ANSWERED, ["bob > ask t1", "1s", "bob ends reset by client", "10s", "eve > stop"]),
        (ANSWERED, ["bob > ask t1", "bob > (close 1000)", "bob < (close 1000)", "10s"]),
        (ANSWERED, ["bob > ask t1", "bob < (close 1001)", "bob ends eof by server"]),  # a declared shutdown
        (ANSWERED, ["bob > ask t1", "bob/2 connects /", "bob < agent_started t1 e1", "bob/2 < agent_started t1 e1"]),
        (ANSWERED, ["bob > ask t1", "bob < agent_started t1", "bob > ask t1", "bob < agent_started t1", *BYE]),
        (ANY, ["bob > ask", "bob > ask", "bob < agent_completed", *BYE]),
        (PER_USER, ["bob > ask", "bob > ask", "bob/2 < agent_completed", "bob/2 < agent_completed", *BYE]),
        # asked, left, came back, asked again: the first may have been given up
        (PER_USER, ["bob > ask", "bob ends eof by client", "bob/2 > ask", "bob/2 < agent_completed",
                    "bob/2 > (close 1000)"]),
        (NEXT, ["bob > stop", "bob < agent_error", "bob > stop", "bob < agent_error"]),
        (SAME, ["bob > ask id:=1", "bob < agent_completed run_id:=1.0", *BYE]),
        (SAME, ["bob > ask id=a", "bob > ask id=b", "bob < agent_completed run_id=b", "bob < agent_completed run_id=a",
                *BYE]),
        (UNLESS, ["bob > ask", "bob > stop", "2s"]),
        (SECOND, ["bob > ask", "bob > ask", "1s", "bob < (close 1008)", "bob ends eof by server"]),
        (RECOVERS, ["bob > ask", "mark fault_end", "50s", "bob < agent_completed", "20s"]),
        (RECOVERS, ["mark fault_end", "eve > ask", "bob < agent_completed", "20s"]),
    ],
)  # fmt: skip
def test_an_answer_is_an_answer(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (ANSWERED, "inconclusive", ["bob > ask t1"]),
        (ANSWERED, "inconclusive", ["bob > ask t1", "6s", "mark gap"]),
        (ANSWERED, "inconclusive", ["bob > ask t1", "bob ends lost by recorder"]),
        (ANSWERED, "inconclusive", ["bob > ask t1", "bob < !truncated {", "6s"]),
        (ANSWERED, "inconclusive", ["bob > ask t1", 'tick {"lag": 1.0}', "5.5s", 'tick {"lag": 1.0}',
                                    "bob < agent_started t1"]),
        (ANSWERED, "vacuous", ["bob > stop t1"]),
        (ANSWERED, "vacuous", ["bob > !delivery_unknown ask t1", "bob < agent_started t1"]),
        # two threads: which one an ask without a thread is of, nobody can know
        (ANSWERED, "error", ["bob < agent_started t1", "bob < agent_started t2", "bob > ask", "6s"]),
        (NEXT.replace("stop", "agent_thinking"), "inconclusive",
         ["bob < agent_thinking", "mark gap", "bob < agent_thinking", "bob < agent_error"]),
        (RECOVERS, "inconclusive", ["bob > ask", "mark fault_end", "30s"]),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_of_two_asks_without_a_thread_the_unanswered_one_is_found():
    expect(ANSWERED, "fail", "bob > ask", "* bob > ask", "bob < agent_started t1", "6s")


OVER = "{kind: responds, per: connection, trigger: ask, answer: agent_completed, unless: agent_error, within: 5s}"


def test_what_was_due_before_the_release_is_owed_all_the_same():
    expect(OVER, "fail", "* bob > ask", "6s", "bob < agent_error", "bob > (close 1000)")
    expect(OVER, "pass", "bob > ask", "4s", "bob < agent_error", "6s", "bob > (close 1000)")


def test_a_trigger_that_crossed_the_release_is_released_too():
    expect(OVER, "pass", "bob < agent_error", "100ms", "bob > ask", "6s", "bob > (close 1000)")
    expect(OVER, "fail", "bob < agent_error", "300ms", "* bob > ask", "6s", "bob > (close 1000)")
