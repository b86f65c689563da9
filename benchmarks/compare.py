"""The recorder beside nginx, mitmproxy and a `websockets` relay, in one run; ratios, medians of several rounds.

    python benchmarks/compare.py [--rounds 5] [--only cpu,saturated,...] [--json FILE]

Each round runs all proxies in turn, in another order, against the same echo server and the same load client.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxies import ALL, HERE, Goldentape, Mitmproxy, Nginx, Proxy, Relay

Sample = dict[str, float]


@contextmanager
def echo() -> Iterator[int]:
    """Run the echo server; yields its port."""
    server = subprocess.Popen([sys.executable, str(HERE / "load.py"), "serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


class Drive:
    """One run of the load client; `ready` returns when its connections are open."""

    def __init__(self, port: int, **options: Any) -> None:
        words = [sys.executable, str(HERE / "load.py"), "drive", "--port", str(port)]
        for name, value in options.items():
            words += [f"--{name}"] if value is True else [f"--{name}", str(value)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError("the load client did not get its connections")

    def result(self) -> dict[str, float]:
        """Wait for its end and return what it measured."""
        out, _ = self.process.communicate(timeout=300)
        return dict(json.loads(out))


def settle(proxy: Proxy, total: int) -> float:
    """Wait until `total` messages can be read back; return when that was."""
    deadline = time.monotonic() + 300
    while (proxy.readable() or 0) < total:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{proxy.name} never stored {total} messages, only {proxy.readable()}")
        time.sleep(0.02)
    return time.monotonic()


def cpu(proxy: Proxy, seconds: float, **load: Any) -> Sample:
    """CPU a message of the whole process tree, the fold's backlog included."""
    Drive(proxy.port, seconds=0.3, **load).result()
    if proxy.readable() is not None:
        time.sleep(1)
    stored = proxy.readable() or 0
    before, alone = proxy.cpu(), proxy.cpu_of_proxy() if isinstance(proxy, Goldentape) else 0.0
    found = Drive(proxy.port, seconds=seconds, **load).result()
    if proxy.readable() is not None:
        settle(proxy, stored + int(found["messages"]))
    sample = {"us a message": 1e6 * (proxy.cpu() - before) / found["messages"]}
    if isinstance(proxy, Goldentape):
        sample["us a message, proxy alone"] = 1e6 * (proxy.cpu_of_proxy() - alone) / found["messages"]
    return sample


def one_in_flight(proxy: Proxy) -> Sample:
    """300 B messages, one in flight."""
    return cpu(proxy, 3.0, connections=1, window=1, size=300)


def saturated(proxy: Proxy) -> Sample:
    """Ten connections with 32 messages of 300 B in flight."""
    Drive(proxy.port, seconds=0.3, connections=10, window=32).result()
    if proxy.readable() is not None:
        time.sleep(1)
    stored = proxy.readable() or 0
    drive = Drive(proxy.port, seconds=3.0, connections=10, window=32)
    started = time.monotonic()
    found = drive.result()
    sample = {"forwarded /s": found["messages"] / found["seconds"]}
    if proxy.readable() is not None:
        sample["readable /s"] = found["messages"] / (settle(proxy, stored + int(found["messages"])) - started)
    return sample


def paced(proxy: Proxy) -> Sample:
    """A hundred connections, thirty messages a second each."""
    found = Drive(proxy.port, seconds=5.0, connections=100, rate=30).result()
    return {"p50 ms": found["p50"], "p99 ms": found["p99"]}


def flood(proxy: Proxy) -> Sample:
    """Four connections with 16 messages of 16 KiB in flight."""
    found = Drive(proxy.port, seconds=3.0, connections=4, window=16, size=16384).result()
    return {"MiB/s": found["messages"] * found["bytes"] / found["seconds"] / (1 << 20)}


def deflate(proxy: Proxy) -> Sample:
    """As `one_in_flight`, 1 KiB of JSON, plain and then by permessage-deflate."""
    plain = cpu(proxy, 2.0, connections=4, window=8, size=1024)["us a message"]
    packed = cpu(proxy, 2.0, connections=4, window=8, size=1024, deflate=True)["us a message"]
    return {"deflated / plain": packed / plain}


