"""What only looks like a fault raises nothing: a second tab, a reconnect, what is told again, odd content."""

from __future__ import annotations

from dataclasses import replace

import pytest
from agents import failed, golden_path, troubled
from histories import reading

from goldentape.event import Mark
from verifier.faults.draft import Draft
from verifier.faults.reading import Reading, put
from verifier.faults.trial import judged

TAPES = ["endings", "one-run", "parallel-tools", "two-tabs", "two-users-two-runs", "without-ids", "reconnect"]
MS = 1_000_000


def nothing_fails(history: Draft, story: object = "") -> None:
    verdict, _ = judged(golden_path(), history)
    slow = {"first-fast"}  # two seconds that the network took are no answer within 100 ms
    errors = {o.name for o in verdict.outcomes if o.tally.errors}
    assert (failed(verdict) | errors) - slow == set(), (story, troubled(verdict))


def some(found: Reading) -> tuple[int, ...]:
    """Return some of the server's events, from begin to end."""
    return found.told[:: 1 + len(found.told) // 7]


def only(found: Reading) -> list[int]:
    """Return the connections of users who have no other one."""
    users = [c.user for c in found.draft.connections.values() if c.accepted is not None]
    return [n for n, c in found.draft.connections.items() if c.accepted is not None and users.count(c.user) == 1]


@pytest.mark.parametrize("tape", TAPES)
def test_a_second_tab_that_is_shown_everything(tape):
    found = reading(tape)
    for number in only(found):
        nothing_fails(found.draft.with_tab(number), number)


@pytest.mark.parametrize("tape", TAPES)
def test_a_client_that_comes_back_and_misses_nothing(tape):
    found = reading(tape)
    for at in some(found):
        if found.lines[at].connection in only(found) and not found.seen[at].opens:
            nothing_fails(found.draft.reconnected(at), found.label(at))


@pytest.mark.parametrize("tape", TAPES)
def test_what_may_have_been_lost_is_told_again_with_its_id(tape):
    found = reading(tape)
    before: dict[int, int] = {}
    for at in found.told:
        number = found.lines[at].connection
        last = before.get(number)
        if last is not None and number in only(found) and found.id_place(last) is not None:
            draft = found.draft.reconnected(at)
            again = replace(found.lines[last], connection=draft.lines[at].connection)
            nothing_fails(draft.inserted(at - 1, replace(again, t=draft.lines[at].t)).delayed(at, MS), found.label(at))
        before[number] = at


TEXTS = {
    "unicode": "Grüße, 東京 🚀 \u202e\u0000\N{ZERO WIDTH JOINER} I recommend to reduce what hello costs.",
    "huge": "I recommend to reduce the cost of hello by what nobody needs. " * 500,
    "json": '{"type": "agent_error", "run_id": "another", "user_id": "bob"} - I recommend to reduce what hello costs',
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("tape", TAPES)
def test_what_a_tool_says_may_be_anything(tape, text):
    found = reading(tape)
    results = {
        n: found.rewritten(n, put(found.seen[n].value, ("data", "result"), TEXTS[text]))
        for at in found.told
        if "tool_completed" in found.names(at)
        for n in found.same(at)
    }
    nothing_fails(found.draft.changed(results))


@pytest.mark.parametrize("result", [{}, "", None])
@pytest.mark.parametrize("tape", TAPES)
def test_a_tool_may_find_nothing(tape, result):
    found = reading(tape)
    results = {
        n: found.rewritten(n, put(found.seen[n].value, ("data", "result"), result))
        for at in found.told
        if "tool_completed" in found.names(at)
        for n in found.same(at)
    }
    nothing_fails(found.draft.changed(results))


@pytest.mark.parametrize("tape", TAPES)
def test_a_slow_network_within_the_bounds(tape):
    found = reading(tape)
    for at in some(found):
        nothing_fails(found.draft.delayed(at, 40 * MS), found.label(at))


@pytest.mark.parametrize("tape", TAPES)
def test_the_client_may_leave_at_any_time(tape):
    found = reading(tape)
    for at in some(found):
        line = found.lines[at]
        if line.connection in only(found):
            gone = found.draft.cut(line.connection, at, by="client")
            nothing_fails(gone, found.label(at))
            nothing_fails(gone.running_on(), found.label(at))


@pytest.mark.parametrize("tape", TAPES)
def test_a_hole_in_the_recording_may_hold_anything(tape):
    found = reading(tape)
    for at in some(found):
        line = found.lines[at]
        lost = found.draft.without(at)
        nothing_fails(lost.noted(Mark(seq=line.seq, t=line.t, kind="gap")), found.label(at))
