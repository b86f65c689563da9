"""Chance is no race: tools that fail now and then, texts in pieces of any size, clients that leave before the end."""

import pytest
from small_apps import searched

from verifier.fuzz.canary import canary, planted
from verifier.fuzz.client import Client
from verifier.fuzz.crowd import crowd
from verifier.fuzz.failure import Kind
from verifier.fuzz.oracle import unsteady
from verifier.fuzz.policy import Walk
from verifier.fuzz.run import Runner
from verifier.fuzz.script import Close, Send, Wait
from verifier.fuzz.script_file import workload_of
from verifier.fuzz.workload import Session
from verifier.load import load

FLAKY = """
import random
{made}

async def ask(question):
    for attempt in range(3):
        await asyncio.sleep({chance}.uniform(0.01, 0.1))
        if {chance}.random() > 0.3:
            return question
    raise TimeoutError

async def serve(client):
    await client.accept()
    try:
        async for question in client.questions():
            run = uuid.uuid4().hex
            for name in FIVE[:3]:
                await client.say(name, run)
            try:
                found = await ask(question)
            except TimeoutError:
                await client.say("tool_completed", run, status="error", error="gave up")
                await client.say("agent_completed", run, status="degraded", result="Ask again later.")
                continue
            await client.say("tool_completed", run, status="ok", {result})
            text = f"As to {{found}}: yes."
            while text:
                n = {chance}.randint(1, 9)
                piece, text = text[:n], text[n:]
                await client.say("token", run, text=piece)
                await asyncio.sleep(0)
            await client.say("agent_completed", run, status="ok", result=found)
    except OSError:
        pass
"""
OWN = "generator = random.Random(7)", "generator"
USUAL = "", "random"
PIPELINED = """
async def serve(client):
    await client.accept()
    async def answer(question, seconds):
        run = uuid.uuid4().hex
        await asyncio.sleep(seconds)
        {before}
        await client.say("answer", run, text=question)
    tasks, seconds = [], itertools.cycle((0.3, 0.1))
    async for question in client.questions():
        if question == "ping":
            await client.say("pong", "")
        else:
            tasks.append(asyncio.create_task(answer(question, next(seconds))))
    for task in tasks:
        task.cancel()
"""


def flaky(made, chance, result="result=found"):
    return FLAKY.format(made=made, chance=chance, result=result)


def scripted(text):
    return workload_of(load(text.encode(), "users.yaml"), (), {})


@pytest.mark.parametrize("made", [USUAL, OWN], ids=["random", "a generator with a seed"])
def test_what_chance_brings_is_no_race(tmp_path, made):
    report = searched(tmp_path, flaky(*made), schedules=50)

    assert report.ok and not report.unconfirmed, report.failures[0].narrative() if report.failures else ""


@pytest.mark.parametrize("made", [USUAL, OWN], ids=["random", "a generator with a seed"])
def test_a_race_among_what_chance_brings_is_found(tmp_path, made):
    """The tool's answer is kept for all, and read after a wait."""
    shared = flaky(*made, "result=last[0], tone=last[1]").replace(
        "            return question", "            last[:] = question, client.user\n"
        "            await asyncio.sleep(0.01)\n            return question"
    ).replace("ask(question", "ask(client, question").replace("async def ask", "last = []\nasync def ask")  # fmt: skip

    report = searched(tmp_path, shared, schedules=40, failures=1)

    assert any(found.failure.kind in (Kind.LEAK, Kind.MIXED) for found in report.failures)


def test_a_run_knows_whether_the_app_asks_for_chance_and_ids_are_none(tmp_path):
    def asks(line):
        source = f"import random, uuid, secrets\n{line}\nasync def app(scope, receive, send):\n    uuid.uuid4()\n"
        (tmp_path / "asks.py").write_text(source)
        return Runner("asks:app", app_dir=tmp_path).run(crowd(1, 1), Walk(1)).chance

    assert not asks("secrets.token_hex(16)")
    for line in ("random.random()", "random.Random(3)", "random.seed(1)", "secrets.randbelow(6)", "random.Random()"):
        assert asks(line), line


