"""Threads that an app starts itself: they run at steps of their own, and what they wait for is under control."""

from __future__ import annotations

import threading

import pytest
from runners import runner_of
from small_apps import searched
from test_fuzz_run import ACCEPT, one, served

from verifier.fuzz import workers
from verifier.fuzz.crowd import crowd
from verifier.fuzz.failure import FROZEN, Kind
from verifier.fuzz.policy import Walk
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.script import Wait
from verifier.fuzz.seen import Ended, Rest

STORE = """
import queue, threading


class Store:
    '''What it does, it does in a thread of its own, as aiosqlite does.'''

    def __init__(self):
        self.jobs = QUEUE()
        threading.Thread(target=self.work).start()

    def work(self):
        while True:
            future, job = self.jobs.get()
            result = job()
            future.get_loop().call_soon_threadsafe(lambda f=future, r=result: f.done() or f.set_result(r))

    async def do(self, job):
        future = asyncio.get_running_loop().create_future()
        self.jobs.put((future, job))
        return await future


store, rows = None, []

def add(row):
    rows.append(row)
    return len(rows) - 1

async def serve(client):
    global store
    store = store or Store()
    await client.accept()
    try:
        async for question in client.questions():
            BODY
            await client.say("answer", uuid.uuid4().hex, text=text)
    except OSError:
        pass
"""
LAST = "await store.do(lambda: add(question)); text = await store.do(lambda: rows[-1])"
OWN = "n = await store.do(lambda: add(question)); text = await store.do(lambda: rows[n])"
QUEUES = ["queue.SimpleQueue", "queue.Queue"]


def test_a_leak_through_a_thread_that_serves_a_queue_is_found_and_is_the_same_each_time(tmp_path):
    before = threading.active_count()
    source = STORE.replace("QUEUE", "queue.SimpleQueue")

    report = searched(tmp_path, source.replace("BODY", LAST), schedules=20, users=2)
    clean = searched(tmp_path, source.replace("BODY", OWN), schedules=20, users=2)

    assert [found.failure.kind for found in report.failures] == [Kind.LEAK]
    assert report.failures[0].replays == (2, 2)
    assert "of the app's own" not in str(report.notes)
    assert clean.ok, clean.failures[0].narrative()
    assert threading.active_count() == before


@pytest.mark.parametrize("kind", QUEUES)
def test_the_items_of_a_threads_queue_are_steps_in_the_order_in_which_they_were_put(tmp_path, kind):
    source = f"""
    import asyncio, queue, threading
    jobs, done = {kind}(), []

    def work():
        while (job := jobs.get()) is not None:
            done.append(job[1])
            job[0].get_loop().call_soon_threadsafe(job[0].set_result, None)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            thread = threading.Thread(target=work)
            thread.start()
            await send({{"type": "lifespan.startup.complete"}})
            await receive()
            jobs.put(None)
            thread.join()
            assert not thread.is_alive()
            await send({{"type": "lifespan.shutdown.complete"}})
            return
        await receive()
        await send({{"type": "websocket.accept"}})
        while (message := await receive())["type"] == "websocket.receive":
            future = asyncio.get_running_loop().create_future()
            jobs.put((future, message["text"]))
            await future
            await send({{"type": "websocket.send", "text": " ".join(done)}})
    """
    runner = runner_of(tmp_path, source)
    workload = crowd(2, 2)

    runs = [runner.run(workload, Walk(n)) for n in range(30)]

    assert not any(run.errors or run.uncontrolled or run.escaped for run in runs)
    assert len({run.digest() for run in runs}) > 10
    assert [runner.run(workload, run.schedule).log_bytes() for run in runs] == [run.log_bytes() for run in runs]


SQLITE = """
import aiosqlite
db = None

async def connected():
    global db
    if db is None:
        db = await aiosqlite.connect(":memory:")
        await db.execute("create table said (id integer primary key, text text)")
    return db

opening = asyncio.Lock()

async def serve(client):
    async with opening:
        db = await connected()
    await client.accept()
    try:
        async for question in client.questions():
            cursor = await db.execute("insert into said (text) values (?)", (question,))
            found = await db.execute(f"select text from said where id = {ID}")
            [text] = await found.fetchone()
            await client.say("answer", uuid.uuid4().hex, text=text)
    except OSError:
        pass
"""


