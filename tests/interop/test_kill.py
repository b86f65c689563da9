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
SIZES = (0, 10, 300, 5_000, 70_000)


class Load:
    """Six clients and a server that answers each message twice, all in one loop, and what they kept."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.sent: dict[tuple[str, Direction], list[str]] = defaultdict(list)
        self.got: dict[tuple[str, Direction], list[str]] = defaultdict(list)
        self.before: dict[str, str] = {}
        """Of each message of a client: the last one that any client had received by then."""
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
                        self.delivered += 1
                finally:
                    speaker.cancel()
                    await asyncio.gather(speaker, return_exceptions=True)

    last = ""

    async def speak(self, ws, user: str) -> None:
        for i in range(1_000_000):
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
            # What had been handed to the kernel can be lost, too, with the reset that the kernel sends for the dead.
            in_doubt = [message in unsure for message in log]
            assert in_doubt == sorted(in_doubt), f"{key}: what is in doubt is the end of the log"
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
                # At some moment between nothing and a thousand answers, whatever the machine's speed.
                goal = load.rng.randrange(1000)
                async with asyncio.timeout(PATIENCE):
                    while load.delivered < goal:
                        await asyncio.sleep(0)
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
