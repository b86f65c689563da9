"""The search of `fuzz live` on servers of all kinds: what is claimed of them, and what is not."""

from __future__ import annotations

import sys

import pytest
from hunts import hunt, searched
from live_servers import RACES, SECRET, Serving, free_port

from goldentape.errors import NothingVerified
from verifier.fuzz.crowd import crowd
from verifier.fuzz.failure import Kind
from verifier.fuzz.live.comparing import in_turns
from verifier.fuzz.live.fresh import fresh
from verifier.fuzz.live.plan import Turn
from verifier.fuzz.live.wilson import SURE, Rate, by_chance, enough
from verifier.fuzz.passport import Passport
from verifier.fuzz.plans import with_faults
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.seen import Ended, Moment, Run, What

# -- compared with what a user sees alone


def test_an_answer_that_depends_on_who_asks_is_compared_with_plays_of_the_same_names(tmp_path):
    passports = (Passport.parse("jwt:query:token", SECRET),)

    found, _ = searched("wrong_answer:app", RACES, tries=60, passports=passports, confirm=3, tapes=tmp_path)

    [caught] = found.caught
    assert caught.is_confirmed and caught.twins and not caught.alone
    assert (
        caught.failure.kind in (Kind.DIFFERENT, Kind.MIXED) and caught.failure.detail == "agent_completed.data.result"
    )
    assert caught.control.failed == 0 and by_chance(caught.confirmed, caught.control) < SURE


CHANCE = """
told = itertools.count()
known = {}

async def answer(user, said, say):
    known[user] = known.get(user, 0) + 1
    await say("hello" if known[user] == 1 else "hello_again", name=user)
    await asyncio.sleep(random.random() / 500)
    tone = random.choice(["short", "short", "short", "long"])
    await say("done", of=said, tone=tone, cost=random.random(), number=next(told))
"""


def test_chance_counters_and_first_visits_are_nobodys_race(tmp_path):
    found, _ = hunt(tmp_path, CHANCE, tries=20, users=3, messages=2)

    assert found.caught == [] and found.tries == 20
    assert any(note.startswith("not compared") and "cost" in note for note in found.notes)


def test_a_server_that_answers_nobody_is_not_searched(tmp_path):
    with pytest.raises(NothingVerified, match=r"nobody is answered: what alice sends .* brings no message"):
        hunt(tmp_path, "async def answer(user, said, say):\n    pass\n", patience=0.5)


# -- what it reckons with


def test_a_failure_that_may_be_chance_is_told_from_one_that_may_not():
    assert by_chance(Rate(10, 10), Rate(0, 10)) < 1e-4
    assert by_chance(Rate(2, 10), Rate(0, 10)) == pytest.approx(9 / 38)
    assert by_chance(Rate(0, 5), Rate(3, 5)) == 1.0
    assert by_chance(Rate(2, 10), Rate(0, enough(Rate(2, 10), 1000))) < SURE
    assert enough(Rate(10, 10), 100) < enough(Rate(5, 10), 100) < enough(Rate(2, 10), 100) <= 100


def test_users_take_turns_message_by_message():
    def moment(session, dir_, what):
        return Moment(0, session, 0, dir_, what)

    alice = [("c2s", What.CONNECT), ("s2c", What.ACCEPT), ("c2s", What.MESSAGE), ("s2c", What.MESSAGE)]
    run = Run(
        tuple(moment(name, *one) for name in ("alice", "bob") for one in alice), SERIAL, (), (), 0, Ended.DONE
    )  # fmt: skip

    assert in_turns(run) == (Turn("alice", 3), Turn("bob", 3), Turn("alice", 2), Turn("bob", 2))


def test_a_user_alone_says_what_the_user_says_among_others():
    whole = with_faults(crowd(3, 2), ("tabs",), 1)
    for user in ("alice", "bob", "carol"):
        together = [s.script for s in fresh(whole, "x1").workload.sessions if s.user == f"{user}-x1"]
        assert [s.script for s in fresh(whole.only(user), "x1").workload.sessions] == together


MODEL = """
import random as chance

async def answer(user, said, say):
    for _ in range(chance.randint(1, 5)):
        await say("delta", text=chance.choice("abcdefgh"))
        await asyncio.sleep(0.002)
    await say("done", of=said, cached=chance.random() < 0.2, mood=chance.choice(["kind", "kind", "kind", "brief"]))
"""


def test_what_a_model_makes_up_is_nobodys_race(tmp_path):
    found, _ = hunt(tmp_path, MODEL, tries=15, users=2, messages=2)

    assert found.confirmed == [] and found.tries == 15


ROOM = """
room = {}

async def answer(user, said, say):
    room[user] = say
    for other in list(room.values()):
        try:
            await other("room_said", text=said, by=user)
        except Exception:
            pass
    await say("done", of=said)
"""


def test_a_room_is_to_be_decided_and_no_race(tmp_path):
    found, stage = hunt(tmp_path, ROOM, tries=6, users=2, messages=2)

    assert found.confirmed == [] and found.tries == 6
    [doubt] = found.doubts
    assert "a room, or a leak to all" in doubt and "text" in stage.judge.shared


PRESENCE = """
import asyncio, json, sys
from websockets.asyncio.server import broadcast, serve

here = set()

async def talk(ws):
    user = ws.request.path.partition("=")[2]
    here.add(ws)
    broadcast(here, json.dumps({"type": "joined", "user": user, "members": len(here)}))
    try:
        async for message in ws:
            broadcast(here, json.dumps({"type": "said", "from": user, "text": json.loads(message)["content"]}))
    finally:
        here.discard(ws)
        broadcast(here, json.dumps({"type": "left", "user": user}))

async def main():
    async with serve(talk, "127.0.0.1", int(sys.argv[1])):
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_a_room_that_tells_who_comes_and_goes_is_a_question_and_no_failure(tmp_path):
    (tmp_path / "room.py").write_text(PRESENCE)
    port = free_port()
    with Serving([sys.executable, "room.py", str(port)], port, tmp_path):
        found, _ = searched(port, tmp_path, tries=16, users=3, faults=None)

    assert found.confirmed == [], [caught.failure.sentence for caught in found.confirmed]
    [doubt] = found.doubts
    assert doubt.startswith("everybody gets what everybody says") and doubt.endswith("say --shared 'text'")
