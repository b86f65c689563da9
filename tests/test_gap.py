"""`gap`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, judge, talk
from tapes import tape

from verifier.lint import demand
from verifier.load import ContractError

RUN = "{kind: gap, scope: run, dir: s2c, max: 30s}"
LINE = "{kind: gap, per: connection, max: 30s}"
BEAT = "{kind: gap, per: connection, event: [ask, stop], max: 30s}"
USER = "{kind: gap, per: user, dir: any, max: 30s}"
THREAD = "{kind: gap, per: thread, max: 30s}"
FAULT = "{kind: gap, per: connection, scope: {between: [fault_begin, fault_end]}, max: 10s}"
START, THINK, DONE = "bob < agent_started r1", "bob < agent_thinking r1", "bob < agent_completed r1"
BYE = ["bob > (close 1000)", "bob < (close 1000)"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (RUN, ["* " + START, "31s", "* " + THINK, DONE]),
        (RUN, [START, "20s", "* " + THINK, "31s", "* " + DONE]),
        (RUN, [START, "* " + THINK, "31s"]),  # the recorder ran on
        (RUN, ["* " + START, "31s", *BYE]),  # the user gave up
        (RUN, ["* " + START, "31s", "bob ends eof by server"]),
        (RUN, ["* " + START, "20s", "bob > ask r1", "20s", "* " + DONE]),  # it is not the client who is silent
        (RUN, ["* " + START, "20s", "bob < agent_started r2", "20s", "* " + DONE]),  # nor another run
        (RUN, ["* " + START, "20s", 'bob < {"type": "heartbeat"}', "20s", "* " + DONE]),  # nor is that progress
        (RUN, [START, "bob ends eof by client", "20s", "* bob/2 < agent_thinking r1", "31s",
               "* bob/2 < agent_completed r1"]),
        (RUN, [START, "* bob < agent_thinking r1 e1", "bob ends eof by client", "20s", "bob/2 < agent_thinking r1 e1",
               "35s"]),  # back, shown only what it had seen, and then nothing
        (LINE, ["bob connects /", "31s", "* bob < agent_thinking"]),
        (LINE, ["bob connects /", "31s"]),
        (USER, ["* bob > ask", "31s", "* bob < agent_thinking"]),
        (THREAD, ["* bob < agent_thinking t1", "31s", "* bob < agent_thinking t1"]),
        (FAULT, [THINK, "mark fault_begin", "11s", "* " + THINK, "mark fault_end"]),
        (FAULT, [THINK, "mark fault_begin", "* " + THINK, "11s", "mark fault_end"]),
        (THREAD, ["* bob < agent_thinking t1", "bob < agent_thinking t2", "40s", "bob < agent_thinking t2"]),
    ],
)  # fmt: skip
def test_silence_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


def test_the_silence_of_a_client_only_warns():
    found = judge(contract(BEAT), talk("bob > ask", "31s", "bob < agent_thinking", "bob > stop").tape).outcome("it")

    assert (found.verdict, found.tally.demoted) == ("pass", 1)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (RUN, [START, "29s", THINK, "29s", DONE, "2min"]),
        (RUN, [START, "20s", "bob ends eof by client", "50s", "bob/2 < agent_thinking r1", "29s",
               "bob/2 < agent_completed r1"]),  # away
        (RUN, [START, "20s", "bob ends reset by server", "50s", "bob/2 < agent_thinking r1",
               "bob/2 < agent_completed r1"]),  # `ended` and others speak of that
        (RUN, [START, "20s", *BYE, "2min"]),
        (RUN, [START, "20s", "bob < (close 1001)", "2min"]),
        (RUN, [START, "bob < agent_started r2", "20s", THINK, "bob < agent_thinking r2", "20s", DONE,
               "bob < agent_completed r2"]),
        (RUN, [START, "bob < agent_started r2", "20s", "bob < agent_thinking", "20s", DONE,
               "bob < agent_completed r2"]),  # of either run: nobody can tell
        (RUN, ["bob < agent_started", "20s", "bob < agent_thinking", "20s", "bob < agent_completed"]),  # no ids
        (RUN, ["bob connects /", "bob/2 connects /", "bob < agent_started r1 e1", "bob/2 < agent_started r1 e1", "25s",
               "bob ends eof by client", "bob/2 < agent_completed r1 e2"]),
        (RUN, [START, "25s"]),
        (FAULT, [THINK, "20s", "mark fault_begin", THINK, "9s", "mark fault_end", "20s", THINK]),
        (LINE, ["bob connects /", "29s", "bob < agent_thinking", "29s", *BYE, "2min"]),
        (USER, ["bob > ask", "29s", "bob < agent_thinking", "29s", "bob > ask"]),
        (USER, ["bob > ask", "bob ends eof by client", "50s", "bob/2 > ask"]),
        (THREAD, ["bob < agent_thinking t1", "20s", "bob ends reset by server", "50s", "bob/2 < agent_thinking t1"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (RUN, "inconclusive", [START, "mark gap", "31s", DONE]),
        (RUN, "inconclusive", [START, "bob < !truncated x", "31s", DONE]),
        (RUN, "inconclusive", [START, "31s", 'tick {"lag": 2.0}', DONE]),  # the recorder itself stood still
        (RUN, "fail", ["* " + START, "40s", 'tick {"lag": 2.0}', "* " + DONE]),  # but not for so long
        (RUN, "vacuous", ["bob > ask"]),
        (LINE, "vacuous", ["bob refused 403"]),
    ],
)
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_a_crash_of_the_recorder_is_no_silence():
    expect(RUN, "inconclusive", START, "31s", "tick", crashed=True)
    expect(RUN, "pass", START, DONE, "31s", crashed=True)


def test_how_much_too_late_it_was():
    talked = [f'bob < {{"type": "{t}", "run_id": 1}}' for t in ("agent_started", "agent_completed")]
    [group] = judge(contract(RUN), tape(talked[0], "40s", talked[1])).outcome("it").groups

    assert group.first[0].late_by == 10_001_000_000
    assert "said nothing for 40.001 s" in group.first[0].why


@pytest.mark.parametrize(
    "invariant, told",
    [
        ("{kind: gap, max: 1s, dir: c2s, event: ask}", "remove `dir`"),
        ("{kind: gap, max: 1}", "a duration"),
        ("{kind: gap, max: 1s, event: agent_thinkin}", "did you mean agent_thinking"),
    ],
)
def test_what_makes_no_sense_is_refused(invariant, told):
    with pytest.raises(ContractError, match=told):
        demand(contract(invariant))
