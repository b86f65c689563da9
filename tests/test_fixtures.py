"""The fixtures: each good tape passes its contract, and each bad one fails just in what its file says."""

from pathlib import Path

import pytest
from agents import Talk, failed, judge, shipped, talk, troubled, written
from test_whole import both

from verifier.check import verify
from verifier.contract import Contract
from verifier.history import Source
from verifier.units import AGGREGATES

HOME = Path(__file__).parent.parent / "fixtures"
GOOD = sorted([*HOME.glob("good/*.txt"), *HOME.glob("*/good/*.txt")])
BAD = sorted([*HOME.glob("bad/*/*.txt"), *HOME.glob("*/bad/*/*.txt")])
CLIENTS_OWN = "# the client's own: "
"""Begins a line with the findings that blame the client, who may do wrong where the server does right."""
CONTRACTS = ["golden-path", *sorted(path.parent.name for path in HOME.glob("*/good"))]


def name(path: Path) -> str:
    return "-".join(path.relative_to(HOME).with_suffix("").parts)


def contract_of(path: Path) -> str:
    """A directory of its own for each contract; golden-path has the fixtures' own."""
    top = path.relative_to(HOME).parts[0]
    return "golden-path" if top in ("good", "bad") else top


def told(path: Path) -> tuple[Contract, Talk]:
    sentences = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    contract = contract_of(path)
    if contract != "golden-path":
        sentences = [written(sentence) for sentence in sentences]
    return shipped(contract), talk(*sentences)


def alone(path: Path) -> list[Source]:
    """Return the recordings of users alone that a file names behind `# alone:`."""
    lines = [line for line in path.read_text("utf-8").splitlines() if line.startswith("# alone: ")]
    return [Source.of(told(HOME / name)[1].tape) for line in lines for name in line.split()[2:]]


@pytest.mark.parametrize("path", GOOD, ids=name)
def test_a_good_tape_fails_nothing(path):
    contract, talked = told(path)
    verdict = judge(contract, talked.tape)
    both(contract, talked.tape)

    own = next((line for line in path.read_text("utf-8").splitlines() if line.startswith(CLIENTS_OWN)), "")

    assert failed(verdict) == set(own.removeprefix(CLIENTS_OWN).split()), troubled(verdict)
    assert verdict.verdict == ("inconclusive" if path.stem == "recording-stops" else "pass"), troubled(verdict)


@pytest.mark.parametrize("path", BAD, ids=name)
def test_a_bad_tape_fails_in_what_it_is_about(path):
    contract, talked = told(path)
    verdict = verify(contract, Source.of(talked.tape), alone(path))
    both(contract, talked.tape)
    head = path.read_text("utf-8").splitlines()[0]

    assert failed(verdict) == set(head.removeprefix("# fails: ").split()), troubled(verdict)
    witnesses = [set(v.seqs) for group in verdict.outcome(path.parent.name).groups for v in group.first]
    assert any(talked.culprits <= witness for witness in witnesses), (talked.culprits, witnesses)


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_invariant_has_a_tape_that_only_it_and_named_companions_catch(contract):
    about = {path.parent.name for path in BAD if contract_of(path) == contract}
    # What a share is, or what was covered, takes more than a few sentences: see test_ratio.py and test_coverage.py.
    invariants = {name: spec for name, spec in shipped(contract).invariants.items() if spec.kind not in AGGREGATES}
    errors = {name for name, spec in invariants.items() if contract == "golden-path" or spec.severity == "error"}

    assert about >= errors
    assert about <= {*invariants, "wire.unknown", "wire.undecodable"}
