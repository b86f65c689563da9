"""The recorder of one test, a process of its own: `python -m goldentape.testing.child`, told what to do on stdin.

A line of JSON each way.  In: the settings first, then `{"do": "idle" | "mark" | "stop", ...}`.  Out: what came of it,
or `{"error": text, "exit": code}`.  A test that blocks, or that bends time, files or sockets of its own process, does
not touch what is recorded here; and when the test's process is gone, stdin ends, and the tape is sealed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from typing import Any

from goldentape.errors import GoldentapeError
from recorder.control import read_mark
from recorder.demands import demand_possible
from recorder.limits import loop_factory
from recorder.run import Recorder
from recorder.settings import Settings

Json = dict[str, Any]


def say(**answer: Any) -> None:
    """Answer the parent, if it is still there."""
    with suppress(BrokenPipeError):
        print(json.dumps(answer), flush=True)


async def serve() -> None:
    """Record until told to stop, or until nobody is there any more who could."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Ctrl-C is the test's business: it says `stop`, or it ends.
        loop.add_signal_handler(number, lambda: None)
    lines = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    line = await lines.readline()
    if not line:
        return
    settings = Settings.from_json(line.decode())
    demand_possible(settings)
    recorder = Recorder(settings)
    await recorder.start()
    say(port=recorder.port)
    while line := await lines.readline():
        asked = json.loads(line)
        if asked["do"] == "stop":
            break
        say(**await answer(recorder, asked))
    await recorder.stop(float(json.loads(line)["drain"]) if line else 0.0)
    say(head=recorder.head)


async def answer(recorder: Recorder, asked: Json) -> Json:
    """Return the answer to one request."""
    if asked["do"] == "idle":
        with suppress(TimeoutError):
            await asyncio.wait_for(recorder.gateway.idle.wait(), asked["seconds"])
        return {"open": len(recorder.gateway.links)}
    try:
        recorder.journal.mark(*read_mark(json.dumps({"kind": asked["kind"], "data": asked["data"]}).encode()))
    except ValueError as fault:
        return {"error": f"no such mark: {fault}", "exit": 2}
    return {}


if __name__ == "__main__":
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve())
    except GoldentapeError as fault:
        say(error=str(fault), exit=int(fault.exit_code))
        raise SystemExit(fault.exit_code) from None
