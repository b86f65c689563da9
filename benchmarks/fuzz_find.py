"""How soon the fuzzer finds each planted race, how small it gets, and whether clean apps stay silent.

    python benchmarks/fuzz_find.py [--seeds 20] [--jobs 1] [APP ...]
    python benchmarks/fuzz_find.py --clean 10000 [--jobs 1] [clean_APP ...]

Each search is a process of its own, `goldentape fuzz app`, as users start it; the apps are those of fixtures/races.

One line an app with a race: of how many seeds it was found within 60 schedules; at which schedule (median, most);
seconds of wall time, and of processor time, from the start of the process to the first sign of it, start-up included
(median, most; on a busy machine only the latter says much); switches before and after; connections and messages after
(most); how often the result is certified minimal; runs and seconds to shrink it, seconds to certify it (median, most).
One line an app without, in arrival and in ready order: alarms.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HOME = Path(__file__).parent.parent / "fixtures" / "races"
KEY = {"RACES_KEY": "only-for-tests-of-the-fuzzer-0123456789abcdef"}
CAP = 60
SIGN = b"looks wrong"


def search(name: str, *args: object) -> tuple[dict[str, Any], float, float]:
    """Run a search; return its report, and when it said that something looks wrong: wall and processor seconds."""
    with tempfile.TemporaryDirectory() as saved:
        command = [sys.executable, "-m", "goldentape", "fuzz", "app", f"{name}:app", "--app-dir", HOME, "--json"]
        command += ["--jwt-secret", *KEY, "--save", saved, *args]
        terminal, theirs = pty.openpty()
        began = time.monotonic()
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, **KEY}
        )
        os.close(theirs)
        with ThreadPoolExecutor(1) as pool, os.fdopen(terminal, "rb", buffering=0) as said:
            assert process.stdout is not None
            report = pool.submit(process.stdout.read)
            told, first, busy = b"", 0.0, 0.0
            while data := _some(said):
                told += data
                if not first and SIGN in told:
                    first, busy = time.monotonic() - began, spent_by(process.pid)
            process.wait()
            text = report.result()
    if not text:
        raise SystemExit(f"{name}: {told.decode()}")
    found: dict[str, Any] = json.loads(text)
    return found, first, busy


def spent_by(pid: int) -> float:
    """Return the seconds of processor time that a process has used; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _some(terminal: Any) -> bytes:
    try:
        data: bytes = terminal.read(65536)
    except OSError:  # nobody has the other end any more
        return b""
    return data


def find(name: str, seeds: int, pool: ThreadPoolExecutor) -> str:
    def one(seed: int) -> tuple[dict[str, Any], float, float]:
        return search(name, "--schedules", CAP, "--failures", 1, "--seed", seed)

    found, firsts, cpu = [], [], []
    for report, first, busy in pool.map(one, range(seeds)):
        if races := [failure for failure in report["failures"] if not failure["alone"]]:
            found.append(races[0] | report["seconds"])
            firsts.append(first)
            cpu.append(busy)
    if not found:
        return f"{name:24} 0/{seeds}"

    def of(field: str, show: str = "g") -> str:
        return both([failure[field] for failure in found], show)

    return (
        f"{name:24} {len(found)}/{seeds}  at {of('first_schedule')}"
        f"  after {both(firsts, '.2f')} s ({both(cpu, '.2f')} s)"
        f"  switches {of('switches_before')} -> {of('switches')}"
        f"  connections {max(failure['connections'] for failure in found)}"
        f"  messages {max(failure['messages'] for failure in found)}"
        f"  certified {sum(failure['minimal'] == 'certified' for failure in found)}"
        f"  shrink {of('shrink_runs')} runs, {of('shrink', '.2f')} s"
        f"  certificate {of('certify', '.2f')} s"
        f"  {','.join(sorted({failure['kind'] for failure in found}))}"
    )


def both(values: Sequence[float], show: str) -> str:
    """Return the median and the most."""
    return f"{statistics.median(values):{show}}/{max(values):{show}}"


def silent(name: str, schedules: int, explore: str) -> str:
    report, _, _ = search(name, "--schedules", schedules, "--seed", 0, "--explore", explore)
    titles = "; ".join(failure["sentence"][:100] for failure in report["failures"])
    return (
        f"{name:24} {explore:8} {report['schedules']} schedules ({report['rate']:.0f}/s),"
        f" distinct traces {report['distinct_traces']}, alarms {report['violations']},"
        f" unconfirmed {len(report['unconfirmed'])}  {titles}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("apps", nargs="*")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--clean", type=int, default=0, help="run the clean apps instead, so many schedules of each")
    parser.add_argument("--jobs", type=int, default=1, help="so many processes at a time; more than one slows each")
    options = parser.parse_args()
    names = options.apps or sorted(
        path.stem for path in HOME.glob("*.py")
        if path.stem != "agent_kit" and path.stem.startswith("clean_") == bool(options.clean)
    )  # fmt: skip
    with ThreadPoolExecutor(options.jobs) as pool:
        lines: Iterable[str]
        if options.clean:
            both_ways = [(name, options.clean, explore) for name in names for explore in ("arrival", "ready")]
            lines = pool.map(lambda args: silent(*args), both_ways)
        else:
            lines = (find(name, options.seeds, pool) for name in names)
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
