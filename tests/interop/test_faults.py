"""The fault matrix with a real recorder process: signals, storage that ends, a fold that dies, many starts."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from harness import PATIENCE, Recording, kept, messages, recorded, until
from servers import WebsocketsServer
from stage import stage
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from goldentape.event import Ending
from goldentape.tape import open_tape
from recorder.recover import recover
from recorder.spool import segments

TALK = [["text", "hello"], ["binary", 2000], ["expect", 2], ["close", 1000, ""], ["ended"]]
MIB = 1 << 20


def whole(tape):
    """A sealed and complete tape without its spool."""
    assert not tape.with_name(tape.name + ".spool").exists()
    with open_tape(tape) as t:
        return t.sealed and t.complete


@pytest.fixture
def staged(tmp_path):
    with stage(WebsocketsServer(), tmp_path / "a.tape", "--drain", "20") as s:
        yield s


async def talkers(port, count):
    return [await connect(f"ws://127.0.0.1:{port}/?user_id=u{i}", proxy=None) for i in range(count)]


def folding(recording):
    """The process id of the fold, as soon as it has begun."""
    until(lambda: (recording.spool / "progress").exists(), "the fold")
    [pid] = recording.folds()
    return pid


# -- F3, F4: signals


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_f3_two_hundred_live_connections_come_to_their_end(staged, number, code):
    s = staged

    async def main():
        clients = await talkers(s.recording.port, 200)
        s.recording.process.send_signal(number)
        while True:  # Nobody new is let in.
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", s.recording.port)
                writer.close()
            except OSError:
                break
            await asyncio.sleep(0.01)
        for i, ws in enumerate(clients):
            await ws.send(f"last words of {i}")
        assert [await ws.recv() for ws in clients] == [f"last words of {i}" for i in range(200)]
        await asyncio.gather(*(ws.close() for ws in clients))

    s.run(main())

    assert s.recording.ended() == code
    assert "sealed" in s.recording.errors
    assert whole(s.tape)
    for i in range(200):
        [connection], events = kept(s.tape, f"u{i}")
        assert connection.ending is Ending.CLEAN
        assert len(messages(events, 0)) == len(messages(events, 1)) == 1


def test_f4_a_second_interrupt_ends_it_at_once_and_the_tape_opens_later(staged):
    s = staged

    async def main():
        [ws] = await talkers(s.recording.port, 1)
        await ws.send("hello")
        await ws.recv()
        s.recording.process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", s.recording.port)
                writer.close()
                await asyncio.sleep(0.01)
        s.recording.process.send_signal(signal.SIGINT)
        with pytest.raises(ConnectionClosed):
            await ws.recv()

    s.run(main())

    assert s.recording.ended() == 130
    assert "at once" in s.recording.errors
    recover(s.tape)
    [connection], events = kept(s.tape, "u0")
    assert connection.ending is Ending.LOST
    assert len(messages(events, 0)) == len(messages(events, 1)) == 1


# -- F5: power loss


def test_f5_wherever_the_spool_is_cut_the_tape_is_a_prefix(tmp_path):
    said = [f"number {i} " + "x" * (i * 37 % 900) for i in range(40)]

    async def main(port):
        [ws] = await talkers(port, 1)
        for message in said:
            await ws.send(message)
            assert await ws.recv() == message
        with contextlib.suppress(WebSocketException):
            r.process.kill()
            await ws.recv()

    with stage(WebsocketsServer(compression=None), tmp_path / "a.tape") as s:
        r = s.recording
        fold = folding(r)
        os.kill(fold, signal.SIGSTOP)  # Everything stays in the spool.
        s.run(main(r.port))
        r.ended()
        os.kill(fold, signal.SIGKILL)
    [(_, segment)] = segments(r.spool)
    size = segment.stat().st_size
    found = set()
    for n, length in enumerate(range(0, size, max(size // 60, 1))):
        here = tmp_path / f"cut{n}"
        here.mkdir()
        tape = here / "a.tape"
        shutil.copytree(r.spool, here / "a.tape.spool")
        for name in ("a.tape", "a.tape-wal", "a.tape.key"):
            if (tmp_path / name).exists():
                shutil.copy(tmp_path / name, here / name)
        os.truncate(here / "a.tape.spool" / segment.name, length)
        recover(tape)
        if not tape.exists():
            continue
        _, events = kept(tape, "u0")
        for direction in (0, 1):
            log = [e.payload.decode() for e in events if e.direction == direction and e.opcode == 1 and not e.flags & 4]
            assert log == said[: len(log)]
            found.add(len(log))
    assert len(found) > 20


# -- F7, F10: storage


async def pump(port, user, sent, got):
    """Send until the connection ends."""
    with contextlib.suppress(WebSocketException, OSError):
        async with connect(f"ws://127.0.0.1:{port}/?user_id={user}", proxy=None, compression=None) as ws:
            for i in range(100_000):
                sent.append(f"{i} " + "x" * 5000)
                await ws.send(sent[-1])
                got.append(await ws.recv())


def storage_ended(recording, *words):
    """Exit 3, with one line that says why."""
    assert recording.ended() == 3, recording.errors
    [line] = [line for line in recording.said if line.startswith("goldentape: error:")]
    for word in words:
        assert word in line
    assert "Traceback" not in recording.errors


def a_prefix(tape, user, sent, got):
    recover(tape)
    _, events = kept(tape, user)
    for direction in (0, 1):
        log = [e.payload.decode() for e in events if e.direction == direction and e.opcode == 1 and not e.flags & 4]
        assert log == sent[: len(log)]
    assert log[: len(got)] == got, "what the client received is on the tape"
    assert len(got) > 10


def test_f7_a_file_size_limit_ends_the_recording_with_what_was_delivered(tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, resource.RLIM_INFINITY))

    sent, got = [], []
    with stage(WebsocketsServer(), tmp_path / "a.tape", preexec_fn=limit) as s:
        s.run(pump(s.recording.port, "alice", sent, got))
        storage_ended(s.recording, "a.tape", "bytes free")
    a_prefix(s.tape, "alice", sent, got)


def mounted(place, options):
    """Mount an empty file system where that is allowed."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.fixture
