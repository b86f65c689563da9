"""Correct apps that lean on what asyncio, anyio, Starlette and FastAPI promise: the fuzzer must stay silent on them."""

FIFO = '''
import asyncio, json
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

EVENTS = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")

async def talk(socket):
    """Tasks start in the order in which they were made, callbacks run in the order in which they were asked for."""
    await socket.accept()
    loop, started = asyncio.get_running_loop(), []
    async def numbered(n):
        started.append(n)
        await asyncio.sleep(0)
        assert started == list(range(5)), started
    try:
        async for text in socket.iter_text():
            asked, queue = json.loads(text), asyncio.Queue()
            started.clear()
            tasks = [asyncio.create_task(numbered(n)) for n in range(5)]
            for event in EVENTS:
                loop.call_soon(queue.put_nowait, event)
            await asyncio.gather(*tasks)
            for expected in EVENTS:
                event = await queue.get()
                assert event == expected
                await socket.send_json({"type": event, "run_id": asked["message_id"], "result": asked["content"]})
    except WebSocketDisconnect:
        pass

app = Starlette(routes=[WebSocketRoute("/ws", talk)])
'''

GLOBAL_FIFO = '''
import asyncio, json
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

expected = []

async def numbered(ticket):
    assert expected.pop(0) == ticket

async def talk(socket):
    """All users' tasks together start in the order in which they were made."""
    await socket.accept()
    try:
        async for text in socket.iter_text():
            asked = json.loads(text)
            tickets = [(asked["message_id"], n) for n in range(5)]
            expected.extend(tickets)
            await asyncio.gather(*[asyncio.create_task(numbered(ticket)) for ticket in tickets])
            for event in ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"):
                await asyncio.sleep(0.001)
                await socket.send_json({"type": event, "run_id": asked["message_id"], "result": asked["content"]})
    except WebSocketDisconnect:
        pass

app = Starlette(routes=[WebSocketRoute("/ws", talk)])
'''

HEARTBEATS = """
import asyncio, contextlib, json, time
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

sessions = {}

@contextlib.asynccontextmanager
async def lifespan(app):
    async def cleaner():
        while True:
            await asyncio.sleep(5)
            for socket, seen in list(sessions.items()):
                if time.monotonic() - seen > 300:
                    del sessions[socket]
    task = asyncio.create_task(cleaner())
    yield {"ready": True}
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

async def talk(socket):
    assert socket.state.ready
    await socket.accept()
    sessions[socket] = time.monotonic()
    loop = asyncio.get_running_loop()

    async def ping():
        while True:
            await asyncio.sleep(1)
            await socket.send_json({"type": "ping"})

    def rearm():
        nonlocal timer
        timer = loop.call_later(0.5, rearm)

    timer = loop.call_later(0.5, rearm)
    pinger = asyncio.create_task(ping())
    try:
        while True:
            asked = json.loads(await asyncio.wait_for(socket.receive_text(), 2000))
            sessions[socket] = time.monotonic()
            for event in ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"):
                async with asyncio.timeout(1):
                    await asyncio.sleep(0.01)
                try:
                    await asyncio.wait_for(asyncio.sleep(10), 0.002)
                    raise AssertionError("must have timed out")
                except TimeoutError:
                    pass
                await socket.send_json({"type": event, "run_id": asked["message_id"], "result": asked["content"]})
    except WebSocketDisconnect:
        pass
    finally:
        timer.cancel()
        pinger.cancel()
        sessions.pop(socket, None)
        await asyncio.gather(pinger, return_exceptions=True)

app = Starlette(routes=[WebSocketRoute("/ws", talk)], lifespan=lifespan)
"""

FASTAPI = """
import asyncio, random, secrets, threading, time, uuid
from datetime import UTC, date, datetime

import anyio
from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

class Message(BaseModel):
    type: str
    content: str
    message_id: str
    at: datetime | None = None
    on: date | None = None

app = FastAPI()
lock = threading.Lock()
served = {"n": 0}

def counted():
    with lock:
        served["n"] += 1
        return served["n"]

async def released(n: int = Depends(counted)):
    await asyncio.sleep(0)
    try:
        yield n
    finally:
        await asyncio.sleep(0)

def tool(text):
    time.sleep(0.01)
    return text.upper()

@app.websocket("/ws")
async def talk(socket: WebSocket, n: int = Depends(released)):
    await socket.accept()
    limiter = anyio.CapacityLimiter(1)
    writer, reader = anyio.create_memory_object_stream(10)

    async def work():
        async with reader:
            async for asked in reader:
                async def say(event, **data):
                    await socket.send_json({
                        "type": event, "run_id": asked.message_id, "id": str(uuid.uuid4()), "s": secrets.token_hex(4),
                        "r": random.random(), "ts": datetime.now(UTC).isoformat(), **data,
                    })
                await say("agent_started")
                with anyio.move_on_after(0.5):
                    await anyio.sleep(0.02)
                await say("agent_thinking")
                await say("tool_executing")
                first = await asyncio.to_thread(tool, asked.content)
                second = await anyio.to_thread.run_sync(tool, asked.content, limiter=limiter)
                with anyio.fail_after(5):
                    third = await asyncio.get_running_loop().run_in_executor(None, tool, asked.content)
                assert first == second == third
                background = BackgroundTasks()
                background.add_task(tool, "later")
                await background()
                await say("tool_completed", result=first)
                await say("agent_completed", result=asked.content)

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            async with writer:
                while True:
                    await writer.send(Message.model_validate_json(await socket.receive_text()))
    except* WebSocketDisconnect:
        pass
"""

