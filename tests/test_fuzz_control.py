"""What a run controls - clocks, chance, threads - and what it refuses or names instead."""

from __future__ import annotations

import datetime
import inspect
import json
import os
import random
import time
import uuid

import pytest
from runners import runner_of
from test_fuzz_run import ACCEPT, one, served

from verifier.fuzz.policy import Walk
from verifier.fuzz.schedule import SERIAL, slices
from verifier.fuzz.script import Close, Send, Wait
from verifier.fuzz.seen import Ended, What
from verifier.fuzz.workload import Session, User, Workload


def told(run):
    return [moment.payload for moment in run.moments if moment.dir == "s2c" and moment.what is What.MESSAGE]


CHANCE = """
import asyncio, json, random, secrets, time, uuid
from datetime import date, datetime, timedelta, timezone
from os import urandom
from time import monotonic, perf_counter
from time import time as now
from uuid import uuid4
import datetime as module

async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    begin = monotonic()
    await asyncio.sleep(3600)
    assert 3600 <= monotonic() - begin < 3601
    time.sleep(60)
    assert 3660 <= monotonic() - begin < 3661
    first = time.time_ns()
    assert time.time_ns() > first
    assert isinstance(datetime.now(), datetime) and isinstance(module.datetime.now(), datetime)
    assert datetime.now() - datetime.utcnow() < timedelta(days=1)
    assert datetime(2026, 1, 2) - datetime(2026, 1, 1) == timedelta(days=1)
    assert type(datetime.now()) is type(datetime.fromisoformat("2026-01-01")) is type(datetime.strptime("1", "%d"))
    assert issubclass(type(datetime.now()), datetime) and isinstance(datetime.now(), date)
    said = [now(), time.time(), monotonic(), perf_counter(), str(datetime.now(timezone.utc)), str(date.today()),
            str(uuid4()), str(uuid.uuid1()), urandom(4).hex(), secrets.token_hex(4), random.random(),
            random.Random().random(), secrets.randbelow(1000), random.SystemRandom().random(),
            time.strftime("%F %T"), time.ctime(), time.asctime(), time.gmtime()[:6], time.localtime()[:6]]
    assert time.strftime("%Y", time.gmtime(0)) == time.strftime("%Y", (1970, 1, 1, 0, 0, 0, 0, 1, 0)) == "1970"
    await send({"type": "websocket.send", "text": json.dumps(said)})
"""


def test_clocks_and_chance_are_the_same_in_each_run_and_real_again_afterwards(tmp_path):
    runner = runner_of(tmp_path, CHANCE)
    random.seed(5)
    expected = random.Random(5).random()
    first, second = runner.run(one(Wait()), SERIAL), runner.run(one(Wait()), SERIAL)
    assert first.errors == ()
    assert told(first) == told(second)
    assert told(first)[0].count("2026-01-01") == 3
    assert told(first)[0].count("[2026, 1, 1,") == 2
    assert random.random() == expected
    assert uuid.uuid4() != uuid.uuid4()
    assert os.urandom(8) != os.urandom(8)
    assert abs(time.time() - datetime.datetime.now(datetime.UTC).timestamp()) < 60
    assert isinstance(datetime.datetime.now(), datetime.datetime)
    assert type(datetime.datetime.now()) is datetime.datetime


SOURCE = """
import functools, inspect, json

def same(f):
    return functools.wraps(f)(lambda: f())

@same
def one():
    return 1

@same
def two(): return 2

async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    lines, first = inspect.getsourcelines(app)
    said = [lines[0].strip(), len(lines), first]
    lines.clear()  # it is the app's own list
    try:
        inspect.getsourcelines(len)
    except TypeError:
        said.append("no source")
    said += [inspect.getsourcelines(f)[0][-1].strip() for f in (one, two)]
    await send({"type": "websocket.send", "text": json.dumps(said)})
"""


