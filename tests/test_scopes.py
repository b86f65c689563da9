"""Scopes between events: what breaks an invariant inside them, and what only looks like it."""

import pytest
from agents import EVENTS, contract, expect, judge, talk, troubled
from hypothesis import given, settings
from hypothesis import strategies as st

NEVER = "{{kind: never, event: agent_error, scope: {{{}}}}}"
BEFORE = NEVER.format("before: agent_started")
AFTER = NEVER.format("after: agent_started")
UNTIL = NEVER.format("after: agent_started, until: agent_completed")
BETWEEN = NEVER.format("between: [agent_started, agent_completed]")
A, B, X = "bob < agent_started", "bob < agent_completed", "bob < agent_error"
BYE = ["bob > (close 1000)", "bob < (close 1000)"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (BEFORE, [f"* {X}", A]),
        (BEFORE, [f"* {X}"]),  # weak: the end never comes
        (AFTER, [f"* {A}", f"* {X}"]),
        (AFTER, [X, f"* {A}", B, A, f"* {X}"]),  # the first one counts
        (UNTIL, [f"* {A}", f"* {X}", B]),
        (UNTIL, [f"* {A}", f"* {X}"]),
        (UNTIL, [A, B, X, f"* {A}", f"* {X}"]),
        (BETWEEN, [f"* {A}", f"* {X}", f"* {B}"]),
        (BETWEEN, [A, B, f"* {A}", A, f"* {X}", f"* {B}"]),
        # for other users and connections nothing has begun
        (AFTER, ["eve < agent_error", f"* {A}", f"* {X}"]),
    ],
)
def test_inside_the_scope_it_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences, *BYE)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (BEFORE, "pass", [A, X]),
        (BEFORE, "pass", [A, B, X]),
        (AFTER, "pass", [X, A]),
        (AFTER, "vacuous", [X, B]),
        (UNTIL, "pass", [X, A, B, X]),
        (BETWEEN, "pass", [X, A, B, X]),
        (BETWEEN, "vacuous", [A, X]),  # it never ends, so it was none
        (BETWEEN, "vacuous", [X, B]),
        (AFTER, "pass", ["eve < agent_started", X]),
        (UNTIL, "pass", [A, B, X, A, B]),
    ],
)
def test_outside_of_it_nothing_is(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences, *BYE)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (BETWEEN, "inconclusive", [A, X]),  # the recording stops: perhaps it would have ended
        (BETWEEN, "vacuous", [A]),
        (UNTIL, "inconclusive", [A, "mark gap", X, B]),  # the end may be lost
        (BETWEEN, "inconclusive", [A, "mark gap", X, B]),
        (AFTER, "fail", [A, "mark gap", X]),  # there is none to be lost
        (BEFORE, "inconclusive", ["mark gap", X, A]),
        (UNTIL, "fail", ["mark gap", A, X, B]),
    ],
)
def test_what_a_hole_may_hide_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, "bob > stop", *sentences)


# -- count: judged at the end of each part

THINKS = "{kind: count, event: agent_thinking, min: 1, scope: {after: agent_started, until: agent_completed}}"


def test_each_part_is_counted_anew():
    thinks = "bob < agent_thinking"
    expect(THINKS, "pass", A, thinks, B, A, thinks, B)
    expect(THINKS, "fail", A, thinks, B, f"* {A}", f"* {B}")
    expect(THINKS, "fail", thinks, f"* {A}", f"* {B}")
    expect(THINKS, "inconclusive", A)
    expect(THINKS, "fail", f"* {A}", "bob ends eof by server")
    expect(THINKS, "pass", A, *BYE)  # waived: the user has left
    found = judge(contract(THINKS), talk(A, thinks, B, A, thinks, B, *BYE).tape)
    assert found.outcome("it").tally.activations == 2


# -- responds: the time goes on behind the end of the scope

FAULT = "scope: {between: [fault_begin, fault_end]}"
DEGRADED = (f"{{kind: responds, per: [connection, thread], {FAULT}, trigger: ask, answer: [agent_started, failure],"
            " within: 10s}")  # fmt: skip
BEGIN, END = "mark fault_begin", "mark fault_end"


@pytest.mark.parametrize(
    "sentences",
    [
        ["bob > stop", BEGIN, "* bob > ask t1", "11s", END, "bob < agent_started t1"],
        ["bob > stop", BEGIN, "* bob > ask t1", "11s", "bob < agent_started t1", END],
        [BEGIN, "* bob > ask t1", "20s", END, "20s"],  # came after the fault had begun
        [BEGIN, "* bob > ask t1", "5s", END, "20s"],
        [BEGIN, "* bob > ask t1", "5s", END, "bob > ask t1", "20s"],
        [BEGIN, "bob > ask t1", "bob < agent_error t1", "* bob > ask t2", "11s", END],
        [BEGIN, "* bob > ask t1", "bob ends reset by server", "5s", END],  # the fault outlives the connection
        [BEGIN, END, "10s", BEGIN, "* bob > ask t1", "11s", END],
        [BEGIN, "* bob > ask t1", "1s", "bob < (close 1011)", "bob ends eof by server", "1s", END],
    ],
)
def test_during_a_fault_silence_is_found(sentences):
    expect(DEGRADED, "fail", *sentences)


