"""What `fuzz live` starts ends with it: its servers, its recorders, its directory; whoever kills whom, and when."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from live_servers import ECHO, ENV, LEAK, Serving, alive, free_port, listening, live, ran, until, uvicorn

from goldentape.guard import Guard
from verifier.fuzz.crowd import crowd

STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
if len(sys.argv) > 3:
    subprocess.Popen([sys.executable, *sys.argv[:3]])
import uvicorn
from shop import app
class Server(uvicorn.Server):
    def install_signal_handlers(self): pass
    def capture_signals(self):
        import contextlib
        return contextlib.nullcontext()
Server(uvicorn.Config(app, port=int(sys.argv[1]), log_level="warning")).run()
"""
"""A server that no signal but one ends, and, with a word more, a child of its kind on the same machine."""


@pytest.fixture
def shop(tmp_path):
    """A directory with apps, and a directory for temporary files that is looked at afterwards."""
    (tmp_path / "shop.py").write_text(ECHO)
    (tmp_path / "leaky.py").write_text(LEAK)
    (tmp_path / "temporary").mkdir()
    return tmp_path


def started(shop: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(arguments), cwd=shop, env={**ENV, "TMPDIR": str(shop / "temporary")}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def searching(process: subprocess.Popen[str]) -> str:
    """Wait until a search has made some tries; return what it has said."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if line.startswith("try "):
            return said
    raise AssertionError(said)


def test_killed_at_once_it_leaves_no_process_and_no_directory(shop):
    port = free_port()
    process = started(shop, *live(f"ws://127.0.0.1:{port}/ws", "--tries", 100_000, "--rate", 1000, "--server-cmd",
                                  " ".join(uvicorn(port, "shop:app", shop))))  # fmt: skip
    searching(process)
    assert alive(f"--port {port}") and alive(f"ws://127.0.0.1:{port}") and list((shop / "temporary").iterdir())

    process.kill()
    process.wait()

    until(lambda: not listening(port))
    until(lambda: not alive(f"ws://127.0.0.1:{port}"))
    until(lambda: not alive(f"{shop}"))
    until(lambda: not list((shop / "temporary").iterdir()))


def test_killed_while_the_server_starts_it_leaves_nothing(shop):
    (shop / "shop.py").write_text("import time, pathlib; pathlib.Path('starting').touch(); time.sleep(300)\n" + ECHO)
    port = free_port()
    process = started(
        shop, *live(f"ws://127.0.0.1:{port}/ws", "--server-cmd", " ".join(uvicorn(port, "shop:app", shop)))
    )
    until((shop / "starting").exists)

    process.kill()
    process.wait()

    until(lambda: not alive(f"--port {port}"))
    until(lambda: not list((shop / "temporary").iterdir()))


def test_a_signal_ends_it_cleanly_and_what_was_done_is_told(shop):
    port = free_port()
    server = ("--server-cmd", " ".join(uvicorn(port, "shop:app", shop)), "--report", "json=report.json")
    process = started(shop, *live(f"ws://127.0.0.1:{port}/ws", "--tries", 100_000, "--rate", 1000, *server))
    searching(process)

    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130 and "Traceback" not in err, err
    assert out.splitlines()[-1].endswith("interrupted") and (shop / "report.json").exists()
    assert not listening(port) and not alive(f"ws://127.0.0.1:{port}") and not alive(f"--port {port}")
    assert not list((shop / "temporary").iterdir())


def test_interrupted_in_the_middle_of_repeating_what_was_seen_is_told_as_seen(shop):
    port = free_port()
    process = started(shop, *live(f"ws://127.0.0.1:{port}/ws", "--confirm", 1000, "--server-cmd",
                                  " ".join(uvicorn(port, "leaky:app", shop))))  # fmt: skip
    assert process.stderr is not None
    until(lambda: "repeating" in process.stderr.readline())

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "LEAK  " in out and "seen, not confirmed" in out and "interrupted" in out.splitlines()[-1]


def test_interrupted_while_it_is_made_smaller_it_tells_how_often_it_had_come_again(shop):
    port = free_port()
    process = started(
        shop, *live(f"ws://127.0.0.1:{port}/ws", "--server-cmd", " ".join(uvicorn(port, "leaky:app", shop)))
    )
    assert process.stderr is not None
    until(lambda: "smaller: " in process.stderr.readline())

    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "seen, not confirmed: the search ended when it had come again in 5 of 5" in out


def test_a_server_that_does_not_stop_is_killed_with_its_children(shop):
    (shop / "stubborn.py").write_text(STUBBORN)
    port, other = free_port(), free_port()
    shell = f"sh -c '{sys.executable} stubborn.py {other} x & {sys.executable} stubborn.py {port} y; true'"

    found = ran(live(f"ws://127.0.0.1:{port}/ws", "--tries", 1, "--server-cmd", shell), shop)

    assert found.returncode == 0, found
    assert not listening(port) and not listening(other) and not alive(f"stubborn.py {port}")


def test_replaying_is_killed_as_searching_is(shop):
    port = free_port()
    server = ("--server-cmd", " ".join(uvicorn(port, "leaky:app", shop)))
    file = shop / "live-leak.json"
    failure = {"kind": "leak", "victim": "alice", "owner": "bob", "detail": "done.of", "sentence": "as it was"}
    file.write_text(json.dumps({
        "goldentape_repro": 1, "against": "live", "failure": failure, "target": f"ws://127.0.0.1:{port}/ws",
        "workload": crowd(2, 1, path="/ws").to_json(), "plan": [], "rate": {"failed": 9, "of": 10},
    }))  # fmt: skip
    again = [sys.executable, "-m", "goldentape", "fuzz", "replay", str(file), "--times", "100000", *server]
    process = started(shop, *again)
    until(lambda: listening(port))
    process.kill()
    process.wait()

    until(lambda: not listening(port) and not alive(f"ws://127.0.0.1:{port}"))
    until(lambda: not list((shop / "temporary").iterdir()))


def test_somebody_elses_server_is_left_running(shop):
    port = free_port()
    with Serving(uvicorn(port, "shop:app", shop), port, shop) as server:
        process = started(shop, *live(f"ws://127.0.0.1:{port}/ws", "--tries", 100_000, "--rate", 1000))
        searching(process)
        process.kill()
        process.wait()
        until(lambda: not alive(f"ws://127.0.0.1:{port}"))
        assert server.process.poll() is None and listening(port)


# -- the guard by itself


def test_the_guard_ends_what_it_was_entrusted_and_nothing_that_was_given_back():
    sleeping = [subprocess.Popen(["sleep", "300"], start_new_session=True) for _ in range(2)]
    folder = Path(tempfile.mkdtemp())
    with Guard() as guard:
        guard.remove(str(folder))
        for process in sleeping:
            guard.watch(process.pid)
        guard.release(sleeping[1].pid)
    try:
        assert sleeping[0].wait(10) == -signal.SIGTERM and not folder.exists()
        assert sleeping[1].poll() is None
    finally:
        sleeping[1].kill()
        sleeping[1].wait()


def test_a_guard_that_somebody_has_killed_is_no_reason_to_fail():
    with Guard() as guard:
        os.kill(guard.pid, signal.SIGKILL)
        for group in range(2, 2000):
            guard.release(group)
