"""Places that are lost one by one: they are found though it takes two, and the schedule is fitted to what is left."""

from __future__ import annotations

import pytest
from small_apps import KIT, searched

from verifier.fuzz.crowd import crowd
from verifier.fuzz.failure import Kind
from verifier.fuzz.fitting import fitted
from verifier.fuzz.passport import Passport
from verifier.fuzz.plans import settled, with_faults
from verifier.fuzz.policy import Walk
from verifier.fuzz.run import Runner
from verifier.fuzz.script import Drop, Send, Wait
from verifier.fuzz.seen import What

TWO_PLACES = """
places = asyncio.Semaphore(2)

async def work(client, question):
    run = uuid.uuid4().hex
    with contextlib.suppress(OSError):
        await client.say("agent_started", run)
        await places.acquire()
        await client.say("agent_thinking", run)
        await asyncio.sleep(0.02)
        for name in FIVE[2:4]:
            await client.say(name, run)
        places.release()  # not where it is cancelled in the meantime
        await client.say("agent_completed", run, content=question)

async def serve(client):
    await client.accept()
    tasks = []
    async for question in client.questions():
        tasks.append(asyncio.create_task(work(client, question)))
    for task in tasks:
        task.cancel()
"""
USERS = (Passport.parse("plain:query:user_id"),)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_places_that_are_lost_are_found_soon_and_told_with_three_connections(tmp_path, seed):
    [found] = searched(tmp_path, TWO_PLACES, seed=seed, failures=1, certify=0).failures

    assert found.failure.kind is Kind.DEADLOCK
    assert len(found.workload.sessions) == 3
    assert found.workload.messages == 3
    assert len(found.schedule) <= 12


def test_who_vanishes_has_seen_something_and_somebody_comes_after_all_of_them():
    workload = with_faults(crowd(users=3, messages=2), ["drop"], leaving=2, begun=True, late=True)

    gone = [session for session in workload.sessions if isinstance(session.script[-1], Drop)]
    [stays] = [session for session in workload.sessions if session not in gone]
    assert len(gone) == 2
    assert all(session.script[-2] == Wait() for session in gone)
    assert stays.after is not None
    assert stays.after.session in {session.name for session in gone}


def test_who_waits_for_nothing_is_not_made_to_wait():
    workload = crowd(users=2, messages=1)
    quiet = workload.with_script("bob", tuple(a for a in workload.session("bob").script if not isinstance(a, Wait)))

    assert with_faults(quiet, ["drop"], begun=True).session("bob").script[1:] == (Drop(),)


def test_a_schedule_without_a_message_goes_on_where_the_rest_was(tmp_path):
    (tmp_path / "places.py").write_text(KIT + TWO_PLACES)
    runner = Runner("places:app", app_dir=tmp_path)
    workload = crowd(users=2, messages=2, passports=USERS)
    same = 0
    for seed in range(40):
        run = runner.run(workload, Walk(seed=seed))
        less = settled(workload.without_action("bob", workload.session("bob").sends[0]))
        schedule = fitted(run, workload, less)
        assert schedule is not None
        again = runner.run(less, schedule)
        assert sum(isinstance(action, Send) for action in less.session("bob").script) == 1
        same += _seen(again, "alice") == _seen(run, "alice")

    assert same > 30  # what bob's first message did to her, it does no more


def _seen(run, session):
    return [(m.dir, m.what, str(m.payload)[:25]) for m in run.by_session[session] if m.what is not What.END]


BY_PLACE = """
clients = []

async def serve(client):
    await client.accept()
    clients.append(client)
    place = len(clients) - 1  # until somebody leaves who stands before
    async for question in client.questions():
        run = uuid.uuid4().hex
        for name in FIVE:
            if place < len(clients):
                with contextlib.suppress(OSError):
                    await clients[place].say(name, run, of=question)
            await asyncio.sleep(0.01)
    clients.remove(client)
"""


def test_a_leak_is_told_before_what_else_the_same_cause_brings_about(tmp_path):
    for seed in (1, 2, 3):
        failures = searched(tmp_path, BY_PLACE, seed=seed).failures

        assert failures[0].failure.kind in (Kind.LEAK, Kind.MIXED)
        assert failures[0].failure.owner not in ("", failures[0].failure.victim)
