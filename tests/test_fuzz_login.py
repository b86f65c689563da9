"""Users who log in by a message: `{token}` in it is their own JWT, in process and live, and is told nowhere."""

from __future__ import annotations

import sys

import pytest
from live_servers import SECRET, free_port, live, ran, uvicorn

from goldentape.errors import InputError
from goldentape.tape import open_tape
from verifier.fuzz import fuzz_app
from verifier.fuzz.crowd import crowd
from verifier.fuzz.passport import Passport
from verifier.fuzz.workload import User, Workload

LOGIN = '{"type":"auth","auth":{"token":"{token}"},"who":"{user}"}'
CHAT = """
import asyncio, json, os
import jwt

KEY = os.environ["FUZZ_SECRET"]
FORGETS = {forgets}
claims = None

async def logged_in(token):
    global claims
    mine = claims = jwt.decode(token, KEY, algorithms=["HS256"])
    await asyncio.sleep(0.02)  # was it revoked?
    return (claims if FORGETS else mine)["sub"]

async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    async def say(**event):
        await send({{"type": "websocket.send", "text": json.dumps(event)}})
    await receive()
    await send({{"type": "websocket.accept"}})
    user = None
    while (event := await receive())["type"] == "websocket.receive":
        said = json.loads(event["text"])
        if said["type"] == "auth":
            user = await logged_in(said["auth"]["token"])
            assert said["who"] == user or FORGETS
            await say(type="ready", repeated=said["auth"]["token"] if {repeats} else "")
        elif user is None:
            await say(type="error", message="log in first")
            return await send({{"type": "websocket.close", "code": 4401}})
        else:
            await say(type="agent_started", run_id=said["message_id"])
            await say(type="agent_completed", run_id=said["message_id"], text=f"{{user}} asked: {{said['content']}}")
"""


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("FUZZ_SECRET", SECRET)
    monkeypatch.delitem(sys.modules, "login_chat", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))


def chat(folder, forgets=True, repeats=False):
    (folder / "login_chat.py").write_text(CHAT.format(forgets=forgets, repeats=repeats))
    return folder


def searched(folder, **options):
    usual = {"first": LOGIN, "passports": [Passport.parse("jwt:message:auth.token", SECRET, "FUZZ_SECRET")]}
    return fuzz_app("login_chat:app", **{**usual, "app_dir": folder, "path": "/ws", "seed": 1, "certify": 0, **options})


def test_who_is_taken_for_whoever_logged_in_last_is_found_and_told_without_the_token(tmp_path):
    report = searched(chat(tmp_path), schedules=60, failures=1)

    [found] = report.failures
    assert found.failure.kind in ("mixed", "leak", "different")
    assert len(found.workload.users) == 2
    story = found.narrative()
    assert "sends auth token=[token of " in story.replace("auth.", "")
    path = found.save(tmp_path / "repro.json")
    for text in (story, path.read_text()):
        assert "eyJ" not in text and SECRET not in text


def test_the_same_app_that_keeps_its_claims_is_quiet(tmp_path):
    report = searched(chat(tmp_path, forgets=False), schedules=200)

    assert report.failures == ()
    assert not report.unconfirmed


def test_what_is_told_to_a_login_is_no_answer(tmp_path):
    report = searched(chat(tmp_path, forgets=False), schedules=1)

    assert any("clients wait for `agent_completed`" in note for note in report.notes)


def test_a_script_may_say_it_too(tmp_path):
    chat(tmp_path)
    (tmp_path / "users.yaml").write_text(
        "users: [ann, ben]\n"
        "as: [{as: 'jwt:message:auth.token', secret_env: FUZZ_SECRET}]\n"
        "script:\n"
        "  - send: {type: auth, auth: {token: '{token}'}, who: '{user}'}\n"
        "  - wait: ready\n"
        "  - send: {type: ask, content: '{content}', message_id: '{id}'}\n"
        "  - wait: agent_completed\n"
    )
    command = [*live("")[:3], "fuzz", "app", "login_chat:app", "--script", "users.yaml", "--most", "1", "--seed", "1"]
    found = ran([*command, "--schedules", "60"], tmp_path)
    [repro] = tmp_path.glob(".goldentape/*.json")
    again = ran([*live("")[:3], "fuzz", "replay", str(repro)], tmp_path)

    assert found.returncode == 1 and "[token of ann]" in found.stdout, found
    assert again.returncode == 1 and "FAILED: the very same run" in again.stdout, again


def test_a_token_that_nobody_can_sign_is_told_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"a message says \{token\}, and alice has none: --jwt-secret ENV"):
        searched(chat(tmp_path), passports=[], schedules=1)


def test_a_text_in_braces_stays_where_users_have_no_token():
    workload = crowd(1, 1)
    assert workload.said("alice", "a {token}") == "a {token}"
    assert Workload((User("alice"),), (), (Passport("plain", "query", "u"),)).said("alice", "{token}") == "{token}"


@pytest.mark.parametrize("how", [("app", "login_chat:app"), ("live", "ws://127.0.0.1:9/ws")])
def test_what_a_script_says_by_itself_is_not_said_twice(tmp_path, how):
    chat(tmp_path)
    (tmp_path / "users.yaml").write_text("script: [{send: hello}]\n")
    refused = ran([*live("")[:3], "fuzz", *how, "--script", "users.yaml", "--first", LOGIN], tmp_path)

    assert refused.returncode == 2
    assert refused.stderr.endswith("make it the first `send` of the script\n"), refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("way", ["key", "command"])
def test_a_running_server_is_logged_in_to_and_no_token_is_on_the_tape(tmp_path, way):
    chat(tmp_path, repeats=True)
    (tmp_path / "maker.py").write_text(
        "import jwt, os, sys; print(jwt.encode({'sub': sys.argv[1]}, os.environ['FUZZ_SECRET'], 'HS256'))"
    )
    port = free_port()
    asked = {
        "key": ("--jwt-secret", "FUZZ_SECRET", "--as", "jwt:message:auth.token"),
        "command": ("--token-command", f"{sys.executable} maker.py {{user}}", "--token-place", "message:auth.token"),
    }[way]
    server = " ".join(uvicorn(port, "login_chat:app", tmp_path))
    command = live(f"ws://127.0.0.1:{port}/ws", *asked, "--first", LOGIN, "--server-cmd", server, "--seed", 1)
    found = ran([*command, "--most", "1", "--confirm", "2", "--tries", "20"], tmp_path)

    assert found.returncode == 1, found
    assert "[token of " in found.stdout
    for file in tmp_path.glob(".goldentape/*"):
        assert b"eyJ" not in file.read_bytes(), file
    [tape] = tmp_path.glob(".goldentape/*.tape")
    with open_tape(tape) as one:
        assert all(connection.user.startswith(("alice-", "bob-")) for connection in one.connections())
