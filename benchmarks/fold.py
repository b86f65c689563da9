"""What the fold costs: microseconds of CPU an event, by stage.  `python benchmarks/fold.py [--events N] [--chunk K]`

Each stage runs alone on the same 300-byte text messages; `all` is the fold itself, spool to tape, at one go.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from spools import Spool, frame
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from goldentape.event import Direction
from recorder.fold import Fold, rarely_collect
from recorder.inflate import Extensions
from recorder.messages import Stream
from recorder.spool import HANDED_OVER, parse

USERS = 20


def message(i: int) -> bytes:
    body = {"type": "tool_result", "thread_id": f"t{i % 50}", "seq": i, "text": ""}
    body["text"] = "The quick brown fox jumps over the lazy dog. " * 9
    return json.dumps(body).encode()[:298] + b'"}'


def spool_of(directory: Path, events: int, chunk: int, deflate: bool) -> Spool:
    """Write the spool: `chunk` messages a record, half of them to the server."""
    answer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
    spool = Spool(directory / "x.tape")
    spool.begin()
    connections = [spool.open(f"/?user_id=user{i}", answer=answer) for i in range(USERS)]
    extensions = {
        (c, d): [PerMessageDeflate(False, False, 15, 15)] if deflate else None for c in connections for d in (0, 1)
    }
    for i in range(0, events, chunk):
        turn = i // chunk
        conn, to_server = connections[turn % USERS], (turn // USERS) % 2
        data = b"".join(
            Frame(Opcode.TEXT, message(j)).serialize(mask=bool(to_server), extensions=extensions[conn, to_server])
            for j in range(i, min(i + chunk, events))
        )
        (spool.c2s if to_server else spool.s2c)(conn, data, HANDED_OVER)
    for conn in connections:
        spool.close(conn)
    spool.stop()
    return spool


def timed(events: int, work) -> float:
    start = time.process_time()
    work()
    return (time.process_time() - start) / events * 1e6


def stages(spool: Spool, events: int) -> dict[str, float]:
    """Each stage by itself, in this process."""
    found = {}
    blocks = [data for _, data in spool.raw()]
    found["spool records"] = timed(events, lambda: [sum(1 for _ in parse(block)) for block in blocks])
    chunk = frame(1, message(1), mask=True) * 200
    to_server, to_client = (Stream(d, Extensions(), 1 << 24) for d in Direction)
    rounds = events // 200
    found["frames, masked"] = timed(events, lambda: [sum(1 for _ in to_server.feed(chunk)) for _ in range(rounds)])
    chunk2 = frame(1, message(1), mask=False) * 200
    found["frames, unmasked"] = timed(events, lambda: [sum(1 for _ in to_client.feed(chunk2)) for _ in range(rounds)])
    fold = Fold(spool.settings)
    batch = [(1, message(i)) for i in range(min(events, 10_000))]
    redactor = fold.folder._redactor
    redactor.payloads(batch)
    found["redaction"] = timed(len(batch), lambda: redactor.payloads(batch))
    writer = fold.writer
    writer.begin()
    user = writer.user("bench", "bench")
    rows = [(user, i, 1, i, i, 1, 1, p, 300, 304, 1, 0, None) for i, (_, p) in enumerate(batch)]
    found["chain and insert"] = timed(len(batch), lambda: writer.add_events(rows))
    writer.commit()
    fold.close()
    for path in Path(spool.settings.tape).parent.glob("x.tape*"):
        if path.is_file():
            path.unlink()
    return found


def whole(spool: Spool, events: int) -> dict[str, float]:
    """The fold itself."""
    fold = Fold(spool.settings)
    wall, start = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    while not fold.folder.closed:
        fold.step()
    end = resource.getrusage(resource.RUSAGE_SELF)
    seconds = time.perf_counter() - wall
    assert fold.writer.events >= events
    wall = time.perf_counter()
    fold.seal()
    sealing = time.perf_counter() - wall
    fold.close()
    user, system = end.ru_utime - start.ru_utime, end.ru_stime - start.ru_stime
    return {
        "all, user": user / events * 1e6,
        "all, system": system / events * 1e6,
        "all": (user + system) / events * 1e6,
        "events a second": events / seconds,
        "seal, seconds": sealing,
        "peak RSS, MiB": end.ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--chunk", type=int, default=100, help="messages in one record of the spool")
    parser.add_argument("--deflate", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="where the whole fold spends its time (cProfile)")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="goldentape-fold-"))
    os.umask(0o077)
    rarely_collect()
    try:
        spool = spool_of(directory, options.events, options.chunk, options.deflate)
        found = {} if options.profile else stages(spool, options.events)
        if options.profile:
            import cProfile

            cProfile.runctx("whole(spool, options.events)", globals(), locals(), sort="tottime")
            return
        found |= whole(spool, options.events)
    finally:
        shutil.rmtree(directory)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:20} {value:12,.2f}" + (" us an event" if value < 100 and "," not in name[-9:] else ""))


if __name__ == "__main__":
    main()