def test_an_app_reads_its_own_source_in_each_run(tmp_path):
    real = inspect.getsourcelines
    runner = runner_of(tmp_path, SOURCE)
    runs = [runner.run(one(Wait()), SERIAL) for _ in range(3)]
    assert [json.loads(text) for run in runs for text in told(run)] == [
        ["async def app(scope, receive, send):", 12, 14, "no source", "return 1", "def two(): return 2"]
    ] * 3
    assert inspect.getsourcelines is real


def test_another_seed_of_chance_is_another_run(tmp_path):
    runs = [runner_of(tmp_path, CHANCE, seed=seed).run(one(Wait()), SERIAL) for seed in (1, 2)]
    assert told(runs[0]) != told(runs[1])


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ("await asyncio.open_connection('127.0.0.1', 9)", "loop.create_connection"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "socket"),
        ("await asyncio.to_thread(__import__('urllib.request').request.urlopen, 'http://127.0.0.1:9')", "socket"),
        (
            "import httpx\n    async with httpx.AsyncClient() as client: await client.get('http://127.0.0.1:9')",
            "loop.create_connection",
        ),
        ("await asyncio.create_subprocess_exec('true')", "loop.subprocess_exec"),
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("await asyncio.to_thread(lambda: asyncio.run(asyncio.sleep(0)))", "a second event loop"),
        (
            "loop = asyncio.get_running_loop(); await asyncio.to_thread("
            "lambda: asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result())",
            "asyncio.run_coroutine_threadsafe",
        ),
        ("import threading; await asyncio.to_thread(threading.Event().wait)", "a thread that waits"),
        (
            "import anyio; await anyio.to_thread.run_sync(anyio.from_thread.run, anyio.sleep, 0)",
            "anyio.from_thread",
        ),
    ],
)
def test_what_reaches_outside_is_refused_and_told_with_its_place(tmp_path, code, call):
    run = served(tmp_path, ACCEPT + f"\ntry:\n    {code}\nexcept Exception:\n    pass", one(Wait(type="never")))
    assert run.ended is Ended.ESCAPED
    assert run.escaped is not None
    assert call in run.escaped.call
    assert run.escaped.site.startswith("app_")
    assert run.escaped.advice


def test_a_thread_may_call_back_into_the_loop(tmp_path):
    body = (
        ACCEPT
        + """
import anyio
called = []
await anyio.to_thread.run_sync(anyio.from_thread.run_sync, called.append, 1)
assert called == [1]
"""
    )
    assert not served(tmp_path, body, one()).errors


def test_what_is_submitted_to_a_pool_is_a_job(tmp_path):
    body = (
        ACCEPT
        + """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    assert await asyncio.wrap_future(pool.submit(int, "7")) == 7
    assert await asyncio.get_running_loop().run_in_executor(pool, int, "8") == 8
"""
    )
    run = served(tmp_path, body, one())
    assert not run.errors
    assert not run.uncontrolled


def test_a_poll_waits_as_long_as_what_it_waits_for(tmp_path):
    body = (
        ACCEPT
        + """
work = asyncio.create_task(asyncio.sleep(200))
while not work.done():
    await asyncio.sleep(0.02)
await send({"type": "websocket.send", "text": "done"})
"""
    )
    assert served(tmp_path, body, one(Wait(type="done"))).ended is Ended.DONE


def test_a_thread_that_waits_with_a_timeout_waits_in_virtual_time(tmp_path):
    body = (
        ACCEPT
        + """
import threading
assert not await asyncio.to_thread(threading.Event().wait, 3600)
await send({"type": "websocket.send", "text": "done"})
"""
    )
    assert served(tmp_path, body, one(Wait(type="done"))).ended is Ended.DONE


def two(*script):
    """A workload of two users who do the same."""
    return Workload(
        (User("ann"), User("ben")),
        (Session(name="ann", user="ann", script=script), Session(name="ben", user="ben", script=script)),
    )


