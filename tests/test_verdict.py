"""Verdicts: what joins violations of one cause, how parts add up, and the exit code of it all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldentape.errors import Exit
from verifier.verdict import KEPT, Tally, Violation, Witness, exit_code, judge, listed, plural


def violation(
    seq: int = 1, *, user: str = "alice", event: str = "done", fault: str = "server", ending=None
) -> Violation:
    proof = Witness(role="offender", seq=seq, part=None, t=seq, user=user, session=f"c{seq}", dir="s2c", event=event)
    return Violation(
        invariant="a", kind="never", severity="error", fault=fault, user=user, slice=(("user", user),),
        witness=(proof,), expected="no done", why=f"done at #{seq}", ending=ending,
    )  # fmt: skip


def test_a_fingerprint_leaves_out_ids_users_and_times():
    prints = {violation(seq, user=user).with_fingerprint().fingerprint for seq, user in ((1, "alice"), (9, "bob"))}

    assert len(prints) == 1
    assert violation(event="other").with_fingerprint().fingerprint not in prints
    assert violation(ending="left").with_fingerprint().fingerprint not in prints


def test_violations_of_one_cause_are_counted_and_the_first_are_kept():
    tally = Tally()
    for seq in range(10):
        tally.add(violation(seq, user=f"u{seq % 4}"))

    [group] = tally.groups.values()
    assert (group.count, len(group.first), len(group.users), tally.violated) == (10, KEPT, 4, 10)


def test_what_the_client_did_wrong_does_not_fail():
    tally = Tally(activations=1)
    tally.add(violation(fault="client"))

    assert (tally.violated, tally.demoted, judge(tally, 1)) == (0, 1, "pass")


FOUND = st.lists(
    st.tuples(st.integers(0, 99), st.sampled_from(["done", "ask"]), st.sampled_from(["a", "b"])), max_size=12
)


@given(FOUND, st.integers(0, 12))
def test_the_tallies_of_parts_add_up_to_the_tally_of_the_whole(found, cut):
    whole, first, second = Tally(), Tally(), Tally()
    for index, (seq, event, user) in enumerate(found):
        one = violation(seq, event=event, user=user)
        whole.add(one)
        (first if index < cut else second).add(one)
    first.merge(second)

    assert first == whole


@pytest.mark.parametrize(
    "tally, verdict",
    [
        (Tally(activations=1), "pass"),
        (Tally(), "vacuous"),
        (Tally(activations=1, unknown={"a gap": 1}), "inconclusive"),
        (Tally(unknown={"a gap": 1}, errors={"ambiguous": 1}), "error"),
        (Tally(violated=1, unknown={"a gap": 1}, errors={"ambiguous": 1}), "fail"),
    ],
)
def test_the_worst_finding_is_the_verdict(tally, verdict):
    assert judge(tally, 1) == verdict


@pytest.mark.parametrize(
    "verdicts, code, strict",
    [
        (["pass"], Exit.OK, Exit.OK),
        (["pass", "vacuous"], Exit.INCONCLUSIVE, Exit.VIOLATION),
        (["pass", "inconclusive"], Exit.INCONCLUSIVE, Exit.VIOLATION),
        (["vacuous", "fail"], Exit.VIOLATION, Exit.VIOLATION),
        (["error"], Exit.VIOLATION, Exit.VIOLATION),
        ([], Exit.INCONCLUSIVE, Exit.VIOLATION),
    ],
)
def test_the_worst_verdict_is_the_exit_code(verdicts, code, strict):
    assert exit_code(verdicts) == code
    assert exit_code(verdicts, strict=True) == strict


def test_words_are_put_together():
    assert (plural(1, "user"), plural(1200, "user")) == ("1 user", "1,200 users")
    assert (listed(["a"]), listed(["a", "b", "c"]), listed([])) == ("a", "a, b or c", "")
