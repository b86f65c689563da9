"""What a verdict costs: golden-path over a synthetic tape of agent runs, beside reading and decoding the same tape.

    python benchmarks/verify.py [--events 1000000] [--users 100] [--rounds 3] [--new-texts]

The tape is written with the fold's own writer, sealed, and judged by `goldentape verify` as a user calls it; beside it
a loop that only reads the rows and calls `orjson.loads`, and one that validates each message by a compiled `jsonschema`
validator.  CPU seconds of each process, the most it had resident, and ratios; medians.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from goldentape.event import Connection, Ending, Identity, Mark
from goldentape.seal import seal
from goldentape.tape_writer import Row, TapeWriter

MS = 1_000_000
PAD = "the order left the warehouse on monday; we recommend to enable messages about where it is, thanks for asking"

READ = """
import sqlite3, sys, orjson
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
for (payload,) in db.execute("SELECT payload FROM event ORDER BY id & 1099511627775"):
    orjson.loads(payload)
"""
VALIDATE = """
import sqlite3, sys, orjson
from importlib.resources import files
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML
contract = YAML(typ="safe").load(files("goldentape.schemas").joinpath("contracts/golden-path.yaml").read_text())
def validator(schema):
    return Draft202012Validator({**schema, "schemas": contract["schemas"]})
schemas = {name: validator(e["schema"]) for name, e in contract["events"].items() if "schema" in e}
db = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
for (payload,) in db.execute("SELECT payload FROM event ORDER BY id & 1099511627775 LIMIT 50000"):
    value = orjson.loads(payload)
    if (found := schemas.get(value["type"])) is not None:
        assert found.is_valid(value)
"""
VALIDATED = 50_000


def message(number: int, kind: str, user: int, run: int, **data: object) -> bytes:
    """Return one message of the server's."""
    head = {"type": kind, "timestamp": "2026-01-01T00:00:00Z", "event_id": f"e{number}", "user_id": f"user{user}"}
    return json.dumps({**head, "thread_id": thread(user, run), "run_id": f"r-{user}-{run}", **data}).encode()


def thread(user: int, run: int) -> str:
    """Return the thread that a run belongs to: ten runs each."""
    return f"t-{user}-{run // 10}"


def conversation(users: int, events: int, texts: Callable[[], str] = lambda: PAD) -> Iterator[tuple[int, int, bytes]]:
    """Yield (user, direction, payload): all users talk in turn, seven messages a run."""
    count = run = 0
    while count < events:
        run += 1
        for user in range(users):
            ask = {"type": "user_message", "thread_id": thread(user, run), "content": texts()}
            yield user, 0, json.dumps(ask).encode()
            tool = {"tool_name": "search", "call_id": f"c{count}"}
            yield user, 1, message(count + 1, "agent_started", user, run, agent_name="triage")
            yield user, 1, message(count + 2, "agent_thinking", user, run, data={"thought": texts()})
            yield user, 1, message(count + 3, "tool_executing", user, run, data=tool)
            yield user, 1, message(count + 4, "tool_completed", user, run, data={**tool, "result": texts()})
            yield user, 1, message(count + 5, "agent_thinking", user, run, data={"thought": texts()})
            yield user, 1, message(count + 6, "agent_completed", user, run, data={"result": texts()})
            count += 7


def new_texts() -> Callable[[], str]:
    """Return what makes a text of 18 words that no other text is: as people write, and not as benchmarks do."""
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(chance.choices(letters, k=chance.randint(2, 11))) for _ in range(3000)]

    def text() -> str:
        words = chance.choices(vocabulary, k=16)
        return " ".join([*words[:6], "recommend", *words[6:12], "warehouse", *words[12:]])

    return text


