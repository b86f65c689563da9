"""`exits`: what breaks it, and what only looks like it."""

import pytest
from agents import EVENTS, contract, expect, judge, talk, troubled

from verifier.load import ContractError

ENDED = "{kind: exits, scope: run, allow: [completed, failed, timed_out, disconnected, shut_down]}"
GOOD = "{kind: exits, scope: run, allow: [completed]}"
QUIET = "{kind: exits, scope: run, quiet_after: 1s, may_follow: [agent_thinking]}"
START, DONE = "bob < agent_started r1", "bob < agent_completed r1"
BYE = ["bob < (close 1000)", "bob > (close 1000)"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ENDED, [START, DONE, "* bob < agent_thinking r1"]),
        (ENDED, [START, "* " + DONE, "* bob < agent_completed r1"]),
        (ENDED, ["* bob < agent_thinking r1", START, DONE]),
        (ENDED, ["* bob < agent_completed r1"]),
        (ENDED, ["* bob < agent_started r1", "bob < (close 1000)", "bob > (close 1000)", "2min"]),
        (ENDED, ["* bob < agent_started r1", "bob < (close 1011)", "bob ends eof by server", "2min", "eve > ask"]),
        (ENDED, ["* bob < agent_started r1", "bob ends reset by server", "2min"]),
        (ENDED, ["* bob < agent_started r1", "2min"]),  # silent while the recorder ran on
        (ENDED, [START, "bob > (close 1000)", "bob < (close 1000)", "2min", "* bob/2 < agent_completed r1"]),
        (ENDED, [START, DONE, "eve > stop", "300ms", "* eve < agent_thinking r1"]),  # not hers, and not open
        (GOOD, ["* bob < agent_started r1", "* bob < agent_error r1"]),
        (GOOD, [START, "* bob > (close 1000)", "bob < (close 1000)", "2min"]),
        (QUIET, [START, DONE, "2s", "* bob < tool_completed r1"]),
    ],
)
def test_a_bad_end_and_strays_are_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ENDED, [START, DONE]),
        (ENDED, [START, DONE, START, "bob < agent_error r1"]),
        (ENDED, [START, "bob < agent_timeout r1"]),
        (ENDED, [START, "bob > (close 1000)", "bob < (close 1000)"]),
        (ENDED, [START, "bob > (close 1000)", "bob < (close 1000)", "2min", "eve > ask"]),
        (ENDED, [START, "bob ends eof by client"]),
        (ENDED, [START, "bob ends reset by client", "2min"]),
        (ENDED, [START, "bob < (close 1001)", "bob ends eof by server", "2min"]),
        (ENDED, [START, "bob < (close 1012)", "bob > (close 1012)"]),
        (ENDED, [START, "bob ends eof by client", "30s", "bob/2 < agent_thinking r1", "bob/2 < agent_completed r1"]),
        (ENDED, [START, "bob < (close 1000)", "bob > (close 1000)", "30s", "bob/2 < agent_completed r1"]),
        (ENDED, [START, "bob/2 < agent_thinking r1", "bob ends eof by client", "2min", "bob/2 < agent_completed r1"]),
        (ENDED, [START, "bob/2 connects /", DONE + " e1", "bob/2 < agent_completed r1 e1"]),
        (ENDED, [START, DONE + " e1", "bob ends eof by client", "bob/2 < agent_completed r1 e1"]),  # told again
        (ENDED, [START, DONE, "bob > stop r1", "bob > ask r1"]),  # the client may speak of it
        (ENDED, [START, "bob < agent_started r2", "bob < agent_thinking", DONE, "bob < agent_completed r2"]),
        (ENDED, [START, DONE, "bob < hello r1"]),  # no event of the contract
        (ENDED, [START, DONE, "bob < !delivery_unknown agent_thinking r1"]),
        (ENDED, [x for n in range(3) for x in ("bob < agent_started", "bob < agent_thinking", "bob < agent_error")]),
        (QUIET, [START, DONE, "500ms", "bob < tool_completed r1", "2s", "bob < agent_thinking r1"]),
    ],
)
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "verdict, sentences",
    [
        ("inconclusive", [START, "30s"]),
        ("inconclusive", [START, "bob ends lost by recorder", "2min"]),
        ("inconclusive", [START, "bob < (close 1000)", "bob > (close 1000)", "30s"]),  # it may come back
        ("inconclusive", ["bob > ask", "mark gap", "bob < agent_thinking r1"]),  # opened in the gap
        ("inconclusive", [START, DONE, "mark gap", "bob < agent_thinking r1"]),  # opened again in the gap
        ("inconclusive", ["bob < !truncated {", "bob < agent_thinking r1"]),
        ("inconclusive", ["bob > ask", "bob < !truncated {", "bob/2 < agent_thinking r1"]),
        ("inconclusive", [START, "mark crash", "2min"]),
        ("error", [START, "bob < agent_started r2", "bob < agent_completed", "2min"]),
        ("vacuous", ["bob > ask"]),
    ],
)
def test_what_cannot_be_known_is_not_judged(verdict, sentences):
    expect(ENDED, verdict, *sentences)


