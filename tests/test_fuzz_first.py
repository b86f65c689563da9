"""What a search tells before it tells of races: nobody is answered, a user alone is wronged, and whose a value is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest

from goldentape.errors import NothingVerified
from verifier.fuzz import fuzz_app
from verifier.fuzz.alone import Alone
from verifier.fuzz.crowd import crowd
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.oracle import unsteady
from verifier.fuzz.plans import with_faults
from verifier.fuzz.prepare import with_waits

FIVE = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")
USUAL: dict[str, Any] = {"passports": ["plain:query:user_id"], "path": "/ws", "seed": 1, "certify": 0, "faults": []}
Said = Callable[..., Awaitable[None]]
Answer = Callable[[Said, str, dict[str, Any]], Awaitable[None]]


def app_of(answer: Answer, begin: Callable[[str], Awaitable[str]] | None = None) -> Any:
    """Return an ASGI app that accepts everybody and answers each message so."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        user = parse_qs(scope["query_string"].decode())["user_id"][0]
        if begin is not None:
            user = await begin(user)
        await send({"type": "websocket.accept"})

        async def say(name: str, run: str = "", **more: Any) -> None:
            event = {"type": name, "thread_id": f"t-{user}", "timestamp": 1, "agent_name": "a", "data": more}
            event |= {"run_id": run} if run else {}
            await send({"type": "websocket.send", "text": json.dumps(event)})

        while (message := await receive())["type"] == "websocket.receive":
            await answer(say, user, json.loads(message["text"]))

    return app


async def silence(say: Said, user: str, message: dict[str, Any]) -> None:
    """Say nothing."""


async def refusal(say: Said, user: str, message: dict[str, Any]) -> None:
    """Say that it was not understood."""
    await say("error", message="unknown message")


async def completed_twice(say: Said, user: str, message: dict[str, Any]) -> None:
    """Tell the end twice, whoever else is there."""
    run = str(uuid4())
    for name in (*FIVE, "agent_completed"):
        await say(name, run)


async def five(say: Said, user: str, message: dict[str, Any]) -> None:
    """Answer well, without the words of the question."""
    run = str(uuid4())
    for name in FIVE:
        await say(name, run)
        await asyncio.sleep(0.01)


def test_where_nobody_is_answered_one_line_says_so_and_what_helps():
    with pytest.raises(NothingVerified) as error:
        fuzz_app(app_of(silence), schedules=6, **USUAL)

    line = str(error.value)
    assert "nobody is answered" in line and "no message at all" in line
    assert all(option in line for option in ("--message", "--path", "--as")) and "\n" not in line


def test_an_error_is_no_answer_unless_it_is_named():
    with pytest.raises(NothingVerified, match=r"error \(unknown message\) only.*--done error"):
        fuzz_app(app_of(refusal), schedules=6, **USUAL)

    assert fuzz_app(app_of(refusal), schedules=6, done="error", **USUAL).ok


def test_who_sends_nothing_is_owed_no_answer():
    assert fuzz_app(app_of(silence), schedules=6, messages=0, **USUAL).ok


def test_what_a_user_alone_meets_is_told_first_and_as_that():
    report = fuzz_app(app_of(completed_twice), schedules=6, contract="golden-path", **(USUAL | {"faults": None}))

    [found] = report.failures
    assert found.failure.detail == "once" and found.alone and found.first == 0
    assert len(found.workload.users) == 1 and "no concurrency" in found.needs
    assert not any("already breaks once" in note for note in report.notes)


def test_an_event_that_is_waited_for_by_name_need_not_carry_the_question():
    report = fuzz_app(app_of(five), schedules=12, done="agent_completed", **USUAL)

    assert report.ok
    assert any("do not carry what was asked" in note for note in report.notes)


def test_whose_a_value_is_is_known_though_the_other_says_nothing_in_the_small_workload():
    state = {}

    async def begin(user: str) -> str:
        state["user"] = user
        await asyncio.sleep(0.01)  # the profile
        return state["user"]

    report = fuzz_app(app_of(five, begin), schedules=24, **USUAL)

    [found] = report.failures
    assert found.failure.kind is Kind.MIXED and found.failure.detail == "agent_started.thread_id"
    assert len(found.workload.users) == 2


def test_a_job_and_a_timer_that_is_overdue_do_not_wait_for_each_other():
    async def answer(say: Said, user: str, message: dict[str, Any]) -> None:
        await say("agent_started")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(10), 0.01)
        await say("agent_thinking")
        await asyncio.wait_for(asyncio.to_thread(time.sleep, 0.02), 5)
        await say("agent_completed")

    report = fuzz_app(app_of(answer), schedules=60, **(USUAL | {"faults": None}))

    assert report.ok, report.failures[0].narrative()


def test_nothing_is_counted_at_who_comes_back_and_takes_any_answer():
    any_answer, own = (with_waits(crowd(3, 2), canary=canary, type_="agent_completed") for canary in (False, True))

    assert set(unsteady(any_answer)) == set()
    assert set(unsteady(with_faults(any_answer, ("reconnect",)))) == {"bob", "bob-again"}
    assert set(unsteady(with_faults(own, ("reconnect",)))) == {"bob"}


def test_a_place_that_differs_in_any_event_proves_nothing_in_one_that_was_never_seen_twice():
    alone = Alone("bob", ("bob",), masked={("agent_started", "run_id")}, twice={"agent_started", "agent_completed"})

    assert alone.is_masked(("agent_started", "run_id"))
    assert alone.is_masked(("agent_error", "run_id"))
    assert not alone.is_masked(("agent_completed", "run_id"))
    assert not alone.is_masked(("agent_error", "thread_id"))


def test_wrong_orders_are_one_failure_whichever_two_events_it_is():
    one, other = (Failure(Kind.ORDER, "bob", "", detail, "") for detail in ("b before a", "c before a"))

    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != Failure(Kind.LOST, "bob", "", "b before a", "").fingerprint
