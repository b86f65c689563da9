"""No time passes for who goes on: what others wait for does not turn round the order of one's own latencies."""

from __future__ import annotations

import pytest
from small_apps import KIT, searched

from verifier.fuzz.crowd import crowd
from verifier.fuzz.failure import Kind
from verifier.fuzz.passport import Passport
from verifier.fuzz.policy import Walk
from verifier.fuzz.run import Runner

AUDIT = """
audit_lock = asyncio.Lock()

async def tool(client, run):
    {audit}
    await client.say("tool_completed", run)

async def serve(client):
    await client.accept()
    try:
        async for question in client.questions():
            run = uuid.uuid4().hex
            for name in FIVE[:3]:
                await client.say(name, run)
            task = asyncio.create_task(tool(client, run))
            await asyncio.sleep(0.015)  # the model
            {joined}
            await client.say("agent_completed", run)
            await task
    except OSError:
        pass
"""
LOCKED = "async with audit_lock: await asyncio.sleep(0.01)"
BEHIND_A_LOCK = AUDIT.format(audit=LOCKED, joined="")
"""Who has to wait for the lock is told of the tool too late."""
JOINED = AUDIT.format(audit=LOCKED, joined="await task")
OWN = AUDIT.format(audit="await asyncio.sleep(0.01)", joined="")
BRIEF = AUDIT.format(audit="async with audit_lock: await asyncio.sleep(0)\n    await asyncio.sleep(0.01)", joined="")
"""The lock is held for a turn of the loop, in which no time passes."""
RETRIED = """
gpu = asyncio.Semaphore({places})

async def attempt(client, run):
    async with gpu:
        await asyncio.sleep(0.2)
    with contextlib.suppress(OSError):
        await client.say("tool_completed", run)
        await client.say("agent_completed", run)

async def serve(client):
    await client.accept()
    with contextlib.suppress(OSError):
        async for question in client.questions():
            run = uuid.uuid4().hex
            for name in FIVE[:3]:
                await client.say(name, run)
            for _ in range(3):
                try:
                    await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(attempt(client, run))), 0.3)
                    break
                except asyncio.TimeoutError:
                    pass  # once more; the first attempt goes on
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_an_order_that_a_lock_of_others_turns_round_is_told(tmp_path, seed):
    [found] = searched(tmp_path, BEHIND_A_LOCK, seed=seed, faults=[], failures=1).failures

    assert found.failure.kind is Kind.ORDER
    assert found.failure.detail == "agent_completed before tool_completed"
    assert (len(found.workload.users), found.workload.messages) == (2, 2)


def test_a_second_attempt_that_is_made_since_others_take_long_is_told(tmp_path):
    [found] = searched(tmp_path, RETRIED.format(places=1), faults=[], failures=1).failures

    assert found.failure.kind is Kind.DUPLICATED
    assert len(found.workload.users) == 2


@pytest.mark.parametrize("source", [JOINED, OWN, BRIEF, RETRIED.format(places=8)])
def test_what_is_in_order_for_each_is_so_for_all(tmp_path, source):
    assert searched(tmp_path, source, schedules=150).failures == ()


TWO_TURNS = """
async def later(client):
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    await client.say("first", "")

async def serve(client):
    await client.accept()
    async for question in client.questions():
        task = asyncio.create_task(later(client))
        began = time.monotonic()
        await asyncio.sleep(0.015)
        await client.say("second", "", slept=time.monotonic() - began)
        await task
"""


def test_what_begins_at_one_moment_ends_by_its_length_whoever_else_waits(tmp_path):
    (tmp_path / "two_turns.py").write_text(KIT + TWO_TURNS)
    runner = Runner("two_turns:app", app_dir=tmp_path)
    workload = crowd(users=3, messages=2, passports=(Passport.parse("plain:query:user_id"),))

    for n in range(60):
        run = runner.run(workload, Walk(seed=n))
        for moments in run.by_session.values():
            said = [m for m in moments if m.dir == "s2c" and m.what == "message"]
            assert ["first" in str(m.payload) for m in said] == [True, False] * (len(said) // 2)
            for moment in said[1::2]:
                assert float(str(moment.payload).rpartition('"slept": ')[2].rstrip("}")) >= 0.015