@pytest.mark.parametrize(
    "verdict, sentences",
    [
        ("pass", [BEGIN, "bob > ask t1", "9s", "bob < agent_error t1", END]),
        ("pass", [BEGIN, "bob > ask t1", "1s", END, "8s", "bob < agent_started t1"]),  # in time, and after the fault
        ("vacuous", ["bob > ask t1", "1s", BEGIN, "20s", END]),  # asked before
        ("vacuous", [BEGIN, "20s", END, "bob > ask t1", "20s"]),  # asked after
        ("vacuous", ["bob > ask t1", "20s", BEGIN, END]),
        ("vacuous", [BEGIN, "bob > ask t1", *BYE, "2s", END]),  # gave up
        ("vacuous", [BEGIN, "bob > ask t1", "bob < agent_started t1"]),  # a fault that is never over
        ("inconclusive", [BEGIN, "bob > ask t1", "20s"]),
        ("inconclusive", [BEGIN, "bob > ask t1", "2s", END]),
        ("inconclusive", [BEGIN, "bob > ask t1", "11s", "mark gap", END]),
        ("pass", [BEGIN, "bob > ask t1", "bob < agent_started t1", END, "bob > ask t1", "20s"]),
    ],
)
def test_what_is_not_of_the_fault_is_left_alone(verdict, sentences):
    found = judge(contract(DEGRADED), talk(*sentences).tape).outcome("it")
    if verdict == "vacuous" and found.tally.activations:
        verdict = "pass"  # an ask that was waived was judged, too
    assert found.verdict == verdict, (found.tally.unknown, found.tally.groups)


def test_the_proof_of_a_part_shows_its_edges():
    talked = talk(f"* {BEGIN}", "* bob > ask t1", "11s", f"* {END}", "1s")
    [violation] = judge(contract(DEGRADED), talked.tape).violations

    assert [w.role for w in violation.witness] == ["scope", "trigger", "scope"]
    assert [w.event for w in violation.witness] == ["fault_begin", "ask", "fault_end"]
    assert set(violation.seqs) == {*talked.culprits}


# -- edges that carry no key

TOOLS = "{kind: never, event: tool_executing, per: [connection, thread], scope: {after: agent_error, until: stop}}"
RUNS = TOOLS.replace("agent_error", "agent_completed")


def test_an_edge_with_a_key_is_of_its_slice_alone():
    expect(RUNS, "fail", "* bob < agent_completed t1", "* bob < tool_executing t1")
    expect(RUNS, "pass", "bob < agent_completed t1", "bob < tool_executing t2")
    expect(RUNS, "pass", "bob < agent_completed t1", "1s", "bob > stop t1", "1s", "bob < tool_executing t1")


def test_an_edge_without_one_is_of_all_slices_of_its_connection():
    expect(TOOLS, "fail", "* bob < agent_error", "* bob < tool_executing t7")  # also of those that begin later
    expect(TOOLS, "fail", "bob < agent_thinking t1", "* bob < agent_error", "* bob < tool_executing t1")
    expect(TOOLS, "vacuous", "bob < agent_error", "bob/2 < tool_executing t1")
    expect(TOOLS, "vacuous", "bob < agent_error", "1s", "bob > stop", "1s", "bob < tool_executing t7")


def test_a_handshake_is_an_edge_for_all_slices_of_its_connection():
    after = "{kind: never, event: tool_executing, per: [connection, thread], scope: {after: $accept}}"
    expect(after, "fail", "* bob < tool_executing t1")


def test_a_scope_inside_a_span():
    inside = "{kind: never, event: tool_executing, scope: {span: run, after: agent_error}}"
    base = EVENTS.replace("failed: agent_error, ", "")
    expect(inside, "fail", "bob < agent_started r1", "* bob < agent_error r1", "* bob < tool_executing r1", base=base)
    other = ["bob < agent_started r1", "bob < agent_started r2", "bob < agent_error r1", "bob < tool_executing r2"]
    expect(inside, "pass", *other, base=base)
    fault = "{kind: never, event: tool_executing, scope: {span: run, after: fault_begin, until: fault_end}}"
    expect(fault, "fail", "bob < agent_started r1", "* mark fault_begin", "* bob < tool_executing r1")
    expect(fault, "fail", "* mark fault_begin", "bob < agent_started r1", "* bob < tool_executing r1")
    expect(fault, "pass", "mark fault_begin", "bob < agent_started r1", "mark fault_end", "bob < tool_executing r1")


