"""Runs of real apps: the same choices give the same run, and what is seen is what clients of uvicorn would see."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runners import EVENTS, runner_of

from verifier.fuzz.crowd import crowd
from verifier.fuzz.policy import policy
from verifier.fuzz.run import Runner
from verifier.fuzz.schedule import SERIAL, Schedule, Side, Slice, slices
from verifier.fuzz.script import Close, Drop, Send, Slow, Wait
from verifier.fuzz.seen import Ended, Rest, What, Where
from verifier.fuzz.workload import After, Session, User, Workload

PLAIN = """
    import asyncio, json

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": message["type"] + ".complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            asked = json.loads(message["text"])
            for step in ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"):
                await asyncio.sleep(0.01)
                event = {"type": step, "run_id": asked["message_id"], "result": asked["content"]}
                await send({"type": "websocket.send", "text": json.dumps(event)})
"""
ALL_FAULTS = ("drop", "reconnect", "slow", "tabs")


def one(*script, name="a", **more):
    """A workload of one session."""
    return Workload((User("ann"),), (Session(name=name, user="ann", script=script, **more),))


def served(directory, body, workload, schedule=SERIAL, **options):
    """Run an app whose connections are served by `body`: ASGI events by hand."""
    lines = "\n        ".join(body.strip().splitlines())
    source = f"""
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "websocket"
        {lines}
    """
    return runner_of(directory, source, **options).run(workload, schedule)


ACCEPT = 'await receive(); await send({"type": "websocket.accept"})'


def test_the_serial_run_serves_user_after_user(tmp_path):
    run = runner_of(tmp_path, PLAIN).run(crowd(2, 2, done="agent_completed"), SERIAL)
    assert run.ended is Ended.DONE
    assert [moment.session for moment in run.moments] == ["alice"] * 15 + ["bob"] * 15
    assert [moment.what for moment in run.by_session["alice"]] == [
        What.CONNECT,
        What.ACCEPT,
        *[What.MESSAGE] * 12,
        What.CLOSE,
    ]
    assert run.schedule == SERIAL


@pytest.mark.parametrize("name", ["walk", "pos", "pct:4", "mix"])
@pytest.mark.parametrize("explore", ["arrival", "ready"])
def test_the_schedule_of_a_run_gives_the_same_run_again_byte_for_byte(tmp_path, name, explore):
    runner = runner_of(tmp_path, PLAIN, explore=explore)
    workload = crowd(3, 2, done="agent_completed", faults=ALL_FAULTS)
    seen = set()
    for n in range(25):
        run = runner.run(workload, policy(name, 1, n))
        again = runner.run(workload, run.schedule)
        assert again.log_bytes() == run.log_bytes()
        assert again.landed == len(run.schedule)
        assert Schedule.from_json(run.schedule.to_json()) == run.schedule
        seen.add(run.digest())
    assert len(seen) > 10


def test_the_same_choices_give_the_same_bytes_in_another_process_under_another_hash_seed(tmp_path):
    (tmp_path / "sets.py").write_text(SETS)
    code = f"""
import sys
from verifier.fuzz.crowd import crowd
from verifier.fuzz.policy import policy
from verifier.fuzz.run import Runner
padding = [object() for _ in range(int(sys.argv[1]))]
runner = Runner("sets:app", app_dir={str(tmp_path)!r})
for n in range(12):
    print(runner.run(crowd(3, 2, done="agent_completed", faults={ALL_FAULTS!r}), policy("mix", 5, n)).digest())
"""
    logs = {
        subprocess.run(
            [sys.executable, "-c", code, padding],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, padding in (("0", "1"), ("1", "50000"), ("77", "3"))
    }
    assert len(logs) == 1
    assert len(set(logs.pop().split())) > 5


SETS = """
import asyncio, json, random, time, uuid
from datetime import datetime
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

class Tab:
    def __init__(self, socket):
        self.socket = socket

tabs, queues = set(), set()

