"""`pair`: what breaks it, and what only looks like it."""

import pytest
from agents import expect

TOOLS = (
    "{kind: pair, scope: run, key: call, open: tool_executing, close: tool_completed, closed_by: [completed],"
    " agree: [data.tool_name]}"
)
PLAIN = "{kind: pair, per: connection, key: call, open: tool_executing, close: tool_completed}"
TIMED = "{kind: pair, per: connection, key: call, open: tool_executing, close: tool_completed, within: 5s}"
ONE_USE = "{kind: pair, per: user, key: call, open: tool_executing, close: tool_completed, reopen: false}"
DURING = ("{kind: pair, per: connection, key: call, open: tool_executing, during: agent_thinking,"
          " close: tool_completed, late_ok: {after: tool_completed, for: 100ms}}")  # fmt: skip
FIFO = "{kind: pair, per: connection, open: ask, close: [agent_completed, failure], max_open: 2}"
ASKED = ("{kind: pair, per: connection, key: call, open: ask, close: agent_completed,"
         " if_open: {answer: agent_error, within: 2s}}")  # fmt: skip
LENIENT = ("{kind: pair, per: connection, key: call, open: ask, close: [agent_completed, stop], lenient: stop,"
           " during: agent_thinking, late_ok: {after: stop, for: 500ms}}")  # fmt: skip
START, DONE = "bob < agent_started r1", "bob < agent_completed r1"
BYE = ["bob < (close 1000)", "bob > (close 1000)"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (TOOLS, [START, "* bob < tool_executing r1 c1", "* " + DONE]),
        (TOOLS, [START, "bob < tool_executing r1 c1", "* bob < tool_executing r1 c2", "bob < tool_completed r1 c1",
                 "* " + DONE]),
        (TOOLS, [START, "* bob < tool_completed r1 c1", DONE]),
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob < tool_completed r1 c1", "* bob < tool_completed r1 c1"]),
        (TOOLS, [START, "* bob < tool_executing r1 c1", "* bob < tool_executing r1 c1"]),
        (TOOLS, [START, "* bob < tool_executing r1 c1", "* bob < tool_completed r1 c1 data.tool_name=other", DONE]),
        (TOOLS, [START, "* bob < tool_executing r1", "* " + DONE]),
        (TOOLS, [START, "bob < tool_executing r1", "bob < tool_completed r1", "* bob < tool_completed r1"]),
        (TOOLS, [START, "bob < tool_executing r1", "* bob < tool_executing r1 data.tool_name=b",
                 "bob < tool_completed r1", "* " + DONE]),
        (TOOLS, [START, "* bob < tool_executing r1 c1", "bob < agent_started r2", "bob < tool_completed r2 c1",
                 "* " + DONE]),
        (PLAIN, ["* bob < tool_executing c1", *BYE]),
        (PLAIN, ["* bob < tool_completed c1", *BYE]),
        (TIMED, ["* bob < tool_executing c1", "6s", "* bob < tool_completed c1"]),
        (TIMED, ["* bob < tool_executing c1", "6s", "bob < agent_thinking"]),
        (ONE_USE, ["bob < tool_executing c1", "* bob < tool_completed c1", "* bob < tool_executing c1"]),
        (DURING, ["* bob < agent_thinking c1"]),
        (DURING, ["bob < tool_executing c1", "* bob < tool_completed c1", "200ms", "* bob < agent_thinking c1"]),
        (FIFO, ["bob > ask", "* bob > ask", "bob < agent_completed", *BYE]),
        (FIFO, ["bob > ask", "bob < agent_completed", "* bob < agent_error"]),
        (ASKED, ["* bob > ask c1", "* bob > ask c1", "300ms", "bob < agent_completed c1", *BYE]),
        (ASKED, ["bob > ask c1", "* bob > ask c1", "3s", "* bob < agent_error c1", "bob < agent_completed c1", *BYE]),
        (LENIENT, ["bob > ask c1", "* bob > stop c1", "600ms", "* bob < agent_thinking c1"]),
    ],
)  # fmt: skip
def test_what_is_not_one_to_one_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


