"""What a find is called: the plainest kind, the place where the code waits, and small for the same reason."""

from small_apps import FIVE, searched

from verifier.fuzz.doors import path_of
from verifier.fuzz.failure import TWICE, Kind

RPC = """
waiting, last = {}, 0

def answered(number):
    if number in waiting:
        waiting.pop(number).set_result(1)

async def call():
    global last
    number = last + 1
    await asyncio.sleep(0.001)
    last = number
    waiting[number] = future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.02, answered, number)
    return await future

async def serve(client):
    await client.accept()
    async for question in client.questions():
        run = uuid.uuid4().hex
        await client.say("agent_started", run)
        await call()
        await client.say("agent_completed", run)
"""
SLOTS = """
slots = asyncio.Semaphore(1)

async def serve(client):
    await client.accept()
    async for question in client.questions():
        run = uuid.uuid4().hex
        await client.say("agent_started", run)
        await slots.acquire()
        await asyncio.sleep(0.02)
        await client.say("agent_completed", run)
        slots.release()
"""
BUSY = """
serving = None

async def answer(client):
    for name in FIVE:
        await client.say(name, client.run)
        await asyncio.sleep(0.01)

async def serve(client):
    global serving
    await client.accept()
    async for question in client.questions():
        client.run = uuid.uuid4().hex
        serving = asyncio.create_task(answer(client))
    serving.cancel()
"""
GLOBAL_USER = """
current = ""

async def serve(client):
    global current
    current = client.user
    await client.accept()
    async for question in client.questions():
        client.user, run = current, uuid.uuid4().hex
        for name in FIVE:
            await client.say(name, run, timestamp=1, agent_name="a", tool_name="t")
"""
BALANCE = """
account = ""

async def serve(client):
    global account
    await client.accept()
    async for question in client.questions():
        account = client.user
        await asyncio.sleep(0.02)
        await client.say("balance", uuid.uuid4().hex, balance=sum(map(ord, account)) % 900)
"""
TEMPLATES = """
templates = {name: {} for name in FIVE}

async def serve(client):
    await client.accept()
    async for question in client.questions():
        run = uuid.uuid4().hex
        for name in FIVE:
            template = templates[name]
            template.update(thread=f"thread-{client.user}")
            await asyncio.sleep(0.001)
            await client.say(name, run, **template)
"""
RESUMED = """
unanswered = {}

async def answer(client, question):
    run = uuid.uuid4().hex
    await client.say("agent_started", run)
    await asyncio.sleep(0.05)
    await client.say("agent_completed", run)
    unanswered[client.user].discard(question)

async def serve(client):
    await client.accept()
    for question in sorted(unanswered.setdefault(client.user, set())):
        await answer(client, question)
    async for question in client.questions():
        unanswered[client.user].add(question)
        await answer(client, question)
"""
MIRRORED = """
tabs = {}

async def serve(client):
    await client.accept()
    tabs.setdefault(client.user, []).append(client)
    async for question in client.questions():
        run = uuid.uuid4().hex
        for name in FIVE:
            for tab in list(tabs[client.user]):
                with contextlib.suppress(OSError):
                    await tab.say(name, run, question=question)
            await asyncio.sleep(0.01)
    tabs[client.user].remove(client)
"""
ONE_QUEUE = """
queue = asyncio.Queue()

async def write(client):
    while True:
        name, run, user = await queue.get()
        await client.say(name, run, user=user)

async def serve(client):
    await client.accept()
    writing = asyncio.create_task(write(client))
    async for question in client.questions():
        run = uuid.uuid4().hex
        for name in FIVE:
            queue.put_nowait((name, run, client.user))
            await asyncio.sleep(0.005)
    writing.cancel()
"""


def test_an_answer_that_never_comes_is_lost_and_the_place_where_its_code_waits_is_told(tmp_path):
    [found] = searched(tmp_path, RPC).failures

    assert found.failure.kind is Kind.LOST
    assert "never gets agent_completed" in found.failure.sentence
    assert "what should do it waits for ever (small_app_" in found.failure.sentence
    assert found.failure.sentence.endswith(" in call)")


def test_where_nothing_is_at_work_any_more_it_says_so(tmp_path):
    found = searched(tmp_path, BUSY, faults=[]).failures[0]

    assert found.failure.kind is Kind.LOST
    assert found.failure.sentence.endswith("nothing is at work on it any more")


def test_who_waits_for_a_place_that_is_not_given_back_is_in_a_deadlock(tmp_path):
    found = searched(tmp_path, SLOTS, faults=["drop"], schedules=200).failures[0]

    assert found.failure.kind is Kind.DEADLOCK
    assert "for a lock or a place (small_app_" in found.failure.sentence


def test_what_users_in_turns_see_as_well_is_not_what_a_counterexample_is_made_small_to(tmp_path):
    found = searched(tmp_path, GLOBAL_USER, contract="golden-path").failures[0]

    assert found.failure.kind is Kind.MIXED
    assert (len(found.workload.sessions), found.workload.messages) == (2, 1)


def test_a_small_number_is_anothers_where_each_of_both_has_always_one_of_their_own(tmp_path):
    [found] = searched(tmp_path, BALANCE).failures

    assert (found.failure.kind, found.failure.detail) == (Kind.MIXED, "balance.balance")


def test_what_mostly_has_one_cause_is_one_find(tmp_path):
    [found] = searched(tmp_path, TEMPLATES, schedules=100).failures

    told = [found.failure, *found.also, *found.elsewhere]
    assert {failure.kind for failure in told} == {Kind.MIXED}
    assert len({failure.detail for failure in told}) > 2
    assert len(found.workload.sessions) == 2


def test_events_that_come_to_another_user_are_that_users_though_it_says_nothing(tmp_path):
    [found] = searched(tmp_path, ONE_QUEUE).failures

    assert found.failure.kind is Kind.MIXED
    assert found.failure.detail in {f"{name}.{path}" for name in FIVE for path in ("thread_id", "user")}
    assert len(found.workload.sessions) == 2 and found.workload.messages <= 2


def test_a_question_that_is_answered_twice_to_two_tabs_of_one_user_is_told(tmp_path):
    [found] = searched(tmp_path, RESUMED, faults=["tabs"], schedules=120).failures

    assert (found.failure.kind, found.failure.detail) == (Kind.DUPLICATED, TWICE)
    assert (len(found.workload.users), len(found.workload.sessions)) == (1, 2)


def test_what_is_mirrored_to_both_tabs_is_one_answer(tmp_path):
    assert searched(tmp_path, MIRRORED, faults=["tabs"], schedules=120).ok


def test_a_router_that_was_included_is_looked_into():
    from fastapi import APIRouter, FastAPI, WebSocket

    inner, outer, app = APIRouter(prefix="/agents"), APIRouter(prefix="/v1"), FastAPI()

    @inner.websocket("/{name}/chat")
    async def chat(ws: WebSocket, name: str) -> None:
        await ws.accept()

    outer.include_router(inner)
    app.include_router(outer, prefix="/api")

    assert path_of(app) == "/api/v1/agents/{user}/chat"