async def talk(socket):
    await socket.accept()
    tab, queue = Tab(socket), asyncio.Queue()
    tabs.add(tab)
    queues.add(queue)
    try:
        async for text in socket.iter_text():
            done, _ = await asyncio.wait({asyncio.create_task(asyncio.sleep(0.001 * n, n)) for n in range(6)})
            said = {"type": "note", "order": [task.result() for task in done], "at": time.time(),
                    "id": str(uuid.uuid4()), "when": datetime.now().isoformat(), "chance": random.random()}
            for other in list(tabs):
                try:
                    await other.socket.send_json({**said, "to": other.socket.query_params.get("nobody")})
                except Exception:
                    tabs.discard(other)
            for n, other in enumerate(queues):
                other.put_nowait(n)
            await socket.send_json({"type": "agent_completed", "run_id": json.loads(text)["message_id"],
                                    "turn": queue.get_nowait(), "tab": id(tab), "shown": repr(tab)})
    finally:
        tabs.discard(tab)
        queues.discard(queue)

app = Starlette(routes=[WebSocketRoute("/ws", talk)])
"""

names = st.sampled_from(["alice", "bob", "carol", "bob-2", "(app)", "nobody"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds(Slice, names, st.integers(0, 6), st.sampled_from(list(Side))), max_size=12))
def test_any_schedule_can_be_played_and_its_run_told_in_fewer_slices_or_as_many(plain, played):
    run = plain.run(crowd(3, 1, done="agent_completed", faults=("drop", "reconnect")), Schedule(tuple(played)))
    assert run.ended is Ended.DONE
    again = plain.run(crowd(3, 1, done="agent_completed", faults=("drop", "reconnect")), run.schedule)
    assert again.log_bytes() == run.log_bytes()
    assert run.landed <= len(played)
    assert len(run.steps) == len(run.slice_of_step)
    assert all(-1 <= n < len(run.schedule) for n in run.slice_of_step)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return runner_of(tmp_path_factory.mktemp("plain"), PLAIN)


def test_a_slice_lets_one_user_go_before_another(plain):
    run = plain.run(crowd(2, 1, done="agent_completed"), slices([("bob", 0)]))
    assert [moment.session for moment in run.moments] == ["bob"] * 9 + ["alice"] * 9
    assert run.landed == 1


def test_what_the_client_sees_of_an_answer_comes_between_its_message_and_its_close(plain):
    run = plain.run(crowd(1, 1, done="agent_completed"), SERIAL)
    shown = [moment for moment in run.moments if moment.dir == "s2c" and moment.what is What.MESSAGE]
    assert [step for step in EVENTS if any(step in str(moment.payload) for moment in shown)] == EVENTS
    assert [moment.at for moment in shown] == sorted(moment.at for moment in shown)
    assert shown[0].at >= 10_000_000
    assert run.steps[shown[0].step].session == "alice"


# ASGI as uvicorn has it


def test_a_send_before_accept_is_an_error_of_the_app(tmp_path):
    run = served(tmp_path, 'await send({"type": "websocket.send", "text": "x"})', one())
    assert "Expected ASGI message 'websocket.accept'" in run.protocol_errors[0].text
    assert run.errors[0].type == "builtins.RuntimeError"
    assert run.moments[-1][4:] == (What.REJECT, "", 500)


def test_a_close_before_accept_refuses_with_403(tmp_path):
    run = served(tmp_path, 'await receive(); await send({"type": "websocket.close", "code": 4401})', one(Send("hi")))
    assert run.moments[-1].what is What.REJECT
    assert run.moments[-1].code == 403
    assert run.ended is Ended.DONE


def test_a_denial_response_refuses_with_its_status(tmp_path):
    body = """
await receive()
await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
await send({"type": "websocket.http.response.body", "body": b"no"})
"""
    assert served(tmp_path, body, one()).moments[-1].code == 401


def test_an_app_that_returns_leaves_the_client_without_a_close_frame(tmp_path):
    run = served(tmp_path, ACCEPT, one(Wait(type="never")))
    assert run.moments[-1][4:] == (What.LOST, "", 1006)
    assert run.ended is Ended.DONE


def test_an_exception_loses_the_connection_and_is_told_with_the_apps_own_frames(tmp_path):
    run = served(tmp_path, ACCEPT + "\nraise KeyError('x')", one())
    [error] = run.errors
    assert (error.session, error.where, error.type) == ("a", Where.CONNECTION, "builtins.KeyError")
    assert "verifier/fuzz" not in error.traceback
    assert '.py", line 6, in app' in error.traceback
    assert run.moments[-1].what is What.LOST


def test_a_send_to_a_client_that_has_gone_raises_oserror_and_is_no_error(tmp_path):
    body = (
        ACCEPT
        + """
