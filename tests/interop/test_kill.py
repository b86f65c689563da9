"""F1: SIGKILL of the recorder under load.  What a peer received is a prefix of the tape, that one of what was sent."""

import asyncio
import contextlib
import random
import signal
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import PATIENCE, Recording
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import WebSocketException

from goldentape.event import Direction, Ending, Flag, Opcode
from goldentape.tape import open_tape
from recorder.recover import recover

CONNECTIONS = 6
AHEAD = 8
SIZES = (0, 10, 300, 5_000, 70_000)


class Load:
    """Six clients and a server that answers each message twice, all in one loop, and what they kept."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.sent: dict[tuple[str, Direction], list[str]] = defaultdict(list)
        self.got: dict[tuple[str, Direction], list[str]] = defaultdict(list)
        self.before: dict[str, str] = {}
        """Of each message of a client: the last one that any client had received by then."""
        self.more: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        # At some moment between nothing and a thousand answers, whatever the machine's speed.
        self.goal = self.rng.randrange(1000)
        self.enough = asyncio.Event()
        self.delivered = 0

    async def serve(self, ws) -> None:
        user = ws.request.path.rpartition("=")[2]
        with contextlib.suppress(WebSocketException, OSError):
            async for message in ws:
                self.got[user, Direction.C2S].append(message)
                for part in range(2):
                    answer = f"{part} {message}"
                    self.sent[user, Direction.S2C].append(answer)
                    await ws.send(answer)

    async def client(self, port: int, user: str, **options) -> None:
        with contextlib.suppress(WebSocketException, OSError, EOFError):
            async with connect(f"ws://127.0.0.1:{port}/?user_id={user}", proxy=None, max_size=None, **options) as ws:
                speaker = asyncio.ensure_future(self.speak(ws, user))
                try:
                    async for message in ws:
                        self.got[user, Direction.S2C].append(message)
                        self.last = message
                        self.more[user].set()
                        self.delivered += 1
                        if self.delivered >= self.goal:
                            self.enough.set()
                finally:
                    speaker.cancel()
                    await asyncio.gather(speaker, return_exceptions=True)

    last = ""

    async def speak(self, ws, user: str) -> None:
        for i in range(1_000_000):
            # As fast as the answers come: readers are never further behind than what counts as in doubt.
            while len(self.sent[user, Direction.C2S]) > len(self.got[user, Direction.S2C]) // 2 + AHEAD:
                self.more[user].clear()
                await self.more[user].wait()
            message = f"{user} {i} " + "x" * self.rng.choice(SIZES)
            self.before[message] = self.last
            self.sent[user, Direction.C2S].append(message)
            await ws.send(message)
            await asyncio.sleep(0)

    def judge(self, tape: Path) -> int:
        """Compare with the tape; returns how many messages were on it."""
        stored = defaultdict(list)
        seqs: dict[str, int] = {}
        unsure: set[str] = set()
        with open_tape(tape) as t:
            for event in t.events():
                if event.opcode is Opcode.TEXT and not event.flags & Flag.MALFORMED:
                    said = event.payload.decode()
                    stored[event.user, event.direction].append(said)
                    seqs[said] = event.seq
                    if event.flags & Flag.DELIVERY_UNKNOWN:
                        unsure.add(said)
            assert all(c.ending is not Ending.OPEN for c in t.connections())
            assert not t.complete
            assert [m.kind for m in t.marks()].count("crash") == 1
        for key in {*self.got, *stored, *self.sent}:
            got, log, sent = self.got[key], stored[key], self.sent[key]
            assert got == log[: len(got)], f"{key}: {len(got)} delivered, {len(log)} on the tape"
            assert log == sent[: len(log)], f"{key}: the tape has what was never sent so"
            assert set(log[len(got) :]) <= unsure, f"{key}: what was not delivered must say so"
        for message, seq in seqs.items():
            earlier = self.before.get(message)
            assert not earlier or seqs[earlier] < seq, "seq respects happens-before across connections"
        return len(seqs)


def kill_once(tape: Path, seed: int, *args: str, compression: str | None = None) -> int:
    """One recording that is killed at a random moment under load; returns how many messages its tape has."""
    load = Load(seed)

    async def main() -> None:
        async with serve(load.serve, "127.0.0.1", 0, max_size=None, compression=compression) as server:
            port = server.sockets[0].getsockname()[1]
            with await asyncio.to_thread(Recording, tape, f"ws://127.0.0.1:{port}", *args) as r:
                clients = [
                    asyncio.ensure_future(load.client(r.port, f"u{n}", compression=compression))
                    for n in range(CONNECTIONS)
                ]
                if load.goal > CONNECTIONS:
                    await asyncio.wait_for(load.enough.wait(), PATIENCE)
                r.process.send_signal(signal.SIGKILL)
                await asyncio.wait(clients, timeout=PATIENCE)
                await asyncio.to_thread(r.process.wait)

    asyncio.run(main())
    assert recover(tape) is not None
    return load.judge(tape)


@pytest.mark.parametrize("way", ["plain", "compressed", "power"])
def test_nothing_delivered_is_missing_doubled_or_out_of_order(tmp_path, way):
    """50 kills in all; benchmarks/kill.py does a thousand."""
    kills = {"plain": 24, "compressed": 14, "power": 12}[way]
    args = ("--durability", "power") if way == "power" else ()
    compression = "deflate" if way == "compressed" else None
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(
                lambda i: kill_once(tmp_path / f"{i}.tape", i, *args, compression=compression), range(kills)
            )
        )  # fmt: skip

    assert sum(found) > 100 * kills, "or the kills were not under load"
