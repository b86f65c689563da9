"""Witnesses that lack what makes them prove it are completed; those that prove it are left as they are."""

from agents import contract, judge, talk

from verifier.minimal import completed, logs_of
from verifier.verdict import CONTEXT, Verdict, Violation

ENDED = "ended: {kind: exits, scope: run}"


def told(*sentences: str) -> tuple[Verdict, Violation, Violation]:
    """Return the verdict, and its violation before and after."""
    tape = talk(*sentences).tape
    verdict = judge(contract(ENDED), tape)
    [group] = verdict.outcome("ended").groups
    before = group.first[0]
    completed(contract(ENDED), verdict, logs_of(tape))
    return verdict, before, group.first[0]


def test_what_kept_a_run_alive_elsewhere_is_shown_too():
    verdict, before, after = told(
        "alice > ask t1", "alice < agent_started t1 r1", "alice/2 connects /chat", "alice/2 < agent_thinking t1 r1",
        "alice/2 < agent_thinking t1 r1", "alice ends eof by client", "5min", "tick",
    )  # fmt: skip
    added = [w for w in after.witness if w not in before.witness]

    assert len(before.witness) == 1
    assert [(w.role, w.event) for w in added] == [(CONTEXT, "agent_thinking")]
    assert after.fingerprint == before.fingerprint == after.with_fingerprint().fingerprint
    assert verdict.outcome("ended").tally.groups.keys() == {after.fingerprint}


def test_a_witness_that_proves_it_is_left_as_it_is():
    _, before, after = told(
        "alice > ask t1", "alice < agent_started t1 r1", "alice < agent_thinking t1 r1", "5min", "tick"
    )

    assert after == before


def test_a_long_log_is_not_cut_again_and_again():
    said = ["alice > ask t1", "alice < agent_started t1 r1", "alice/2 connects /chat"]
    said += ["alice/2 < agent_thinking t1 r1"] * 2001
    _, before, after = told(*said, "alice ends eof by client", "5min", "tick")

    assert after == before
