"""The story of a failure: who, what, which switch, which line of the app; and hostile texts that try to spoil it."""

from __future__ import annotations

import asyncio
import json
import textwrap
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldentape.display import show
from verifier.fuzz import fuzz_app
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.found import Found
from verifier.fuzz.lanes import columns
from verifier.fuzz.repro import repro
from verifier.fuzz.schedule import SERIAL, slices
from verifier.fuzz.script import Close, Send
from verifier.fuzz.seen import Ended, Moment, Run, What
from verifier.fuzz.settings import Settings
from verifier.fuzz.standing import NOWHERE
from verifier.fuzz.workload import Session, User, Workload

SHOP = """\
import asyncio
import json


class Assistant:
    async def answer(self, question):
        self.question = question
        await self.search()
        return f"about {self.question}"

    async def search(self):
        await asyncio.sleep(0.02)  # the index


assistant = Assistant()


async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        question = json.loads(message["text"])["content"]
        await send({"type": "websocket.send", "text": json.dumps({"type": "thinking"})})
        text = await assistant.answer(question)
        await send({"type": "websocket.send", "text": json.dumps({"type": "answer", "text": text})})
"""


def line_of(text: str) -> int:
    return 1 + next(n for n, line in enumerate(SHOP.splitlines()) if text in line)


@pytest.fixture(scope="module")
def leak(tmp_path_factory):
    """What the search finds in a shop whose assistant keeps the question on itself."""
    home = tmp_path_factory.mktemp("shop")
    (home / "story_shop.py").write_text(SHOP)
    report = fuzz_app("story_shop:app", app_dir=home, schedules=60, seed=1, failures=1, faults=())
    return report.failures[0]


def test_the_story_names_the_line_where_somebody_is_interrupted_and_the_line_that_sends_what_is_wrong(leak):
    told = leak.narrative(240).splitlines()

    assert told[0].startswith(f"LEAK  {leak.failure.victim} receives what {leak.failure.owner} has sent")
    assert any("~~~~ switch:" in line and "is interrupted here" in line for line in told)
    [mark] = [n for n, line in enumerate(told) if "here: leak" in line]
    assert f"{leak.failure.owner} sent this, and {leak.failure.victim} got it" in told[mark]
    last = line_of('"answer", "text"')
    assert f"sent at story_shop.py:{last} in app:" in told[mark + 1]
    assert f"after its code had waited at story_shop.py:{line_of('the index')} in Assistant.search:" in told[mark + 2]
    assert f"called at story_shop.py:{line_of('self.search()')} in Assistant.answer:" in told[mark + 3]
    token = next(token for token, user in leak.workload.canaries().items() if user == leak.failure.owner)
    assert f"{token} was put into what {leak.failure.owner} sends" in leak.narrative()


def test_to_look_where_the_code_stands_changes_nothing_of_the_run(leak):
    assert leak.standing is not NOWHERE
    assert leak.replays == (2, 2)
    assert set(leak.standing.stopped) <= set(leak.standing.left)


def test_a_deadlock_tells_where_each_of_those_who_wait_stands(tmp_path):
    text = textwrap.dedent("""\
        import asyncio, json
        first, second = asyncio.Lock(), asyncio.Lock()
        async def app(scope, receive, send):
            if scope["type"] != "websocket":
                return
            await receive()
            await send({"type": "websocket.accept"})
            a, b = (first, second) if scope["path"].endswith("alice") else (second, first)
            while (message := await receive())["type"] == "websocket.receive":
                async with a:
                    await asyncio.sleep(0.01)
                    async with b:
                        await send({"type": "websocket.send", "text": message["text"]})
    """)
    (tmp_path / "story_locks.py").write_text(text)

    report = fuzz_app("story_locks:app", app_dir=tmp_path, users=2, schedules=60, seed=1, path="/{user}", faults=())

    told = report.failures[0].narrative()
    assert report.failures[0].failure.kind in (Kind.DEADLOCK, Kind.LOST)
    for user in ("alice", "bob"):
        assert f"and then nothing more: {user} waits for" in told
        assert f"{user}'s code stands at story_locks.py:12 in app:  async with b:" in told


def test_a_close_tells_the_exception_that_the_app_was_at_work_on(tmp_path):
    (tmp_path / "story_room.py").write_text(
        textwrap.dedent("""\
        import asyncio
        here = {}
        async def everybody():
            for name in here:
                await asyncio.sleep(0.01)
        async def app(scope, receive, send):
            if scope["type"] != "websocket":
                return
            await receive()
            await send({"type": "websocket.accept"})
            here[scope["client"]] = True
            try:
                while (message := await receive())["type"] == "websocket.receive":
                    await everybody()
                    await send({"type": "websocket.send", "text": message["text"]})
            except Exception:
                await send({"type": "websocket.close", "code": 1011})
    """)
    )

    report = fuzz_app("story_room:app", app_dir=tmp_path, schedules=60, seed=1, faults=(), failures=1)

    [found] = report.failures
    assert found.failure.kind is Kind.CLOSED
    told = " ".join(found.narrative().split())
    assert "because of RuntimeError: dictionary changed size during iteration, raised at story_room.py:4" in told
    assert "called at story_room.py:14 in app: await everybody()" in told


