"""What redaction costs a message.  `python benchmarks/redact.py`; medians of a few rounds, in microseconds a message.

Clean messages are agent traffic of about 300 B, in batches as the fold hands them over.  The bound is 1 us.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import statistics
import time
from collections.abc import Callable

import msgpack

from recorder.redact import Redactor

WORDS = "the quick brown fox jumps over a lazy dog while its author thinks about token budgets and streaming deltas".split()  # fmt: skip  # noqa: SIM905, E501
KINDS = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")


def agent_message(rng: random.Random, i: int) -> dict[str, object]:
    return {
        "type": rng.choice(KINDS),
        "thread_id": f"thread-{i % 50}",
        "run_id": f"{rng.getrandbits(64):016x}",
        "user_id": f"user-{i % 12}",
        "timestamp": 1_763_709_624_000_000_000 + i,
        "seq": i,
        "data": {"text": " ".join(rng.choices(WORDS, k=20)), "session_id": f"s-{i}"},
    }


def median(run: Callable[[], object], messages: int, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return statistics.median(times) / messages * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    rng = random.Random(1)
    documents = [agent_message(rng, i) for i in range(options.messages)]
    texts = [(1, json.dumps(d).encode()) for d in documents]
    packed = [(2, msgpack.packb(d)) for d in documents]
    token = secrets.token_urlsafe(32)

    def cost(redactor: Redactor, messages: list[tuple[int, bytes]]) -> float:
        batches = [messages[i : i + options.batch] for i in range(0, len(messages), options.batch)]
        return median(lambda: [redactor.payloads(b) for b in batches], len(messages), options.rounds)

    def row(name: str, redactor: Redactor, messages: list[tuple[int, bytes]]) -> None:
        print(f"{name:54} {cost(redactor, messages):7.2f}")

    def knowing(n: int) -> Redactor:
        redactor = Redactor(b"k" * 32, (), (), ())
        for i in range(n):
            redactor.request("/", [("Authorization", f"Bearer {secrets.token_urlsafe(32)}")], str(i), None)
        redactor.request("/", [("Authorization", f"Bearer {token}")], "x", None)
        return redactor

    print(f"{options.messages} messages of {sum(len(p) for _, p in texts) // len(texts)} B, batches of {options.batch}")
    for n in (0, 100, 1_000, 10_000):
        row(f"clean JSON, {n + 1} known secrets", knowing(n), texts)
    redactor = knowing(100)
    row("clean msgpack", redactor, packed)
    for share in (100, 10, 1):
        dirty = [
            (1, json.dumps(d | ({"password": "x"} if i % share == 0 else {})).encode()) for i, d in enumerate(documents)
        ]
        row(f"a password in one of {share}", redactor, dirty)
    leaked = [(1, json.dumps(d | {"x": token}).encode()) for d in documents]
    row("a known token in each", redactor, leaked)
    small = [
        (1, json.dumps({"type": "token", "token": w[:7]}).encode()) for w in rng.choices(WORDS, k=options.messages)
    ]
    row("clean, 35 B, pieces of an answer under `token`", redactor, small)
    row("clean, with two --redact paths", Redactor(b"k" * 32, ("**.card_*", "user.email"), (), ()), texts)
    row("clean, with one --redact-pattern", Redactor(b"k" * 32, (), (r"EMP-\d{6}",), ()), texts)


if __name__ == "__main__":
    main()
