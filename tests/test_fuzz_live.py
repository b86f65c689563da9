"""`fuzz live`: users in chosen orders on a real server behind a real recorder; only what was confirmed is claimed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_servers import here, one_line
from websockets.asyncio.server import serve

from goldentape.errors import EnvironmentFault, InputError
from goldentape.tape import open_tape
from verifier.fuzz.canary import word_of
from verifier.fuzz.crowd import crowd
from verifier.fuzz.live.fresh import fresh
from verifier.fuzz.live.pace import Pace, paced
from verifier.fuzz.live.plan import Turn, drawn, from_json, joined, simpler, to_json
from verifier.fuzz.live.processes import Process, Recorder, Server
from verifier.fuzz.live.reach import Door
from verifier.fuzz.live.sequencer import Address, Sequencer, sessions_of
from verifier.fuzz.live.target import identify, target
from verifier.fuzz.live.tokens import TokenMaker
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.passport import Passport
from verifier.fuzz.script import Send
from verifier.fuzz.seen import Ended, What

RACES = Path(__file__).parent.parent / "fixtures" / "races"
SCHEMA = Path(__file__).parent.parent / "schemas" / "fuzz.schema.json"
SECRET = "only-for-tests-of-the-fuzzer-0123456789abcdef"
ENV = {**os.environ, "FUZZ_SECRET": SECRET}

turns = st.builds(Turn, st.sampled_from(["alice", "bob"]), st.integers(0, 4), st.integers(0, 8))
plans = st.lists(turns, max_size=8).map(tuple)


# -- plans, names, rates


@given(plans)
def test_a_plan_is_read_back_as_it_was_written(plan):
    assert from_json(json.loads(json.dumps(to_json(plan)))) == plan


@given(plans)
def test_what_is_simpler_is_never_longer_and_ends(plan):
    def size(one):
        return len(one), sum(turn.steps for turn in one), sum(turn.delay for turn in one)

    for one in simpler(joined(plan)):
        turns, steps, delay = size(one)
        assert (turns, delay) <= (len(plan), size(plan)[2]) or steps <= size(plan)[1]


def test_plans_depend_on_their_seed_only():
    assert drawn(("alice", "bob"), 1, 2) == drawn(("alice", "bob"), 1, 2) != drawn(("alice", "bob"), 1, 3)


@pytest.mark.parametrize("value", [None, {}, [["alice", 1]], [["alice", -1, 0]], [[1, 1, 0]], [["alice", True, 0]]])
def test_what_is_no_plan_is_refused(value):
    with pytest.raises(InputError):
        from_json(value)


@given(st.integers(1, 4), st.integers(0, 3), st.from_regex(r"[a-z0-9]{6}", fullmatch=True))
def test_each_try_has_names_ids_and_canaries_of_its_own_and_knows_the_way_back(users, messages, mark):
    workload = crowd(users, messages, faults=("reconnect",))
    renamed = fresh(workload, mark)

    def said(one):
        return [a.payload for s in one.sessions for a in s.script if isinstance(a, Send)]

    assert [renamed.told(text) for text in said(renamed.workload)] == said(workload)
    assert {user.name for user in workload.users}.isdisjoint(user.name for user in renamed.workload.users)
    old, new = workload.canaries(), renamed.workload.canaries()
    assert old.keys().isdisjoint(new) and len(old) == len(new)
    for text in said(renamed.workload):
        assert not any(token in text or word_of(token) in text for token in old)
        assert json.loads(text)["type"] == "user_message"


def test_what_is_no_value_of_a_user_is_not_renamed():
    workload = crowd(
        1, 1, message='{"type":"alice","n":1,"who":"alice","id":"alice-1","other":"malice alices","c":"{content}"}'
    )

    [action, *_] = fresh(workload, "x1").workload.sessions[0].script
    message = json.loads(action.payload)

    assert message["type"] == "alice" and message["who"] == "alice-x1" and message["id"] == "alice-x1-1"
    assert message["other"] == "malice alices"


def test_rates_are_told_with_what_they_speak_for():
    assert str(Rate(7, 10)) == "7 of 10 (40% to 89%)"
    assert Rate(0, 0).interval == (0.0, 1.0) and Rate(0, 10).interval[0] == pytest.approx(0.0, abs=1e-9)


def test_a_slow_server_is_given_more_time():
    assert paced(0.01, None).patience < paced(0.4, None).patience
    assert paced(0.4, 1.5).patience == 1.5


@pytest.mark.parametrize(
    ("url", "owned", "words"),
    [
        ("http://127.0.0.1:1/ws", (), "not the URL of a WebSocket server.*: say ws://127.0.0.1:1/ws"),
        ("ws://", (), "not the URL of a WebSocket server"),
        ("ws://127.0.0.1:99999/", (), "not the URL of a server"),
        ("ws://127.0.0.1:0/", (), "not the port"),
        ("ws://u:p@127.0.0.1/", (), "credentials"),
        ("ws://127.0.0.1/#x", (), "fragment"),
        ("ws://staging.example.org/ws", (), "say so once more: --i-own-this-host staging.example.org"),
        ("ws://staging.example.org/ws", ("other.example.org",) * 2, "is not this machine"),
        ("ws://0.0.0.0:8000/ws", (), "say 127.0.0.1 instead"),
        ("ws://[::]:8000/ws", (), r"say \[::1\] instead"),
        ("ws://127.0.0.1/?token=abc", (), "a query in the URL is not read"),
        ("ws://10.0.0.8/ws", (), "is not this machine"),
    ],
)
def test_where_a_live_run_may_not_go(url, owned, words):
    with pytest.raises(InputError, match=words):
        target(url, owned)


@pytest.mark.parametrize(
    "url",
    ["ws://127.0.0.1:8000/ws", "ws://localhost/ws", "ws://[::1]:80/ws", "ws://127.0.0.2/ws", "ws://LOCALHOST./ws"],
)
def test_this_machine_needs_no_words(url):
    assert target(url).path == "/ws"


@pytest.mark.parametrize("times", [1, 2])
def test_a_host_that_was_named_once_more_may_be_reached(times):
    reached = target("wss://Staging.example.org/ws", ("staging.example.org",) * times)

    assert (reached.upstream, reached.addresses, reached.tls) == ("wss://staging.example.org:443", (), True)


def test_the_recorder_is_told_who_the_users_are():
    passports = (Passport.parse("jwt:query:token", "k"), Passport.parse("plain:header:X-User"))
    assert identify(passports) == ("--identify", "jwt:query:token:sub", "--identify", "header:X-User")


def test_tokens_come_from_a_command_for_each_user_anew():
    maker = TokenMaker(
        f"{sys.executable} -c 'import sys; print(\"t-\" + sys.argv[1])' {{user}}", "header:Authorization"
    )
    given_ = asyncio.run(maker.given(fresh(crowd(2, 1), "x1")))

    headers = [dict(session.headers) for session in given_.workload.sessions]
    assert headers == [{"Authorization": "Bearer t-alice-x1"}, {"Authorization": "Bearer t-bob-x1"}]


@pytest.mark.parametrize(
    ("command", "place", "error"),
    [
        ("", "header:A", InputError), ("echo 'x", "header:A", InputError), ("echo x", "body:A", InputError),
        ("no-such-program-anywhere", "header:A", InputError), ("false", "header:A", EnvironmentFault),
        ("true", "header:A", InputError), ("printf 'a\\nb'", "header:A", InputError),
    ],
)  # fmt: skip
def test_a_token_command_that_gives_no_token_is_told(command, place, error):
    with pytest.raises(error):
        asyncio.run(TokenMaker(command.replace("'a", "'a"), place).given(fresh(crowd(1, 1), "x1")))


# -- the sequencer, against a real server


def play(workload, plan, handler, pace=None):
    """Play against a server of our own, and return what the clients saw."""

    async def run():
        async with serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await Sequencer(workload, plan, Address(host="127.0.0.1", port=port), pace or Pace()).play()

    return asyncio.run(run())


async def echo(ws):
    async for message in ws:
        await ws.send(json.dumps({"type": "echo", "of": message}))


async def mute(ws):
    async for _ in ws:
        pass


async def slamming(ws):
    await ws.close(1011, "no")


def whats(played, session):
    return [moment.what for moment in played.run.moments if moment.session == session]


def test_nobody_is_interrupted_where_no_turns_are_asked_for():
    played = play(crowd(2, 2), (), echo)

    order = [moment.session for moment in played.run.moments if moment.what is not What.CLOSE]
    assert played.run.ended is Ended.DONE and order == sorted(order)
    assert set(played.turn_of) == {-1} and set(played.keys) == {"alice", "bob"}


def test_dialling_opening_and_saying_are_steps_of_their_own():
    plan = (Turn("alice", 1), Turn("bob", 3), Turn("alice", 2), Turn("bob", 1), Turn("alice", 1))

    played = play(crowd(2, 1), plan, echo)

    seen = [(m.session, m.what) for m in played.run.moments if m.what in (What.CONNECT, What.ACCEPT)]
    assert [s for s, what in seen if what is What.CONNECT] == ["bob", "alice"], "alice had dialled only"
    said = [m.session for m in played.run.moments if m.what is What.MESSAGE and m.dir == "c2s"]
    assert said == ["bob", "alice"]


@settings(max_examples=15)
@given(plan=plans)
def test_no_plan_keeps_a_play_from_its_end(plan):
    played = play(crowd(2, 1, faults=("reconnect",)), plan, echo, Pace(quiet=0.005, linger=0.005))

    assert played.run.ended is Ended.DONE
    assert whats(played, "alice").count(What.MESSAGE) == 2


def test_a_server_that_says_nothing_is_owed_an_answer_and_the_play_ends():
    played = play(crowd(2, 1), (), mute, Pace(patience=0.1, linger=0.01))

    assert played.run.ended is Ended.DEADLOCK
    assert {owed.session for owed in played.run.open} == {"alice", "bob"}


def test_a_close_by_the_server_is_seen_with_its_code():
    played = play(crowd(1, 1), (), slamming)

    [close] = [moment for moment in played.run.moments if moment.what is What.CLOSE]
    assert (close.dir, close.code, close.payload) == ("s2c", 1011, "no")


@pytest.mark.parametrize("fault", ["drop", "slow", "tabs", "reconnect"])
def test_faults_are_played(fault):
    played = play(crowd(2, 1, faults=(fault,)), (), echo)

    assert played.run.ended is Ended.DONE
    words = {"drop": What.DROP, "slow": What.SLOW, "tabs": What.CONNECT, "reconnect": What.DROP}
    assert words[fault] in {moment.what for moment in played.run.moments}


async def late(ws):
    async for message in ws:
        await asyncio.sleep(0.5)
        await ws.send(message)


def test_an_answer_that_comes_late_to_a_slow_reader_is_no_silence():
    played = play(crowd(1, 1, faults=("slow",)), (), late, Pace(patience=0.1, sure=10.0))

    assert played.run.ended is Ended.DONE


def test_nobody_listening_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address(host="127.0.0.1", port=free.getsockname()[1])
        with pytest.raises(EnvironmentFault, match="nobody answers"):
            asyncio.run(_play(address))


async def _play(address):
    return await Sequencer(crowd(1, 1), (), address, Pace()).play()


# -- processes


def test_a_process_that_cannot_be_started_or_ends_is_told_with_its_last_words():
    async def run():
        with pytest.raises(InputError, match="no-such-program"):
            await Process.start("server", ["no-such-program"])
        server = Server(f"{sys.executable} -c 'print(\"out of order\")'", Door("127.0.0.1", free_port()))
        with pytest.raises(EnvironmentFault, match="out of order"):
            await server.start()
        await server.stop()

    asyncio.run(run())


def test_a_recorder_is_started_stopped_and_leaves_a_sealed_tape(tmp_path):
    async def run():
        async with serve(echo, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            recorder = await Recorder.start(tmp_path / "a.tape", f"ws://127.0.0.1:{port}", [])
            played = await Sequencer(crowd(1, 1), (), Address(host="127.0.0.1", port=recorder.port), Pace()).play()
            await recorder.stop()
            return played

    played = asyncio.run(run())
    with open_tape(tmp_path / "a.tape") as tape:
        assert tape.sealed and [c.key for c in tape.connections()] == [played.keys["alice"]]


# -- the command


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def command(port: int, app: str, folder: Path = RACES) -> list[str]:
    uvicorn = f"{sys.executable} -m uvicorn --app-dir {folder} {app} --port {port} --log-level warning"
    return [
        sys.executable, "-m", "goldentape", "fuzz", "live", f"ws://127.0.0.1:{port}/ws", "--server-cmd", uvicorn,
        "--jwt-secret", "FUZZ_SECRET", "--users", "2", "--messages", "1", "--faults", "none",
    ]  # fmt: skip


def fuzz(arguments, cwd):
    return subprocess.run(arguments, cwd=cwd, env=ENV, capture_output=True, text=True, timeout=110)


def running(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_leak_is_found_confirmed_saved_and_replayed(tmp_path):
    port = free_port()
    arguments = command(port, "leak_module_variable:app")

    reports = ["--report", "junit=live.xml", "--report", "json=live.json"]
    found = fuzz([*arguments, "--confirm", "4", "--most", "1", *reports], tmp_path)

    assert found.returncode == 1, found
    [leak] = [case for case in ET.parse(tmp_path / "live.xml").iter("testcase") if case.get("name") == "leak"]
    assert "confirmed on the tape: " in leak[0].text
    jsonschema.validate(json.loads((tmp_path / "live.json").read_text()), json.loads(SCHEMA.read_text()))
    assert "LEAK  " in found.stdout and "confirmed on the tape: " in found.stdout
    assert found.stdout.splitlines()[-1].startswith("tries ") and "violations 1" in found.stdout.splitlines()[-1]
    assert not running(port), "the server was left behind"
    [saved] = (tmp_path / ".goldentape").glob("live-leak-*.json")
    value = json.loads(saved.read_text())
    assert value["against"] == "live" and SECRET not in saved.read_text() and value["rate"]["of"] == 4
    with open_tape(saved.with_suffix(".tape")) as tape:
        assert tape.sealed and len(list(tape.users())) == 8

    again = fuzz([sys.executable, "-m", "goldentape", "fuzz", "replay", str(saved), *arguments[6:8]], tmp_path)
    assert again.returncode == 1 and "FAILED: " in again.stdout and not running(port), again


def test_a_clean_server_is_silent(tmp_path):
    found = fuzz(
        [*command(free_port(), "clean_fifo:app"), "--tries", "6", "--contract", "golden-path", "--json"], tmp_path
    )

    assert found.returncode == 0, found
    told = json.loads(found.stdout)
    assert told["tries"] == 6 and told["failures"] == [] and not (tmp_path / ".goldentape").exists()


ONCE = """
import json, pathlib
told = pathlib.Path(__file__).with_name("told")
last = None

