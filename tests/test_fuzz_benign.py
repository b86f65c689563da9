"""What is no race, though a user alone does not see it: durations, heartbeats, places in a line."""

import pytest
from small_apps import searched

from verifier.fuzz.crowd import crowd
from verifier.fuzz.failure import Kind
from verifier.fuzz.passport import Passport
from verifier.fuzz.script import Close, Send
from verifier.fuzz.swapped import swapped
from verifier.fuzz.workload import Session, User, Workload

HEARTBEATS = """
async def serve(client):
    await client.accept()
    run, beats = uuid.uuid4().hex, itertools.count(1)

    async def beat():
        while True:
            await asyncio.sleep(5)
            await client.say("ping", run, n=next(beats))

    beating = asyncio.create_task(beat())
    questions = client.questions()
    try:
        while True:
            await asyncio.wait_for(anext(questions), 45)
            for name in FIVE:
                at = time.strftime("%H:%M:%S")
                await client.say(name, run, at=at, timestamp=time.time(), agent_name="a", tool_name="t")
                await asyncio.sleep(0.5)
    except TimeoutError:
        await client._send({"type": "websocket.close", "code": 4000})
    except (StopAsyncIteration, OSError):
        pass
    finally:
        beating.cancel()
"""
BESIDE_HEARTBEATS = """
async def serve(client):
    await client.accept()

    async def beat():
        while True:
            await asyncio.sleep(1)
            await client.say("heartbeat", "", timestamp=time.time())

    beating = asyncio.create_task(beat())
    try:
        async for question in client.questions():
            run = uuid.uuid4().hex
            for name in FIVE:
                await client.say(name, run, timestamp=time.time(), agent_name="a", tool_name="t")
                await asyncio.sleep(0.04)
    except OSError:
        pass
    finally:
        beating.cancel()
"""
DURATIONS = """
lock = asyncio.Lock()

async def serve(client):
    await client.accept()
    async for question in client.questions():
        began = time.perf_counter()
        async with lock:
            await asyncio.sleep(0.04)
        took = time.perf_counter() - began
        run = uuid.uuid4().hex
        await client.say("answer", run, slow=took > 0.06, text=f"done in {took:.2f} s", ms=round(took * 1000))
"""
LINE = """
waiting, place = 0, asyncio.Semaphore(1)

async def serve(client):
    global waiting
    await client.accept()
    try:
        async for question in client.questions():
            run = uuid.uuid4().hex
            waiting += 1
            try:
                await client.say("thinking", run, text=f"You are number {waiting} in line")
                async with place:
                    await asyncio.sleep(0.02)
            finally:
                waiting -= 1
            await client.say("answer", run, text=question)
    except OSError:
        pass
"""
CAPACITY = """
serving = 0

async def serve(client):
    global serving
    await client.accept()
    async for question in client.questions():
        run = uuid.uuid4().hex
        if serving >= 2:
            await client.say("error", run, retry_after=1)
            continue
        serving += 1
        try:
            for name in FIVE:
                await client.say(name, run)
                await asyncio.sleep(0.01)
        except OSError:
            pass
        finally:
            serving -= 1
"""
ONE_MODEL = """
model = asyncio.Semaphore(1)

async def serve(client):
    await client.accept()
    try:
        async for question in client.questions():
            run = uuid.uuid4().hex
            for name in FIVE:
                if name == "tool_completed":
                    async with model:
                        await asyncio.sleep(0.4)
                await client.say(name, run, timestamp=time.time(), agent_name="a", tool_name="t")
    except OSError:
        pass
"""
LEAVES_AT_ONCE = """
import contextvars
jobs, working = asyncio.Queue(), set()

async def work():
    while True:
        run, told = await jobs.get()
        for name in FIVE:
            told.put_nowait((name, run))
        await asyncio.sleep(0.05)

async def serve(client):
    if not working:
        working.add(asyncio.create_task(work(), context=contextvars.Context()))
    await client.accept()
    try:
        async for question in client.questions():
            told = asyncio.Queue()
            jobs.put_nowait((str(uuid.uuid4()), told))
            for _ in FIVE:
                await client.say(*await told.get())
    except OSError:
        pass
"""
ROOM = """
here = set()

async def serve(client):
    await client.accept()
    here.add(client)
    async for question in client.questions():
        for other in sorted(here, key=lambda other: other.user):
            try:
                await other.say("said", "", text=question, by=client.user)
            except OSError:
                here.discard(other)
        await client.say("ok", "")
    here.discard(client)
"""


