"""Gaps: where something may be missing, and for how long the recorder stood still."""

from goldentape.event import Mark
from verifier.gaps import Gaps
from verifier.record import Session

A, B = Session("a", 1, "alice", True), Session("b", 2, "bob", True)
SECOND = 1_000_000_000


def gaps(*marks) -> Gaps:
    return Gaps(
        [Mark(seq=n, t=t, kind=kind, connection=c, data=data) for n, (kind, t, c, data) in enumerate(marks)],
        {"a": "alice", "b": "bob"},
    )


def test_a_hole_is_in_every_stretch_that_it_touches():
    found = gaps(("begin", 0, None, {}), ("gap", 10, None, {}), ("crash", 30, None, {}))

    assert found.between(10, 10) and found.between(5, 10) and found.between(10, 15) and found.between(0, 100)
    assert not found.between(0, 9) and not found.between(11, 29) and not found.between(31, 99)


def test_a_second_begin_is_a_hole_and_a_tick_is_none():
    found = gaps(("begin", 0, None, {}), ("tick", 5, None, {}), ("begin", 10, None, {}), ("end", 20, None, {}))

    assert found.between(9, 10) and not found.between(0, 9) and not found.between(11, 99)


def test_a_hole_of_one_connection_is_its_users_and_nobody_elses():
    found = gaps(("gap", 10, "a", {}), ("malformed", 30, "b", {}))

    assert found.between(0, 20, [A]) and found.between(0, 20, (), "alice")
    assert not found.between(0, 20, [B]) and not found.between(0, 20, (), "bob") and not found.between(0, 20)
    assert found.between(0, 20, everywhere=True) and found.between(25, 40, [B])
    assert not found.between(11, 29, [A, B], "alice", everywhere=True)


def test_a_message_that_is_not_whole_is_a_hole_of_its_connection():
    found = gaps(("gap", 10, "a", {}))
    found.unreadable(A, 5)

    assert found.between(0, 5, [A]) and found.between(6, 10, [A]) and not found.between(6, 9, [A])
    assert found.between(0, 5, (), "alice") and not found.between(0, 5, (), "bob")


def test_the_recorders_stalls_are_added_up_within_a_stretch():
    found = gaps(
        ("tick", 1 * SECOND, None, {"lag": 0.5}), ("tick", 2 * SECOND, None, {"lag_ms": 250}),
        ("tick", 3 * SECOND, None, {"lag_ns": 1000}), ("tick", 4 * SECOND, None, {"lag": True}),
    )  # fmt: skip

    assert found.stalled(0, 9 * SECOND) == 750_000_000
    assert found.stalled(0, 600_000_000) == 100_000_000
    assert found.stalled(1 * SECOND, 1_750_000_000) == 0
    assert found.stalled(1_900_000_000, 9 * SECOND) == 100_000_000
    assert gaps().stalled(0, 9 * SECOND) == 0


def test_a_gap_is_as_long_as_its_mark_says():
    found = gaps(("gap", 100, None, {"ns": 40}), ("gap", 300, None, {"ns": True}))

    assert found.between(0, 60) and found.between(70, 80) and found.between(100, 200)
    assert not found.between(0, 59) and not found.between(101, 299)
