"""What other orders of a tape cost: interleavings a second, and the check that rules of one user do not see the others.

    python benchmarks/fuzz_tape.py [--demo TAPE] [--seconds 2] [--seed 1]

`one-lock` is one monitor over all users (a tool that one run at a time may use), on tapes whose runs come one after
the other; `golden-path` is the shipped contract on the tape of `goldentape demo`, which is recorded now unless one is
given.  `walks/s`: interleavings of all messages that are made and judged, nothing else.  `search/s`: what `goldentape
fuzz tape` does, which orders only what a rule looks at, tells traces apart and judges each once.  `once`: the same
rules over the tape as it was recorded, by the engine; `ratio`: an interleaving of the search to that.  Below: fifty
interleavings (three at least, five seconds at most) of tapes of many users through the rules of golden-path that are
one user's, again beside one judgement.  CPU seconds.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import verify

from goldentape.commands.finding import read_contracts
from goldentape.tape import open_tape
from verifier.contract import Contract, read_contract
from verifier.fuzz.offline.invariance import Invariance
from verifier.fuzz.offline.judges import SharedRule
from verifier.fuzz.offline.parts import Parts
from verifier.fuzz.offline.rules import checks_over
from verifier.fuzz.offline.run import Searched
from verifier.fuzz.offline.search import explore
from verifier.history import Source

LOCK = b"""\
goldentape: 1
contract: {id: one-lock, version: "1.0.0"}
wire: {format: json, type: type, unknown: ignore}
events: {tool_executing: {}, tool_completed: {}}
invariants: {lock: {kind: pair, per: recording, open: tool_executing, close: tool_completed, max_open: 1}}
"""


def walks(searched: Searched, seconds: float, seed: int) -> float | None:
    """Return how many interleavings of all messages a second are made and judged by the first rule of all users."""
    if not searched.rules.shared or searched.contract is None:
        return None
    rule = SharedRule(searched.contract, searched.recorded, searched.rules.shared[0], searched.order)
    rng, count, begin = random.Random(seed), 0, time.process_time()
    while time.process_time() - begin < seconds:
        rule.breaks(searched.order.walk(rng))
        count += 1
    return count / (time.process_time() - begin)


def once(searched: Searched, names: tuple[str, ...]) -> float:
    """Return the seconds that one judgement of the recorded order takes."""
    assert searched.contract is not None
    told = searched.recorded.told(range(len(searched.recorded.steps)))
    took = []
    for _ in range(3):
        begin = time.process_time()
        checks_over(searched.contract, told, names)
        took.append(time.process_time() - begin)
    return sorted(took)[1]


def search(contract: Contract, path: Path, seconds: float, seed: int) -> None:
    """Print one line for one tape."""
    with open_tape(path) as tape:
        searched = Searched(contract, Source.of(tape))
    assert searched.contract is not None
    rules, bare = searched.rules, walks(searched, seconds, seed)
    begin = time.process_time()
    parts = Parts(searched.recorded, searched.said, searched.order)
    parts.add_shared(searched.contract, rules.shared)
    parts.add_tabs(searched.contract, rules)
    explored = explore(parts.parts, most=10_000_000, seconds=seconds, seed=seed)
    rate = explored.interleavings / (time.process_time() - begin)
    one = once(searched, tuple(parts.searched))
    messages = len(searched.recorded.draft.lines)
    print(
        f"{contract.id:<12}{messages:>9,}{len(searched.by_user.lanes):>7}{f'{bare:,.0f}' if bare else '-':>11}"
        f"{explored.interleavings:>14,}{' all' if explored.complete else '':>4}{explored.traces:>11,}{rate:>11,.0f}"
        f"{one * 1e3:>9.2f}{1 / rate / one:>9.4f}"
    )


def invariance(contract: Contract, path: Path, seed: int) -> None:
    """Print one line for the metamorphic check over one tape."""
    with open_tape(path) as tape:
        searched = Searched(contract, Source.of(tape))
        assert searched.contract is not None
        check = Invariance(searched.contract, searched.recorded, searched.by_user, searched.rules.own)
        begin = time.process_time()
        check.run(seed)
        took = time.process_time() - begin
        one = once(searched, searched.rules.own)
        users = len(searched.by_user.lanes)
        events = len(searched.recorded.draft.lines)
    said = f"changed: {check.dependent}" if check.dependent else "none changed"
    print(
        f"{users:>7,}{events:>9,}{len(searched.rules.own):>7}{check.permuted:>14}{took:>9.2f}{one * 1e3:>9.1f}"
        f"{took / check.permuted / one:>9.2f}   {said}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, metavar="TAPE", help="the good release's tape of `goldentape demo`")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lock, golden = read_contract(LOCK, "lock.yaml"), read_contracts(["golden-path"], {})[0]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        demo = options.demo
        if demo is None:
            command = [sys.executable, "-m", "goldentape", "demo", "--keep", str(home / "demo")]
            subprocess.run(command, stdout=subprocess.DEVNULL, check=False)  # it ends with what its release 2 breaks
            demo = home / "demo" / "release-1.tape"
        print(f"{'contract':<12}{'messages':>9}{'users':>7}{'walks/s':>11}{'interleavings':>14}{'':>4}"
              f"{'traces':>11}{'search/s':>11}{'once ms':>9}{'ratio':>9}")  # fmt: skip
        for users, events in ((2, 36), (6, 36), (20, 600)):
            path = home / f"{users}-{events}.tape"
            verify.write(path, users, events)
            search(lock, path, options.seconds, options.seed)
        search(golden, demo, options.seconds, options.seed)
        print(f"\n{'users':>7}{'messages':>9}{'rules':>7}{'interleavings':>14}{'s':>9}{'once ms':>9}{'ratio':>9}")
        for users in (10, 1000):
            path = home / f"{users}.tape"
            verify.write(path, users, users * 7)
            invariance(golden, path, options.seed)


if __name__ == "__main__":
    main()