ROWS: dict[str, tuple[Callable[[Proxy], Sample], tuple[type[Proxy], ...]]] = {
    "cpu": (one_in_flight, (Nginx, Mitmproxy, Relay, Goldentape)),
    "saturated": (saturated, (Proxy, Nginx, Mitmproxy, Relay, Goldentape)),
    "paced": (paced, (Proxy, Nginx, Goldentape)),
    "flood": (flood, (Proxy, Nginx, Mitmproxy, Goldentape)),
    "deflate": (deflate, (Goldentape,)),
}

Goal = tuple[str, str, str, str, str, str, float]
GOALS: tuple[Goal, ...] = (
    ("cpu", "us a message, proxy alone", "goldentape", "us a message", "nginx", "<=", 1.6),
    ("cpu", "us a message", "goldentape", "us a message", "nginx", "<=", 2.5),
    ("cpu", "us a message", "goldentape", "us a message", "mitmproxy", "<=", 0.2),
    ("saturated", "forwarded /s", "goldentape", "forwarded /s", "mitmproxy", ">=", 100),
    ("saturated", "readable /s", "goldentape", "forwarded /s", "mitmproxy", ">=", 25),
    ("saturated", "readable /s", "goldentape", "readable /s", "relay", ">=", 4),
    ("paced", "p50 ms", "goldentape", "p50 ms", "nginx", "<=", 1.2),
    ("paced", "p99 ms", "goldentape", "p99 ms", "nginx", "<=", 3),
    ("flood", "MiB/s", "goldentape", "MiB/s", "mitmproxy", ">=", 10),
    ("flood", "MiB/s", "goldentape", "MiB/s", "nginx", ">=", 0.5),
    ("deflate", "deflated / plain", "goldentape", "", "", "<=", 1.3),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default=",".join(ROWS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    there = [kind for kind in ALL if (why := kind.missing()) is None or print(f"without {kind.name}: {why}")]
    samples: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory, echo() as port:
        for round in range(options.rounds):
            for row in options.only.split(","):
                measure, wanted = ROWS[row]
                kinds = [kind for kind in wanted if kind in there]
                for kind in kinds[round % len(kinds) :] + kinds[: round % len(kinds)]:
                    with kind(port, Path(directory) / "run") as proxy:
                        for name, value in measure(proxy).items():
                            samples[row, kind.name, name].append(value)
                    print(f"\rround {round + 1}/{options.rounds} {row} {kind.name:<12}", end="", file=sys.stderr)
    print(file=sys.stderr)
    report(samples, options.json)


def report(samples: dict[tuple[str, str, str], list[float]], path: Path | None) -> None:
    """Print what was measured, and the ratios beside what is wanted."""
    middle = {key: statistics.median(values) for key, values in samples.items()}
    print(f"\n{'row':<10} {'proxy':<12} {'what':<28} {'median':>12} {'least':>12} {'most':>12}")
    for (row, name, what), values in samples.items():
        least, most = min(values), max(values)
        print(f"{row:<10} {name:<12} {what:<28} {middle[row, name, what]:12,.2f} {least:12,.2f} {most:12,.2f}")
    print(f"\n{'ratio':<66} {'measured':>10} {'goal':>9}")
    ratios = []
    for row, what, ours, theirs, other, sign, goal in GOALS:
        top, bottom = middle.get((row, ours, what)), middle.get((row, other, theirs)) if other else 1.0
        if top is None or bottom is None:
            continue
        ratio = top / bottom
        met = ratio <= goal if sign == "<=" else ratio >= goal
        label = f"{row}: {what}" + (f", against {other} ({theirs})" if other else "")
        print(f"{label:<66} {ratio:10.2f} {sign:>4}{goal:>5g} {'' if met else ' missed'}")
        ratios.append({"what": label, "ratio": ratio, "goal": f"{sign} {goal:g}", "met": met})
    if path is not None:
        medians = [
            {"row": r, "proxy": p, "what": w, "median": v, "samples": samples[r, p, w]}
            for (r, p, w), v in middle.items()
        ]
        path.write_text(json.dumps({"medians": medians, "ratios": ratios}, indent=1))


if __name__ == "__main__":
    main()
