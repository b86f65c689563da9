"""A full house: a refusal that comes while others are served may be meant, or a limit that is shared by mistake."""

from __future__ import annotations

import json

import pytest
from hunts import hunt
from small_apps import searched

from verifier.fuzz.failure import Kind
from verifier.fuzz.full import others_are_connected, others_are_served, refusal, says_full
from verifier.fuzz.message import read
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.seen import Ended, Moment, Run, What

BY_EVENT = """
active = 0

async def serve(client):
    global active
    await client.accept()
    async for content in client.questions():
        if active >= {most}:
            await client.say("busy", None, retry_after=1)
            continue
        active += 1
        for name in FIVE:
            await client.say(name, uuid.uuid4().hex[:8], of=content)
            await asyncio.sleep(0.01)
        {given_back}
"""
BY_CLOSE = """
here = 0

async def serve(client):
    global here
    {before}
    await client.accept()
    if here >= 2:
        return await client._send({{"type": "websocket.close", "code": 1013, "reason": "try again later"}})
    here += 1
    try:
        async for content in client.questions():
            await client.say("done", None, of=content)
            await asyncio.sleep(0.01)
    finally:
        here -= 1
"""
BEFORE = """if here >= 2:
        await client.receive()
        return await client._send({"type": "websocket.close", "code": CODE})"""
APPS = {
    "busy": (BY_EVENT.format(most=2, given_back="active -= 1"), "busy"),
    "one place": (BY_EVENT.format(most=1, given_back="active -= 1"), "busy"),
    "close": (BY_CLOSE.format(before=""), "1013"),
    "handshake": (BY_CLOSE.format(before=BEFORE.replace("CODE", "1013")), "1013"),
}


@pytest.mark.parametrize("seed", [5, 7])
def test_who_has_just_had_the_last_of_an_answer_may_still_be_served(tmp_path, seed):
    assert searched(tmp_path, APPS["one place"][0], users=3, schedules=120, seed=seed).failures == ()


@pytest.mark.parametrize("name", APPS)
def test_a_refusal_while_others_are_served_is_a_question_and_no_failure(tmp_path, name):
    source, word = APPS[name]
    asked = searched(tmp_path, source, users=3, schedules=120)
    meant = searched(tmp_path, source, users=3, schedules=120, shared=[word])

    assert asked.failures == () and meant.failures == (), [*asked.failures, *meant.failures]
    [doubt] = asked.unconfirmed
    assert doubt.startswith(f"users are refused with {word} while others are served, and never alone: a full house")
    assert doubt.endswith(f"say --shared '{word}'")
    assert meant.unconfirmed == ()


@pytest.mark.parametrize("shared", [(), ("busy",)])
def test_a_place_that_is_never_given_back_is_found_also_where_a_full_house_is_meant(tmp_path, shared):
    source = BY_EVENT.format(most=2, given_back="active -= active < 2")

    report = searched(tmp_path, source, users=2, messages=2, shared=shared, failures=1)

    [found] = report.failures
    assert found.failure.kind in (Kind.DIFFERENT, Kind.LOST)
    if found.failure.kind is Kind.DIFFERENT:
        assert found.failure.sentence.endswith("nobody else is being served")


@pytest.mark.parametrize("code", [4401, 1008])
def test_a_refusal_for_another_reason_is_a_failure(tmp_path, code):
    report = searched(tmp_path, BY_CLOSE.format(before=BEFORE.replace("CODE", str(code))), users=3, failures=1)

    [found] = report.failures
    assert found.failure.kind is Kind.CLOSED
    assert f"is refused (403: close {code})" in " ".join(found.narrative().split())


def test_other_peoples_words_in_a_refusal_are_a_leak(tmp_path):
    source = BY_EVENT.format(most=1, given_back="active -= 1")
    for before, after in (
        ("active += 1", "active += 1; asked = content"), ('"busy", None, ', '"busy", None, instead=asked, '),
        ("active = 0", "active, asked = 0, ''"), ("global active", "global active, asked"),
    ):  # fmt: skip
        assert before in source
        source = source.replace(before, after)

    report = searched(tmp_path, source, users=2, failures=1)

    [found] = report.failures
    assert found.failure.kind is Kind.LEAK


def test_a_running_server_that_is_full_is_a_question_as_well(tmp_path):
    found, _ = hunt(tmp_path, FULL, tries=8, confirm=2)

    assert found.caught == [], found.caught
    assert [doubt for doubt in found.doubts if "refused with busy while others are served" in doubt], found


IN_TURN = """
lock = asyncio.Lock()

async def serve(client):
    await client.accept()
    async for content in client.questions():
        if lock.locked():
            await client.say({told})
        async with lock:
            await client.say("working", None)
            await asyncio.sleep(0.01)
            await client.say("done", None, of=content)
"""


@pytest.mark.parametrize("told", ['"queued", None, place=1', '"working", None, status="waiting for others"'])
def test_who_is_told_to_wait_and_is_answered_then_has_missed_nothing(tmp_path, told):
    found = searched(tmp_path, IN_TURN.format(told=told), users=3, schedules=150)

    assert found.failures == () and found.unconfirmed == (), [*found.failures, *found.unconfirmed]
    assert [note for note in found.notes if "while others are served, and never alone: taken as a queue" in note]