def write(path: Path, users: int, events: int, texts: Callable[[], str] = lambda: PAD) -> int:
    """Write and seal the tape; return how many events it has."""
    writer = TapeWriter(path, create=True)
    writer.begin()
    writer.add_epoch(
        {
            "epoch": 0, "recorder": "bench", "wall": 1_700_000_000_000_000_000, "t": 0, "first_seq": 1,
            "upstream": "ws://127.0.0.1:9", "listen": "127.0.0.1:8", "durability": "process", "insecure": 0,
            "redaction_key": "0" * 16, "software": "goldentape", "options": "{}",
        }
    )  # fmt: skip
    seq, t = 1, 0
    numbers, rows = [], []
    for user in range(users):
        name = f"user{user}"
        numbers.append(writer.user(name, "query:user"))
        writer.add_connection(
            Connection(
                id=f"c{user}", user=name, epoch=0, client="client", target="/chat", key=None, request=(), status=101,
                reason="Switching Protocols", response=(), body=None, subprotocol=None, extensions=None,
                credential="none", credential_expires=None, opened=t, accepted=t + MS, closed=None, close_code=None,
                close_reason=None, closed_by=None, ending=Ending.OPEN,
            )
        )  # fmt: skip
        identity = Identity(seq=seq, user=name, rule="query:user", credential="none", expires=None)
        writer.add_identity(user + 1, identity)
        seq += 1
        t += 2 * MS
    places = [0] * users
    for user, direction, payload in conversation(users, events, texts):
        size = len(payload)
        rows.append(
            Row(numbers[user], seq, user + 1, places[user], t, direction, 1, payload, size, size + 4, 1, 0, None)
        )
        seq += 1
        t += MS // 20
        places[user] += 1
        if len(rows) == 5000:
            writer.add_events(rows)
            rows = []
    writer.add_events(rows)
    for user in range(users):
        closed = {"closed": t, "close_code": 1000, "closed_by": "client", "ending": "clean"}
        writer.update_connection(user + 1, **closed)
    writer.add_marks([(Mark(seq=seq, t=t, kind="end"), None)])
    writer.commit(last_t=t, next_seq=seq + 1, complete=1)
    seal(writer, True)
    writer.close()
    return sum(places)


def cost(*command: str) -> tuple[float, float, float]:
    """Run a command; return its CPU seconds, those on the clock, and the most MiB it had resident."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = 0
    while True:
        try:
            found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
            peak = max(peak, int(found[1]) if found else 0)
        except OSError:
            pass
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise SystemExit(f"{command[:3]} ended with {process.returncode}")
            return usage.ru_utime + usage.ru_stime, time.perf_counter() - began, peak / 1024
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--new-texts", action="store_true", help="each text is one that was not there before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        tape = Path(directory) / "bench.tape"
        started = time.process_time()
        texts = new_texts() if options.new_texts else lambda: PAD
        events = write(tape, options.users, options.events, texts)
        print(f"{events:,} events, {tape.stat().st_size / (1 << 20):.0f} MiB, written and sealed in "
              f"{time.process_time() - started:.1f} s of CPU")  # fmt: skip
        python = sys.executable
        judge = (python, "-m", "goldentape", "verify", str(tape), "--contract", "golden-path", "--quiet")
        commands = {
            "read and orjson.loads": ((python, "-c", READ, str(tape)), events),
            "compiled jsonschema only": ((python, "-c", VALIDATE, str(tape)), min(VALIDATED, events)),
            "goldentape tape check": ((python, "-m", "goldentape", "tape", "check", str(tape)), events),
            "goldentape verify": (judge, events),
            "goldentape verify --jobs 2": ((*judge, "--jobs", "2"), events),
        }  # fmt: skip
        found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
        for _ in range(options.rounds):
            for name, (command, _) in commands.items():
                found[name].append(cost(*command))
        cpu, wall = {}, {}
        print(f"{'us an event':<28}{'CPU':>8}{'clock':>8}{'MiB':>8}")
        for name, (_, count) in commands.items():
            cpu[name], wall[name] = (statistics.median(r[i] for r in found[name]) / count * 1e6 for i in (0, 1))
            print(f"{name:<28}{cpu[name]:8.2f}{wall[name]:8.2f}{max(peak for _, _, peak in found[name]):8.0f}")
        own, two = "goldentape verify", "goldentape verify --jobs 2"
        print(f"verify / read and decode   {cpu[own] / cpu['read and orjson.loads']:.1f}")
        print(f"jsonschema loop / verify   {cpu['compiled jsonschema only'] / cpu[own]:.1f}")
        print(f"one process / two          {wall[own] / wall[two]:.2f}")


if __name__ == "__main__":
    main()