assert (await receive())["code"] == 1006
try:
    await send({"type": "websocket.send", "text": "x"})
except OSError:
    raise
raise AssertionError
"""
    )
    run = served(tmp_path, body, one(Drop()))
    assert not run.errors
    assert [moment.what for moment in run.moments] == [What.CONNECT, What.ACCEPT, What.DROP]


def test_a_send_after_the_servers_own_close_is_an_error(tmp_path):
    body = (
        ACCEPT
        + """
await send({"type": "websocket.close", "code": 4000, "reason": "bye"})
assert (await receive())["code"] == 4000
await send({"type": "websocket.send", "text": "x"})
"""
    )
    run = served(tmp_path, body, one())
    assert run.moments[-1][4:] == (What.CLOSE, "bye", 4000)
    assert "after sending 'websocket.close'" in run.errors[0].message


def test_a_close_has_its_code_and_reason_on_the_other_side(tmp_path):
    body = (
        ACCEPT
        + """
told = await receive()
assert (told["code"], told["reason"]) == (3001, "done"), told
"""
    )
    assert not served(tmp_path, body, one(Close(3001, "done"))).errors


def test_messages_come_one_at_a_time_and_before_the_disconnect(tmp_path):
    body = (
        ACCEPT
        + """
seen = [await receive() for _ in range(3)]
assert [m.get("text", m.get("bytes")) for m in seen] == ["1", b"2", None], seen
"""
    )
    assert not served(tmp_path, body, one(Send("1"), Send(b"2"), Drop())).errors


def test_a_slow_client_keeps_each_send_waiting_until_it_reads(tmp_path):
    body = (
        ACCEPT
        + """
for n in range(3):
    await send({"type": "websocket.send", "text": str(n)})
"""
    )
    ready = body.replace("for n", "await receive()\nfor n")
    run = served(tmp_path, ready, one(Slow(), Send("go"), Wait(type="2")))
    assert [step.side for step in run.steps].count(Side.READER) == 3
    assert [moment.payload for moment in run.moments if moment.dir == "s2c"][1:4] == ["0", "1", "2"]


def test_a_slow_client_that_vanishes_ends_the_send_that_waits(tmp_path):
    body = (
        ACCEPT
        + """
await receive()
try:
    await send({"type": "websocket.send", "text": "x"})
except OSError:
    return
raise AssertionError
"""
    )
    workload = one(Slow(), Send("go"), Drop())
    run = served(
        tmp_path, body, workload, slices([("a", 2, "client"), ("a", 1, "server"), ("a", 2), ("a", 1, "client")])
    )
    assert not run.errors


def test_the_scope_is_that_of_the_handshake(tmp_path):
    body = """
assert scope["path"] == "/chat room", scope["path"]
assert scope["raw_path"] == b"/chat%20room"
assert scope["query_string"] == b"room=a+b"
assert (b"x-user", b"ann") in scope["headers"]
assert scope["subprotocols"] == ["v2", "v1"]
await receive()
await send({"type": "websocket.accept", "subprotocol": "v1"})
"""
    workload = one(
        path="/chat room", query=(("room", "a b"),), headers=(("X-User", "{user}"),), subprotocols=("v2", "v1")
    )
    run = served(tmp_path, body, workload)
    assert not run.errors
    assert run.moments[1].payload == "v1"


# How runs end


def test_an_answer_that_never_comes_is_a_deadlock_that_says_what_is_owed(tmp_path):
    run = served(tmp_path, ACCEPT + "\nawait asyncio.Event().wait()", one(Send("x", "C"), Wait("C")))
    assert run.ended is Ended.DEADLOCK
    assert [(owed.session, owed.action, owed.text) for owed in run.open] == [("a", 1, 'waits for the answer to "C"')]


def test_a_handshake_that_is_never_answered_is_a_deadlock(tmp_path):
    run = served(tmp_path, "await asyncio.Event().wait()", one())
    assert run.ended is Ended.DEADLOCK
    assert run.open[0].action == -1


def test_a_heartbeat_does_not_keep_a_run_from_ending(tmp_path):
    body = (
        ACCEPT
        + """
