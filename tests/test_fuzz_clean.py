"""No alarm on correct apps, whatever the order of what is outside them."""

from __future__ import annotations

import clean_apps
import pytest
from runners import complaint, runner_of

from verifier.fuzz.crowd import crowd
from verifier.fuzz.policy import policy
from verifier.fuzz.schedule import SERIAL

WORKLOADS = [
    crowd(3, 2, done="agent_completed", faults=faults)
    for faults in ((), ("drop", "reconnect"), ("slow", "tabs"), ("drop", "reconnect", "slow", "tabs"))
]
SCHEDULES = 40
"""Of each app and mode here; 10,000 of each were run when the scheduler was made (docs/fuzzing.md)."""


def silent(tmp_path, source, explore):
    runner = runner_of(tmp_path, source, explore=explore)
    traces = set()
    for workload in WORKLOADS:
        assert complaint(workload, runner.run(workload, SERIAL)) == ""
    for n in range(SCHEDULES):
        workload = WORKLOADS[n % len(WORKLOADS)]
        run = runner.run(workload, policy("mix", 7, n))
        assert complaint(workload, run) == ""
        assert not run.uncontrolled
        traces.add(run.digest())
        if n < 4:
            assert runner.run(workload, run.schedule).log_bytes() == run.log_bytes()
    assert len(traces) > SCHEDULES / 2


@pytest.mark.parametrize("explore", ["arrival", "ready"])
@pytest.mark.parametrize("name", clean_apps.BOTH_WAYS)
def test_a_correct_app_is_never_complained_about(tmp_path, name, explore):
    silent(tmp_path, clean_apps.BOTH_WAYS[name], explore)


def test_what_leans_on_the_order_of_all_users_tasks_is_kept_by_arrival_and_only_by_arrival(tmp_path):
    silent(tmp_path, clean_apps.GLOBAL_FIFO, "arrival")
    runner = runner_of(tmp_path, clean_apps.GLOBAL_FIFO, explore="ready")
    assert any(runner.run(WORKLOADS[0], policy("walk", 7, n)).errors for n in range(30))


class ServerFirst:
    """Lets clients act only where nothing else can happen."""

    def chooser(self, names):
        return self

    def forced(self, way):
        pass

    def choose(self, ways, serial):
        return next((way for way in ways if not way & 3), ways[0])


BEATS = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind.endswith("shutdown"):
                return
    await receive()
    await send({"type": "websocket.accept"})

    async def beat():
        while True:
            await asyncio.sleep(0.5)
            await send({"type": "websocket.send", "text": '{"type": "beat"}'})

    task = asyncio.create_task(beat())
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"].replace("user_message", "agent_completed")})
    task.cancel()
"""


def test_who_is_always_put_behind_heartbeats_comes_in_the_end(tmp_path):
    run = runner_of(tmp_path, BEATS).run(WORKLOADS[0], ServerFirst())

    assert {moment.session for moment in run.moments} == {session.name for session in WORKLOADS[0].sessions}