@pytest.mark.parametrize("source", [HEARTBEATS, DURATIONS, LINE], ids=["heartbeats", "durations", "line"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_more_time_or_more_people_in_a_line_explain_is_no_race(tmp_path, source, seed):
    report = searched(tmp_path, source, schedules=120, seed=seed)

    assert report.ok, report.failures[0].narrative()


def test_ids_of_chance_are_known_as_such_though_the_client_leaves_before_it_sees_one(tmp_path):
    script = (Send('{"type": "user_message", "content": "hello"}'), Close())
    users = User("ann"), User("ben")
    sessions = tuple(Session(name=user.name, user=user.name, path="/ws", script=script) for user in users)
    passports = (Passport.parse("plain:query:user_id"),)

    report = searched(tmp_path, LEAVES_AT_ONCE, workload=Workload(users, sessions, passports=passports))

    assert report.ok, report.failures[0].narrative()


def test_a_contract_is_held_against_the_threads_that_the_app_has_and_not_against_slow_readers(tmp_path):
    report = searched(tmp_path, HEARTBEATS, schedules=80, contract="golden-path")

    assert report.ok, report.failures[0].narrative()


@pytest.mark.parametrize("seed", [2, 3])
def test_what_a_contract_demands_within_a_time_is_looked_for_alone_while_time_passes(tmp_path, seed):
    """Nothing comes to the user's other tab: `all-devices` shows where others take up the second that it has."""
    report = searched(tmp_path, ONE_MODEL, schedules=150, seed=seed, contract="golden-path")

    assert report.ok, report.failures[0].narrative()


def test_what_another_does_can_be_done_by_a_user_with_all_names_changed():
    workload = crowd(2, 2).only("bob")

    [session] = swapped(workload, "alice").sessions

    assert (session.name, session.user) == ("bob", "alice")
    assert "bob" not in "".join(str(action) for action in session.script)
    assert set(swapped(workload, "alice").canaries().values()) == {"alice"}
    assert not set(swapped(workload, "alice").canaries()) & set(crowd(2, 2).canaries())


def test_a_room_is_said_to_be_one_and_is_no_leak(tmp_path):
    report = searched(tmp_path, ROOM)
    [line] = report.unconfirmed

    assert report.ok
    assert "everybody gets what everybody says" in line and line.endswith("--shared 'text'")
    assert searched(tmp_path, ROOM, shared=("text", "by")).unconfirmed == ()


COMING_AND_GOING = """
here = set()

async def tell(event, client):
    for other in sorted(here, key=lambda other: other.user):
        with contextlib.suppress(OSError):
            await other.say(event, "", who=client.user, members=len(here))

async def serve(client):
    await client.accept()
    here.add(client)
    await tell("joined", client)
    async for question in client.questions():
        await client.say("said", "", text=question)
    here.discard(client)
    await tell("left", client)
"""


def test_who_comes_and_goes_may_be_told_to_all(tmp_path):
    report = searched(tmp_path, COMING_AND_GOING, users=3, schedules=150)

    assert report.ok and report.unconfirmed == (), [*report.failures, *report.unconfirmed]


@pytest.mark.parametrize("shared", ["retry_after", "error"])
def test_a_refusal_since_others_are_served_is_meant_so_where_it_or_its_field_is_shared(tmp_path, shared):
    asked, meant = searched(tmp_path, CAPACITY), searched(tmp_path, CAPACITY, shared=(shared,))

    [line] = asked.unconfirmed
    assert asked.ok and "refused with error while others are served" in line
    assert meant.ok and meant.unconfirmed == ()


def test_an_agents_events_that_come_to_all_are_no_room(tmp_path):
    [found] = searched(tmp_path, ROOM.replace('"said"', '"agent_completed"')).failures

    assert found.failure.kind is Kind.LEAK


@pytest.mark.parametrize("seed", [1, 2])
def test_no_answer_is_put_behind_the_heartbeats_of_others_for_minutes(tmp_path, seed):
    """`no-silence` of the contract: a tool that takes 40 ms does not take longer than half a minute."""
    report = searched(tmp_path, BESIDE_HEARTBEATS, schedules=60, seed=seed, faults=(), contract="golden-path")

    assert report.ok, report.failures[0].narrative()