async def app(scope, receive, send):
    global last
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        said = json.loads(event["text"])["content"]
        if last is not None and "alice" in last and "bob" in said and not told.exists():
            told.write_text("once and never again")
            await send({"type": "websocket.send", "text": json.dumps({"type": "note", "of": last})})
        last = said
        await send({"type": "websocket.send", "text": json.dumps({"type": "done", "of": said})})
"""


def test_what_was_seen_and_never_came_again_is_no_violation(tmp_path):
    (tmp_path / "once.py").write_text(ONCE)

    found = fuzz([*command(free_port(), "once:app", tmp_path), "--tries", "2", "--done", "done"], tmp_path)

    assert found.returncode == 4, found
    assert "seen, not confirmed" in found.stdout and "seen but not confirmed 1" in found.stdout.splitlines()[-1]


def test_what_was_seen_when_the_budget_ended_is_told_and_not_claimed(tmp_path):
    found = fuzz([*command(free_port(), "leak_module_variable:app"), "--budget", "6s", "--confirm", "1000"], tmp_path)

    assert found.returncode == 4, found
    assert "LEAK  " in found.stdout and "seen, not confirmed" in found.stdout and "is used up" in found.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_running(tmp_path, number):
    port = free_port()
    process = subprocess.Popen(
        [*command(port, "clean_fifo:app"), "--tries", "100000"], cwd=tmp_path, env=ENV, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not running(port) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err and not running(port)
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert f"--port {port}" not in left and f"ws://127.0.0.1:{port}" not in left


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("http://x/",), 2, "not the URL of a WebSocket server"),
        (("ws://example.org/ws",), 2, "say so once more: --i-own-this-host example.org"),
        (("ws://127.0.0.1:{port}/ws",), 3, "nobody listens there"),
        (("ws://127.0.0.1:{port}/ws", "--jwt-secret", "NO_SUCH_VARIABLE"), 2, "no such environment variable"),
        (("ws://127.0.0.1:{port}/ws", "--as", "x"), 2, "not a way to say who a user is"),
        (("ws://127.0.0.1:{port}/ws", "--faults", "hammer"), 2, "no such fault"),
        (("ws://127.0.0.1:{port}/ws", "--contract", "golden-pth"), 2, "golden-path"),
        (("ws://127.0.0.1:{port}/ws", "--server-cmd", "no-such-program"), 2, "no-such-program"),
        (("ws://127.0.0.1:{port}/ws", "--reset-url", "http://example.org/"), 2, "another host"),
        (("ws://127.0.0.1:{port}/ws", "--tries", "0"), 2, "tries"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, code, words, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    port = free_port()

    one_line(here([word.format(port=port) for word in arguments], capsys), code, words)


def test_sessions_are_named_in_serial_order():
    assert sessions_of(crowd(2, 1, faults=("tabs",))) == ["alice", "alice-tab", "bob"]
