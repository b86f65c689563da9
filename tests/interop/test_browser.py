"""A page in a headless Chromium, with the browser's own WebSocket: direct and through the recorder."""

import asyncio
import contextlib
import json
import os
import shutil
import signal

import pytest
from aiohttp import WSMsgType, web
from harness import PATIENCE, entry, messages, recorded, text
from stage import stage

from goldentape.event import Ending, Flag, Opcode

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--mute-audio",
    "--no-proxy-server",
)  # fmt: skip
PAGE = """<!doctype html><meta charset="utf-8"><title>a page</title><script>
const seen = [];
const hex = async (data) => {
  const raw = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", raw));
  return [typeof data === "string" ? "text" : "binary", raw.byteLength,
          [...digest].map((b) => b.toString(16).padStart(2, "0")).join("").slice(0, 16)];
};
function talk(query, steps) {
  return new Promise((resolve) => {
    const ws = new WebSocket(`ws://${location.host}/socket?${query}`, ["a", "b"]);
    const got = [];
    ws.binaryType = "arraybuffer";
    ws.onopen = () => { got.push(["open", ws.protocol, ws.extensions]); for (const step of steps) step(ws); };
    let order = Promise.resolve();
    ws.onmessage = (event) => {
      order = order.then(async () => got.push(await hex(event.data)));
      if (event.data === "now you") ws.close(4002, "my turn");
    };
    ws.onerror = () => got.push(["error"]);
    ws.onclose = (event) => order.then(() => resolve([...got, ["close", event.code, event.reason, event.wasClean]]));
  });
}
(async () => {
  const user = new URLSearchParams(location.search).get("user_id");
  const login = await fetch("/login", { method: "POST", body: JSON.stringify({ name: user }) });
  seen.push(["login", login.status, (await login.json()).hello]);
  const say = (what) => (ws) => ws.send(what);
  seen.push(await talk(`user_id=${user}-talk`, [
    say("hello"), say("Grüße, 世界 👋"), say(""), say(new Uint8Array([0, 1, 2, 255])), say("frame ".repeat(20000)),
    say(new Blob(["a blob"])), say("large"), say("ping"), say("you first"),
  ]));
  seen.push(await talk(`user_id=${user}-close`, [say("close")]));
  seen.push(await talk(`user_id=${user}-drop`, [say("drop")]));
  seen.push(await talk(`user_id=${user}-break`, [say("break")]));
  seen.push(await talk(`user_id=${user}-refused&refuse=1`, []));
  const image = await fetch("/large");
  seen.push(["large", (await image.arrayBuffer()).byteLength, document.cookie]);
  await fetch("/report", { method: "POST", body: JSON.stringify(seen) });
})();
</script>"""


class PageServer:
    """A small application: a page, a login, a socket, and where the page reports."""

    def __init__(self):
        self.sockets = {}

    async def start(self):
        self.reports = asyncio.Queue()
        app = web.Application(client_max_size=1 << 24)
        app.add_routes(
            [
                web.get("/", self.page), web.post("/login", self.login), web.get("/socket", self.socket),
                web.get("/large", self.large), web.post("/report", self.report),
            ]
        )  # fmt: skip
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.port = self.runner.addresses[0][1]

    async def stop(self):
        await self.runner.cleanup()

    async def page(self, _):
        return web.Response(text=PAGE, content_type="text/html")

    async def login(self, request):
        response = web.json_response({"hello": (await request.json())["name"]})
        response.set_cookie("session", "0123456789abcdef-of-the-browser")
        return response

    async def large(self, _):
        return web.Response(body=bytes(3_000_000))

    async def report(self, request):
        await self.reports.put(await request.json())
        return web.Response()

    async def socket(self, request):
        assert request.cookies["session"], "the browser brought its cookie to the handshake"
        if "refuse" in request.query:
            return web.Response(status=403, text="not you")
        ws = web.WebSocketResponse(protocols=("b",), autoping=False, max_msg_size=0)
        await ws.prepare(request)
        got = self.sockets[request.query["user_id"]] = {"got": [], "sent": []}

        async def send(what):
            await (ws.send_str(what) if isinstance(what, str) else ws.send_bytes(what))
            got["sent"].append(entry("text" if isinstance(what, str) else "binary", what))

        async for message in ws:
            if message.type is WSMsgType.PONG:
                got["got"].append(["pong", bytes(message.data).decode()])
                await send("now you")
                continue
            got["got"].append(entry(message.type.name.lower(), message.data))
            if message.data == "large":
                await send(text(2_000_000))
            elif message.data == "ping":
                await ws.ping(b"from the server")
            elif message.data == "close":
                await ws.close(code=4001, message="enough: Grüße".encode())
            elif message.data == "drop":
                request.transport.close()
            elif message.data == "break":
                request.transport.write(b"\x83\x00")
            elif message.data != "you first":
                await send(message.data)
        got["code"] = ws.close_code
        return ws


@pytest.fixture
def browse(tmp_path):
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (tests/setup.sh)")

    async def browse(s, port, user):
        process = await asyncio.create_subprocess_exec(
            CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / user}", "--remote-debugging-port=0",
            f"http://127.0.0.1:{port}/?user_id={user}", start_new_session=True,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        try:
            return await asyncio.wait_for(s.server.reports.get(), PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()

    return browse


def test_a_page_sees_the_same_direct_and_through_the_recorder(tmp_path, browse):
    with stage(PageServer(), tmp_path / "a.tape") as s:
        direct = s.run(browse(s, s.server.port, "bob-direct"))
        through = s.run(browse(s, s.recording.port, "bob-through"))
        tapes = {
            name: recorded(s.tape, f"bob-through-{name}") for name in ("talk", "close", "drop", "break", "refused")
        }

    direct, through = (
        json.loads(json.dumps(r).replace(way, "")) for r, way in ((direct, "direct"), (through, "through"))
    )
    assert through == direct
    _login, talk, close, drop, broken, refused, large = through
    assert talk[0] == ["open", "b", "permessage-deflate"]
    assert talk[-1] == ["close", 1000, "", True], "this server answers every close so"
    assert close[-1] == ["close", 4001, "enough: Grüße", True]
    assert [drop[-1], broken[-1], refused[-1]] == [["close", 1006, "", False]] * 3
    assert large[:2] == ["large", 3_000_000]

    for name in ("talk", "close", "drop", "break"):
        [_], events = tapes[name]
        theirs = s.server.sockets[f"bob-through-{name}"]
        assert theirs["got"] == s.server.sockets[f"bob-direct-{name}"]["got"]
        assert messages(events, 0) == [e for e in theirs["got"] if e[0] != "pong"]
        assert messages(events, 1) == theirs["sent"]
    [connection], events = tapes["talk"]
    assert (connection.subprotocol, connection.close_code, connection.close_reason) == ("b", 4002, "my turn")
    assert any(e.flags & Flag.COMPRESSED for e in events)
    assert [(e.direction, e.opcode) for e in events if e.opcode in (Opcode.PING, Opcode.PONG)] == [(1, 9), (0, 10)]
    assert [tapes[name][0][0].ending for name in ("talk", "close", "drop", "refused")] == [
        Ending.CLEAN, Ending.CLEAN, Ending.EOF, Ending.REFUSED,
    ]  # fmt: skip
    assert tapes["refused"][0][0].status == 403
    assert b"0123456789abcdef-of-the-browser" not in s.tape.read_bytes()
