"""What is told of an app that cannot be fuzzed: one line that says what is wrong where, and what to do; exit 2."""

from __future__ import annotations

import subprocess
import sys

import pytest
from small_apps import LEAKY

LIFESPAN = """\
from contextlib import asynccontextmanager
from fastapi import FastAPI, WebSocket

@asynccontextmanager
async def lifespan(app):
    raise ConnectionError("no redis at localhost:6379")
    yield

app = FastAPI(lifespan=lifespan)

@app.websocket("/ws")
async def talk(ws: WebSocket):
    await ws.accept()
"""
ROUTES = """\
from fastapi import FastAPI, WebSocket
none, two = FastAPI(), FastAPI()

async def talk(ws: WebSocket):
    await ws.accept()
    while True:
        await ws.send_text(await ws.receive_text())

two.add_api_websocket_route("/chat", talk)
two.add_api_websocket_route("/rooms/{room}", talk)
"""
OTHERS = """\
def wsgi(environ, start_response): ...

class Flask:
    def wsgi_app(self, environ, start_response): ...
    def __call__(self, environ, start_response): ...

flask = Flask()
number = 5

def wants(settings): ...
def fails():
    raise KeyError("DATABASE_URL")

class Config:
    pass
"""
APPS = {
    "life": LIFESPAN, "routes": ROUTES, "others": OTHERS, "loose": "from . import state\n",
    "leaves": "import sys\nsys.exit('set DATABASE_URL')\n", "broken": "def (\n", "needs": "import not_installed_here\n",
    "real": "import asyncio\n\n\nasync def app(scope, receive, send):\n    await asyncio.open_connection('a', 1)\n",
}  # fmt: skip
LINES = {
    "life:app": "lifespan: the app does not start: ConnectionError: no redis at localhost:6379, found life.py:6: give",
    "routes:none": "the app refuses alice's connection to /ws, found 403: it has no WebSocket route",
    "routes:two --path /chatt": "connection to /chatt, found 403: its WebSocket routes are /chat, /rooms/{room}: name",
    "others:wsgi": "others:wsgi: it is a WSGI app, which has no WebSockets, wanted an ASGI app",
    "others:flask": "others:flask: it is a WSGI app",
    "others:number": "others:number: the app cannot be called, found int",
    "others:wants": "others:wants: it is a function that wants settings, wanted an ASGI app",
    "others:wants --factory": "others:wants: the factory wants settings, wanted one that takes nothing",
    "others:fails --factory": "others:fails: the factory fails: KeyError: 'DATABASE_URL', found others.py:12",
    "others:flusk": "others has no `flusk`, wanted perhaps `flask`",
    "loose:app": "attempted relative import with no known parent package, found loose.py:1: name it by its package",
    "leaves:app": "leaves:app: its import ends the program: SystemExit: set DATABASE_URL, found leaves.py:2",
    "broken:app": "broken:app: its import fails: SyntaxError: invalid syntax (broken.py, line 1)",
    "needs:app": "needs:app: its import needs not_installed_here, which is not installed here, found needs.py:1",
    "real:app": "real.py:5 in app: the app asks for something that cannot be controlled (loop.create_connection)",
    "nedes:app": "nedes:app: no module nedes, wanted perhaps needs",
    "others.py": "found others.py, wanted module:attribute, as uvicorn has it: perhaps others:app",
    "sub/others.py:app": "an app is named by its module, not by its file, found sub/others.py:app",
    "routes:two --path chat": "--path: a path begins with /, found chat: perhaps /chat",
    "routes:two --set a=b": "--set gives values to a contract, found a=b: name one with --contract",
    "routes:two --app-dir nowhere": "--app-dir: no such directory, found nowhere",
}  # fmt: skip


def fuzz(home, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "goldentape", "fuzz", "app", *arguments], cwd=home, capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    found = tmp_path_factory.mktemp("bad")
    for name, text in APPS.items():
        (found / f"{name}.py").write_text(text)
    return found


@pytest.mark.parametrize("arguments", LINES, ids=lambda one: one)
def test_it_is_told_in_one_line(home, arguments):
    ended = fuzz(home, *arguments.split())

    assert (ended.returncode, ended.stdout) == (2, ""), ended.stdout + ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith("goldentape: error: ") and LINES[arguments] in line


def test_of_several_routes_the_one_that_is_tried_is_told(home):
    ended = fuzz(home, "routes:two", "--schedules", "5")

    assert ended.returncode == 0, ended.stderr
    assert "note: its WebSocket routes are /chat, /rooms/{room}: /chat is tried (--path for another)" in ended.stdout


def test_a_race_is_told_though_its_repro_file_cannot_be_written(home):
    (home / "leaky.py").write_text(LEAKY)
    (home / "file").write_text("")

    ended = fuzz(home, "leaky:app", "--schedules", "20", "--save", "file/below", "--failures", "1")

    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.startswith("LEAK  ") and "repro:" not in ended.stdout
    assert "goldentape: the repro file is not saved: file/below" in ended.stderr


def test_where_the_example_database_cannot_be_written_a_note_says_so(tmp_path):
    (tmp_path / "leaky.py").write_text(LEAKY)
    (tmp_path / ".hypothesis").write_text("no directory")

    ended = fuzz(tmp_path, "leaky:app", "--schedules", "20", "--failures", "1", "--certify", "0s")

    assert (ended.returncode, ended.stderr) == (1, "")
    assert "note: what failed is forgotten: .hypothesis cannot be written here" in ended.stdout
