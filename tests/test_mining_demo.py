"""What is mined from the demo's good release holds on another play of it, and catches what is planted in the next."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from goldentape.fixtures.demo.run import RELEASES, Demo

from goldentape.cli import main
from goldentape.tape import open_tape
from verifier.check import verify
from verifier.contract import Contract, read_contract
from verifier.history import Source


def broken(contract: Contract, tape: Path) -> set[str]:
    """The kinds of invariants that a tape breaks."""
    with open_tape(tape) as opened:
        verdict = verify(contract, Source.of(opened))
    return {o.kind for o in verdict.outcomes if o.tally.violated or o.tally.demoted}


def test_what_is_mined_from_the_good_release_holds_on_another_play_and_catches_all_planted_bugs(tmp_path):
    def play(number: int, release: int) -> Path:
        directory = tmp_path / f"play{number}"
        directory.mkdir()
        return asyncio.run(Demo(directory=directory, people=12).record(RELEASES[release - 1])).tape

    with pytest.raises(SystemExit) as ended:
        main(["mine", *[str(play(n, 1)) for n in range(4)], "-o", str(tmp_path / "mined.yaml")])
    assert ended.value.code == 0
    mined = read_contract((tmp_path / "mined.yaml").read_bytes(), "mined.yaml")

    assert broken(mined, play(8, 1)) == set()
    # One user's event on another's socket, a tool call that never completes, a close with 1011.
    assert {"owner", "pair", "never"} <= broken(mined, play(9, 2))
