"""Runs of real apps: the same choices give the same run, and what is seen is what a client would see."""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from verifier.fuzz.crowd import crowd
from verifier.fuzz.policy import policy
from verifier.fuzz.run import Runner
from verifier.fuzz.schedule import SERIAL, Schedule
from verifier.fuzz.seen import Ended, What

Make = Callable[..., Runner]
NUMBERS = itertools.count()

PLAIN = """
    import asyncio, json

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            asked = json.loads(message["text"])
            for step in ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"):
                await asyncio.sleep(0.01)
                event = {"type": step, "run_id": asked["message_id"], "result": asked["content"]}
                await send({"type": "websocket.send", "text": json.dumps(event)})
"""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write an app and return what runs it."""

    def runner(source: str, reference: str = "app", **options: object) -> Runner:
        name = f"app_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source))
        return Runner(f"{name}:{reference}", app_dir=tmp_path, **options)  # type: ignore[arg-type]

    yield runner
    sys.path[:] = [place for place in sys.path if place != str(tmp_path.resolve())]


def test_the_serial_run_serves_user_after_user(make):
    run = make(PLAIN).run(crowd(2, 2, done="agent_completed"), SERIAL)
    assert run.ended is Ended.DONE
    assert [moment.session for moment in run.moments] == ["alice"] * 15 + ["bob"] * 15
    assert [moment.what for moment in run.by_session["alice"]] == [
        What.CONNECT,
        What.ACCEPT,
        *[What.MESSAGE] * 12,
        What.CLOSE,
    ]
    assert run.schedule == SERIAL


@pytest.mark.parametrize("name", ["walk", "pos", "pct:4", "mix"])
@pytest.mark.parametrize("explore", ["arrival", "ready"])
def test_the_schedule_of_a_run_gives_the_same_run_again_byte_for_byte(make, name, explore):
    runner = make(PLAIN, explore=explore)
    workload = crowd(3, 2, done="agent_completed", faults=("drop", "reconnect", "slow", "tabs"))
    seen = set()
    for n in range(25):
        run = runner.run(workload, policy(name, 1, n))
        again = runner.run(workload, run.schedule)
        assert again.log_bytes() == run.log_bytes()
        assert Schedule.from_json(run.schedule.to_json()) == run.schedule
        seen.add(run.digest())
    assert len(seen) > 10
