"""What `no-leak` of golden-path costs an event, by itself: on texts that come again, and on texts that are all new.

    python benchmarks/taint.py [--events 70000] [--users 100]

CPU of the verdict on one core; beside it the same tape judged by `my-ids`, which is little more than reading it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import verify

from goldentape.commands.finding import read_contracts
from goldentape.tape import open_tape
from verifier.whole import Judge


def cost(tape: Path, invariant: str) -> float:
    """Return the microseconds of CPU that an event takes."""
    [contract] = read_contracts(["golden-path"], {})
    contract.invariants = {invariant: contract.invariants[invariant]}
    contract.tiers = {}
    with open_tape(tape) as opened:
        begin = time.process_time()
        verdict = Judge(contract, opened).verdict()
        return (time.process_time() - begin) / verdict.messages * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=70_000)
    parser.add_argument("--users", type=int, default=100)
    options = parser.parse_args()
    print(f"{'us an event':<28}{'my-ids':>8}{'no-leak':>9}")
    for name, texts in (("texts that come again", lambda: verify.PAD), ("texts that are all new", verify.new_texts())):
        with tempfile.TemporaryDirectory() as directory:
            tape = Path(directory) / "bench.tape"
            verify.write(tape, options.users, options.events, texts)
            print(f"{name:<28}{cost(tape, 'my-ids'):8.1f}{cost(tape, 'no-leak'):9.1f}")


if __name__ == "__main__":
    main()
