"""`fuzz tape`: what judges interleavings quickly says just what the engine says over all messages."""

from __future__ import annotations

import random

from agents import contract, talk
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from verifier.fuzz.offline.edges import Edges
from verifier.fuzz.offline.judges import SharedRule, WholeEngine
from verifier.fuzz.offline.order import PartialOrder
from verifier.fuzz.offline.parts import Parts
from verifier.fuzz.offline.recorded import Recorded
from verifier.fuzz.offline.rules import Rules, untimed
from verifier.fuzz.offline.run import fuzz_tape
from verifier.fuzz.offline.said import Said
from verifier.history import Source

SHARED = [
    "{kind: pair, per: recording, open: tool_executing, close: tool_completed, max_open: 1}",
    "{kind: pair, per: recording, open: tool_executing, close: tool_completed, max_open: 2}",
    "{kind: pair, per: recording, key: call, open: tool_executing, close: tool_completed}",
    "{kind: pair, per: recording, key: call, open: tool_executing, close: tool_completed, agree: [n], reopen: false}",
    "{kind: pair, per: recording, open: tool_executing, close: tool_completed, during: [agent_thinking]}",
    "{kind: pair, per: recording, open: ask, close: agent_completed, max_open: 1}",
    "{kind: protocol, per: recording, pattern: '(tool_executing tool_completed)*'}",
    "{kind: protocol, per: recording, pattern: '(agent_started | agent_thinking)* agent_completed*'}",
    "{kind: exclusive, per: recording, events: [agent_error, agent_completed]}",
    "{kind: precedes, per: recording, first: tool_executing, then: tool_completed}",
    "{kind: precedes, per: recording, first: agent_started, then: tool_executing, mode: each}",
    "{kind: precedes, per: recording, first: agent_started, then: tool_executing, mode: adjacent}",
    "{kind: precedes, per: recording, first: tool_executing, then: tool_completed, agree: [n]}",
    "{kind: precedes, per: recording, first: fault_begin, then: agent_error}",
    "{kind: monotone, per: recording, event: tool_executing, path: n, missing: ignore}",
    "{kind: monotone, per: recording, event: [tool_executing, tool_completed], path: n, missing: ignore, strict: true}",
    "{kind: monotone, per: recording, event: tool_executing, path: n, missing: ignore, reset_by: agent_started}",
    "{kind: same, per: recording, path: n, set_by: tool_executing, events: [tool_completed]}",
    "{kind: same, per: recording, path: n, events: [tool_executing, tool_completed], rebind_by: agent_started}",
    "{kind: responds, per: recording, trigger: tool_executing, answer: tool_completed, mode: adjacent}",
    "{kind: responds, per: recording, trigger: tool_executing, answer: tool_completed, mode: each, agree: [n]}",
    "{kind: unique, per: recording, event: tool_executing, path: n, missing: ignore}",
    "{kind: never, per: recording, event: tool_executing, scope: {after: agent_error}}",
    "{kind: never, per: recording, event: tool_executing, scope: {between: [agent_started, agent_completed]}}",
    "{kind: count, per: recording, event: tool_executing, max: 1, scope: {after: agent_started, until: ask}}",
    "{kind: pair, per: recording, open: tool_executing, close: tool_completed, max_open: 1, scope: {after: ask}}",
    "{kind: together, per: recording, events: [tool_executing, tool_completed], scope: {after: agent_started}}",
    "{kind: precedes, per: recording, first: $accept, then: tool_executing, mode: each}",
    "{kind: protocol, per: recording, pattern: '(crashed | user_left | tool_executing)* tool_completed*'}",
    "{kind: fold, per: recording, of: tool_executing, path: n, op: sum, equals: {event: agent_completed, path: n}}",
    "{kind: protocol, per: recording, pattern: '(tool_executing tool_completed)*', at_end: {cut: violated}}",
    "{kind: fold, per: recording, of: agent_thinking, path: n, op: count, equals: {event: agent_completed, path: n}}",
    "{kind: owner, mode: key, keys: [thread], shared_by: agent_thinking}",
]  # fmt: skip
OF_USER = [
    "{kind: monotone, per: user, event: tool_executing, path: n, missing: ignore}",
    "{kind: pair, per: user, key: call, open: tool_executing, close: tool_completed}",
    "{kind: precedes, per: [user, thread], first: agent_started, then: tool_executing}",
    "{kind: count, per: run, each: [agent_started, agent_completed], max: 1}",
    "{kind: protocol, per: user, pattern: '(tool_executing tool_completed | agent_thinking)*'}",
    "{kind: responds, per: user, trigger: ask, answer: agent_completed, mode: each}",
    "{kind: never, per: user, event: tool_executing, scope: {after: agent_error}}",
    "{kind: unique, per: user, event: tool_executing, path: n, missing: ignore}",
]  # fmt: skip
TYPES = ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed", "agent_error"]


