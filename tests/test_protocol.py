"""`protocol`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, failed, judge, talk

ORDER = (
    "{kind: protocol, scope: run, pattern: 'agent_started (agent_thinking (agent_thinking | tool_executing |"
    " tool_completed)*)? (agent_completed | failure)'}"
)
LOGIN = "{kind: protocol, per: connection, pattern: '$accept (ask agent_completed)* $close'}"
STOP = "{kind: protocol, per: connection, pattern: 'ask agent_thinking* (agent_completed | stop agent_error?)'}"
MIXED = "{kind: protocol, per: thread, pattern: 'agent_started & (tool_executing tool_completed)*'}"
ALL = [f"bob < {n} t1 r1" for n in
       ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")]  # fmt: skip
BYE = ["bob > (close 1000)", "bob < (close 1000)"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ORDER, ["* bob < agent_started r1", "* bob < tool_executing r1"]),
        (ORDER, [*ALL[:3], "* bob < agent_started r1"]),
        (ORDER, ["bob < agent_started r1", "bob < agent_thinking r1", "bob > ask", "* bob < agent_started r1"]),
        (ORDER, ["* bob < agent_started r1", "bob < (close 1000)", "bob > (close 1000)", "2min"]),
        (LOGIN, ["bob > ask", "bob < agent_completed", "* bob < agent_completed", *BYE]),
        (STOP, ["bob > ask", "bob > stop", "300ms", "* bob < agent_thinking"]),
        (STOP, ["bob > ask", "bob > stop", "bob < agent_error", "* bob < agent_error"]),
        (STOP, ["* bob > ask", "bob < (close 1000)", "bob > (close 1000)"]),
        (MIXED, ["bob < tool_executing t1", "* bob < tool_executing t1"]),
    ],
)
def test_a_word_outside_the_pattern_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ORDER, ALL),
        (ORDER, [*ALL, *ALL]),
        (ORDER, ["bob < agent_started r1", "bob < agent_error r1"]),
        (ORDER, ["bob < agent_started r1", "bob < agent_timeout r1"]),  # a union is one of its parts
        (ORDER, [*ALL[:3], "bob < tool_executing r1 c2", "bob < tool_completed r1 c2", *ALL[3:]]),
        (ORDER, [x for s in ALL for x in (s, s.replace("r1", "r2"))]),
        (ORDER, [x for s in ALL for x in (s + " e1", s.replace("bob", "bob/2") + " e1")]),  # two tabs
        (ORDER, [*ALL[:2], "bob ends reset by client", *(s.replace("bob", "bob/2") for s in ALL[2:])]),
        (ORDER, [*ALL[:2], "bob < !delivery_unknown agent_started r1", *ALL[2:]]),
        (ORDER, [*ALL, "bob < agent_started r2", *BYE, "2min"]),  # waived
        (LOGIN, ["bob > ask", "bob < agent_completed", *BYE]),
        (LOGIN, ["bob connects /", *BYE]),
        (STOP, ["bob > ask", "bob < agent_thinking", "bob > stop", "bob < agent_error", *BYE]),
        (STOP, ["bob > ask", "bob > stop", "100ms", "bob < agent_thinking", "bob < agent_thinking", *BYE]),  # crossed
        (MIXED, ["bob < tool_executing t1", "bob < agent_started t1", "bob < tool_completed t1"]),
        (MIXED, ["bob < tool_executing", "bob < agent_started", "bob < tool_completed t1"]),  # the next it shows
    ],
)
def test_a_word_of_the_pattern_passes(invariant, sentences):
    if invariant is MIXED:
        sentences = [*sentences, "bob < (close 1000)", "bob > (close 1000)"]
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "verdict, sentences",
    [
        ("inconclusive", [*ALL[:3]]),
        ("inconclusive", ["bob < agent_started r1", "mark gap", "bob < tool_executing r1"]),
        ("inconclusive", ["bob < agent_started r1", "bob < !truncated x", "bob < tool_executing r1"]),
        ("inconclusive", ["bob < agent_started r1", "bob connects /2", "bob/2 < agent_thinking r1",
                          "bob/2 < !erased x", "bob < agent_started r1"]),
        ("vacuous", ["bob > ask"]),
    ],
)  # fmt: skip
def test_a_word_with_holes_is_not_judged(verdict, sentences):
    expect(ORDER, verdict, *sentences)


def test_a_word_that_the_client_spoils_is_its_fault_and_warns():
    verdict = judge(contract(LOGIN), talk("bob > ask", "bob > ask", *BYE).tape)

    assert failed(verdict) == {"it"}
    assert verdict.violations[0].fault == "client"
    assert verdict.outcome("it").verdict == "pass"


def test_the_witness_leaves_out_what_does_not_matter():
    noise = ["bob < agent_thinking r1"] * 40
    talked = talk("bob < agent_started r1", *noise, "bob < agent_started r1")
    [violation] = judge(contract(ORDER), talked.tape).violations

    assert violation.seqs == (talked.seqs[0], talked.seqs[-1]) or len(violation.seqs) == 3