def test_an_app_with_aiosqlite_is_searched_like_any_other(tmp_path):
    report = searched(tmp_path, SQLITE.replace("{ID}", "(select max(id) from said)"), schedules=20, users=2)
    clean = searched(tmp_path, SQLITE.replace("{ID}", "{cursor.lastrowid}"), schedules=20, users=2)

    assert report.failures[0].failure.kind is Kind.LEAK
    assert report.failures[0].replays == (2, 2)
    assert "controlled" not in f"{report.notes} {clean.notes}"
    assert clean.ok, clean.failures[0].narrative()


THREADS = {
    "a thread that calls back": """
future = asyncio.get_running_loop().create_future()
threading.Thread(target=lambda: loop.call_soon_threadsafe(future.set_result, 7)).start()
assert await future == 7
""",
    "a coroutine for a thread": """
async def seven():
    await asyncio.sleep(0.1)
    return 7
future = loop.create_future()
def ask():
    answer = asyncio.run_coroutine_threadsafe(seven(), loop).result(timeout=5)
    loop.call_soon_threadsafe(future.set_result, answer)
threading.Thread(target=ask).start()
assert await future == 7
""",
    "tokens that a thread makes and a job waits for": """
tokens = queue.Queue()
def generate():
    for token in ("a", "b", None):
        time.sleep(0.1)
        tokens.put(token)
threading.Thread(target=generate).start()
said = []
while (token := await asyncio.to_thread(tokens.get)) is not None:
    said.append(token)
assert said == ["a", "b"]
""",
    "a thread that cleans up every minute": """
stop, cleaned = threading.Event(), []
def clean():
    while not stop.wait(60):
        cleaned.append(time.monotonic())
thread = threading.Thread(target=clean)
thread.start()
await asyncio.sleep(150)
stop.set()
thread.join()
assert len(cleaned) == 2, cleaned
assert not thread.is_alive()
""",
    "a timer": """
rang = threading.Event()
threading.Timer(0.5, rang.set).start()
assert not rang.is_set()
await asyncio.sleep(1)
assert rang.is_set()
""",
    "a thread that polls, and is polled": """
ready = []
def get_ready():
    for _ in range(3):
        time.sleep(0.1)
    ready.append(1)
threading.Thread(target=get_ready).start()
while not ready:
    time.sleep(0.01)
""",
    "a lock that a thread has for a while": """
lock, order = threading.Lock(), []
def keep():
    with lock:
        time.sleep(1)
        order.append("thread")
threading.Thread(target=keep).start()
await asyncio.sleep(0.5)
with lock:
    order.append("loop")
assert order == ["thread", "loop"], order
""",
    "a lock that may be taken again": """
lock, order = threading.RLock(), []
def keep():
    with lock, lock:
        time.sleep(1)
        order.append("thread")
    with lock:
        pass
threading.Thread(target=keep).start()
await asyncio.sleep(0.5)
assert not lock.acquire(blocking=False)
assert not lock.acquire(timeout=0.1)
with lock, lock:
    order.append("loop")
assert order == ["thread", "loop"], order
""",
    "a producer that waits for its consumer": """
todo, seen, end = queue.Queue(maxsize=1), [], threading.Event()
def consume():
    while (item := todo.get()) is not None:
        seen.append(item)
        todo.task_done()
    end.set()
threading.Thread(target=consume).start()
def produce():
    for n in range(4):
        todo.put(n)
    todo.join()
    todo.put(None)
threading.Thread(target=produce).start()
await asyncio.to_thread(end.wait)
assert seen == [0, 1, 2, 3], seen
""",
}


@pytest.mark.parametrize("code", THREADS.values(), ids=THREADS)
def test_what_threads_wait_for_comes(tmp_path, code):
    head = "\nimport queue, threading, time\nloop = asyncio.get_running_loop()"
    body = ACCEPT + head + code + '\nawait send({"type": "websocket.send", "text": "done"})'

    runs = [served(tmp_path, body, one(Wait(type="done")), how) for how in (SERIAL, Walk(1), Walk(2))]

    assert [(run.ended, run.errors, run.escaped, run.uncontrolled) for run in runs] == [(Ended.DONE, (), None, ())] * 3


