"""Protocols on top of WebSocket, binary and text: the same direct and through the recorder."""

import itertools
import json
import struct

from harness import recorded
from stage import stage
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from goldentape.event import Opcode

# -- v1.kernel.websocket.jupyter.org: a message is offsets and parts in one binary frame


def pack(channel, *parts):
    """Count of offsets, offsets, channel, header, parent, metadata, content, buffers: as jupyter_server frames it."""
    head = [channel.encode(), *(json.dumps(p).encode() if isinstance(p, dict) else p for p in parts)]
    offsets = [8 * (2 + len(head))]
    for part in head:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(head)


def unpack(message):
    [count] = struct.unpack_from("<Q", message)
    offsets = struct.unpack_from(f"<{count}Q", message, 8)
    return [message[a:b] for a, b in itertools.pairwise(offsets)]


async def kernel(ws):
    """Answers `execute_request` as a kernel does: busy, stream, a display with a buffer, reply, idle."""
    try:
        async for message in ws:
            channel, header, _, _, content, *_ = unpack(message)
            parent = json.loads(header)
            assert channel == b"shell"

            async def say(where, kind, body, *buffers, parent=parent):
                head = {"msg_id": f"{kind}-{parent['msg_id']}", "msg_type": kind, "version": "5.3"}
                await ws.send(pack(where, head, parent, {}, body, *buffers))

            await say("iopub", "status", {"execution_state": "busy"})
            await say("iopub", "stream", {"name": "stdout", "text": json.loads(content)["code"] * 3})
            await say("iopub", "display_data", {"data": {"image/png": "..."}}, bytes(range(256)) * 300, b"")
            await say("shell", "execute_reply", {"status": "ok", "execution_count": 1})
            await say("iopub", "status", {"execution_state": "idle"})
    except ConnectionClosed:
        pass


async def notebook(url):
    got = []
    async with connect(url, proxy=None, subprotocols=["v1.kernel.websocket.jupyter.org"], max_size=None) as ws:
        got.append(ws.subprotocol)
        for i in range(20):
            head = {"msg_id": f"m{i}", "msg_type": "execute_request", "session": "s", "version": "5.3"}
            await ws.send(pack("shell", head, {}, {}, {"code": f"print({i})  # Grüße\n", "silent": False}))
            for _ in range(5):
                got.append([part.hex() for part in unpack(await ws.recv())])
    return got


# -- graphql-transport-ws: text


async def graphql(ws):
    try:
        hello = json.loads(await ws.recv())
        if hello.get("payload", {}).get("user") is None:
            await ws.close(4403, "Forbidden")
            return
        await ws.send('{"type":"connection_ack"}')
        async for raw in ws:
            message = json.loads(raw)
            if message["type"] == "ping":
                await ws.send('{"type":"pong"}')
            elif message["type"] == "subscribe":
                if message["id"] == "twice":
                    await ws.close(4409, "Subscriber for twice already exists")
                    return
                for i in range(3):
                    data = {"id": message["id"], "type": "next", "payload": {"data": {"tick": i}}}
                    await ws.send(json.dumps(data))
                await ws.send(json.dumps({"id": message["id"], "type": "complete"}))
    except ConnectionClosed:
        pass


async def subscriber(url):
    got = []
    for user in ("ann", None):
        async with connect(url, proxy=None, subprotocols=["graphql-transport-ws"]) as ws:
            await ws.send(json.dumps({"type": "connection_init", "payload": {"user": user}}))
            try:
                got.append(await ws.recv())
                await ws.send('{"type":"ping"}')
                for name in ("one", "two", "twice"):
                    query = {"id": name, "type": "subscribe", "payload": {"query": "subscription { tick }"}}
                    await ws.send(json.dumps(query))
                async for message in ws:
                    got.append(message)
            except ConnectionClosed:
                pass
            await ws.wait_closed()
            got.append([ws.subprotocol, ws.close_code, ws.close_reason])
    return got


class Serving:
    """A `websockets` server with a handler of its own."""

    def __init__(self, handler, **options):
        self.handler, self.options = handler, options

    async def start(self):
        self._server = await serve(self.handler, "127.0.0.1", 0, max_size=None, **self.options)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        self._server.close()


def test_a_binary_kernel_protocol(tmp_path):
    with stage(Serving(kernel, subprotocols=["v1.kernel.websocket.jupyter.org"]), tmp_path / "a.tape") as s:
        path = "api/kernels/8c8c/channels?user_id=ann"
        direct = s.run(notebook(f"ws://127.0.0.1:{s.server.port}/{path}"))
        through = s.run(notebook(f"ws://127.0.0.1:{s.recording.port}/{path}"))
        [connection], events = recorded(s.tape, "ann")

    assert through == direct
    assert connection.subprotocol == direct[0] == "v1.kernel.websocket.jupyter.org"
    log = [[part.hex() for part in unpack(e.payload)] for e in events if e.opcode is Opcode.BINARY and e.direction == 1]
    assert log == direct[1:]


def test_graphql_names_its_user_in_a_message(tmp_path):
    args = ("--identify", "message:payload.user")
    with stage(Serving(graphql, subprotocols=["graphql-transport-ws"]), tmp_path / "a.tape", *args) as s:
        direct = s.run(subscriber(f"ws://127.0.0.1:{s.server.port}/graphql"))
        through = s.run(subscriber(f"ws://127.0.0.1:{s.recording.port}/graphql"))
        [connection], events = recorded(s.tape, "ann")

    assert through == direct
    assert direct[-2:] == [direct[-2], ["graphql-transport-ws", 4403, "Forbidden"]]
    assert (connection.close_code, connection.close_reason) == (4409, "Subscriber for twice already exists")
    assert [e.payload.decode() for e in events if e.opcode is Opcode.TEXT and e.direction == 1] == direct[:-2]
