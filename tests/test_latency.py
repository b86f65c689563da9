"""`latency`: what breaks it, and what only looks like it."""

import pytest
from agents import expect

TOOL = "{kind: latency, scope: run, per: call, from: tool_executing, to: tool_completed, max: 30s}"
DOOR = "{kind: latency, per: connection, from: $connect, to: $accept, max: 2s}"
TOTAL = "{kind: latency, per: thread, from: ask, to: [agent_completed, failure], max: 60s}"
P95 = "{kind: latency, per: [connection, thread], from: ask, to: agent_started, p95: 100ms}"
MEAN = "{kind: latency, per: connection, from: ask, to: agent_started, mean: 1s, min_samples: 3}"
START, DONE = "bob < agent_started r1", "bob < agent_completed r1"
BYE = ["bob < (close 1000)", "bob > (close 1000)"]
FAST, SLOW = ["bob > ask t1", "bob < agent_started t1"], ["* bob > ask t1", "2s", "* bob < agent_started t1"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (TOOL, [START, "* bob < tool_executing r1 c1", "31s", "* bob < tool_completed r1 c1", DONE]),
        (TOOL, [START, "* bob < tool_executing r1 c1", "20s", "bob < tool_executing r1 c2", "11s",
                "* bob < tool_completed r1 c1", "bob < tool_completed r1 c2"]),
        (TOOL, [START, "* bob < tool_executing r1 c1", "31s"]),
        (TOTAL, ["* bob > ask t1", "61s", "* bob < agent_completed t1"]),
        (TOTAL, ["* bob > ask t1", "61s", "bob < agent_thinking t1"]),
        (TOTAL, ["* bob > ask", "bob < agent_started t1", "61s", "* bob < agent_completed t1"]),
        (TOTAL, ["* bob > ask t1", "30s", "bob ends reset by server", "31s", "* bob/2 < agent_completed t1"]),
        (TOTAL, ["bob > ask t1", "bob ends eof by client", "* bob/2 > ask t1", "61s", "* bob/2 < agent_completed t1"]),
        (P95, [*FAST * 10, *SLOW, *FAST * 3]),
        (P95, [*FAST * 18, *SLOW]),
        (MEAN, [*FAST * 2, SLOW[0], "10s", *SLOW[2:]]),
    ],
)  # fmt: skip
def test_what_takes_too_long_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (TOOL, [START, "bob < tool_executing r1 c1", "29s", "bob < tool_completed r1 c1", "31s", DONE]),
        (TOOL, [START, "bob < tool_executing r1 c1", "20s", "bob < tool_executing r1 c2", "bob < tool_completed r1 c1",
                "20s", "bob < tool_completed r1 c2"]),
        (TOOL, [START, "bob < tool_executing r1 c1", "bob < tool_completed r1 c1", "bob < agent_started r2",
                "bob < tool_executing r2 c1", "bob ends eof by client", "31s", "bob/2 < tool_completed r2 c1"]),
        (TOTAL, ["bob > ask t1", "20s", "bob < agent_error t1", "60s"]),
        (TOTAL, ["bob > ask t1", "bob > ask t2", "30s", "bob < agent_completed t2", "bob < agent_completed t1"]),
        # asked, left (the server gives up), came back and asked again, and stayed
        (TOTAL, ["bob > ask t1", "bob ends eof by client", "bob/2 > ask t1", "bob/2 < agent_completed t1", "2min"]),
        (TOTAL, ["bob > ask t1", "bob < agent_completed t1", "2min"]),
        (P95, [*FAST * 19, *SLOW]),
        (P95, [*FAST, "bob > ask t1", "10s", "bob > (close 1000)"]),  # never answered: the business of `responds`
        (MEAN, [*FAST * 3, "bob > ask t1", "2s", "bob < agent_started t1"]),
    ],
)  # fmt: skip
def test_what_is_in_time_passes(invariant, sentences):
    expect(invariant, "pass", *[s.removeprefix("* ") for s in sentences])


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (TOOL, "inconclusive", [START, "bob < tool_executing r1 c1", "20s"]),
        (TOOL, "inconclusive", [START, "bob < tool_executing r1 c1", "31s", 'tick {"lag": 2.0}',
                                "bob < tool_completed r1 c1"]),
        (TOOL, "inconclusive", [START, "bob < tool_executing r1 c1", "mark gap", "31s", "bob < tool_completed r1 c1"]),
        (TOOL, "vacuous", [START, DONE]),
        (P95, "inconclusive", [*FAST * 4, "bob > ask t1", "mark gap", "1s", "bob < agent_started t1"]),
        (MEAN, "inconclusive", FAST * 2),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_the_handshake_is_measured_from_its_first_byte():
    bye = ["bob > ask", "bob < (close 1000)", "bob > (close 1000)"]
    expect(DOOR, "fail", "3s", "bob connects / opened=1000000", *bye)
    expect(DOOR, "pass", "3s", "bob connects / opened=2000000000", *bye)
    expect(DOOR, "vacuous", "bob refused 403")