while True:
    await asyncio.sleep(1)
    await send({"type": "websocket.send", "text": "ping"})
"""
    )
    run = served(tmp_path, body, one(Wait(type="never")))
    assert run.ended is Ended.DEADLOCK
    quiet = served(tmp_path, ACCEPT + "\nwhile True: await asyncio.sleep(0.1)", one())
    assert quiet.ended is Ended.DONE
    assert len(quiet.steps) < 1000


def test_heartbeats_beside_a_far_timeout_do_not_make_a_run_long(tmp_path):
    body = (
        ACCEPT
        + """
async def beat():
    while True:
        await asyncio.sleep(1)
        await send({"type": "websocket.send", "text": "ping"})
beating = asyncio.create_task(beat())
while True:
    await asyncio.wait_for(receive(), 2000)
"""
    )
    stays = served(tmp_path, body, one(Send("hello")))
    assert stays.ended is Ended.DONE
    assert len(stays.steps) < 300
    waits = served(tmp_path, body, one(Wait(type="never")))
    assert waits.ended is Ended.DEADLOCK
    assert len(waits.steps) < 5000


def test_a_quick_heartbeat_does_not_make_runs_long(tmp_path):
    body = (
        ACCEPT
        + """
async def beat():
    while True:
        await asyncio.sleep(0.01)
        await send({"type": "websocket.send", "text": "ping"})
beating = asyncio.create_task(beat())
await receive()
for n in range(60):
    await asyncio.sleep(0.1)
    await send({"type": "websocket.send", "text": str(n)})
await receive()
"""
    )
    stays = served(tmp_path, body, one(Send("hello")))
    assert stays.ended is Ended.DONE
    assert len(stays.steps) < 5000
    assert "59" in {moment.payload for moment in stays.moments}
    waits = served(tmp_path, body, one(Send("hello"), Wait(type="never")))
    assert waits.ended is Ended.DEADLOCK
    assert len(waits.steps) < 20_000
    assert "59" in {moment.payload for moment in waits.moments}


def test_who_stays_without_waiting_is_told_a_long_answer_to_its_end(tmp_path):
    body = (
        ACCEPT
        + """
await receive()
for n in range(40):
    await asyncio.sleep(0.5)
    await send({"type": "websocket.send", "text": str(n)})
await asyncio.Event().wait()
"""
    )
    run = served(tmp_path, body, one(Send("go")))
    assert run.ended is Ended.DONE
    assert [moment.payload for moment in run.moments if moment.dir == "s2c"][1:] == [str(n) for n in range(40)]


def test_a_long_silence_is_waited_for(tmp_path):
    body = (
        ACCEPT
        + """
await asyncio.sleep(86400)
await send({"type": "websocket.send", "text": "late"})
"""
    )
    run = served(tmp_path, body, one(Wait(type="late")))
    assert run.ended is Ended.DONE
    assert run.moments[-1].at >= 86_400 * 10**9


def test_a_wait_that_polls_without_time_is_served(tmp_path):
    body = (
        ACCEPT
        + """
work = asyncio.create_task(asyncio.sleep(0.5))
while not work.done():
    await asyncio.sleep(0)
