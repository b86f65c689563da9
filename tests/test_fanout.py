"""`fanout`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, judge, talk
from hypothesis import given
from hypothesis import strategies as st

from goldentape.errors import GoldentapeError

ALL = "{kind: fanout, event: [agent_started, agent_thinking, tool_executing], id: event_id, within: 1s}"
BARE = "{kind: fanout, event: [agent_started, agent_thinking], id: nothing.here, within: 1s}"
ORDER = ALL.replace("within: 1s", "within: 1s, per: [user, thread], order: true")
TWO = ["bob connects /", "bob/2 connects /", "2s"]
THREE = ["bob connects /", "bob/2 connects /", "bob/3 connects /", "2s"]
OVER = ["2s", "tick"]


def both(event: str) -> list[str]:
    return [f"bob < {event}", f"bob/2 < {event}"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ALL, [*TWO, "* bob < agent_started e1", *OVER]),
        (ALL, [*TWO, "* bob/2 < agent_started e1", *OVER]),
        (ALL, [*TWO, "* bob < agent_started e1", "1500ms", "bob/2 < agent_started e1"]),  # too late
        (ALL, [*THREE, *both("agent_started e1"), *OVER]),
        (ALL, [*TWO, *both("agent_started e1"), "* bob < agent_thinking e2", *both("tool_executing e3"), *OVER]),
        # It has shown an event, so it takes part, though it is young.
        (ALL, ["bob connects /", "2s", "bob/2 connects /", *both("agent_started e1"), "* bob < agent_thinking e2",
               *OVER]),
        (ALL, [*TWO, "* bob < agent_started e1", "2s", "bob/2 > (close 1000)", "bob/2 < (close 1000)"]),
        (ALL, [*TWO, "* bob < agent_started e1", "500ms", 'tick {"lag": 0.3}', "900ms", "bob/2 < agent_started e1"]),
        (BARE, [*TWO, "* bob < agent_started", "bob/2 < agent_thinking", *OVER]),
        (ORDER, [*TWO, "* bob < agent_started t1 e1", "* bob < agent_thinking t1 e2", "* bob/2 < agent_thinking t1 e2",
                 "* bob/2 < agent_started t1 e1"]),
        (ORDER, [*TWO, "* bob < agent_started t1 e1", "* bob/2 < agent_thinking t1 e2", "* bob < agent_thinking t1 e2",
                 "* bob/2 < agent_started t1 e1"]),
    ],
)  # fmt: skip
def test_who_is_left_out_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (ALL, [*TWO, *both("agent_started e1"), *OVER]),
        (ALL, [*TWO, "bob < agent_started e1", "900ms", "bob/2 < agent_started e1"]),
        (ALL, [*TWO, *both("agent_started e1"), "bob < agent_error e2", *OVER]),  # not of the events
        # It opened while the event was on its way.
        (ALL, [*TWO, "bob/3 connects /", *both("agent_started e1"), *OVER]),
        # It closed before the event was due.
        (ALL, [*THREE, *both("agent_started e1"), "500ms", "bob/3 > (close 1000)", "bob/3 < (close 1000)", *OVER]),
        (ALL, [*THREE, *both("agent_started e1"), "500ms", "bob/3 ends reset by client", *OVER]),
        (ALL, [*THREE, *both("agent_started e1"), "bob/3 < (close 1001)", "2s", "bob/3 > (close 1001)"]),
        # A tab that opens later is told the past.
        (ALL, [*TWO, *both("agent_started e1"), "5s", "bob/3 connects /", "bob/3 < agent_started e1", *OVER]),
        (BARE, [*TWO, *both("agent_started"), *both("agent_started"), *OVER]),  # the same bytes, twice
        (BARE, [*TWO, "bob < agent_started", "bob < agent_started", "bob/2 < agent_started", "bob/2 < agent_started"]),
        # Another kind of connection, another user.
        (ALL, [*TWO, "bob/3 connects /notices", "eve connects /", "2s", *both("agent_started e1"), *OVER]),
        (ALL, [*TWO, "bob/3 connects / subprotocol=other", "2s", *both("agent_started e1"), *OVER]),
        (ALL, ["bob connects /?tab=1", "bob/2 connects /?tab=2", "2s", *both("agent_started e1")]),
        # The recorder stood still.
        (ALL, [*TWO, "bob < agent_started e1", "1s", 'tick {"lag": 0.9}', "500ms", "bob/2 < agent_started e1"]),
        (ORDER, [*TWO, *both("agent_started t1 e1"), *both("agent_thinking t1 e2")]),
        (ORDER, [*TWO, "bob < agent_started t1 e1", "bob < agent_thinking t1 e2", "bob/2 < agent_started t1 e1",
                 "bob/2 < agent_thinking t1 e2"]),
        # Two threads have no order between them.
        (ORDER, [*TWO, "bob < agent_started t1 e1", "bob < agent_started t2 e2", "bob/2 < agent_started t2 e2",
                 "bob/2 < agent_started t1 e1"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (ALL, "vacuous", ["bob connects /", "2s", "bob < agent_started e1", *OVER]),  # one connection
        (ALL, "vacuous", ["bob connects /", "bob/2 connects /", "bob < agent_started e1", *OVER]),  # both are young
        (ALL, "vacuous", ["bob connects /", "2s", "bob/2 connects /", "bob/2 < agent_started e1", *OVER]),  # the past
        (ALL, "inconclusive", [*TWO, "bob < agent_started e1", "500ms"]),  # the recording stopped
        (ALL, "inconclusive", [*TWO, "bob < agent_started e1", "mark gap", *OVER]),
        (ALL, "inconclusive", [*TWO, "bob < agent_started e1", "bob/2 < !truncated x", *OVER]),
        # It is not known whether it was followed behind the gap.
        (ALL, "inconclusive", [*TWO, *both("agent_started e1"), "mark gap", "5s", "bob < agent_thinking e2", *OVER]),
        (BARE, "inconclusive", [*TWO, "bob < agent_started n=1", "bob/2 < agent_started n=2", *OVER]),
        # A client that does not read what was sent to it keeps the server waiting.
        (ALL, "inconclusive", [*TWO, *both("agent_started e1 text=" + "x" * 70_000), "bob < agent_thinking e2", "3s",
                               "bob/2 < agent_thinking e2"]),
        (ALL, "vacuous", [*TWO, "bob < agent_started e1", "bob/2 becomes eve", "bob/2 < agent_started e2", *OVER]),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_each_event_and_further_connection_is_judged():
    talked = talk(*THREE, *both("agent_started e1"), "bob/3 < agent_started e1", *both("agent_thinking e2"), *OVER)
    tally = judge(contract(ALL), talked.tape).outcome("it").tally

    assert (tally.activations, tally.violated) == (4, 1)


@pytest.mark.parametrize("per", ["recording", "connection"])
def test_a_slice_that_makes_no_sense_is_refused(per):
    with pytest.raises(GoldentapeError):
        judge(contract(ALL.replace("within: 1s", f"within: 1s, per: {per}")), talk("bob > ask").tape)


@given(
    st.lists(
        st.tuples(st.sampled_from(["bob", "bob/2", "eve", "eve/2"]), st.integers(1, 4), st.integers(0, 700)),
        max_size=25,
    )
)
def test_users_alone_are_judged_as_together(steps):
    said = [f"{who} connects /" for who in ("bob", "bob/2", "eve", "eve/2")] + ["2s"]
    for who, event, ms in steps:
        said += [f"{who} < agent_started t1 e{event}{0 if who[0] == 'b' else 1}", f"{ms}ms"]
    talked = talk(*said, *OVER)

    def found(user: str | None) -> tuple[int, int, int]:
        tally = judge(contract(ORDER), talked.tape, user).outcome("it").tally
        return tally.activations, tally.violated, tally.unknown.total()

    assert found(None) == tuple(map(sum, zip(found("bob"), found("eve"), strict=True)))