def small(tmp_path):
    yield from mounted(tmp_path / "small", "size=3m")


@pytest.fixture
def read_only(tmp_path):
    yield from mounted(tmp_path / "read-only", "ro")


def test_f7_a_full_disk_ends_the_recording_with_what_was_delivered(small, tmp_path):
    sent, got = [], []
    with stage(WebsocketsServer(), small / "a.tape") as s:
        s.run(pump(s.recording.port, "alice", sent, got))
        storage_ended(s.recording, "a.tape", "bytes free")
    for name in ("a.tape", "a.tape-wal", "a.tape.key"):
        if (small / name).exists():
            shutil.copy(small / name, tmp_path / name)
    shutil.copytree(small / "a.tape.spool", tmp_path / "a.tape.spool")
    a_prefix(tmp_path / "a.tape", "alice", sent, got)


@pytest.mark.parametrize("how", ["unlinked", "replaced", "spool removed"])
def test_f10_a_tape_that_somebody_removes_ends_the_recording(staged, how):
    s = staged
    folding(s.recording)
    sent, got = [], []

    async def main():
        task = asyncio.ensure_future(pump(s.recording.port, "alice", sent, got))
        while len(got) < 5:
            await asyncio.sleep(0)
        if how == "spool removed":
            shutil.rmtree(s.recording.spool, ignore_errors=True)
        else:
            s.tape.unlink()
        if how == "replaced":
            s.tape.write_bytes(b"something else")
        await asyncio.wait_for(task, PATIENCE)

    s.run(main())

    storage_ended(s.recording, "a.tape")


def test_f10_a_directory_that_cannot_be_written_is_refused_before_listening(read_only):
    command = ["-m", "goldentape", "record", str(read_only / "a.tape"), "--upstream", "ws://127.0.0.1:9"]
    result = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=PATIENCE)

    assert result.returncode == 3
    assert result.stderr.startswith("goldentape: error: ") and result.stderr.count("\n") == 1


# -- F11: the fold


