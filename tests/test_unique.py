"""`unique`: what breaks it, and what only looks like it; and the table of what was seen."""

import tracemalloc

import pytest
from agents import contract, expect, judge
from hypothesis import given
from hypothesis import strategies as st
from tapes import tape

from verifier.record import MESSAGE, S2C, Record
from verifier.seen import Seen

EVENT = "{kind: unique, event: [agent_thinking, agent_completed], path: event_id, per: connection, missing: ignore}"
USER = "{kind: unique, event: agent_completed, path: [data.invoice, invoice], per: user}"
WHOLE = "{kind: unique, event: agent_completed, path: data.invoice, per: recording}"
IN_RUN = "{kind: unique, event: tool_executing, path: data.call_id, scope: run}"
ASKED = "{kind: unique, event: ask, path: id, severity: warning}"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (EVENT, ["* bob < agent_thinking e1", "bob < agent_thinking e2", "* bob < agent_thinking e1"]),
        (EVENT, ["* bob < agent_thinking e1", "* bob < agent_completed e1"]),
        (EVENT, ["* bob < agent_thinking event_id:=1", "* bob < agent_thinking event_id:=1.0"]),
        (EVENT, ["bob connects /", "bob/2 connects /", "* bob < agent_thinking e1", "bob/2 < agent_thinking e1",
                 "* bob < agent_thinking e1"]),
        (EVENT, ['* bob < agent_thinking event_id:=[1,{"a":2}]', '* bob < agent_thinking event_id:=[1,{"a":2.0}]']),
        (EVENT, ["* bob < agent_thinking e1", "mark gap", "* bob < agent_thinking e1"]),  # no hole excuses a repetition
        (USER, ["* bob < agent_completed data.invoice=i", "bob ends eof by client",
                "* bob/2 < agent_completed data.invoice=i"]),
        (USER, ["* bob < agent_completed"]),
        (USER, ["* bob < agent_completed data.invoice:=null"]),
        (WHOLE, ["* bob < agent_completed data.invoice=i", "* eve < agent_completed data.invoice=i"]),
        (IN_RUN, ["bob < agent_started r1", "* bob < tool_executing r1 c1", "* bob < tool_executing r1 c1"]),
    ],
)  # fmt: skip
def test_a_value_that_comes_twice_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (EVENT, ["bob < agent_thinking e1", "bob < agent_thinking e2", "eve < agent_thinking e1"]),
        (EVENT, ["bob < agent_thinking e1", "bob < agent_thinking", "bob < agent_thinking event_id:=null",
                 "bob < agent_thinking"]),
        (EVENT, ["bob < agent_thinking event_id:=1", 'bob < agent_thinking event_id:="1"',
                 "bob < agent_thinking event_id:=true"]),
        (EVENT, ["bob < agent_thinking event_id:=-1", "bob < agent_thinking event_id:=-2"]),
        (EVENT, ["bob < agent_thinking e1", "bob ends reset by client", "bob/2 < agent_thinking e1"]),  # told again
        (EVENT, ["bob < agent_thinking e1", "bob < !delivery_unknown agent_thinking e1"]),
        (USER, ["bob connects /", "bob/2 connects /", "bob < agent_completed data.invoice=i e1",
                "bob/2 < agent_completed data.invoice=i e1"]),  # a copy
        (USER, ["bob < agent_completed data.invoice=i", "eve < agent_completed invoice=i"]),
        (IN_RUN, ["bob < agent_started r1", "bob < tool_executing r1 c1", "bob < agent_completed r1",
                  "bob < agent_started r1", "bob < tool_executing r1 c1"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


def test_a_hole_in_which_a_run_may_have_ended_excuses_its_ids():
    begin = ["bob < agent_started", "bob < tool_executing c1"]

    expect(IN_RUN, "inconclusive", *begin, "mark gap", "bob < tool_executing c1")


def test_a_client_that_repeats_itself_only_warns():
    found = judge(contract(ASKED), tape('bob > {"type": "ask", "id": 1}', 'bob > {"type": "ask", "id": 1}'))

    assert (found.outcome("it").tally.demoted, found.verdict) == (1, "pass")


def test_nothing_judged_is_vacuous():
    expect(EVENT, "vacuous", "bob < agent_thinking")


def test_each_repetition_names_the_first():
    sentences = [f'bob < {{"type": "agent_thinking", "event_id": "{n % 40}"}}' for n in range(100)]
    outcome = judge(contract(EVENT), tape(*sentences)).outcome("it")
    [group] = outcome.groups

    assert group.count == outcome.tally.violated == 60
    assert {v.witness[1].seq - v.witness[0].seq for v in group.first} == {40}


@given(st.lists(st.integers(0, 1 << 64 - 1) | st.integers(0, 30)))
def test_the_table_knows_what_it_saw(digests):
    seen, known = Seen(), {}
    for at, digest in enumerate(digests):
        record = Record(MESSAGE, at + 1, at * 10, None, "bob", S2C)
        record.names = (f"event{at % 300}",)
        entry = seen.first(digest, record)
        assert (entry is None) == (digest not in known)
        if entry is not None:
            found = seen.record(entry, record, {})
            assert (found.seq, found.t, found.names) == known[digest]
        known.setdefault(digest, (at + 1, at * 10, record.names))
    assert len(seen) == len(known)


def test_a_value_costs_about_forty_bytes_however_long_it_is():
    record = Record(MESSAGE, 1, 1, None, "bob", S2C)
    record.names = ("event",)
    tracemalloc.start()
    seen = Seen()
    for number in range(40_000):
        seen.first(hash(f"{number}" * 20) & (1 << 64) - 1, record)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert size / 40_000 < 50