ENDS = """
import asyncio, time
ended = []

async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    me = "ann" if scope["client"][1] == 50001 else "ben"
    await receive()
    LATENCY
    ended.append(me)
    if len(ended) == 2:
        await send({"type": "websocket.send", "text": " ".join(ended)})
"""


def orders(tmp_path, latency):
    """The orders in which the latencies of two users end, over many walks."""
    runner = runner_of(tmp_path, ENDS.replace("LATENCY", latency))
    runs = [runner.run(two(Send("go")), Walk(n)) for n in range(60)]
    assert not any(run.errors for run in runs)
    return {text for run in runs for text in told(run)}


def test_latencies_within_the_window_end_in_any_order(tmp_path):
    both = {"ann ben", "ben ann"}
    assert orders(tmp_path, "await asyncio.sleep({'ann': 0.1, 'ben': 0.5}[me])") == both
    assert orders(tmp_path, "await asyncio.to_thread(int)") == both
    assert orders(tmp_path, "await asyncio.get_running_loop().run_in_executor(None, int)") == both


def test_strict_timers_keep_their_order(tmp_path):
    timeouts = "await asyncio.wait({asyncio.Future()}, timeout={'ann': 1, 'ben': 2}[me])"
    assert orders(tmp_path, timeouts) == {"ann ben"}


def test_a_timeout_does_not_run_out_while_a_job_is_pending(tmp_path):
    body = (
        ACCEPT
        + """
assert await asyncio.wait_for(asyncio.to_thread(int, "7"), 0.001) == 7
async with asyncio.timeout(0.05):
    await asyncio.sleep(0.01)
try:
    await asyncio.wait_for(asyncio.sleep(10), 0.002)
    raise AssertionError
except TimeoutError:
    pass
"""
    )
    for n in range(20):
        assert not served(tmp_path, body, two(Close()), Walk(n)).errors


def test_a_thread_sees_the_context_it_was_given_and_no_loop(tmp_path):
    body = (
        ACCEPT
        + """
import contextvars
who = contextvars.ContextVar("who", default="nobody")
who.set("ann")
def alone():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return who.get()
assert await asyncio.to_thread(alone) == "ann"
assert await asyncio.get_running_loop().run_in_executor(None, alone) == "nobody"
"""
    )
    assert not served(tmp_path, body, one()).errors


def test_a_job_that_is_cancelled_before_its_turn_does_not_run(tmp_path):
    body = (
        ACCEPT
        + """
ran = []
job = asyncio.get_running_loop().run_in_executor(None, ran.append, 1)
job.cancel()
await asyncio.sleep(1)
assert not ran
"""
    )
    assert not served(tmp_path, body, one()).errors


def test_what_an_app_prints_logs_and_warns_of_in_a_run_goes_nowhere(tmp_path, capfd):
    body = (
        ACCEPT
        + """
import logging, sys, warnings
print("printed")
print("printed", file=sys.stderr)
logging.warning("logged")
warnings.warn("warned")
"""
    )
    run = served(tmp_path, body, one())
    assert not run.errors
    assert capfd.readouterr() == ("", "")
    print("ours")
    assert capfd.readouterr().out == "ours\n"


def test_an_async_generator_left_unfinished_is_closed(tmp_path):
    body = (
        ACCEPT
        + """
closed = []
async def numbers():
    try:
        yield 1
    finally:
        await asyncio.sleep(0)
        closed.append(1)
async for n in numbers():
    break
await asyncio.sleep(1)
assert closed
"""
    )
    assert not served(tmp_path, body, one()).errors


def test_slices_of_sides_let_a_client_go_before_its_server(tmp_path):
    body = ACCEPT + "\nwhile (m := await receive())['type'] != 'websocket.disconnect':\n    await asyncio.sleep(1)"
    workload = one(Send("1"), Send("2"), Close())
    run = served(tmp_path, body, workload, slices([("a", 0, "client")]))
    assert [moment.at for moment in run.moments] == [0] * 5
    assert run.schedule == slices([("a", 2, "client")])