def test_f11_a_fold_that_is_killed_again_and_again_loses_nothing(staged):
    s = staged
    fold = folding(s.recording)
    sent, got = [], []

    async def main():
        async with connect(f"ws://127.0.0.1:{s.recording.port}/?user_id=alice", proxy=None) as ws:
            killed = set()
            for i in range(3000):
                sent.append(f"number {i} " + "x" * (i % 700))
                await ws.send(sent[-1])
                got.append(await ws.recv())
                alive = set(s.recording.folds()) - killed
                if i % 60 == 59 and len(killed) < 6 and alive:
                    os.kill(min(alive), signal.SIGKILL)
                    killed |= alive
            return killed

    killed = s.run(main())

    assert fold in killed
    assert s.recording.stop() == 0
    assert "starting it again" in s.recording.errors
    assert whole(s.tape)
    _, events = kept(s.tape, "alice")
    for direction in (0, 1):
        assert [e.payload.decode() for e in events if e.direction == direction and e.opcode == 1] == sent == got


def test_f11_a_fold_that_is_stopped_keeps_nobody_waiting(staged):
    s = staged
    fold = folding(s.recording)
    os.kill(fold, signal.SIGSTOP)
    mine, theirs = s.play("websockets", TALK, port=s.recording.port, user="alice")
    assert kept(s.tape, "alice") == ([], [])
    os.kill(fold, signal.SIGCONT)

    _, events = recorded(s.tape, "alice")

    assert messages(events, 0) == theirs["got"][:-1]
    assert messages(events, 1) == mine["got"][:-1]


# -- F13: again and again


def test_f13_twenty_runs_on_one_tape_are_one_tape(tmp_path):
    tape = tmp_path / "a.tape"
    with stage(WebsocketsServer(), tape) as s:
        for run in range(20):
            r = s.recording if run == 0 else Recording(tape, f"ws://127.0.0.1:{s.server.port}", "--append")
            with r:
                s.play("websockets", TALK, port=r.port, user=f"run-{run}")
                if run < 19:
                    r.process.kill()
                else:
                    assert r.stop() == 0
                r.ended()
    with open_tape(tape) as t:
        assert [e.number for e in t.epochs] == list(range(20))
        assert [c.user for c in t.connections()] == [f"run-{run}" for run in range(20)]
        seqs = [e.seq for e in t.events()]
        times = [e.t for e in t.events()]
        assert t.sealed and not t.complete, "nineteen crashes stay visible"
        events = {u.name: u.events for u in t.users()}
    assert seqs == sorted(set(seqs))
    assert times == sorted(times)
    assert set(events.values()) == {6}


# -- F14: the upstream


@pytest.mark.parametrize(
    ("upstream", "args", "status"),
    [
        ("ws://127.0.0.1:1", (), 502),
        ("ws://no-such-host.invalid:80", (), 502),
        ("wss://127.0.0.1:{port}", (), 502),
        ("wss://127.0.0.1:{port}", ("--insecure",), 502),
    ],
)
def test_f14_an_upstream_that_cannot_be_reached_is_answered_and_recorded(tmp_path, upstream, args, status):
    # It speaks no TLS, and nothing else either.
    with socket.create_server(("127.0.0.1", 0)) as mute:

        async def main(port):
            with pytest.raises(WebSocketException) as refused:
                async with connect(f"ws://127.0.0.1:{port}/?user_id=alice", proxy=None, open_timeout=PATIENCE):
                    pass
            return refused.value.response.status_code

        async def hang_up():
            loop = asyncio.get_running_loop()
            mute.setblocking(False)
            other, _ = await loop.sock_accept(mute)
            other.close()

        url = upstream.format(port=mute.getsockname()[1])
        with stage(WebsocketsServer(), tmp_path / "a.tape", *args, upstream=url) as s:
            if "{port}" in upstream:
                asyncio.run_coroutine_threadsafe(hang_up(), s.run.loop)
            assert s.run(main(s.recording.port)) == status
            [connection], _ = recorded(s.tape, "alice")

    assert (connection.status, connection.ending, connection.closed_by) == (status, Ending.REFUSED, "recorder")