def test_an_apps_own_data_are_the_same_under_any_chance_and_what_users_draw_is_not(tmp_path):
    source = (
        "import json, random\ngenerator = random.Random(7)\nprices = [generator.randint(1, 10**9) for _ in range(3)]\n"
        "async def app(scope, receive, send):\n    await receive()\n    await send({'type': 'websocket.accept'})\n"
        "    await send({'type': 'websocket.send', 'text': json.dumps([prices, generator.randint(1, 10**9)])})\n"
    )
    (tmp_path / "prices.py").write_text(source)
    told = [
        Runner("prices:app", app_dir=tmp_path, seed=seed).run(crowd(1, 0), Walk(1)).moments[2].payload
        for seed in (0, 1, 2)
    ]

    assert len({text.partition("]")[0] for text in told}) == 1 and len(set(told)) == 3


def test_who_leaves_before_all_is_answered_has_lost_nothing(tmp_path):
    workload = scripted(
        "path: /ws\nusers: 2\nas: [{as: 'plain:query:user_id'}]\nscript:\n"
        "  - send: {content: '{content}'}\n  - send: {content: '{content}'}\n  - wait\n"
        "  - send: {content: 'ping'}\n  - send: {content: '{content}'}\n  - wait\n"
    )

    report = searched(tmp_path, PIPELINED.format(before=""), workload=workload, schedules=100, passports=())

    assert report.ok, report.failures[0].narrative()


@pytest.mark.parametrize(
    ("steps", "leaves"),
    [
        ("[{send: '{content}'}, wait]", False),
        ("[{send: login}, {send: '{content}'}, wait]", False),
        ("[{send: '{content}'}, {send: '{content}'}, {wait: answer}, {wait: answer}]", False),
        ("[{send: '{content}'}, {send: '{content}'}, wait]", True),
        ("[{send: '{content}'}, {send: ping}, {wait: answer}]", True),
        ("[{send: '{content}'}, wait, {send: bye}]", True),
    ],
)
def test_who_may_leave_before_all_is_answered_is_known_by_the_script(steps, leaves):
    workload = scripted(f"path: /ws\nusers: 1\nscript: {steps}\n")

    assert bool(list(unsteady(workload))) is leaves


def test_what_is_lost_to_who_stays_for_each_answer_is_found(tmp_path):
    """Whose answer is the newest gets it, and others do not."""
    workload = scripted(
        "path: /ws\nusers: 2\nas: [{as: 'plain:query:user_id'}]\nscript:\n"
        "  - send: {content: '{content}'}\n  - send: {content: ping}\n  - wait: answer\n"
    )
    lost = "newest[:] = [run]\n        await asyncio.sleep(0.01)\n        if newest != [run]:\n            return"
    source = "newest = []\n" + PIPELINED.format(before=lost)

    report = searched(tmp_path, source, workload=workload, schedules=60, failures=1, passports=())

    assert any(found.failure.kind is Kind.LOST for found in report.failures)


@pytest.mark.parametrize(
    ("told", "goes_on"),
    [
        (['{"type": "done", "run_id": "1", "status": "error"}'], True),
        (['{"type": "tool", "run_id": "1", "error": "503"}', '{"type": "done", "run_id": "1", "text": "no"}'], True),
        (['{"type": "done", "run_id": "1", "text": "yes"}'], False),
        (['{"type": "done", "run_id": "1", "status": "error", "text": "CNRY-ben-1-0000"}'], False),
        (['{"type": "tool", "run_id": "1", "error": "503"}'], False),
        (['{"type": "error", "text": "sorry"}'], True),
    ],
)
def test_an_apology_is_an_answer_though_it_does_not_say_to_what(told, goes_on):
    token = canary("ann", 1)
    session = Session(name="ann", user="ann", script=(Send(planted(token), token), Wait(token, "done|error"), Close()))
    client = Client(session)
    client.accept()
    client.place = 1
    client.say(token, planted(token))
    client.settle()
    for text in told:
        client.take(text)

    assert client.waits is not goes_on


def test_one_apology_answers_one_question_and_none_that_came_before():
    first, second = canary("ann", 1), canary("ann", 2)
    script = (
        Send(planted(first), first), Wait(first, "done"), Send(planted(second), second), Wait(second, "done"), Close(),
    )  # fmt: skip
    client = Client(Session(name="ann", user="ann", script=script))
    client.accept()
    for place, token in ((1, first), (3, second)):
        client.place = place
        client.say(token, planted(token))
        client.settle()
        if token == first:
            client.take('{"type": "done", "run_id": "1", "status": "failed"}')
            client.take('{"type": "done", "run_id": "2", "status": "failed"}')

    assert client.waits
    client.take('{"type": "done", "run_id": "3", "status": "failed"}')
    assert not client.waits
