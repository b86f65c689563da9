"""Releases of four services, recorded over real sockets, and what differs between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from releases import record

from goldentape.tape import open_tape
from verifier.diff.compare import compare
from verifier.diff.finding import EQUAL, UNCERTAIN, WORSE, Comparison, Finding

PLANTED = {
    "chat": (
        {"rename": {"agent_thinking": "agent_reasoning"}, "retype": {"data.usage.tokens": "string"},
         "slow": {"search_docs": 2.0}, "lose": 0.04},
        [("unfinished", "agent_completed"), ("renamed", "agent_thinking is now agent_reasoning"),
         ("type", "data.usage.tokens"), ("latency", "search_docs")],
    ),
    "rpc": (
        {"rename": {"notifications/progress": "notifications/status"}, "retype": {"result.took": "string"},
         "slow": {"search_docs": 3.0}, "lose": 0.06},
        [("unfinished", "tools/call: result"), ("renamed", "notifications/status"), ("type", "result.took"),
         ("latency", "search_docs")],
    ),
    "graph": (
        {"rename": {"error": "failure"}, "retype": {"payload.data.chat.index": "string"}, "slow": {"feed": 2.5},
         "lose": 0.06},
        [("unfinished", "complete"), ("renamed", "failure"), ("type", "payload.data.chat.index"), ("latency", "feed")],
    ),
    "plain": (
        {"rename": {"accepted": "queued"}, "retype": {"tokens": "string"}, "slow": {"think": 3.0}, "lose": 0.06},
        [("unfinished", "done"), ("renamed", "queued"), ("type", "tokens"), ("latency", "accepted to token")],
    ),
}  # fmt: skip
RUNS = {"chat": 200, "rpc": 200, "graph": 140, "plain": 140}


@pytest.fixture(scope="module")
def tapes(tmp_path_factory) -> dict[str, Path]:
    """Two tapes of the first release of each service, and one of the second: all at once, so that load slows all."""
    folder = tmp_path_factory.mktemp("releases")
    found: dict[str, Path] = {}
    for family, (changed, _) in PLANTED.items():

        def recorded(one: tuple[str, dict], family: str = family) -> tuple[str, Path]:
            path, seed = folder / f"{family}-{one[0]}.tape", f"{family} {one[0]}"
            return path.stem, record(path, family, runs=RUNS[family], users=12, plan={**one[1], "seed": seed})

        with ThreadPoolExecutor(3) as pool:
            found |= pool.map(recorded, (("a1", {}), ("a2", {}), ("b", changed)))
    return found


def compared(before: list[Path], after: list[Path]) -> Comparison:
    opened = [[open_tape(path) for path in side] for side in (before, after)]
    try:
        return compare(*opened)
    finally:
        for tape in [*opened[0], *opened[1]]:
            tape.close()


def beside(folder: Path, runs: int, users: int, plan: dict) -> Comparison:
    """Compare a first release with a changed one, recorded at the same time: load slows both."""
    plans = [("a", RUNS["chat"], {"seed": "beside"}), ("c", runs, plan)]
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(record, folder / f"{n}.tape", "chat", runs=r, users=users, plan=p) for n, r, p in plans]
        before, after = (one.result() for one in made)
    return compared([before], [after])


def told(found: Comparison) -> list[str]:
    return [finding.title for finding in found.findings]


@pytest.mark.parametrize("baselines", [1, 2])
@pytest.mark.parametrize("family", PLANTED)
def test_every_planted_change_is_found_and_told_first(tapes, family, baselines):
    before = [tapes[f"{family}-a1"], tapes[f"{family}-a2"]][:baselines]

    found = compared(before, [tapes[f"{family}-b"]])

    wanted = PLANTED[family][1]
    first = found.findings[: len(wanted)]
    for kind, words in wanted:
        assert any(one.kind == kind and words in one.title for one in first), (kind, words, told(found))
    assert len(found.findings) <= len(wanted) + 2, told(found)
    assert found.verdict == WORSE
    assert found.guessed is (baselines == 1)


@pytest.mark.parametrize("family", PLANTED)
def test_a_release_against_itself_is_equal_either_way(tapes, family):
    for before, after in (("a1", "a2"), ("a2", "a1")):
        found = compared([tapes[f"{family}-{before}"]], [tapes[f"{family}-{after}"]])
        assert (found.verdict, told(found)) == (EQUAL, [])


def test_each_finding_shows_the_change_on_both_sides(tapes):
    found = compared([tapes["chat-a1"]], [tapes["chat-b"]])

    rows = {one.kind: one.example.rows for one in found.findings if one.example is not None}
    assert any(mark == "-" and "agent_completed" in left for mark, left, _ in rows["unfinished"])
    assert any("agent_thinking" in left and "agent_reasoning" in right for _, left, right in rows["renamed"])
    [[before, after]] = [[left, right] for mark, left, right in rows["type"] if mark == "~"]
    assert before.replace("= ", '= "') + '"' != before
    assert '"' in after and '"' not in before
    assert len(rows["latency"]) == 2


def test_one_cause_in_several_events_is_one_finding(tmp_path, tapes):
    plan = {
        "move": {"user_id": "userId"}, "twice": ["agent_summary"], "value": {"data.model": "m-small"},
        "add": {"agent_completed:data.reason": "stop"}, "drop": ["data.arguments"], "extra": {"agent_note": 0.5},
        "seed": "several",
    }  # fmt: skip
    path = record(tmp_path / "c.tape", "chat", runs=120, users=8, plan=plan)

    found = compared([tapes["chat-a1"], tapes["chat-a2"]], [path])

    assert {(one.kind, one.mark) for one in found.findings} == {
        ("field", "changed"), ("field", "gone"), ("field", "new"), ("event", "new"), ("count", "changed"),
        ("values", "changed"),
    }, told(found)  # fmt: skip
    assert len(found.findings) == 6
    [moved] = [one for one in found.findings if (one.kind, one.mark) == ("field", "changed")]
    assert "user_id is now userId" in moved.title
    assert len(moved.events) >= 6


def test_an_order_that_changes_is_one_finding_and_no_other(tmp_path):
    found = beside(tmp_path, 100, 6, {"swap": True, "seed": "swapped"})

    assert [one.kind for one in found.findings] == ["order"], told(found)
    assert "agent_completed comes before agent_summary" in found.findings[0].title


def test_too_few_runs_are_never_equal(tmp_path):
    found = beside(tmp_path, 4, 2, {})

    assert found.verdict == UNCERTAIN
    assert "4 runs" in found.doubts[0]


def test_a_rare_loss_that_may_be_chance_is_a_hint_with_what_would_tell(tmp_path):
    found = beside(tmp_path, 60, 6, {"lose": 0.025, "seed": "rare"})

    assert found.verdict == UNCERTAIN
    [hint] = found.hints
    assert hint.kind == "unfinished"
    assert hint.figures["needed"] > 60


def test_a_part_of_a_large_tape_is_compared_and_that_is_said(tapes):
    with open_tape(tapes["chat-a1"]) as before, open_tape(tapes["chat-b"]) as after:
        found = compare([before], [after], most=1500)

    assert found.baseline.messages <= 1500
    assert found.baseline.left_out > 0
    assert any("left out" in note for note in found.notes)
    assert "renamed" in [one.kind for one in found.findings]


def fingerprints(findings: tuple[Finding, ...]) -> Iterator[str]:
    return (one.fingerprint for one in findings)


def test_a_change_has_the_same_fingerprint_in_every_diff(tapes):
    one = compared([tapes["chat-a1"]], [tapes["chat-b"]])
    two = compared([tapes["chat-a2"]], [tapes["chat-b"]])

    assert set(fingerprints(one.findings)) == set(fingerprints(two.findings))
    assert json.dumps([dict(finding.figures) for finding in one.findings])
