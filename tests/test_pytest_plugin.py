"""The pytest plugin as projects use it: real runs of pytest, with real servers, clients, recorders and tapes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from suites import PLUGIN

from goldentape.tape import open_tape

CALM = """
goldentape: 1
contract: {id: calm, version: 1.0.0}
wire: {format: json, type: type}
params: {most: 9}
events: {ask: {dir: c2s}, done: {}, rude: {}, never: {}}
invariants:
  no-rude: {kind: never, event: rude}
  answered: {kind: responds, trigger: ask, answer: [done, rude], within: 5s}
  few: {kind: count, event: done, per: connection, max: "${most}"}
  thanked: {kind: precedes, first: ask, then: never}
"""
APP = """
import json
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

async def chat(ws):
    await ws.accept()
    async for text in ws.iter_text():
        asked = json.loads(text)
        if not asked.get("mute"):
            await ws.send_json({"type": "rude" if asked.get("be") == "rude" else "done"})

app = Starlette(routes=[WebSocketRoute("/chat", chat)])
"""
TALK = """
import json, pytest, websockets
from websockets.sync.client import connect
from app import app

def talk(url, **asked):
    with connect(url + "/chat?user_id=ada") as ws:
        ws.send(json.dumps({"type": "ask", **asked}))
        if not asked.get("mute"):
            return json.loads(ws.recv())

async def atalk(url, **asked):
    async with websockets.connect(url + "/chat?user_id=ada") as ws:
        await ws.send(json.dumps({"type": "ask", **asked}))
        return json.loads(await ws.recv())

"""


class Run:
    """What one run of pytest left behind."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *PLUGIN, "-p", "no:cacheprovider", "--goldentape-tapes=tapes",
             "--junitxml=junit.xml", "-rA", *options],
            cwd=home, capture_output=True, text=True, timeout=110,
            env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "HOME": str(home), "CI": "1"},
        )  # fmt: skip
        self.code, self.out = done.returncode, done.stdout + done.stderr
        self.tapes = {tape.name for tape in (home / "tapes").glob("*")} if (home / "tapes").is_dir() else set()

    def outcome(self, test: str) -> str:
        """How a test ended, by the words of pytest's summary; a failure counts more than what follows it."""
        name = re.escape(test)
        found = set(
            re.findall(rf"^(PASSED|FAILED|ERROR|SKIPPED|XFAIL) test_it.py::(?:\w+::)?{name}(?= |$)", self.out, re.M)
        )
        assert found, self.out
        return next(word for word in ("FAILED", "ERROR", "XFAIL", "SKIPPED", "PASSED") if word in found)


