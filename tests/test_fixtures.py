"""The fixtures: each good tape passes golden-path, and each bad one fails just in what its file says."""

from pathlib import Path

import pytest
from agents import Talk, failed, golden_path, judge, talk, troubled

HOME = Path(__file__).parent.parent / "fixtures"
GOOD = sorted(HOME.glob("good/*.txt"))
BAD = sorted(HOME.glob("bad/*/*.txt"))


def told(path: Path) -> Talk:
    return talk(*(line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_a_good_tape_fails_nothing(path):
    verdict = judge(golden_path(), told(path).tape)

    assert failed(verdict) == set(), troubled(verdict)
    assert verdict.verdict == ("inconclusive" if path.stem == "recording-stops" else "pass"), troubled(verdict)


@pytest.mark.parametrize("path", BAD, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_bad_tape_fails_in_what_it_is_about(path):
    talked = told(path)
    verdict = judge(golden_path(), talked.tape)
    head = path.read_text("utf-8").splitlines()[0]

    assert failed(verdict) == set(head.removeprefix("# fails: ").split()), troubled(verdict)
    witnesses = [set(v.seqs) for group in verdict.outcome(path.parent.name).groups for v in group.first]
    assert any(talked.culprits <= witness for witness in witnesses), (talked.culprits, witnesses)


def test_every_invariant_of_golden_path_has_a_tape_that_only_it_and_named_companions_catch():
    about = {path.parent.name for path in BAD}

    assert about >= set(golden_path().invariants)
    assert about <= {*golden_path().invariants, "wire.unknown", "wire.undecodable"}
