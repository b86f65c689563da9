"""A user's own connections: one answer where one of them comes in the middle of it, in its order and told once."""

from __future__ import annotations

import pytest
from small_apps import searched

from verifier.fuzz.failure import BESIDE, Kind

KEPT = """
here, missed, working = {{}}, {{}}, set()

async def push(user, name, run):
    client = here.get(user)
    if client is None {or_waiting}:
        missed.setdefault(user, []).append((name, run))
        return
    try:
        await client.say(name, run)
    except OSError:
        missed.setdefault(user, []).append((name, run))

async def work(user):
    run = uuid.uuid4().hex
    for name in FIVE:
        await push(user, name, run)
        await asyncio.sleep(0.01)

async def serve(client):
    await client.accept()
    here[client.user] = client
    try:
        {flush}
        async for question in client.questions():
            task = asyncio.create_task(work(client.user))
            working.add(task)
            task.add_done_callback(working.discard)
    except OSError:
        pass
    finally:
        if here.get(client.user) is client:
            del here[client.user]
"""
OVERTAKEN = KEPT.format(or_waiting="", flush="""
        for name, run in missed.pop(client.user, []):
            await client.say(name, run)
            await asyncio.sleep(0.02)  # not to flood it
""")  # fmt: skip
"""What was missed is told slowly, while what goes on is told at once."""
IN_ORDER = KEPT.format(or_waiting="or missed.get(user)", flush="""
        while missed.get(client.user):
            await client.say(*missed[client.user][0])
            del missed[client.user][0]
            await asyncio.sleep(0.02)
""")  # fmt: skip
"""What goes on waits behind what was missed."""
NEWEST_FIRST = KEPT.format(or_waiting="or True", flush="""
        while True:
            for name, run in reversed(missed.pop(client.user, [])):
                await client.say(name, run)
            if question := await asyncio.wait_for(anext(client.questions(), None), 60):
                await work(client.user)
            else:
                return
""")  # fmt: skip
"""What was missed is told from its end, and always."""
AGAIN = """
told, tabs = {}, {}

async def serve(client):
    await client.accept()
    for name, run in list(told.get(client.user, [])):
        await client.say(name, run)
        await asyncio.sleep(0.005)
    tabs.setdefault(client.user, []).append(client)
    for name, run in list(told.get(client.user, [])):  # once more, for what came meanwhile
        await client.say(name, run)
    try:
        async for question in client.questions():
            run = uuid.uuid4().hex
            for name in FIVE:
                told.setdefault(client.user, []).append((name, run))
                for tab in list(tabs[client.user]):
                    with contextlib.suppress(OSError):
                        await tab.say(name, run)
                await asyncio.sleep(0.01)
    finally:
        tabs[client.user].remove(client)
"""
"""A new tab is told all, and some of it again; of each event the first time is in order."""
ONE_NUMBER = """
tabs = {}

async def serve(client):
    await client.accept()
    tabs.setdefault(client.user, []).append(client)
    numbers = itertools.count(1)
    async for question in client.questions():
        run = f"{client.user}-{next(numbers)}"
        for name in FIVE:
            for tab in list(tabs[client.user]):
                with contextlib.suppress(OSError):
                    await tab.say(name, run)
            await asyncio.sleep(0.01)
    tabs[client.user].remove(client)
"""
"""The answers of two tabs share a number, and each tab is told of both."""


LINGERING = """
subscribers, here, working = {{}}, {{}}, set()

async def work(user):
    run = uuid.uuid4().hex
    for name in FIVE:
        for who in subscribers.get(user, {empty}).copy():
            with contextlib.suppress(OSError):
                await here[who].say(name, run)
        await asyncio.sleep(0.01)

async def serve(client):
    await client.accept()
    here[client.user] = client
    subscribers.setdefault(client.user, {empty}).{add}(client.user)
    async for question in client.questions():
        task = asyncio.create_task(work(client.user))
        working.add(task)
        task.add_done_callback(working.discard)
    await asyncio.sleep(0.1)  # perhaps they come back
    if here[client.user] is client:
        subscribers[client.user].remove(client.user)
"""


def test_what_goes_on_and_overtakes_what_was_missed_is_told(tmp_path):
    [found] = searched(tmp_path, OVERTAKEN, faults=["reconnect"], schedules=150, failures=1).failures

    assert found.failure.kind is Kind.ORDER
    assert found.failure.detail.endswith(BESIDE)
    assert found.needs.startswith("1 user, 2 connections")
    assert "on one connection at a time it is always the other way round" in " ".join(found.narrative().split())


def test_an_answer_that_comes_twice_since_the_old_connection_is_still_subscribed_is_told(tmp_path):
    twice = LINGERING.format(empty="[]", add="append")
    [found] = searched(tmp_path, twice, faults=["reconnect"], failures=1).failures

    assert found.failure.kind is Kind.DUPLICATED
    assert found.failure.detail.endswith(BESIDE)
    assert found.needs.startswith("1 user, 2 connections")
    assert "with one connection at a time it is always one" in " ".join(found.narrative().split())

    assert searched(tmp_path, LINGERING.format(empty="set()", add="add"), faults=["reconnect"]).failures == ()


@pytest.mark.parametrize(
    ("app", "fault"),
    [
        (IN_ORDER, "reconnect"), (NEWEST_FIRST, "reconnect"), (AGAIN, "reconnect"), (AGAIN, "tabs"),
        (ONE_NUMBER, "reconnect"), (ONE_NUMBER, "tabs"),
    ],
)  # fmt: skip
def test_another_order_that_is_none_is_not(tmp_path, app, fault):
    report = searched(tmp_path, app, faults=[fault], schedules=120)

    assert report.failures == ()


NEWEST_TAB = """
here = {{}}

async def serve(client):
    await client.accept()
    here[client.user] = client
    try:
        async for question in client.questions():
            run = uuid.uuid4().hex
            for name in FIVE:
                if client.user in here:
                    await here[client.user].say(name, run)
                await asyncio.sleep(0.01)
    except OSError:
        pass
    finally:
        await asyncio.sleep(0.02)  # its transcript is saved
        {leave}
"""


def test_a_race_of_who_comes_back_is_not_told_of_two_tabs(tmp_path):
    found = searched(
        tmp_path, NEWEST_TAB.format(leave="here.pop(client.user, None)"), faults=["reconnect"], failures=1
    ).failures[0]
    kept = searched(
        tmp_path,
        NEWEST_TAB.format(leave="if here.get(client.user) is client: del here[client.user]"),
        faults=["reconnect"],
    )

    assert found.failure.kind is Kind.LOST
    for user in found.workload.users:
        assert sum(session.user == user.name and session.after is None for session in found.workload.sessions) <= 1
    assert kept.failures == ()
