"""What is told is small, is still the failure that was seen, and nothing else hides behind it."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
import races

from verifier.fuzz import fuzz_app
from verifier.fuzz.baselines import Baselines
from verifier.fuzz.failure import Kind
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.script import Drop
from verifier.fuzz.settings import Settings
from verifier.fuzz.shrink import RUNS

Said = Callable[..., Awaitable[None]]
USUAL: dict[str, Any] = {
    "passports": ["plain:query:user_id"], "path": "/ws", "message": '{"content": "{content}"}', "factory": True,
}  # fmt: skip


def app_of(handler: Callable[..., Any]) -> Any:
    """Return a factory of apps: `handler()` makes what answers `(user, message, say)`, fresh in each run."""

    def make() -> Any:
        answer = handler()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "websocket":
                return
            await receive()
            user = parse_qs(scope["query_string"].decode())["user_id"][0]
            await send({"type": "websocket.accept"})

            async def say(name: str, text: str = "", **more: Any) -> None:
                event = {"type": name, "user": user, "text": text, **more}
                await send({"type": "websocket.send", "text": json.dumps(event)})

            while (message := await receive())["type"] == "websocket.receive":
                await answer(user, json.loads(message["text"])["content"], say)

        return app

    return make


def interrupted_twice() -> Any:
    """Wrong where one other answer is finished in the first pause, none in the second, and one more in the third."""
    finished = [0]

    async def answer(user: str, text: str, say: Said) -> None:
        passed = []
        for _ in range(3):
            before = finished[0]
            await asyncio.sleep(0.01)
            passed.append(finished[0] - before)
        finished[0] += 1
        await say("answer", text, state="wrong" if passed == [1, 0, 1] else "right")

    return answer


def room_for_two() -> Any:
    """The third answer that is at work takes the place of the first, which then says what another was asked."""
    at_work: OrderedDict[str, str] = OrderedDict()

    async def answer(user: str, text: str, say: Said) -> None:
        at_work[text] = text
        if len(at_work) > 2:
            at_work.popitem(last=False)
        await asyncio.sleep(0.02)
        await say("answer", at_work.pop(text, None) or next(iter(at_work.values()), text))

    return answer


def two_causes() -> Any:
    """The echo is whoever spoke last; a summary comes for the newest only."""
    last, newest = [""], [0]

    async def answer(user: str, text: str, say: Said) -> None:
        last[0] = text
        await asyncio.sleep(0.01)
        await say("echo", last[0])
        newest[0] += 1
        mine = newest[0]
        await asyncio.sleep(0.01)
        if newest[0] == mine:
            await say("summary")
        await say("answer", text)

    return answer


def gate() -> Any:
    """Who vanishes while the token is checked keeps the gate closed behind itself."""

    def make() -> Any:
        free = asyncio.Semaphore(1)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "websocket":
                return
            await receive()
            await free.acquire()
            gone = asyncio.ensure_future(receive())
            token = asyncio.ensure_future(asyncio.sleep(0.01))
            done, _ = await asyncio.wait({gone, token}, return_when=asyncio.FIRST_COMPLETED)
            if gone in done:
                return
            free.release()
            await send({"type": "websocket.accept"})
            while (message := await gone)["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
                gone = asyncio.ensure_future(receive())

        return app

    return make


def test_who_vanishes_in_the_handshake_is_tried_too():
    report = fuzz_app(gate(), seed=1, failures=1, certify=1, schedules=120, **USUAL)

    [found] = report.failures
    assert found.failure.kind is Kind.DEADLOCK
    assert len(found.workload.sessions) == 2 and found.workload.messages <= 1
    assert any(session.script[:1] == (Drop(),) for session in found.workload.sessions)


def test_a_race_of_four_switches_is_found_certified_and_said_to_take_three_messages():
    report = fuzz_app(app_of(interrupted_twice), seed=1, failures=1, certify=60, faults=[], schedules=400, **USUAL)

    [found] = report.failures
    assert found.failure.detail == "answer.state" and found.failure.kind is Kind.DIFFERENT
    assert len(found.schedule) == 4 and found.minimal == "certified"
    assert found.workload.messages == 3
    assert found.certificate is not None and found.certificate.budget == 60
    assert "of at most 60 s each" in report.effort()


def test_a_race_that_takes_three_answers_at_once_keeps_three():
    report = fuzz_app(app_of(room_for_two), seed=1, failures=1, faults=[], messages=1, schedules=60, **USUAL)

    [found] = report.failures
    assert found.failure.kind is Kind.LEAK
    assert len(found.workload.users) == 3 and found.workload.messages == 3


def test_two_causes_in_one_app_are_two_failures():
    report = fuzz_app(app_of(two_causes), seed=1, schedules=200, certify=1, **USUAL)

    assert [found.failure.kind for found in report.failures] == [Kind.LEAK, Kind.LOST]
    assert [found.failure.detail for found in report.failures] == ["echo.text", "summary"]


def test_where_time_runs_out_it_is_said_how_far_it_came():
    report = fuzz_app(
        app_of(interrupted_twice), seed=1, failures=1, certify=1e-6, faults=[], schedules=400, **USUAL
    )  # fmt: skip

    [found] = report.failures
    assert found.minimal == "smallest known"
    assert "none was ruled out, 0 schedules in 1e-06 s; --certify gives it more time" in " ".join(
        found.narrative().split()
    )


@pytest.mark.parametrize("name", ["starved_pool", "reconnect_race", "wrong_order", "double_completion"])
def test_what_is_small_fails_as_what_was_found_did(name):
    report = fuzz_app(
        f"{name}:app", app_dir=races.HOME, passports=[races.TOKEN], seed=3, failures=1, certify=1, schedules=60
    )  # fmt: skip
    [found] = report.failures
    player = InProcess(Settings(app=f"{name}:app", app_dir=str(races.HOME)))
    again = player.play(found.workload, found.schedule)
    judged = Baselines(player).oracle(found.workload).judge(again)

    assert again.log_bytes() == found.run.log_bytes()
    assert found.failure.fingerprint in {failure.fingerprint for failure in judged}
    assert len(found.workload.sessions) <= 2 and found.workload.messages <= 2
    assert found.shrink_runs <= RUNS