def test_who_is_told_to_wait_and_is_not_answered_then_is_found(tmp_path):
    source = IN_TURN.format(told='"queued", None')
    source = source.replace('say("queued", None)', 'say("queued", None); continue')

    assert searched(tmp_path, source, users=2, failures=1).failures


def test_who_is_told_to_wait_while_nobody_is_served_is_found(tmp_path):
    source = BY_EVENT.format(most=2, given_back="active -= active < 2").replace('"busy"', '"queued"')

    [found] = searched(tmp_path, source.replace(", retry_after=1", ""), messages=2, failures=1).failures

    assert found.failure.kind in (Kind.DIFFERENT, Kind.LOST)


def test_a_running_server_that_has_a_queue_is_silent(tmp_path):
    found, _ = hunt(tmp_path, QUEUE, tries=8, users=3, confirm=2)

    assert found.caught == [] and found.doubts == [], found
    assert [note for note in found.notes if "told queued while others are served" in note]


QUEUE = """
lock = asyncio.Lock()

async def answer(user, said, say):
    if lock.locked():
        await say("queued")
    async with lock:
        await asyncio.sleep(0.02)
        await say("done", of=said)
"""
FULL = """
active = 0

async def answer(user, said, say):
    global active
    if active:
        return await say("busy", retry_after=1)
    active += 1
    await asyncio.sleep(0.1)
    active -= 1
    await say("done", of=said)
"""


@pytest.mark.parametrize(
    ("message", "full"),
    [
        ({"type": "busy"}, True), ({"type": "ServerBusy"}, True), ({"type": "error", "code": "RATE_LIMITED"}, True),
        ({"type": "error", "data": {"status": 429}}, True), ({"type": "error", "retryAfter": 3}, True),
        ({"type": "error", "message": "Too many requests, please try again"}, True),
        ({"type": "agent_failed", "reason": "service temporarily unavailable"}, True),
        ({"type": "error", "message": "no such session"}, False), ({"type": "error", "code": 500}, False),
        ({"type": "agent_completed", "content": "The shop is busy on Mondays"}, False),
        ({"type": "agent_completed", "result": {"count": 429}}, False), ({"type": "error", "status": True}, False),
        ({"type": "error", "message": "busy " + "very " * 60}, False),
    ],
)  # fmt: skip
def test_what_says_that_the_house_is_full(message, full):
    assert says_full(read(json.dumps(message))) is full


def test_codes_by_which_a_full_house_refuses():
    assert refusal("close", 1013, "") == "1013" and refusal("close", 4008, "Too many connections") == "4008"
    assert refusal("close", 1011, "server busy") == refusal("close", 1000, "bye") == refusal("lost", 1006, "") == ""
    assert refusal("reject", 503, "") == "503" and refusal("reject", 429, "") == "429"
    assert refusal("reject", 403, "close 1013 later") == "1013" and refusal("reject", 403, "close 4401") == ""


def run_of(*told: tuple[str, str, What]) -> Run:
    moments = tuple(
        Moment(n, session, n, dir_, what, "{}" if what is What.MESSAGE else "", 0)
        for n, (session, dir_, what) in enumerate(told)
    )
    return Run(moments, SERIAL, ((4, 1),) * len(moments), ("nobody",), 0, Ended.DONE)


ASK, TOLD = ("c2s", What.MESSAGE), ("s2c", What.MESSAGE)
GO, VANISH = ("c2s", What.CLOSE), ("c2s", What.DROP)


@pytest.mark.parametrize(
    ("others", "served"),
    [
        ((("bob", *ASK), ("bob", *TOLD)), False),
        ((("bob", *ASK), ("bob", *TOLD), ("bob", *GO)), False),
        ((("bob", *ASK), None, ("bob", *TOLD)), True),
        ((("bob", *ASK), ("bob", *TOLD), None, ("bob", *TOLD)), True),
        ((("bob", *ASK), ("bob", *TOLD), None, ("bob", *ASK), ("bob", *TOLD)), False),
        ((None, ("bob", *ASK), ("bob", *TOLD)), False),
        ((("bob", *ASK), ("bob", *VANISH)), True),
        ((("bob", *VANISH),), False),
    ],
)
def test_who_is_served_at_a_moment(others, served):
    place = others.index(None) if None in others else len(others)
    before, after = others[:place], others[place + 1 :]
    run = run_of(*before, ("alice", *ASK), ("alice", *TOLD), *after)

    assert others_are_served(run, place + 1) is served


def test_who_leaves_by_a_close_in_the_middle_may_still_be_served():
    run = run_of(("bob", *ASK), ("bob", *GO), ("alice", *ASK), ("alice", *TOLD))

    assert others_are_served(run, 3, {"bob"}) and not others_are_served(run, 3)


def test_who_is_connected_at_a_moment():
    came, accepted, refused = ("c2s", What.CONNECT), ("s2c", What.ACCEPT), ("s2c", What.REJECT)
    left = run_of(("bob", *came), ("bob", *accepted), ("bob", *GO), ("alice", *came), ("alice", *refused))
    late = run_of(("bob", *came), ("bob", *accepted), ("alice", *came), ("bob", *GO), ("alice", *refused))

    assert others_are_connected(late, 4) and not others_are_connected(left, 4)
