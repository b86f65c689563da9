"""Tiers: what a hard recording may fail in, and what none may."""

import json

import pytest
from agents import EVENTS, contract, golden_path, judge, talk, troubled
from crowds import crowd

from goldentape.errors import GoldentapeError

PAIRED = "pairs: {kind: pair, scope: run, key: call, open: tool_executing, close: tool_completed}"
TIERED = EVENTS + "tiers: {hard: {when: {tag: {tier: hard}}, pass_rate: 0.6}}\n"


def tagged(tier: str) -> dict[str, str]:
    return {"options": json.dumps({"tags": {"tier": tier}})}


@pytest.mark.parametrize(
    "tier, broken, verdict",
    [
        ("hard", 4, "pass"),
        ("hard", 5, "fail"),
        ("easy", 1, "fail"),
        ("easy", 0, "pass"),
        ("none", 1, "fail"),  # no tier: every run must be well
        ("none", 0, "pass"),
    ],
)
def test_a_hard_recording_may_fail_in_some_runs(tier, broken, verdict):
    found = judge(golden_path(), talk(*crowd(10, broken), **tagged(tier)).tape)

    assert found.verdict == verdict, troubled(found)
    assert [o.name for o in found.outcomes if o.name.startswith("tier-")] == (
        [] if tier == "none" else [f"tier-{tier}"]
    )


def test_what_a_tier_allows_for_is_still_shown():
    found = judge(golden_path(), talk(*crowd(10, 4), **tagged("hard")).tape)
    pairs = found.outcome("tools-paired")

    assert (pairs.verdict, pairs.tally.violated, pairs.counts) == ("fail", 4, False)
    assert found.violations or pairs.groups


def test_no_tier_excuses_what_is_gated_always():
    said = crowd(10, 0)
    leak = next(n for n, s in enumerate(said) if s.startswith("u3 < agent_thinking"))
    said[leak] += " user_id=u4"
    found = judge(golden_path(), talk(*said, **tagged("stress")).tape)

    assert found.verdict == "fail"
    assert found.outcome("mine").counts


def test_a_run_that_nobody_can_judge_is_left_out():
    said = [*crowd(10, 4), "x connects /", "x < agent_started t99 r99"]
    found = judge(contract(PAIRED, base=TIERED), talk(*said, **tagged("hard")).tape)

    assert found.outcome("tier-hard").tally.activations >= 10
    assert found.verdict in ("pass", "inconclusive")
    assert not found.failed


@pytest.mark.parametrize(
    "tiers, word",
    [
        ("tiers: {hard: {when: {}, pass_rate: 0.6}}", "for some recordings"),
        ("tiers: {unit: rum, hard: {when: {tag: {a: b}}, pass_rate: 0.6}}", "no such unit"),
        ("tiers: {hard: {when: {tag: {a: b}}, pass_rate: 60}}", "60"),
        ("tiers: {hard: {when: {tag: {a: b}}}}", "pass_rate"),
    ],
)
def test_what_makes_no_sense_is_refused(tiers, word):
    with pytest.raises(GoldentapeError) as error:
        contract(PAIRED, base=f"{EVENTS}{tiers}\n")
    assert word in str(error.value)
