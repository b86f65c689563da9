"""How soon `fuzz live` finds each race of a real server, how small it gets, and whether clean servers stay silent.

    python benchmarks/fuzz_live.py [--dir DIR] [--seeds 0,1] [--tries 60] [--clean 200] [--key ENV] [APP ...]

uvicorn serves each app of the directory on the loopback interface.  A line a search: the try that failed first, and
milliseconds a try; how often the failure came again before it was made small, and after; connections, messages and
turns of what is told; seconds until it was seen, from then until it was small, and until it was confirmed; plays.  Apps
called `clean*` or `c1*` to `c99*` are clean: they must be silent in all their tries.  `--key`: the environment variable
with the key of the tokens; without it, that of fixtures/races.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from goldentape.errors import GoldentapeError
from verifier.fuzz.crowd import crowd
from verifier.fuzz.live.caught import Hunted
from verifier.fuzz.live.hunt import Hunt
from verifier.fuzz.live.judging import Judge
from verifier.fuzz.live.processes import Server
from verifier.fuzz.live.reach import Door
from verifier.fuzz.live.stage import Limits, Stage
from verifier.fuzz.live.target import target
from verifier.fuzz.passport import Passport

HOME = Path(__file__).parent.parent / "fixtures" / "races"
SECRET = "only-for-tests-of-the-fuzzer-0123456789abcdef"
CLEAN = re.compile(r"clean|c\d+_")
ROUTE = re.compile(r"""(?:websocket|Route)\(["'](/[^"']*)["']""")
APP = re.compile(r"^(app = |(async )?def app\()", re.MULTILINE)


@dataclass
class Clock:
    """When a search said what, in seconds since its begin."""

    begin: float = field(default_factory=time.monotonic)
    seen: float = 0.0
    small: float = 0.0

    def __call__(self, line: str) -> None:
        now = time.monotonic() - self.begin
        if line.endswith("; repeating"):
            self.seen = now
        elif line.startswith(("smaller", "small enough")):
            self.small = now


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def path_of(app: Path) -> str:
    """Return the path of an app's WebSocket, as its source has it; what stands for a part of it is the user."""
    route = ROUTE.search(app.read_text())
    return re.sub(r"\{\w+\}", "{user}", route[1]) if route else "/ws"


async def search(folder: Path, name: str, key: str, tries: int, seed: int, clock: Clock) -> tuple[Hunted, Stage]:
    port = free_port()
    passports = tuple(Passport.parse(word, key) for word in ("jwt:header:Authorization", "jwt:query:token"))
    passports += (Passport.parse("plain:query:user_id"),)
    reached = target(f"ws://127.0.0.1:{port}/ws", (), passports)
    command = f"{sys.executable} -m uvicorn --app-dir {folder} {name}:app --port {port} --log-level warning"
    with tempfile.TemporaryDirectory() as tapes:
        stage = Stage(
            reached, Server(command, Door(reached.host, port)), Judge([]), folder=Path(tapes),
            limits=Limits(seconds=300),
        )  # fmt: skip
        workload = crowd(3, 2, path=path_of(folder / f"{name}.py"), passports=passports)
        hunt = Hunt(stage, workload, tries=tries, seed=seed, most=1, tell=clock)
        async with stage:
            return await hunt.run(), stage


def line(name: str, seed: int, hunted: Hunted, stage: Stage, clock: Clock, whole: float) -> str:
    pace = 1000 * sum(hunted.seconds) / len(hunted.seconds) if hunted.seconds else 0.0
    head = f"{name:20} {seed:>3}  tries {hunted.tries:>3}  {pace:>4.0f} ms/try"
    tail = f"  plays {stage.plays}, restarts {stage.restarts}, {whole:.0f} s"
    if not hunted.caught:
        return f"{head}  silent{tail}  {'; '.join(hunted.notes)}"
    one = hunted.caught[0]
    small = max(clock.small, clock.seen)
    return (
        f"{head}  at {one.first:>2}  {one.before.failed or one.found.failed}/{one.before.of or one.found.of} -> "
        f"{one.confirmed.failed}/{one.confirmed.of}{'' if one.is_confirmed else ' NOT CONFIRMED'}"
        f"  {len(one.workload.sessions)} connections, {one.workload.messages} messages, {len(one.plan)} turns"
        f"  seen {clock.seen:.1f} s, small +{small - clock.seen:.1f}, confirmed +{whole - clock.seen:.1f}{tail}"
        f"  {one.failure.kind}{' alone' if one.alone else ''}{' history' if one.depends_on_history else ''}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("apps", nargs="*")
    parser.add_argument("--dir", type=Path, default=HOME)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--tries", type=int, default=60)
    parser.add_argument("--clean", type=int, default=200, help="tries of each clean app")
    parser.add_argument("--key", metavar="ENV", help="environment variable with the key of the tokens")
    options = parser.parse_args()
    key = os.environ[options.key] if options.key else SECRET
    names = options.apps or sorted(path.stem for path in options.dir.glob("*.py") if APP.search(path.read_text()))
    for name in names:
        for seed in map(int, options.seeds.split(",")):
            clock = Clock()
            tries = options.clean if CLEAN.match(name) else options.tries
            try:
                hunted, stage = asyncio.run(search(options.dir, name, key, tries, seed, clock))
            except GoldentapeError as error:
                print(f"{name:20} {seed:>3}  {error}", flush=True)
                continue
            print(line(name, seed, hunted, stage, clock, time.monotonic() - clock.begin), flush=True)
            if CLEAN.match(name):
                break


if __name__ == "__main__":
    sys.exit(main())
