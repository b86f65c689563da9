"""Kill the recorder at random moments under load, again and again; count what is missing, doubled or out of order.

    python benchmarks/kill.py [--kills 1000] [--connections 6] [--jobs 2]

Real processes, `websockets` on both ends, SIGKILL.  After each kill the tape is recovered by `goldentape tape check`,
and for each connection and direction: what the receiver got is a prefix of the tape, the tape is a prefix of what the
sender sent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from contextlib import closing, suppress
from pathlib import Path

from proxies import Goldentape
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException

Log = dict[tuple[str, str], list[str]]


async def converse(proxy: Goldentape, connections: int, seconds: float, sent: Log, got: Log) -> None:
    """Talk on all connections until the proxy is killed after `seconds`."""
    rng = random.Random()
    plain = {"compression": None, "max_size": None}

    async def client(user: str) -> None:
        with suppress(OSError, WebSocketException, EOFError):
            async with connect(f"ws://127.0.0.1:{proxy.port}/?user={user}", **plain) as ws:

                async def read() -> None:
                    async for message in ws:
                        got[user, "s2c"].append(message)

                reader = asyncio.create_task(read())
                try:
                    for n in range(10**9):
                        message = f"{user} {n} " + "x" * rng.choice((0, 10, 300, 5000, 70_000))
                        sent[user, "c2s"].append(message)
                        await ws.send(message)
                        await asyncio.sleep(0)
                finally:
                    with suppress(ConnectionClosed):
                        await reader

    async def kill() -> None:
        await asyncio.sleep(seconds)
        assert proxy.process is not None
        proxy.process.send_signal(signal.SIGKILL)

    await asyncio.gather(kill(), *(client(f"u{n}") for n in range(connections)))


async def once(connections: int, directory: Path, tally: Counter[str]) -> None:
    """One recording, one kill, one look."""
    sent: Log = defaultdict(list)
    got: Log = defaultdict(list)

    async def echo(ws: ServerConnection) -> None:
        assert ws.request is not None
        user = ws.request.path.rpartition("=")[2]
        with suppress(ConnectionClosed):
            async for message in ws:
                got[user, "c2s"].append(message)
                for part in range(2):
                    answer = f"{part} {message}"
                    sent[user, "s2c"].append(answer)
                    await ws.send(answer)

    directory.mkdir()
    async with serve(echo, "127.0.0.1", 0, compression=None, max_size=None) as server:
        proxy = Goldentape(next(iter(server.sockets)).getsockname()[1], directory)
        proxy.options = ("--identify", "query:user")
        await asyncio.to_thread(proxy.start)
        await converse(proxy, connections, random.uniform(0.02, 0.8), sent, got)
        await asyncio.to_thread(proxy.process.wait)
    check = [sys.executable, "-m", "goldentape", "tape", "check", str(proxy.tape)]
    done = await asyncio.to_thread(subprocess.run, check, capture_output=True, text=True)
    tally["kills"] += 1
    if not proxy.tape.exists():
        tally["killed before anything was recorded"] += 1
        assert not any(got.values()), "messages were delivered, and there is no tape"
        return
    if done.returncode not in (0, 4):
        tally["tapes that do not check"] += 1
        print(done.stderr, file=sys.stderr)
    judge(proxy.tape, sent, got, tally)


def judge(tape: Path, sent: Log, got: Log, tally: Counter[str]) -> None:
    """Compare one tape with what both ends kept."""
    stored: Log = defaultdict(list)
    query = (
        "SELECT u.name, e.direction, e.payload FROM event e JOIN user u ON u.id = e.id >> 40"
        " WHERE e.opcode IN (1, 2) ORDER BY e.id & 1099511627775"
    )
    with closing(sqlite3.connect(f"file:{tape}?mode=ro", uri=True)) as db:
        for user, direction, payload in db.execute(query):
            stored[user, ("c2s", "s2c")[direction]].append(payload)
    for key in set(sent) | set(got) | set(stored):
        tally["messages delivered"] += len(got[key])
        tally["messages on tapes"] += len(stored[key])
        if stored[key][: len(got[key])] != got[key]:
            tally["DELIVERED BUT MISSING, DOUBLED OR OUT OF ORDER"] += 1
        if sent[key][: len(stored[key])] != stored[key]:
            tally["ON THE TAPE BUT NEVER SENT SO"] += 1


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=6)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    tally: Counter[str] = Counter()
    numbers = iter(range(options.kills))

    async def work(root: Path) -> None:
        for number in numbers:
            await once(options.connections, root / str(number), tally)
            if number % 20 == 19:
                print(json.dumps(tally), file=sys.stderr, flush=True)
            await asyncio.to_thread(subprocess.run, ["rm", "-rf", str(root / str(number))])

    with tempfile.TemporaryDirectory() as directory:
        await asyncio.gather(*(work(Path(directory)) for _ in range(options.jobs)))
    for name, count in tally.items():
        print(f"{count:>12,}  {name}")
    bad = [name for name in tally if name.isupper() or name.startswith("tapes")]
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    asyncio.run(main())
