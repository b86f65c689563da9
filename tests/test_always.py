"""`always`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, judge, talk
from tapes import tape

SCORE = "{kind: always, event: agent_completed, hold: {data.score: {ge: 0, le: 1}}}"
MAYBE = "{kind: always, event: agent_completed, where: {data.score: {exists: true}}, hold: {data.score: {le: 1}}}"
TOOL = "{kind: always, event: tool_executing, scope: run, hold: {data.tool_name: {in: [search, cost]}}}"
DONE = "{kind: always, event: agent_thinking, scope: run, when: {exit: completed}, hold: {data.n: {type: integer}}}"
NO_NULL = '{kind: always, event: $any, hold: {sub: {not: {type: "null"}}}}'
EITHER = "{kind: always, event: agent_error, hold: {any: [{code: {lt: 0}}, {code: {in: [7, 8]}}]}}"
USER = "{kind: always, event: agent_completed, per: user, hold: {data.score: 1}}"
BYE = '{kind: always, event: $close, hold: {"@close.code": {in: [1000, 1001]}}}'
PROBE = '{kind: always, event: $mark, where: {"@mark": memory}, hold: {"@mark.mib": {lt: 100}}}'
TEXT = '{kind: always, event: $s2c, hold: {"@text": {not: {pattern: secret}}}}'


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (SCORE, ["* bob < agent_completed data.score:=1.5"]),
        (SCORE, ["* bob < agent_completed"]),  # absent fails, too
        (SCORE, ["* bob < agent_completed data.score=high"]),
        (MAYBE, ["bob < agent_completed", "* bob < agent_completed data.score:=2"]),
        (TOOL, ["bob < agent_started r1", "* bob < tool_executing r1 c1 data.tool_name=shell"]),
        (DONE, ["bob < agent_started r1", "* bob < agent_thinking r1", "bob < agent_completed r1"]),
        (NO_NULL, ["* bob < agent_thinking sub:=null"]),
        (EITHER, ["* bob < agent_error code:=9"]),
        (EITHER, ["* bob < agent_error"]),
        (USER, ["bob connects /", "bob/2 connects /", "* bob < agent_completed e1", "bob/2 < agent_completed e1"]),
        (BYE, ["bob > ask", "* bob < (close 1011)"]),
        (BYE, ["bob > ask", "bob ends eof by server"]),
        (TEXT, ["* bob < agent_thinking note=secret"]),
        (TEXT, ["bob < agent_thinking", "* bob < {not JSON but secret"]),
        (PROBE, ["bob > ask", 'mark memory {"mib": 120}']),
    ],
)
def test_what_does_not_hold_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (SCORE, ["bob < agent_completed data.score:=0", "bob < agent_completed data.score:=1.0"]),
        (MAYBE, ["bob < agent_completed", "bob < agent_completed data.score:=1"]),
        (TOOL, ["bob < agent_started r1", "bob < tool_executing r1 c1"]),
        (DONE, ["bob < agent_started r1", "bob < agent_thinking r1 data.n:=1", "bob < agent_completed r1",
                "bob < agent_started r2", "bob < agent_thinking r2", "bob < agent_error r2"]),  # failed: not asked
        (NO_NULL, ["bob < agent_thinking", "bob < agent_thinking sub=s1", "bob < {not JSON", "bob < (close 1000)"]),
        (EITHER, ["bob < agent_error code:=-5", "bob < agent_error code:=7"]),
        (BYE, ["bob > ask", "bob < (close 1000)", "bob > (close 1000)"]),
        (PROBE, ["bob > ask", 'mark memory {"mib": 99}', "mark other"]),
    ],
)  # fmt: skip
def test_what_holds_passes(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (SCORE, "vacuous", ["bob < agent_thinking"]),
        (SCORE, "pass", ["bob < agent_completed data.score:=1", "bob < !truncated {"]),
        (MAYBE, "inconclusive", [f"bob < !redacted agent_completed data.score=[r:number:{'a' * 32}]"]),
        (SCORE, "fail", ["* bob < !redacted agent_completed data.score:=2 data.token=[r:token:x]"]),
        (DONE, "inconclusive", ["bob < agent_started r1", "bob < agent_thinking r1"]),  # how it ends is not known
    ],
)
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_only_what_failed_is_told_and_a_secret_beside_it_hides_nothing():
    both = "{kind: always, event: agent_completed, hold: {data.score: {le: 1}, data.mail: {len: {ge: 3}}, done: true}}"
    secret = "bob < !redacted agent_completed data.score:=2 data.mail=[r:mail:x] done:=true"
    [group] = judge(contract(both), talk(secret).tape).outcome("it").groups

    assert group.first[0].expected == '{"data.score":{"le":1}}'
    assert group.first[0].witness[0].fields == (("data.score", "2"),)


def test_each_event_counts_and_the_reason_says_what_was_there():
    outcome = judge(contract(SCORE), tape(*['bob < {"type": "agent_completed", "data": {"score": 3}}'] * 5)).outcome(
        "it"
    )
    [group] = outcome.groups

    assert (outcome.tally.activations, group.count) == (5, 5)
    assert "data.score is 3" in group.first[0].why
    assert group.first[0].witness[0].fields == (("data.score", "3"),)
