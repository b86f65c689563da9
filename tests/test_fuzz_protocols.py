"""The scripts of docs/fuzzing.md for protocols with handshakes, ids and binary messages, each run against an app."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import jsonschema
import jwt
import pytest

from goldentape.commands.fuzz.users import workload_from
from goldentape.errors import GoldentapeError
from verifier.fuzz import fuzz_app
from verifier.fuzz.script import Close, Send, Wait
from verifier.load import load

ROOT = Path(__file__).parent.parent
SCHEMA = json.loads((ROOT / "schemas" / "script.schema.json").read_text())
DOCS = (ROOT / "docs" / "fuzzing.md").read_text()
SCRIPTS = [text for text in re.findall(r"```yaml\n(.*?)```", DOCS, re.S) if re.search(r"^scripts?:", text, re.M)]
KEY = "a-key-that-is-long-enough-for-hs256-0123456789"


def script(word: str) -> str:
    """The script of the docs that has this word."""
    [text] = [text for text in SCRIPTS if word in text]
    return text


async def texts(receive):
    while (message := await receive())["type"] == "websocket.receive":
        yield message


def handler(serve):
    """An ASGI app of a coroutine that gets what a client sends, and a function that answers."""

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            return
        await receive()
        tasks: list[asyncio.Task] = []

        async def say(value):
            await send({"type": "websocket.send", "text": value if isinstance(value, str) else json.dumps(value)})

        await serve(scope, texts(receive), say, send, lambda work: tasks.append(asyncio.create_task(work)))
        for task in tasks:
            task.cancel()

    return app


last: dict[str, object] = {}


async def late(value):
    """What any tool does that keeps what it was asked where all can reach it."""
    last["value"] = value
    await asyncio.sleep(0.01)
    return last["value"]


@handler
async def graphql(scope, messages, say, send, later):
    if "graphql-transport-ws" not in scope["subprotocols"]:
        await send({"type": "websocket.close", "code": 4406})
        return
    await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
    welcome = False

    async def run(message):
        found = await late(message["payload"]["variables"]["q"])
        await say({"id": message["id"], "type": "next", "payload": {"data": {"search": found}}})
        await say({"id": message["id"], "type": "complete"})

    async for received in messages:
        message = json.loads(received["text"])
        if message["type"] == "connection_init":
            welcome = True
            await say({"type": "connection_ack"})
        elif not welcome:
            await send({"type": "websocket.close", "code": 4401})
            return
        elif message["type"] == "subscribe":
            later(run(message))


@handler
async def rpc(scope, messages, say, send, later):
    await send({"type": "websocket.accept"})

    async def run(message):
        await say({"jsonrpc": "2.0", "id": message["id"], "result": await late(message["params"][0])})

    async for received in messages:
        later(run(json.loads(received["text"])))


@handler
async def socket_io(scope, messages, say, send, later):
    await send({"type": "websocket.accept"})
    await say('0{"sid":"' + scope["path"].strip("/").replace("/", "-") + '","pingInterval":25000}')

    async def run(number, question):
        await say(f"43{number}" + json.dumps([await late(question)]))

    async for received in messages:
        text = received["text"]
        if text == "40":
            await say('40{"sid":"x"}')
        elif found := re.match(r"42(\d+)(\[.*)", text):
            later(run(found[1], json.loads(found[2])[1]))


uploads: dict[str, bytes] = {}


@handler
async def upload(scope, messages, say, send, later):
    token = dict(part.split("=", 1) for part in scope["query_string"].decode().split("&"))["token"]
    claims = jwt.decode(token, KEY, algorithms=["HS256"])
    origin = dict(scope["headers"]).get(b"origin")
    if claims.get("role") != "editor" or origin != b"https://shop.example":
        await send({"type": "websocket.close", "code": 4403})
        return
    await send({"type": "websocket.accept"})
    await say({"type": "welcome", "session": f"s-{claims['sub']}"})
    async for received in messages:
        if received.get("bytes") is not None:
            uploads["last"] = received["bytes"]
            await asyncio.sleep(0.01)
            await say({"type": "uploaded", "size": len(uploads["last"]), "session": f"s-{claims['sub']}"})
        else:
            message = json.loads(received["text"])
            if message["session"] != f"s-{claims['sub']}":
                await say({"type": "error", "message": "whose session is that?"})
            else:
                await say({"type": "described", "text": await late(message["content"])})


APPS = {"graphql-transport-ws": graphql, "jsonrpc": rpc, "socket.io": socket_io, "send_base64": upload}


@pytest.mark.parametrize("word", APPS)
def test_a_script_of_the_docs_gets_through_the_handshake_and_finds_the_leak(word, tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN_KEY", KEY)
    (tmp_path / "users.yaml").write_text(script(word))
    workload = workload_from(tmp_path / "users.yaml", None, ())
    assert workload is not None

    report = fuzz_app(APPS[word], workload=workload, schedules=60, seed=1, failures=1, certify=0, faults=())

    [found] = report.failures
    assert found.failure.kind == "leak", found.narrative()
    assert len(found.workload.users) == 2 and found.workload.messages <= 4


@pytest.mark.parametrize("text", SCRIPTS, ids=range(len(SCRIPTS)))
def test_each_script_of_the_docs_is_as_the_schema_says(text):
    jsonschema.validate(load(text.encode(), "docs").value, SCHEMA)


WRONG = {
    "path: ws\nscript: [wait]": "1:1: a path begins with /, found ws: perhaps /ws",
    "as: 5\nscript: [wait]": "1:1: `as` is a list of ways, found 5",
    "users: [{nam: a}]\nscript: [wait]": "1:9: no user, found {'nam': 'a'}, wanted a name, or {name: alice",
    "users: [{name: a, claims: [1]}]\nscript: [wait]": "1:9: no user",
    "users: [a, {name: a}]\nscript: [wait]": "1:12: two users have one name, found a",
    "headers: [a]\nscript: [wait]": "1:1: `headers` gives texts by name",
    "script: [{send: a, wait: b}]": "1:10: no such step, for a step does one thing, found send, wait: make",
    "script: [{drop: 5}]": "1:10: `drop` takes nothing, found 5",
    "script: [{reconnect: 5}]": "1:10: `reconnect` takes nothing, found 5",
    "script: [{send_base64: 'a b'}]": "1:10: not base64, found a b, wanted send_base64: AAEC/w==",
    "script: [{send_base64: 5}]": "1:10: not base64, found 5",
    "script: [{send: 'to ${x}'}]": "1:10: no place of what was sent before, found ${x}, wanted ${event:path}",
    "": "1:1: a script is a mapping, found nothing",
    "- send": "1:1: a script is a mapping, found a list",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_is_told_with_its_line_and_column(text, tmp_path):
    path = tmp_path / "users.yaml"
    path.write_text(text)

    with pytest.raises(GoldentapeError) as error:
        workload_from(path, None, ())

    assert str(error.value).startswith(f"{path}:{WRONG[text]}"), str(error.value)


def test_who_waits_after_a_message_without_a_canary_takes_whatever_comes_and_binary_ones_are_sent_as_they_are(tmp_path):
    path = tmp_path / "users.yaml"
    path.write_text("users: 1\nscript: [{send_base64: AAEC/w==}, wait, {send: '{content}'}, wait, {send: bye}, wait]")
    workload = workload_from(path, None, ())
    assert workload is not None

    (session,) = workload.sessions
    assert session.path == "" and workload.at("/chat").sessions[0].path == "/chat"
    binary, first, asked, second, bye, third, close = session.script
    assert binary == Send(b"\x00\x01\x02\xff") and first == Wait() and bye == Send("bye") and third == Wait()
    assert isinstance(asked, Send) and asked.canary and second == Wait(asked.canary)
    assert close == Close()
    # With the binary message goes the wait for its answer.
    assert workload.without_action(session.name, 0).sessions[0].script == (asked, second, bye, third, close)