@st.composite
def tapes(draw, people=("alice", "bob", "carol", "alice/2")) -> list[str]:
    """A conversation of some users at once, all in good order of time and in no other."""
    said = []
    for _ in range(draw(st.integers(2, 14))):
        who = draw(st.sampled_from(people))
        kind = draw(st.integers(0, 11))
        if kind == 0:
            said.append(f"{who} > ask t{draw(st.integers(1, 3))}")
        elif kind == 1:
            said.append(draw(st.sampled_from([f"{who} connects", f"{who} ends eof by server", "mark fault_begin"])))
        else:
            words = [f"t{draw(st.integers(1, 3))}"] if draw(st.booleans()) else []
            words += [f"r{draw(st.integers(1, 3))}"] if draw(st.booleans()) else []
            words += [f"c{draw(st.integers(1, 3))}"] if draw(st.integers(0, 3)) else []
            words += [f"n:={draw(st.integers(1, 3))}"] if draw(st.integers(0, 3)) else []
            flag = "!erased " if draw(st.integers(0, 30)) == 30 else ""
            said.append(" ".join([f"{who} < {flag}{draw(st.sampled_from(TYPES))}", *words]))
    return said


def read(judged, sentences) -> tuple[Recorded, Said, PartialOrder]:
    recorded = Recorded(Source.of(talk(*sentences).tape))
    said = Said(recorded, judged, ())
    return recorded, said, Edges(said).order(by_user=False)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tapes(), st.sampled_from(SHARED), st.integers(0, 100))
def test_a_rule_of_all_users_comes_to_the_verdict_of_the_engine(sentences, rule, seed):
    judged = untimed(contract(rule))
    recorded, _, order = read(judged, sentences)
    steps = range(len(recorded.steps))
    whole = WholeEngine(judged, recorded, ["it"], steps)
    if whole.as_recorded["it"]:
        return  # it is not searched
    quick = SharedRule(judged, recorded, "it", order)
    note(f"quick: {not quick.is_slow}")
    touched = frozenset(steps) if quick.steps is None else quick.steps

    for n in range(6):
        told = order.walk(random.Random(seed + n))
        assert quick.breaks([step for step in told if step in touched]) == bool(whole.violations(told)), told


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tapes(("alice", "alice/2", "bob", "bob/2")), st.sampled_from(OF_USER), st.integers(0, 100))
def test_a_rule_of_one_user_with_tabs_comes_to_the_verdict_of_the_engine(sentences, rule, seed):
    judged = untimed(contract(rule))
    recorded, said, order = read(judged, sentences)
    whole = WholeEngine(judged, recorded, ["it"], range(len(recorded.steps)))
    parts = Parts(recorded, said, order)
    parts.add_tabs(judged, Rules(of_user=("it",)))

    for n in range(4):
        told = order.walk(random.Random(seed + n))
        found = any(
            "it" in part.look([step for step in told if step in set().union(*part.order.lanes)]) for part in parts.parts
        )
        assert found == bool(whole.violations(told)), told


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tapes(), st.sampled_from(SHARED))
def test_what_is_found_is_what_the_engine_says_of_a_legal_order_that_plays(sentences, rule):
    source = Source.of(talk(*sentences).tape)
    judged = contract(rule)
    report = fuzz_tape(judged, source, interleavings=300)

    for possible in report.possible:
        told, _ = report.order.play(possible.slices)
        found = WholeEngine(untimed(judged), report.recorded, ["it"], range(len(told))).violations(told)
        assert told == list(possible.order) and found["it"][possible.violation.fingerprint].why == possible.why
