"""What is kept of slices until the recording ends: it comes back as it was, and is small."""

import tracemalloc

from agents import contract, judge, talk
from hypothesis import given
from hypothesis import strategies as st
from tapes import tape

from verifier.check import verify
from verifier.frozen import Shelf, pack, unpack
from verifier.history import Source
from verifier.record import MESSAGE, Record

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner).map(tuple), max_leaves=10
)
SAME = "{kind: same, per: run, events: [agent_started, agent_completed], path: thread_id}"
EXCLUSIVE = "{kind: exclusive, per: run, events: [agent_completed, agent_error]}"


@given(PLAIN)
def test_plain_values_come_back(value):
    assert unpack(pack(value)) == value


def test_a_record_comes_back_without_its_payload():
    shelf, record = Shelf(), Record(MESSAGE, 7, 8, None, "bob", 1)
    record.names, record.part, record.value = ("ask", "any"), 3, {"a": 1}
    found = shelf.take(unpack(pack(shelf.put(record))), {}, "bob")

    assert (found.seq, found.t, found.part, found.names, found.user, found.dir) == (7, 8, 3, ("ask", "any"), "bob", 1)
    assert found.value is None


def test_what_was_long_ago_still_proves_a_violation():
    between = [f"bob < agent_started r{n} t{n}" for n in range(2, 40)]
    same = talk("* bob < agent_started r1 t1", *between, "* bob < agent_completed r1 t2")
    both = talk("* bob < agent_error r1", *between, "* bob < agent_completed r1")

    for invariant, talked in ((SAME, same), (EXCLUSIVE, both)):
        [group] = judge(contract(invariant), talked.tape).outcome("it").groups
        assert set(group.first[0].seqs) == talked.culprits


def kilobytes(invariant: str, runs: int) -> int:
    """What a verdict needs for many runs, each of which could still say something."""
    lines = (f'bob < {{"type": "agent_completed", "run_id": "run-{n}", "thread_id": "t"}}' for n in range(runs))
    recorded, wanted = tape(*lines), contract(invariant)
    tracemalloc.start()
    assert verify(wanted, Source.of(recorded)).outcome("it").tally.activations == runs
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak // 1024


def test_each_key_of_a_recording_costs_half_a_kilobyte_at_most():
    for invariant in (SAME, EXCLUSIVE):
        assert kilobytes(invariant, 4000) - kilobytes(invariant, 1000) < 3000 // 2