def test_more_than_max_open_is_found():
    expect(FIFO.replace("ask", "tool_executing"), "fail", *["* bob < tool_executing"] * 3)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob < tool_completed r1 c1", DONE]),
        # parallel tools, completed in another order
        (TOOLS, [START, *(f"bob < tool_executing r1 c{n}" for n in (1, 2, 3)),
                 *(f"bob < tool_completed r1 c{n}" for n in (3, 1, 2)), DONE]),
        # the same tool twice at once, with and without ids
        (TOOLS, [START, *["bob < tool_executing r1"] * 2, *["bob < tool_completed r1"] * 2, DONE]),
        (TOOLS, [START, "bob < tool_executing r1 data.tool_name=a", "bob < tool_executing r1 data.tool_name=b",
                 "bob < tool_completed r1 data.tool_name=b", "bob < tool_completed r1 data.tool_name=a", DONE]),
        # the id is only in one of the two
        (TOOLS, [START, "bob < tool_executing r1", "bob < tool_completed r1 c1", DONE]),
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob < tool_completed r1", DONE]),
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob < tool_executing r1 c2 data.tool_name=b",
                 "bob < tool_completed r1 data.tool_name=b", "bob < tool_completed r1 c1", DONE]),
        (TOOLS, [START, "bob < tool_executing r1 -data.tool_name", "bob < tool_completed r1 c1 -data.tool_name", DONE]),
        (TOOLS, [START, "bob < tool_executing r1 c1 -data.tool_name", "bob < tool_completed r1 -data.tool_name", DONE]),
        # the id stands elsewhere, or is a number
        (TOOLS, [START, "bob < tool_executing r1 data.tool_call_id=x", "bob < tool_completed r1 data.call_id=x", DONE]),
        (TOOLS, [START, "bob < tool_executing r1 data.call_id:=1", "bob < tool_completed r1 data.call_id:=1.0", DONE]),
        # exits that do not demand it
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob < agent_error r1"]),
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob > (close 1000)", "bob < (close 1000)", "2min"]),
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob < (close 1001)", "bob ends eof by server", "2min"]),
        # over a reconnect, in two tabs, in two runs with equal ids
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob ends eof by client", "bob/2 < tool_completed r1 c1",
                 "bob/2 < agent_completed r1"]),
        (TOOLS, [START, "bob/2 connects /", "bob < tool_executing r1 c1 e1", "bob/2 < tool_executing r1 c1 e1",
                 "bob < tool_completed r1 c1 e2", "bob/2 < tool_completed r1 c1 e2", DONE]),
        (TOOLS, [START, "bob < agent_started r2", "bob < tool_executing r1 c1", "bob < tool_executing r2 c1",
                 "bob < tool_completed r2 c1", "bob < tool_completed r1 c1", DONE, "bob < agent_completed r2"]),
        (TOOLS, [START, "bob < tool_executing r1 c1", "bob < !delivery_unknown tool_executing r1 c1",
                 "bob < tool_completed r1 c1", DONE]),
        (PLAIN, ["bob < tool_executing c1", "bob < tool_completed c1"] * 2),
        (PLAIN, ["bob < tool_executing c1", "bob > (close 1000)", "bob < (close 1000)"]),
        (PLAIN, ["bob < tool_executing c1", "bob ends reset by client"]),
        (TIMED, ["bob < tool_executing c1", "4s",
                 "bob > (close 1000)"]),
        (ONE_USE, ["bob < tool_executing c1", "bob < tool_completed c1", "eve < tool_executing c1",
                   "eve < tool_completed c1"]),
        (DURING, ["bob < tool_executing c1", "bob < agent_thinking c1", "bob < tool_completed c1",
                  "bob < agent_thinking c1"]),
        (FIFO, ["bob > ask", "bob > ask", "bob < agent_error", "bob < agent_completed"]),
        (ASKED, ["bob > ask c1", "bob > ask c1", "bob < agent_error c1", "bob < agent_completed c1"]),
        (LENIENT, ["bob > stop c1", "bob > ask c1", "bob > stop c1", "bob < agent_thinking c1", "bob > stop c1"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (TOOLS, "inconclusive", [START, "bob < tool_executing r1 c1"]),
        (TOOLS, "inconclusive", [START, "mark gap", "bob < tool_completed r1 c1"]),
        (PLAIN, "inconclusive", ["bob > ask", "mark gap", "bob < tool_completed c1"]),
        (TOOLS, "inconclusive", [START, "bob < tool_executing r1 c1", "bob < !truncated x", DONE]),
        # between the two opens a close may have been lost
        (PLAIN, "inconclusive", ["bob < tool_executing c1", "mark gap", "bob < tool_executing c1",
                                 "bob < tool_completed c1"]),
        (FIFO.replace("ask", "tool_executing").replace("max_open: 2", "max_open: 1"), "inconclusive",
         ["bob < tool_executing", "mark gap", "bob < tool_executing", "bob > (close 1000)", "bob < (close 1000)"]),
        (PLAIN.replace("}", ", agree: [data.x]}"), "inconclusive",
         ["bob < tool_executing c1 data.x=1", "mark gap", "bob < tool_completed c1 data.x=2"]),
        (DURING, "inconclusive", ["bob < tool_executing c1", "bob < tool_completed c1", "200ms", "mark gap",
                                  "bob < agent_thinking c1"]),
        (TIMED, "inconclusive", ["bob < tool_executing c1", "5s", 'tick {"lag": 0.5}', "200ms",
                                 "bob < tool_completed c1"]),
        (PLAIN, "error", ["bob < tool_executing c1", "bob < tool_executing c2",
                          "bob < tool_completed -data.tool_name"]),
        (TOOLS, "vacuous", [START, DONE]),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


MOST = ("{kind: pair, per: connection, key: call, open: [ask, stop], during: agent_thinking, close: agent_completed,"
        " max_during: {ask: 1}}")  # fmt: skip


def test_too_much_between_open_and_close_is_found():
    think = "bob < agent_thinking c1"

    expect(MOST, "fail", "* bob > ask c1", think, f"* {think}", "bob < agent_completed c1")
    expect(MOST, "pass", "bob > ask c1", think, "bob < agent_completed c1")
    expect(MOST, "pass", "bob > stop c1", think, think, "bob < agent_completed c1")
    expect(MOST.replace("{ask: 1}", "0"), "fail", "* bob > stop c1", f"* {think}", "bob < agent_completed c1")


def test_a_second_open_that_crossed_the_close_opens_what_was_closed():
    crossing = ["bob > ask c1", "bob > ask c1", "bob < agent_completed c1", "bob < agent_completed c1"]

    expect(ASKED, "pass", *crossing)
    expect(ASKED, "fail", crossing[0], f"* {crossing[1]}", "300ms", crossing[2], *BYE)


def test_what_was_in_flight_when_a_key_was_used_again_may_close_either():
    again = ["bob > ask c1", "bob > stop c1", "bob > ask c1", "bob < agent_completed c1"]

    expect(LENIENT, "pass", *again, "bob < agent_thinking c1", "1s", "bob < agent_completed c1")
    expect(LENIENT, "fail", *again[:3], "1s", again[3], "* bob < agent_thinking c1")


def test_what_may_stay_open_is_not_owed_and_closes_once_all_the_same():
    optional = TIMED.replace("open: tool_executing", "open: [tool_executing, ask], optional: ask")

    expect(optional, "pass", "bob > ask c1", "9s", "bob < tool_completed c1", "bob > ask c2", "9s", *BYE)
    expect(optional, "fail", "bob > ask c1", "bob < tool_completed c1", "* bob < tool_completed c1", *BYE)
    expect(optional, "fail", "* bob < tool_executing c1", "6s", "bob < agent_thinking")
