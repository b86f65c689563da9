"""Kinds against conversations by chance, in all the scopes that they may have: laws that hold whatever is said."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
from agents import HEAD, contract, judge, talk
from conversations import MUTATIONS, Step, converse, sentences
from hypothesis import given
from test_conversations import CHECK, PRIVATE, SEEDS, interleaved, is_known, maybe_broken, slowly, tabs_swapped

from verifier.contract import Contract
from verifier.verdict import Verdict

EVENTS = (
    HEAD
    + """\
  thread: {path: [thread_id, data.thread_id], missing: ignore}
events:
  ask: {dir: c2s, type: [user_message, agent_request, chat]}
  agent_started: {}
  agent_thinking: {}
  tool_executing: {}
  tool_completed: {}
  agent_completed: {}
  agent_error: {}
  agent_timeout: {}
  end: {any_of: [agent_completed, agent_error, agent_timeout]}
  of_run: {any_of: [agent_started, agent_thinking, tool_executing, tool_completed, end]}
  left: {on: close, where: {"@close.by": client}}
  let_go: {on: close, where: {"@close.by": server}}
spans:
  run: {open: agent_started, key: run, exits: {done: agent_completed, failed: [agent_error, agent_timeout],
        left: left, let_go: let_go}, on_drop: suspend, grace: 60s}
"""
)
INVARIANTS = (
    "typed: {kind: always, event: of_run, hold: {timestamp: {type: string}}}",
    "typed-in-run: {kind: always, scope: run, when: {exit: done}, event: of_run, hold: {thread_id: {type: string}}}",
    "typed-user: {kind: always, per: user, event: end, hold: {timestamp: {type: string}}}",
    "begun: {kind: precedes, scope: run, first: agent_started, then: [agent_thinking, tool_executing, end]}",
    "called: {kind: precedes, scope: run, first: tool_executing, then: tool_completed, agree: [data.tool_name]}",
    "asked: {kind: precedes, per: user, first: ask, then: agent_started}",
    "once-here: {kind: unique, per: connection, event: of_run, path: event_id, missing: ignore}",
    "once: {kind: unique, per: user, event: of_run, path: event_id, missing: ignore}",
    "context: {kind: same, scope: run, path: [thread_id, data.thread_id]}",
    "owner: {kind: same, per: user, path: [user_id, data.user_id]}",
    "numbers: {kind: monotone, scope: run, event: of_run, path: seq, step: 1, missing: ignore}",
    "grows: {kind: monotone, per: run, event: [agent_started, agent_thinking], path: seq, missing: ignore}",
    "all-tools: {kind: together, scope: run, events: [tool_executing, tool_completed], when: {exit: done}}",
    "one-end: {kind: exclusive, scope: run, events: [agent_completed, agent_error, agent_timeout]}",
    "thoughts: {kind: fold, scope: run, of: agent_thinking, path: delta, op: concat,"
    " equals: {event: agent_completed, path: thoughts}}",
    "calls: {kind: fold, scope: run, of: tool_completed, op: count, equals: {event: agent_completed, path: calls}}",
    "silent: {kind: gap, scope: run, max: 30s}",
    "silent-thread: {kind: gap, per: thread, event: [ask, of_run], max: 1h}",
    "flood: {kind: rate, per: connection, event: of_run, window: 1s, max: 500}",
    "beat: {kind: rate, scope: run, event: of_run, window: 35s, min: 1}",
)


@cache
def kinds(patient: bool = False) -> Contract:
    """Return a contract of all of them; a patient one has no limits of time."""
    lines = [
        line.replace("30s", "5h").replace("35s", "5h").replace("1s, max: 500", "1s, max: 5000") for line in INVARIANTS
    ]
    return contract(*(lines if patient else INVARIANTS), base=EVENTS)


def written(steps: list[Step], **options) -> Verdict:
    return judge(kinds(), talk(*sentences(steps), **options).tape)


def found(verdict: Verdict) -> dict[str, tuple[int, ...]]:
    return {
        o.name: (o.tally.activations, o.tally.violated + o.tally.demoted, o.tally.waived, o.tally.not_applicable)
        for o in verdict.outcomes
        if not o.name.startswith("wire.")
    }


def trouble(verdict: Verdict) -> dict[str, object]:
    return {
        o.name: [group.first[0].why for group in o.groups] or dict(o.tally.errors)
        for o in verdict.outcomes
        if (o.groups or o.tally.errors) and not o.name.startswith("wire.")
    }


@given(SEEDS)
@CHECK
def test_good_conversations_raise_nothing(seed):
    assert trouble(written(converse(Random(seed), stays=bool(seed % 3)))) == {}


@given(SEEDS)
@CHECK
def test_holes_and_ends_of_the_recording_raise_nothing(seed):
    random = Random(seed)
    steps = converse(random)
    at = random.randrange(len(steps))
    stop = min(len(steps), at + random.randint(1, 12))
    if seed % 2:
        assert trouble(written(steps[:at], crashed=bool(seed % 4 == 1))) == {}
    lost = [step for step in steps[at:stop] if is_known(step)]
    length = (steps[stop - 1].t - steps[at].t + 13) * 1_000_000
    gap = Step(steps[stop - 1].t, "mark", f'gap {{"ns": {length}}}')
    assert trouble(written([*steps[:at], *lost, gap, *steps[stop:]])) == {}


@given(SEEDS)
@CHECK
def test_the_order_of_different_users_does_not_matter(seed):
    steps = maybe_broken(seed, PRIVATE)
    one = judge(kinds(True), talk(*slowly(steps)).tape)
    other = judge(kinds(True), talk(*slowly(tabs_swapped(Random(seed), interleaved(Random(seed), steps)))).tape)

    assert found(other) == found(one)


@given(SEEDS)
@CHECK
def test_the_whole_is_its_users_together(seed):
    talked = talk(*sentences(maybe_broken(seed, PRIVATE)))
    whole = found(judge(kinds(), talked.tape))
    total = dict.fromkeys(whole, (0, 0, 0, 0))
    for user in talked.tape.users():
        for name, one in found(judge(kinds(), talked.tape, user.name)).items():
            total[name] = tuple(map(sum, zip(total[name], one, strict=True)))

    assert total == whole


CAUGHT = {
    "a number is left out": "numbers",
    "a number comes twice": "numbers",
    "an event id comes twice": "once-here",
    "a thread that changes": "context",
    "tool_completed comes twice": "calls",
    "tool_executing never comes": "called",
    "agent_thinking never comes": "thoughts",
    "a late tool": "silent",
    "without a timestamp": "typed",
}


@pytest.mark.parametrize("name", CAUGHT)
def test_each_kind_catches_what_is_its_business(name):
    caught = 0
    for seed in range(60):
        random = Random(f"{name} {seed}")
        steps = MUTATIONS[name][0](random, converse(random, stays=True))
        caught += steps is not None and CAUGHT[name] in trouble(written(steps))
        if caught == 3:
            return
    assert caught
