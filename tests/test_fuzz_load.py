"""Apps are found as uvicorn finds them, are fresh in each run, and what is wrong is told in one line."""

from __future__ import annotations

import sys

import pytest
from test_fuzz_run import one

from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz.load import Target
from verifier.fuzz.run import Runner, run_app
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.script import Wait
from verifier.fuzz.seen import Run

COUNTS = """
from {package} import state
import itertools
numbers = itertools.count()

async def app(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({{"type": "websocket.accept"}})
    state.seen.append(1)
    await send({{"type": "websocket.send", "text": f"{{next(numbers)}} {{len(state.seen)}}"}})

def create_app():
    return app
"""


def shop(directory, name):
    """A package whose modules keep state."""
    package = directory / name
    (package / "web").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "web" / "__init__.py").write_text("from .main import app")
    (package / "state.py").write_text("seen = []\n")
    (package / "web" / "main.py").write_text(COUNTS.format(package=name))
    return f"{name}.web.main"


def said(run: Run) -> object:
    return next(moment.payload for moment in run.moments if moment.what == "message")


def test_each_run_has_the_state_of_a_fresh_import_in_all_modules_of_the_app(tmp_path):
    module = shop(tmp_path, "shop_fresh")
    runner = Runner(f"{module}:app", app_dir=tmp_path)
    originals = {name: sys.modules[name] for name in sys.modules if name.startswith("shop_fresh")}
    assert [said(runner.run(one(Wait()), SERIAL)) for _ in range(3)] == ["0 1"] * 3
    assert {name: sys.modules[name] for name in originals} == originals
    assert sys.modules["shop_fresh.state"].seen == []


def test_modules_that_somebody_imported_before_are_fresh_as_well(tmp_path, monkeypatch):
    (tmp_path / "flat_state.py").write_text("seen = []\n")
    (tmp_path / "flat_unrelated.py").write_text("")
    (tmp_path / "flat_main.py").write_text(
        COUNTS.format(package="__future__")
        .replace("state", "annotations")
        .replace("annotations.seen", "flat_state.seen")
        .replace("import itertools", "import itertools, flat_state")
    )
    monkeypatch.syspath_prepend(tmp_path)
    import flat_main  # noqa: F401
    import flat_unrelated

    runner = Runner("flat_main:app", app_dir=tmp_path)
    assert [said(runner.run(one(Wait()), SERIAL)) for _ in range(3)] == ["0 1"] * 3
    assert sys.modules["flat_unrelated"] is flat_unrelated


def test_a_factory_is_called_for_each_run(tmp_path):
    module = shop(tmp_path, "shop_factory")
    fresh = Runner(f"{module}:create_app", app_dir=tmp_path, factory=True)
    assert [said(fresh.run(one(Wait()), SERIAL)) for _ in range(2)] == ["0 1"] * 2
    kept = Runner(f"{module}:create_app", app_dir=tmp_path, factory=True, isolate="factory")
    runs = [said(kept.run(one(Wait()), SERIAL)) for _ in range(2)]
    assert runs[0] != runs[1]


def test_a_fork_keeps_what_runs_do_away_from_us(tmp_path, monkeypatch):
    module = shop(tmp_path, "shop_fork")
    (tmp_path / "shop_fork" / "state.py").write_text(
        "import builtins\nassert not hasattr(builtins, 'registered')\nbuiltins.registered = seen = []\n"
    )
    monkeypatch.setattr("threading.active_count", lambda: 1)
    try:
        runner = Runner(f"{module}:app", app_dir=tmp_path, isolate="fork")
        assert [said(runner.run(one(Wait()), SERIAL)) for _ in range(2)] == ["0 1"] * 2
        with pytest.raises(InputError, match=r"cannot be executed twice.*--isolate fork"):
            Runner(f"{module}:app", app_dir=tmp_path).run(one(), SERIAL)
    finally:
        del __import__("builtins").registered


APPS = """
async def serve(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": "here"})

class Two:
    def __init__(self, scope):
        assert scope["type"] == "websocket"
    async def __call__(self, receive, send):
        await serve(receive, send)

class Three:
    async def __call__(self, scope, receive, send):
        assert scope["type"] == "websocket"
        await serve(receive, send)

three = Three()
method = three.__call__

def make():
    return three

def by_hand(scope, receive, send):
    return three(scope, receive, send)
"""