# -- directions


def test_what_the_other_side_could_not_know_of_is_raced():
    quiet = "{kind: never, event: agent_thinking, scope: {after: stop}}"
    expect(quiet, "fail", "* bob > stop", "300ms", "* bob < agent_thinking")
    raced = judge(contract(quiet), talk("bob > stop", "100ms", "bob < agent_thinking", *BYE).tape).outcome("it")
    assert raced.verdict == "pass" and raced.tally.raced == 1
    # the server said it before it knew: that is certain
    early = "{kind: never, event: agent_thinking, scope: {before: ask}}"
    expect(early, "fail", "* bob < agent_thinking", "bob > ask")


def test_who_asks_while_the_scope_ends_is_perhaps_not_in_it():
    early = (
        "{kind: responds, per: connection, trigger: ask, scope: {before: agent_started}, answer: [$close], within: 5s}"
    )
    expect(early, "fail", "* bob > ask", "300ms", "bob < agent_started", "6s")
    expect(early, "pass", "bob > ask", "1s", "bob < (close 1008)", "bob ends eof by server")
    expect(
        early, "pass", "bob > ask", "300ms", "bob < agent_started", "1s", "bob < (close 1008)", "bob ends eof by server"
    )
    crossed = judge(contract(early), talk("bob > ask", "100ms", "bob < agent_started", "6s").tape).outcome("it")
    assert crossed.verdict == "pass" and crossed.tally.raced == 1


# -- pair and latency


def test_a_pair_that_was_opened_before_the_scope_may_close_in_it():
    pair = "{kind: pair, key: call, open: tool_executing, close: tool_completed, scope: {after: fault_begin}}"
    expect(pair, "vacuous", "bob < tool_executing c1", "mark fault_begin", "bob < tool_completed c1")
    expect(pair, "fail", "mark fault_begin", "* bob < tool_executing c1", "bob ends eof by server")


def test_a_time_that_began_in_the_scope_is_measured_to_its_end():
    slow = "{kind: latency, from: ask, to: agent_completed, max: 5s, scope: {after: fault_begin, until: fault_end}}"
    expect(slow, "pass", "mark fault_begin", "bob > ask", "mark fault_end", "4s", "bob < agent_completed")
    expect(slow, "fail", "mark fault_begin", "* bob > ask", "mark fault_end", "6s", "* bob < agent_completed")
    expect(slow, "vacuous", "mark fault_begin", "mark fault_end", "bob > ask", "6s", "bob < agent_completed")


# -- a message whose key is known only later


def test_what_came_before_the_scope_stays_there_when_its_key_is_known():
    never = "{kind: never, event: tool_executing, per: [connection, thread], scope: {after: fault_begin}}"
    before = ["bob < tool_executing", "mark fault_begin", "bob < agent_thinking t1"]
    expect(never, "pass", *before)
    expect(never, "fail", "bob < agent_thinking t1", "* mark fault_begin", "* bob < tool_executing")


def test_verdicts_are_the_same_user_by_user():
    talked = talk(
        "bob > ask t1", BEGIN, "eve > ask t1", "bob > ask t2", "11s", "eve < agent_started t1", END, "1s",
        "bob < agent_started t2", "eve > ask t9", "30s", BEGIN, "eve > ask t3", "30s", END, "1s",
    )  # fmt: skip
    whole = judge(contract(DEGRADED), talked.tape)
    parts = [judge(contract(DEGRADED), talked.tape, user) for user in ("bob", "eve")]

    assert whole.verdict == "fail", troubled(whole)
    assert sum(part.outcome("it").tally.violated for part in parts) == whole.outcome("it").tally.violated == 3
    assert {v.seqs for p in parts for v in p.violations} >= {v.seqs for v in whole.violations}


# -- the definition itself, word by word


def inside(scope: str, word: str) -> int:
    """Return how many `e` of a word are in the scope, by its definition: each is one violation."""
    if scope == "before":
        return word.partition("r")[0].count("e")
    if scope == "after":
        return word.partition("q")[2].count("e")
    found, rest = 0, word
    while "q" in rest:
        part, end, rest = rest.partition("q")[2].partition("r")
        found += part.count("e") if end or scope == "until" else 0
    return found


@given(st.text("qre", max_size=12), st.sampled_from(["before", "after", "until", "between"]))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_of_every_word_what_is_inside_is_found_and_nothing_else(word, scope):
    rule = {"before": BEFORE, "after": AFTER, "until": UNTIL, "between": BETWEEN}[scope]
    rule = rule.replace("agent_started", "agent_completed") if scope == "before" else rule
    sentences = [{"q": A, "r": B, "e": X}[letter] for letter in word]
    found = judge(contract(rule), talk("bob > stop", *sentences, *BYE).tape).outcome("it")

    assert found.tally.violated == inside(scope, word), word
    assert not found.tally.unknown and not found.tally.errors