PRIMITIVES = """
import asyncio
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

turn, condition, order = asyncio.Semaphore(1), asyncio.Condition(), []

class Talk(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, socket):
        await socket.accept()
        self.queue, self.begun, self.lock = asyncio.Queue(2), asyncio.Event(), asyncio.Lock()
        self.task = asyncio.create_task(self.work(socket))

    async def on_receive(self, socket, asked):
        self.begun.set()
        await self.queue.put(asked)

    async def on_disconnect(self, socket, code):
        self.begun.set()
        await self.queue.put(None)
        await asyncio.wait({self.task})

    async def say(self, socket, asked, event):
        work = asyncio.create_task(asyncio.sleep(0.003))
        while not work.done():
            await asyncio.sleep(0)
        async with self.lock:
            await socket.send_json({"type": event, "run_id": asked["message_id"], "result": asked["content"]})

    async def work(self, socket):
        await self.begun.wait()
        try:
            while (asked := await self.queue.get()) is not None:
                for event in ("agent_started", "agent_thinking"):
                    await self.say(socket, asked, event)
                async with turn:
                    async with asyncio.TaskGroup() as group:
                        one, two = group.create_task(asyncio.sleep(0.01, 1)), group.create_task(asyncio.sleep(0.02, 2))
                    assert one.result() + two.result() == 3
                    assert await asyncio.shield(asyncio.sleep(0.01, 5)) == 5
                    assert await asyncio.gather(asyncio.sleep(0.01, 1), asyncio.to_thread(int, "2")) == [1, 2]
                async with condition:
                    order.append(asked["message_id"])
                    condition.notify_all()
                    await condition.wait_for(lambda: asked["message_id"] in order)
                for event in ("tool_executing", "tool_completed", "agent_completed"):
                    await self.say(socket, asked, event)
        except WebSocketDisconnect:
            pass

app = Starlette(routes=[WebSocketRoute("/ws", Talk)])
"""

PLAIN = '''
import asyncio, json

async def app(scope, receive, send):
    """No framework, no lifespan; each message is answered by a task of its own, in the order of the messages."""
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    turn, tasks = asyncio.Lock(), set()

    async def answer(asked):
        async with turn:
            for event in ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"):
                await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0.01))}, timeout=60)
                told = {"type": event, "run_id": asked["message_id"], "result": asked["content"]}
                try:
                    await send({"type": "websocket.send", "text": json.dumps(told)})
                except OSError:
                    return

    while (message := await receive())["type"] == "websocket.receive":
        task = asyncio.create_task(answer(json.loads(message["text"])))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
'''

BROADCAST = '''
import asyncio, json
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

inboxes = {}
batch = []

async def flush():
    """A micro-batch for all users, begun by whoever comes first."""
    await asyncio.sleep(0.005)
    taken = batch[:]
    batch.clear()
    for inbox, event in taken:
        inbox.put_nowait(event)

async def talk(socket):
    await socket.accept()
    inbox = inboxes[socket] = asyncio.Queue()

    async def write():
        while True:
            await socket.send_json(await inbox.get())

    writer = asyncio.create_task(write())
    try:
        async for text in socket.iter_text():
            asked = json.loads(text)
            for event in ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"):
                if not batch:
                    asyncio.create_task(flush())
                batch.append((inbox, {"type": event, "run_id": asked["message_id"], "result": asked["content"]}))
                await asyncio.sleep(0.001)
    except WebSocketDisconnect:
        pass
    finally:
        del inboxes[socket]
        writer.cancel()

app = Starlette(routes=[WebSocketRoute("/ws", talk)])
'''

BOTH_WAYS = {
    "fifo": FIFO,
    "heartbeats": HEARTBEATS,
    "fastapi": FASTAPI,
    "primitives": PRIMITIVES,
    "plain": PLAIN,
    "broadcast": BROADCAST,
}
"""Silent in `arrival` and in `ready`."""