def project(home: Path, tests: str, contract: str = CALM) -> Path:
    home.mkdir(exist_ok=True)
    (home / "calm.yaml").write_text(contract)
    (home / "app.py").write_text(APP)
    (home / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\npythonpath = .\n")
    (home / "test_it.py").write_text(TALK + tests)
    return home


MANY = """
def test_holds(goldentape):
    recording = goldentape(app)
    assert talk(recording.url)["type"] == "done"
    assert str(recording) == recording.url and recording.url.startswith("ws://127.0.0.1:")

def test_rude(goldentape):
    talk(goldentape(app).url, be="rude")

def test_empty(goldentape):
    goldentape(app)

def test_starts_nothing(goldentape):
    pass

@pytest.fixture
def client(goldentape):
    with connect(goldentape(app).url + "/chat?user_id=bob") as ws:
        yield ws

def test_fixture(client):
    client.send('{"type": "ask"}')
    client.recv()

def test_fixture_rude(client):
    client.send('{"type": "ask", "be": "rude"}')
    client.recv()

@pytest.mark.asyncio
async def test_asyncio(goldentape):
    await atalk(goldentape(app).url)

@pytest.mark.asyncio
async def test_asyncio_rude(goldentape):
    await atalk(goldentape(app).url, be="rude")

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio(goldentape, anyio_backend):
    await atalk(goldentape(app).url)

@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_anyio_rude(goldentape, anyio_backend):
    await atalk(goldentape(app).url, be="rude")

def test_own_failure(goldentape):
    talk(goldentape(app).url, be="rude")
    assert False, "its own"

@pytest.mark.xfail(strict=True)
def test_expected(goldentape):
    talk(goldentape(app).url, be="rude")

def test_skipped(goldentape):
    talk(goldentape(app).url, be="rude")
    pytest.skip("not today")

@pytest.mark.goldentape(only="answered")
def test_only(goldentape):
    talk(goldentape(app).url, be="rude")

@pytest.mark.goldentape(only=["thanked"])
def test_only_vacuous(goldentape):
    talk(goldentape(app).url)

@pytest.mark.goldentape(strict=True)
def test_strict(goldentape):
    talk(goldentape(app).url)

@pytest.mark.goldentape(contract="clam.yaml")
def test_misspelt_contract(goldentape):
    talk(goldentape(app).url)

@pytest.mark.goldentape(contrat="calm.yaml")
def test_misspelt_marker(goldentape):
    talk(goldentape(app).url)

@pytest.mark.goldentape(set={"most": 0})
def test_set(goldentape):
    talk(goldentape(app).url)

@pytest.mark.goldentape(contract="calm.yaml")
def test_without_fixture():
    pass

def test_two(goldentape, tmp_path, monkeypatch):
    one, two = goldentape(app), goldentape(app, tags={"release": "2"}, identify="query:user_id")
    monkeypatch.chdir(tmp_path)
    talk(one.url)
    talk(two.url, be="rude")

def test_unfit(goldentape):
    goldentape(42)

def test_odd_option(goldentape):
    goldentape(app, identfy="query:user")

def test_mark(goldentape):
    recording = goldentape(app)
    recording.mark("fault_begin", why="test")
    talk(recording.url)
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Run:
    """Every way in which a test can end, in one run in two processes."""
    home = project(tmp_path_factory.mktemp("many") / "p", MANY)
    return Run(home, "-n2", "--goldentape-contract=calm.yaml")


@pytest.mark.parametrize("test", [
    "test_holds", "test_fixture", "test_asyncio", "test_anyio[asyncio]", "test_only", "test_starts_nothing",
    "test_mark",
])  # fmt: skip
def test_a_test_whose_tape_holds_passes_and_leaves_no_tape(many, test):
    assert many.outcome(test) == "PASSED"
    assert not any(f"-{test.split('[')[0]}.tape" in name for name in many.tapes)


@pytest.mark.parametrize("test", [
    "test_rude", "test_asyncio_rude", "test_anyio_rude[asyncio]", "test_fixture_rude", "test_own_failure", "test_two",
])  # fmt: skip
def test_a_violation_fails_the_test_says_why_and_keeps_the_tape(many, test):
    assert many.outcome(test) in ("FAILED", "ERROR")
    name = re.sub(r"[\[\]]+", "-", test).strip("-")
    assert f"test_it-{name}.tape" in many.tapes
    assert f"tape kept: tapes/test_it-{name}.tape" in many.out
    with open_tape(many.home / f"tapes/test_it-{name}.tape") as tape:
        assert tape.state == "sealed" and tape.complete


def test_each_invariant_is_a_sub_result_with_its_witness(many):
    assert "SUBFAILED[calm: no-rude] test_it.py::test_rude - Failed: rude must never occur, and did at #4" in many.out
    assert re.search(r"#4 +\d\.\d{3} s +s2c +ada +rude", many.out)
    assert "FAILED test_it.py::test_rude - Failed: calm: no-rude: rude must never occur" in many.out


def test_an_empty_tape_never_passes(many):
    assert many.outcome("test_empty") == "FAILED"
    assert "nothing was recorded: no client connected" in many.out


def test_the_tapes_of_a_test_that_failed_by_itself_speak_beside_it(many):
    assert "AssertionError: its own" in many.out
    beside = many.out.split("Captured goldentape call")[1]
    assert "calm: no-rude: rude must never occur" in beside


def test_an_expected_failure_is_one_and_a_skipped_test_is_not_judged(many):
    assert many.outcome("test_expected") == "XFAIL"
    assert "SKIPPED [1] test_it.py:" in many.out and "test_it-test_skipped.tape" not in many.tapes


def test_what_judged_nothing_has_not_held_where_it_was_asked_for(many):
    assert many.outcome("test_only_vacuous") == "FAILED" and many.outcome("test_strict") == "FAILED"
    assert "thanked: vacuous: 0 judged, which is too few to say anything" in many.out
    # Elsewhere it is no failure, and said all the same.
    assert re.search(r"^calm: thanked: vacuous: .* \(test_it.py::\S+ and \d+ more\)$", many.out, re.M)


def test_a_setting_of_the_marker_counts(many):
    assert "SUBFAILED[calm: few] test_it.py::test_set" in many.out


@pytest.mark.parametrize(("test", "said"), [
    ("test_misspelt_contract", "clam.yaml: there is no such file and no such contract"),
    ("test_misspelt_marker", "takes contract, set, only, strict, allow_code by name, found contrat"),
    ("test_without_fixture", "has the marker goldentape, and not the fixture: nothing was recorded"),
    ("test_unfit", "goldentape: goldentape(...) cannot serve this, found 42"),
    ("test_odd_option", "goldentape(...) has no such option, found identfy"),
])  # fmt: skip
def test_a_mistake_is_one_line(many, test, said):
    assert many.outcome(test) in ("FAILED", "ERROR")
    assert said in many.out
    assert "Traceback" not in many.out


def test_no_key_is_left_beside_a_tape_that_is_kept(many):
    assert many.tapes and all(name.endswith(".tape") for name in many.tapes)


SERVERS = """
import asyncio
from aiohttp import web

async def aiohttp_chat(request):
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_json({"type": "done"})
    return ws

def test_aiohttp(goldentape):
    served = web.Application()
    served.add_routes([web.get("/chat", aiohttp_chat)])
    talk(goldentape(served).url)

async def handler(ws):
    async for message in ws:
        await ws.send('{"type": "done"}')

def test_handler(goldentape):
    talk(goldentape(handler).url)

async def server(host, port):
    async with websockets.serve(handler, host, port):
        await asyncio.Event().wait()

def test_server(goldentape):
    recording = goldentape(server)
    talk(recording.url)
    again = goldentape(recording.upstream)
    talk(again.url)

def test_name(goldentape):
    talk(goldentape("app:app").url)

def test_no_name(goldentape):
    goldentape("app:nothing")

async def broken(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

def test_broken(goldentape):
    goldentape(broken)

def test_nobody(goldentape):
    with pytest.raises(Exception):
        talk(goldentape("ws://127.0.0.1:9").url)

class TestClasses:
    @pytest.fixture(autouse=True)
    def record(self, goldentape):
        self.recording = goldentape(app)

    def test_one(self):
        talk(self.recording.url)
"""


def test_apps_handlers_servers_and_urls_are_recorded(tmp_path):
    run = Run(project(tmp_path / "p", SERVERS), "--goldentape-contract=calm.yaml", "--goldentape-keep")

    for test in ("test_aiohttp", "test_handler", "test_server", "test_name", "test_one"):
        assert run.outcome(test) == "PASSED", run.out
    assert {"test_it-test_server.tape", "test_it-test_server-1.tape", "test_it-TestClasses-test_one.tape"} <= run.tapes
    assert run.outcome("test_no_name") == "FAILED" and "the app cannot be imported" in run.out
    assert run.outcome("test_broken") == "FAILED" and "the app did not start" in run.out
    assert run.outcome("test_nobody") == "FAILED"


def test_without_a_contract_it_only_records_and_says_so(tmp_path):
    home = project(tmp_path / "p", "def test_plain(goldentape):\n    talk(goldentape(app).url, be='rude')\n")
    run = Run(home, "--goldentape-keep")

    assert run.code == 0
    assert "recorded, and judged by no contract (test_it.py::test_plain)" in run.out
    assert run.tapes == {"test_it-test_plain.tape"}


def test_without_subtests_the_violations_are_the_message(tmp_path):
    home = project(tmp_path / "p", "def test_rude(goldentape):\n    talk(goldentape(app).url, be='rude')\n")
    run = Run(home, "-p", "no:subtests", "--goldentape-contract=calm.yaml")

    assert run.code == 1
    assert "FAILED test_it.py::test_rude - Failed: calm: no-rude: rude must never occur, and did at #4" in run.out
    assert re.search(r"#4 +\d\.\d{3} s +s2c +ada +rude", run.out)


def test_a_test_process_that_dies_leaves_a_tape_that_is_sealed(tmp_path):
    tests = (
        "import os, signal\ndef test_dies(goldentape):\n    talk(goldentape(app).url)\n    os.kill(os.getpid(), 9)\n"
    )
    run = Run(project(tmp_path / "p", tests), "--goldentape-contract=calm.yaml")

    assert run.code == -9
    tape = run.home / "tapes/test_it-test_dies.tape"
    deadline = subprocess.run(["timeout", "30", "sh", "-c", f"while [ -e {tape}.spool/lock ]; do :; done"], check=True)
    assert deadline.returncode == 0
    with open_tape(tape) as found:
        assert found.state == "sealed" and sum(user.events for user in found.users()) >= 2


def test_who_does_not_use_it_does_not_pay_for_it():
    """Loading the plugin brings in nothing else of goldentape."""
    said = subprocess.run(
        [sys.executable, "-c", "import pytest, sys, json; before = set(sys.modules); import goldentape.pytest_plugin; "
         "print(json.dumps(sorted(set(sys.modules) - before)))"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert set(json.loads(said.stdout)) == {"goldentape", "goldentape.pytest_plugin"}


def test_the_page_for_users_is_true_word_by_word(tmp_path):
    page = (Path(__file__).parent.parent / "docs/pytest.md").read_text("utf-8")
    for name, text in re.findall(r"^```(?:python|yaml)\n# (\S+)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .\n")
    said = page.partition("$ pytest --goldentape-tapes tapes\n")[2].partition("```")[0]
    run = Run(tmp_path, "-p", "no:asyncio")

    assert run.code == 1

    def told(line: str) -> str:
        return re.sub(r"[0-9a-f]{12}|\d\.\d{2,3} ?s|[_=]{5,}|\s+", " ", line).strip()

    out = {told(line) for line in run.out.splitlines()}
    assert {told(line) for line in said.splitlines() if "passed" not in line and ".uF" not in line} <= out
    # Once more: the tape of the run before is replaced.
    assert Run(tmp_path, "-p", "no:asyncio").tapes == run.tapes == {"test_kitchen-test_soup.tape"}