def made(payloads, users=("alice", "bob"), names=None, kind=Kind.LEAK, mark=-1, path="text") -> Found:
    """A failure whose messages are these, told to the users in turn."""
    names = names or users
    sessions = tuple(
        Session(name=name, user=user, path="/", script=(Send("hello", f"CNRY-{n}"), Close()))
        for n, (name, user) in enumerate(zip(names, users, strict=True))
    )
    moments = [Moment(n, name, 0, "c2s", What.CONNECT) for n, name in enumerate(names)]
    for n, payload in enumerate(payloads):
        at = len(moments)
        moments.append(Moment(at, names[n % len(names)], n * 10**6, "s2c" if n % 2 else "c2s", What.MESSAGE, payload))
    moments.append(Moment(len(moments), names[0], 10**9, "s2c", What.CLOSE, "bye \x1b[31m \u202e", 1011))
    place = len(moments) + mark
    run = Run(
        moments=tuple(moments), schedule=SERIAL,
        choices=tuple((((1 + n % len(names)) << 2), 2) for n in range(len(moments))),
        names=tuple(names), decisions=0, ended=Ended.DEADLOCK, slice_of_step=tuple(0 for _ in moments),
    )  # fmt: skip
    failure = Failure(kind, users[0], users[-1], f"answer.{path}", f"{users[0]} receives CNRY-0", (place,))
    return Found(
        failure=failure, workload=Workload(tuple(map(User, dict.fromkeys(users))), sessions),
        schedule=slices([(names[0], 1)]), run=run, settings=Settings(app="shop:app"), also=(failure,),
    )  # fmt: skip


HOSTILE = [
    "\x1b]0;title\x07\x1b[2J\x1b[31mred", "\u202eright to left\u2066", "a\0b", "\ud800 alone", "tab\tnew\nline\r",
    "x" * 100_000, "漢字" * 200, "e\u0301" * 300, "\u200b\u200b", "::error::no", "##[error]no", "##vso[task]",
    json.dumps({"type": "\x1b[2J", "text": "\u202e" + "y" * 5000, "\x00": "\x00"}),
    json.dumps([[[1]]] * 50), "{", "", b"\xff\x00\x1b",
    json.dumps({"type": "answer", "text": "z" * 3000 + " CNRY-0 " + "z" * 3000}),
    json.dumps({"a": {"b": [None, True, 1.5]}}),
]  # fmt: skip


def is_harmless(line: str) -> bool:
    return line.isprintable() and "##[" not in line and "##vso[" not in line and not line.lstrip().startswith("::")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_hostile_messages_neither_steer_the_terminal_nor_leave_their_lane(width):
    found = made(HOSTILE, names=("alice", "alice-\x1b[2J\u202e"), users=("alice", "b\x00b"))

    told = found.narrative(width).splitlines()

    for line in told:
        assert columns(line) <= width and is_harmless(line), line
    json.dumps(repro(found)).encode("utf-8")


@given(st.lists(st.one_of(st.text(), st.binary(), st.sampled_from(HOSTILE)), min_size=1, max_size=6),
       st.integers(1, 9), st.integers(60, 130), st.sampled_from(list(Kind)))  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_whatever_is_said_by_however_many_a_story_keeps_to_its_columns(payloads, users, width, kind):
    found = made(payloads, users=tuple(f"user{n}" for n in range(users)), kind=kind)

    for line in found.narrative(width).splitlines():
        assert columns(line) <= width and is_harmless(line), line


def test_who_has_no_room_for_a_lane_is_named_in_each_line():
    told = made(["one", "two", "three"], users=tuple(f"user{n}" for n in range(7)), path="").narrative(80)

    assert "user1: receives" in told and "user2: sends" in told


def test_what_is_marked_is_shown_though_it_stands_far_back_in_a_long_text():
    payload = json.dumps({"type": "answer", "many": "m" * 500, "user_id": "bob", "text": "z" * 3000 + " CNRY-0 !"})

    told = made([payload], mark=-2).narrative()
    of_id = made([payload], mark=-2, path="user_id").narrative()

    assert "CNRY-0 !" in " ".join(told.split())
    assert "user_id=bob" in of_id, "what else would only be noise is told where it is what is wrong"


def test_wide_signs_count_two_columns_and_marks_above_them_none():
    assert columns("漢字") == 4 and columns("e\u0301") == 1
    assert unicodedata.east_asian_width("漢") == "W"


def test_a_story_of_an_object_that_was_handed_in_has_its_lines_too():
    seen: dict[str, str] = {}

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            seen["last"] = message["text"]
            await asyncio.sleep(0.01)
            await send({"type": "websocket.send", "text": seen["last"]})

    report = fuzz_app(app, schedules=60, seed=1, failures=1, faults=())

    told = report.failures[0].narrative()
    assert f"{Path(__file__).name}:" in told
    assert "await asyncio.sleep(0.01)" in told
    assert show("x") == "x"