await send({"type": "websocket.send", "text": "done"})
"""
    )
    assert served(tmp_path, body, one(Wait(type="done"))).ended is Ended.DONE


def test_an_app_that_spins_is_a_livelock(tmp_path):
    run = served(tmp_path, ACCEPT + "\nwhile True: await asyncio.sleep(0)", one(Wait(type="never")), limit=300)
    assert run.ended is Ended.LIVELOCK


def test_an_app_that_keeps_the_processor_is_stopped_and_told_where(tmp_path):
    run = served(tmp_path, ACCEPT + "\nwhile True: pass", one(), patience=0.2)
    [owed] = run.open
    assert (run.ended, owed.rest) == (Ended.LIVELOCK, Rest.FROZEN)
    assert "does not give the event loop back" in owed.text
    assert owed.where.endswith("in app")
    assert not run.errors


# What stands still in real time: a lock of which nobody knows who has it.
STANDS = ACCEPT + "\nimport _thread\nlock = _thread.allocate_lock()\nlock.acquire()\nlock.acquire()"


def test_an_app_that_stands_still_is_stopped_and_told_where(tmp_path):
    run = served(tmp_path, STANDS, one(), patience=0.4)
    [owed] = run.open
    assert (run.ended, owed.rest) == (Ended.DEADLOCK, Rest.FROZEN)
    assert "the process stands still" in owed.text
    assert owed.where.endswith("in app")


def test_an_app_that_is_slow_but_gives_the_loop_back_is_not_stopped(tmp_path):
    body = "\nfor _ in range(40):\n    sum(range(500_000))\n    await asyncio.sleep(0)"
    assert served(tmp_path, ACCEPT + body, one(), patience=0.2).ended is Ended.DONE


def test_a_task_that_fails_alone_is_told(tmp_path):
    body = (
        ACCEPT
        + """
async def fail():
    raise ValueError("alone")
tasks = [asyncio.create_task(fail())]
await receive()
"""
    )
    [error] = served(tmp_path, body, one(Close())).errors
    assert (error.session, error.where, error.message, error.at_end) == ("a", Where.TASK, "alone", False)


def test_an_app_that_exits_does_not_take_us_with_it(tmp_path):
    run = served(tmp_path, ACCEPT + "\nraise SystemExit(3)", one())
    assert "SystemExit" in run.errors[0].type


def test_a_failed_start_up_is_told_and_nobody_connects(tmp_path):
    source = """
    from contextlib import asynccontextmanager
    from starlette.applications import Starlette

    @asynccontextmanager
    async def lifespan(app):
        raise OSError("no database")
        yield

    app = Starlette(lifespan=lifespan)
    """
    run = runner_of(tmp_path, source).run(one(), SERIAL)
    assert run.errors[0].where is Where.LIFESPAN
    assert "no database" in run.errors[0].message
    assert not run.moments


def test_the_lifespan_is_honoured_and_its_state_handed_on(tmp_path):
    source = """
    import asyncio
    from contextlib import asynccontextmanager
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute

    log = []

    @asynccontextmanager
    async def lifespan(app):
        await asyncio.sleep(2)
        async def tick():
            while True:
                await asyncio.sleep(1)
        background = asyncio.create_task(tick())
        yield {"greeting": "hello"}
        background.cancel()
        raise LookupError("shut down was called")

    async def talk(socket):
        await socket.accept()
        await socket.send_text(socket.state.greeting)

    app = Starlette(lifespan=lifespan, routes=[WebSocketRoute("/ws", talk)])
    """
    run = runner_of(tmp_path, source).run(one(Wait(type="hello")), SERIAL)
    assert run.ended is Ended.DONE
    assert [(error.where, error.at_end) for error in run.errors] == [(Where.LIFESPAN, True)]
    assert run.moments[0].at >= 2 * 10**9


def test_a_session_begins_when_another_has_come_as_far_as_it_waits_for(plain):
    talk = crowd(1, 1, done="agent_completed").sessions[0]
    later = Session(name="later", user="alice", after=After("alice", 1), script=())
    run = plain.run(Workload((User("alice"),), (talk, later)), slices([("later", 1)]))
    order = [(moment.session, moment.what) for moment in run.moments]
    assert order.index(("later", What.CONNECT)) > order.index(("alice", What.MESSAGE))


def test_runs_do_not_nest_in_a_running_loop_but_may_be_made_beside_one(plain):
    import asyncio

    async def beside() -> bool:
        run = plain.run(crowd(1, 1, done="agent_completed"), SERIAL)
        await asyncio.sleep(0)
        return run.ended is Ended.DONE

    assert asyncio.run(beside())


def test_an_app_handed_over_as_an_object_is_said_to_keep_its_state():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})

    run = Runner(app).run(one(), SERIAL)
    assert run.moments[1].what is What.ACCEPT
    assert "its state is kept" in run.uncontrolled[0]