ONE = EVENTS.replace("    grace: 60s", "    grace: 60s\n    one_at_a_time: true")
RUN = "{kind: exits, scope: run}"


@pytest.mark.parametrize(
    "verdict, sentences",
    [
        ("fail", ["* bob < agent_started r1", "* bob < agent_started r2"]),
        ("fail", ["* bob < agent_started r1", "bob < agent_thinking r1", "* bob/2 < agent_started r2"]),
        ("pass", ["bob < agent_started r1", "bob < agent_completed r1", "bob < agent_started r2",
                  "bob < agent_completed r2"]),
        ("pass", ["bob < agent_started r1", "eve < agent_started r2", "bob < agent_completed r1",
                  "eve < agent_completed r2"]),
        # told again, and shown on another tab: the same run
        ("pass", ["bob < agent_started r1 e1", "bob/2 < agent_started r1 e1", "bob < agent_started r1",
                  "bob < agent_completed r1"]),
        # bob is away, and the run that waits for him may never go on
        ("pass", ["bob < agent_started r1", "bob ends eof by client", "1s", "bob/2 < agent_started r2",
                  "bob/2 < agent_completed r2", "bob/2 > (close 1000)"]),
        # the exit of the first one may be lost
        ("inconclusive", ["bob < agent_started r1", "mark gap", "bob < agent_started r2", "bob < agent_completed r2",
                          "bob < agent_completed r1"]),
    ],
)  # fmt: skip
def test_a_user_has_one_at_a_time_where_the_span_says_so(verdict, sentences):
    expect(RUN, verdict, *sentences, base=ONE)
    if verdict == "fail":
        found = judge(contract(RUN), talk(*sentences).tape)
        assert not found.outcome("it").tally.violated  # without the word they may


def test_one_at_a_time_wants_somebody_who_judges_it():
    with pytest.raises(ContractError, match="no invariant judges it"):
        contract("{kind: never, event: agent_error}", base=ONE)


HEARD = "heard: {kind: never, event: $s2c, where: {type: nothing}, min_activations: 0}"


@pytest.mark.parametrize("beat", ['alice/2 < {"type": "beat"}', 'alice/2 > {"type": "beat"}'])
@pytest.mark.parametrize("more", [(), (HEARD,)])
def test_what_the_contract_does_not_know_brings_no_run_back_whoever_else_listens_to_it(beat, more):
    tape = talk(
        "alice > ask t1", "alice < agent_started t1 r1", "alice ends eof by client",
        "10s", "alice/2 connects /chat", beat, "5min", "tick",
    ).tape  # fmt: skip
    verdict = judge(contract("ended: {kind: exits, scope: run}", *more), tape)

    assert verdict.outcome("ended").verdict == "pass", troubled(verdict)
