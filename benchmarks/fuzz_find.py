"""How soon the fuzzer finds each planted race, how small it gets, and whether clean apps stay silent.

    python benchmarks/fuzz_find.py [--seeds 5] [--clean 500] [APP ...]

One line an app: of how many seeds it was found; at which schedule (median, most); switches before and after;
connections and messages after (most); how often the result is certified minimal; runs to shrink it; seconds of
processor time from the begin to the first failure (median, most), start-up of the app included.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

from verifier.fuzz import fuzz_app
from verifier.fuzz.passport import Passport

HOME = Path(__file__).parent.parent / "fixtures" / "races"
SECRET = "only-for-tests-of-the-fuzzer-0123456789abcdef"
CAP = 60


def find(name: str, seeds: int) -> None:
    found, seconds = [], []
    for seed in range(seeds):
        began = time.process_time()
        first: list[float] = []
        report = fuzz_app(
            f"{name}:app", app_dir=HOME, passports=[Passport.parse("jwt:query:token", SECRET)], schedules=CAP,
            seed=seed, failures=1, say=lambda done, spent, first=first, began=began: first.append(
                time.process_time() - began),
        )  # fmt: skip
        seconds.append(first[-1] if first else 0.0)
        found += [one for one in report.failures if not one.alone][:1]
    kinds = ",".join(sorted({str(one.failure.kind) for one in found}))
    if not found:
        print(f"{name:24} 0/{seeds}")
        return
    at = [one.first for one in found]
    after = [len(one.schedule) for one in found]
    print(
        f"{name:24} {len(found)}/{seeds}  at {statistics.median(at):g}/{max(at)}"
        f"  switches {statistics.median(one.switches_before for one in found):g} -> "
        f"{statistics.median(after):g}/{max(after)}"
        f"  connections {max(len(one.workload.sessions) for one in found)}"
        f"  messages {max(one.workload.messages for one in found)}"
        f"  certified {sum(one.minimal == 'certified' for one in found)}"
        f"  shrink {statistics.median(one.shrink_runs for one in found):g}/{max(one.shrink_runs for one in found)} runs"
        f"  first after {statistics.median(seconds):.2f}/{max(seconds):.2f} s  {kinds}",
        flush=True,
    )


def silent(name: str, schedules: int) -> None:
    for explore in ("arrival", "ready"):
        report = fuzz_app(
            f"{name}:app", app_dir=HOME, passports=[Passport.parse("jwt:query:token", SECRET)],
            schedules=schedules, seed=0, explore=explore,
        )  # fmt: skip
        titles = "; ".join(one.failure.title[:100] for one in report.failures)
        print(f"{name:24} {explore:8} {report.summary()}  unconfirmed {len(report.unconfirmed)}  {titles}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("apps", nargs="*")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--clean", type=int, default=500, help="schedules of each clean app")
    options = parser.parse_args()
    names = options.apps or sorted(path.stem for path in HOME.glob("*.py") if path.stem != "agent_kit")
    for name in names:
        if name.startswith("clean_"):
            silent(name, options.clean)
        else:
            find(name, options.seeds)


if __name__ == "__main__":
    sys.exit(main())