@pytest.mark.parametrize("name", ["Two", "three", "method", "make", "by_hand"])
def test_every_shape_of_app_that_uvicorn_takes_is_taken(tmp_path, name):
    (tmp_path / f"shape_{name}.py").write_text(APPS)
    assert said(run_app(f"shape_{name}:{name}", one(Wait()), SERIAL, app_dir=tmp_path)) == "here"


def test_a_process_with_threads_is_not_forked(tmp_path, monkeypatch):
    monkeypatch.setattr("threading.active_count", lambda: 2)
    runner = Runner(f"{shop(tmp_path, 'shop_threads')}:app", app_dir=tmp_path, isolate="fork")
    with pytest.raises(EnvironmentFault, match="several threads"):
        runner.run(one(), SERIAL)


def test_modules_that_import_each_other_are_fresh_too(tmp_path):
    (tmp_path / "ring_a.py").write_text("first = 1\nfrom ring_b import app\nseen = []\n")
    (tmp_path / "ring_b.py").write_text(
        "from ring_a import first\nimport ring_a\nasync def app(scope, receive, send):\n"
        "    assert scope['type'] == 'websocket'\n    await receive()\n"
        "    await send({'type': 'websocket.accept'})\n    ring_a.seen.append(first)\n"
        "    await send({'type': 'websocket.send', 'text': str(len(ring_a.seen))})\n"
    )
    runner = Runner("ring_a:app", app_dir=tmp_path)
    assert [said(runner.run(one(Wait()), SERIAL)) for _ in range(3)] == ["1"] * 3


def test_a_module_that_is_imported_late_is_fresh_too(tmp_path):
    (tmp_path / "late_state.py").write_text("seen = []\n")
    (tmp_path / "late_app.py").write_text(
        "async def app(scope, receive, send):\n    assert scope['type'] == 'websocket'\n    await receive()\n"
        "    await send({'type': 'websocket.accept'})\n    import late_state\n    late_state.seen.append(1)\n"
        "    await send({'type': 'websocket.send', 'text': str(len(late_state.seen))})\n"
    )
    runner = Runner("late_app:app", app_dir=tmp_path)
    assert [said(runner.run(one(Wait()), SERIAL)) for _ in range(3)] == ["1"] * 3


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("shop", "wanted module:attribute"),
        (":app", "wanted module:attribute"),
        ("wrong_main:app", "no module wrong_main"),
        ("good_main:ap", "perhaps `app`"),
        ("good_man:app", "perhaps good_main"),
        ("needs_more:app", "needs not_installed_at_all"),
        ("breaks:app", "its import fails: ZeroDivisionError: division by zero, found breaks.py:2"),
        ("syntax:app", "its import fails: SyntaxError"),
        ("keyless:app", "'NO_SUCH_KEY_HERE', found keyless.py:2: set the environment variable NO_SUCH_KEY_HERE"),
        ("good_main:number", "the app cannot be called, found int"),
        ("good_main:app.missing", "has no `missing`"),
    ],
)
def test_what_is_wrong_with_a_reference_is_told_in_one_line(tmp_path, reference, text, monkeypatch):
    (tmp_path / "good_main.py").write_text("async def app(scope, receive, send): ...\nnumber = 3\n")
    (tmp_path / "needs_more.py").write_text("import not_installed_at_all\n")
    (tmp_path / "breaks.py").write_text("\n1 / 0\n")
    (tmp_path / "syntax.py").write_text("def :\n")
    (tmp_path / "keyless.py").write_text("import os\nos.environ['NO_SUCH_KEY_HERE']\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "good_main", raising=False)
    with pytest.raises(InputError) as told:
        run_app(reference, one(), SERIAL, app_dir=tmp_path)
    assert text in str(told.value)
    assert "\n" not in str(told.value)


def test_an_app_dir_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        Target("main:app", app_dir=tmp_path / "nowhere")
    with pytest.raises(InputError, match="no such isolation"):
        Target("main:app", app_dir=tmp_path, isolate="magic")
    with pytest.raises(InputError, match="no such way to explore"):
        Runner("main:app", app_dir=tmp_path, explore="sideways")