def test_threads_that_the_app_leaves_running_end_with_the_run(tmp_path):
    body = ACCEPT + (
        "\nimport threading"
        "\ndef stubborn():"
        "\n    while True:"
        "\n        try: threading.Event().wait(1)"
        "\n        except Exception: pass"
        "\nfor _ in range(3): threading.Thread(target=stubborn).start()"
    )
    before = threading.active_count()

    assert served(tmp_path, body, one()).ended is Ended.DONE

    assert threading.active_count() == before


def test_a_thread_that_stays_where_nobody_can_see_it_is_let_go_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0.1)
    body = ACCEPT + (
        "\nimport os, threading"
        "\nreading, writing = os.pipe()"
        "\nthread = threading.Thread(target=os.read, args=(reading, 1))"
        "\nthread.start()"
        "\nawait asyncio.sleep(0.1)"
        "\nos.write(writing, b'x')"
    )

    run = served(tmp_path, body, one())

    [line] = run.uncontrolled
    assert line.startswith("a thread of the app's own (app_")
    assert "when it runs is up to the machine" in line


def test_what_a_thread_raises_is_told(tmp_path):
    body = ACCEPT + "\nimport threading\nthreading.Thread(target=int, args=('x',)).start()\nawait asyncio.sleep(1)"

    [error] = served(tmp_path, body, one()).errors

    assert error.type == "builtins.ValueError"


def test_an_app_that_keeps_its_state_keeps_its_threads(tmp_path):
    source = """
    import asyncio, queue, threading
    jobs, running = queue.SimpleQueue(), []

    def work():
        while True:
            future = jobs.get()
            future.get_loop().call_soon_threadsafe(future.set_result, None)

    def make():
        async def app(scope, receive, send):
            if not running:
                running.append(threading.Thread(target=work))
                running[0].start()
            await receive()
            await send({"type": "websocket.accept"})
            future = asyncio.get_running_loop().create_future()
            jobs.put(future)
            await future
            await send({"type": "websocket.send", "text": "done"})
        return app
    """
    runner = runner_of(tmp_path, source, "make", factory=True, isolate="factory")

    runs = [runner.run(one(Wait(type="done")), SERIAL) for _ in range(3)]

    assert [(run.ended, run.escaped) for run in runs] == [(Ended.DONE, None)] * 3


LOCKED = """
import threading
lock = threading.Lock()

async def serve(client):
    await client.accept()
    try:
        async for question in client.questions():
            BODY
            await client.say("answer", uuid.uuid4().hex, text=question)
    except OSError:
        pass
"""


def test_a_lock_of_threading_that_is_held_over_an_await_stands_for_the_whole_process(tmp_path):
    body = "\n            with lock: await asyncio.sleep(0.02)"

    report = searched(tmp_path, LOCKED.replace("BODY", body), schedules=20, users=2)

    [found] = report.failures

    assert (found.failure.kind, found.failure.detail) == (Kind.DEADLOCK, FROZEN)
    story = " ".join(found.narrative().split())
    assert "waits for a lock of threading, which was taken at small_app" in story
    assert "the process stands still" in story
    assert "asyncio.Lock" in story
    assert len(found.workload.sessions) == 2


def test_a_lock_of_threading_that_is_given_back_before_each_await_is_none(tmp_path):
    body = "\n            with lock: pass\n            await asyncio.sleep(0.02)"

    report = searched(tmp_path, LOCKED.replace("BODY", body), schedules=20, users=2)

    assert report.ok, report.failures[0].narrative()


def test_a_job_that_waits_for_a_lock_that_the_loop_has_says_nothing(tmp_path):
    body = ACCEPT + (
        "\nimport threading"
        "\nlock = threading.Lock()"
        "\nlock.acquire()"
        "\njob = asyncio.create_task(asyncio.to_thread(lock.acquire))"
        "\nawait asyncio.sleep(0.1)"
        "\nlock.release()"
        "\nawait job"
    )

    run = served(tmp_path, body, one())

    assert run.ended is Ended.ESCAPED
    assert run.escaped.call == "a thread that waits for a lock"


def test_a_lock_that_is_taken_twice_alone_is_told_with_where_it_waits(tmp_path):
    body = ACCEPT + "\nimport threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()"

    run = served(tmp_path, body, one(Wait(type="never")))

    [owed] = run.open
    assert (run.ended, owed.rest) == (Ended.DEADLOCK, Rest.FROZEN)
    assert owed.where.endswith(" in app")
    assert not run.errors
