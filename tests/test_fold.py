"""The fold: spool in, tape out; the same tape however often it is killed, and a prefix wherever the spool is cut."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from spools import Spool, as_child, busy, columns, dump, frame, said, with_key

from goldentape import seal
from goldentape.event import Flag
from recorder.fold import Fold
from recorder.spool import HANDED_OVER, Kind


def folded(spool: Spool) -> dict[str, list]:
    assert as_child(spool.settings) == 0
    return dump(spool.settings.tape)


def restarted(spool: Spool, every: int, block: int) -> dict[str, list]:
    """Fold in small blocks, with a new Fold after each `every` of them, as if it had been killed there."""
    for _ in range(100_000):
        fold = Fold(spool.settings, block)
        try:
            places = {fold.writer.meta("spool_offset")}
            while len(places) <= every and not fold.folder.closed:
                fold.step()
                places.add(fold.writer.meta("spool_offset"))
            if fold.folder.closed:
                fold.seal()
                return dump(spool.settings.tape)
        finally:
            fold.close()
    raise AssertionError("the fold does not come to an end")


def test_a_conversation_is_stored_in_order_under_its_user(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    bob, eve = spool.open("/?user_id=bob"), spool.open("/?user_id=eve")
    spool.c2s(bob, "hello")
    spool.s2c(eve, "welcome")
    spool.s2c(bob, "hi")
    spool.close(bob, 1000, "bye")
    spool.close(eve)
    spool.stop()

    rows = folded(spool)

    bye, empty = b"\x03\xe8bye", b"\x03\xe8"
    assert [(e[1], e[2], e[3], e[5], e[6], e[7]) for e in rows["event"]] == [
        ("bob", "c1", 0, 0, 1, b"hello"),
        ("eve", "c2", 0, 1, 1, b"welcome"),
        ("bob", "c1", 1, 1, 1, b"hi"),
        ("bob", "c1", 2, 0, 8, bye),
        ("bob", "c1", 3, 1, 8, bye),
        ("eve", "c2", 1, 0, 8, empty),
        ("eve", "c2", 2, 1, 8, empty),
    ]
    assert columns(rows, "name", "status", "close_code", "close_reason", "closed_by", "ending") == [
        ("c1", 101, 1000, "bye", "client", "clean"),
        ("c2", 101, 1000, "", "client", "clean"),
    ]
    assert [(m[2], json.loads(m[4])) for m in rows["mark"]] == [("begin", {"epoch": 0}), ("end", {})]


def test_a_clean_stop_leaves_one_sealed_file_and_an_empty_spool(tmp_path):
    spool = busy(tmp_path / "x.tape")

    folded(spool)

    assert {p.name for p in tmp_path.iterdir()} == {"x.tape", "x.tape.key", "x.tape.spool"}
    assert {p.name for p in spool.directory.iterdir()} == {"settings.json", "fold.lock", "progress"}
    db = sqlite3.connect(tmp_path / "x.tape")
    meta = dict(db.execute("SELECT * FROM meta"))
    assert (meta["sealed"], meta["complete"]) == (1, 1)
    assert meta["head"] == seal.head(db.execute)
    assert json.loads((spool.directory / "progress").read_text())["state"] == "sealed"


ENDINGS = {
    "both close frames": (lambda s, c: s.close(c, 1001), (1001, "client", "clean")),
    "the server closes first": (
        lambda s, c: (
            s.s2c(c, frame(8, b"\x03\xf3", mask=False)),
            s.c2s(c, frame(8, b"\x03\xf3", mask=True)),
            s.end(c, "client"),
        ),
        (1011, "server", "clean"),
    ),
    "a close frame without an answer": (
        lambda s, c: (s.c2s(c, frame(8, b"", mask=True)), s.end(c, "client")),
        (None, "client", "eof"),
    ),
    "the server goes away": (lambda s, c: s.end(c, "server", "eof"), (None, "server", "eof")),
    "the client resets": (lambda s, c: s.end(c, "client", "reset"), (None, "client", "reset")),
    "half-closed, then reset": (
        lambda s, c: (s.end(c, "client", "eof", final=False), s.end(c, "server", "reset")),
        (None, "client", "eof"),
    ),
    "the recorder drains": (lambda s, c: s.end(c, "recorder", "drain"), (None, "recorder", "lost")),
    "still open at the stop": (lambda s, c: None, (None, "recorder", "lost")),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_each_ending_is_told_from_the_others(tmp_path, how):
    act, expected = ENDINGS[how]
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    act(spool, spool.open())
    spool.stop()

    assert columns(folded(spool), "close_code", "closed_by", "ending") == [expected]


def test_a_refused_handshake_is_a_connection_without_events(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    refused = spool.open("/?token=canary-canary-canary", status="401 Unauthorized", answer="X-Why: no\r\n")
    spool.record(Kind.BODY, refused, b"go ")
    spool.record(Kind.BODY, refused, b"away")
    spool.end(refused, "server", "refused")
    never = spool.open(status="")
    spool.end(never, "client", "eof")
    spool.record(Kind.OPEN, 9, {"id": "nothing", "client": "127.0.0.1:1"})
    spool.end(9, "client", "timeout")
    spool.stop()

    rows = folded(spool)

    assert columns(rows, "status", "reason", "body", "accepted", "ending") == [
        (401, "Unauthorized", b"go away", None, "refused"),
        (None, None, None, None, "refused"),
        (None, None, None, None, "refused"),
    ]
    assert "canary" not in columns(rows, "target")[0][0]
    assert rows["event"] == []


def test_no_secret_reaches_the_tape_in_a_reason_or_a_mark(tmp_path):
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c4n4ry-c4n4ry"
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    refused = spool.open("/?token=c4n4ry-c4n4ry-c4n4ry", status=f"401 no {jwt}")
    spool.end(refused, "server", "refused")
    spool.record(Kind.MARK, 0, {"kind": "fault", "data": {"password": "c4n4ry", "of": ["c4n4ry-c4n4ry-c4n4ry", 7]}})
    spool.record(Kind.MARK, 0, {"kind": "plain", "data": {"what": "redis", "n": 1.5}})
    spool.stop()

    rows = folded(spool)

    assert columns(rows, "reason")[0][0].startswith("no [r:jwt:")
    marks = {mark[2]: json.loads(mark[4]) for mark in rows["mark"]}
    assert marks["fault"]["password"].startswith("[r:") and marks["fault"]["of"][1] == 7
    assert marks["plain"] == {"what": "redis", "n": 1.5}
    assert b"c4n4ry" not in (tmp_path / "x.tape").read_bytes()


def test_bytes_that_came_before_the_response_belong_to_the_connection(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    conn = spool.open("/?user_id=bob", status="")
    spool.c2s(conn, "early")
    spool.record(Kind.RESPONSE, conn, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    spool.c2s(conn, "late")
    spool.stop()

    assert said(folded(spool), "c1") == [(0, b"early"), (0, b"late")]


def test_where_the_protocol_breaks_there_is_a_mark_and_everything_before(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    conn = spool.open()
    spool.c2s(conn, frame(1, b"fine", mask=True) + b"\x83\x80abcd" + frame(1, b"lost", mask=True))
    spool.s2c(conn, "the other direction goes on")
    spool.c2s(conn, "more")
    spool.end(conn, "server")
    spool.stop()

    rows = folded(spool)

    assert said(rows, "c1") == [(0, b"fine"), (1, b"the other direction goes on")]
    [mark] = [m for m in rows["mark"] if m[2] == "malformed"]
    assert json.loads(mark[4]) == {"direction": "c2s", "offset": 10, "why": "unknown opcode 3"}


def test_text_that_is_not_utf8_and_messages_cut_by_the_end_are_kept_and_flagged(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    conn = spool.open()
    spool.c2s(conn, frame(1, b"\xff\xfe", mask=True))
    spool.s2c(conn, frame(1, b"part", mask=False, fin=False))
    spool.end(conn, "server", "reset")
    spool.stop()

    rows = folded(spool)

    assert [(e[5], e[7], e[11]) for e in rows["event"]] == [
        (0, b"\xff\xfe", Flag.MALFORMED),
        (1, b"part", Flag.MALFORMED),
    ]
    assert [json.loads(m[4])["why"] for m in rows["mark"] if m[2] == "malformed"] == [
        "the stream ended inside a message"
    ]


def test_events_wait_for_the_message_that_names_their_user(tmp_path):
    spool = Spool(tmp_path / "x.tape", identify=("message:user", "query:user_id"))
    spool.begin()
    known, late = spool.open("/?user_id=bob"), spool.open()
    spool.s2c(late, "welcome")
    spool.c2s(known, "before")
    spool.c2s(late, '{"user": "bob"}')
    spool.s2c(late, "named")
    spool.c2s(known, "after")
    never = spool.open()
    spool.c2s(never, "who am I")
    spool.stop()

    rows = folded(spool)

    # Both of bob's connections are in one log, in the order of happening, although one waited for its name.
    assert [(e[1], e[7]) for e in rows["event"]] == [
        ("bob", b"welcome"),
        ("bob", b"before"),
        ("bob", b'{"user": "bob"}'),
        ("bob", b"named"),
        ("bob", b"after"),
        ("connection:c3", b"who am I"),
    ]
    assert [name for _, name, _, _ in rows["user"]] == ["bob", "connection:c3"]


def test_a_name_that_comes_too_late_begins_a_new_span(tmp_path):
    spool = Spool(tmp_path / "x.tape", identify=("message:user",))
    spool.begin()
    conn = spool.open()
    for i in range(64):
        spool.s2c(conn, f"{i}")
    spool.c2s(conn, '{"user": "bob"}')
    spool.c2s(conn, "mine")
    spool.c2s(conn, '{"user": "eve"}')
    spool.stop()

    rows = folded(spool)

    assert [e[1] for e in rows["event"]] == ["connection:c1"] * 64 + ["bob"] * 2 + ["eve"]
    assert len(rows["identity"]) == 3
    assert columns(rows, "user") == [(3,)]


def test_nothing_waits_longer_than_ten_seconds(tmp_path):
    spool = Spool(tmp_path / "x.tape", identify=("message:user",))
    spool.begin()
    conn = spool.open()
    spool.s2c(conn, "hello?")
    spool.now += 11_000_000_000
    spool.record(Kind.MARK, 0, {"kind": "tick", "data": {}})
    fold = Fold(spool.settings)

    fold.step()

    assert [e[1] for e in dump(spool.settings.tape)["event"]] == ["connection:c1"]
    fold.close()


def test_tape_time_begins_at_zero_and_goes_on_in_a_second_epoch(tmp_path):
    first = Spool(tmp_path / "x.tape")
    first.begin()
    first.open("/?user_id=bob")
    first.writer.close()
    fold = Fold(first.settings)
    fold.to_end()
    fold.writer.begin()
    fold.folder.lose(fold.folder.t)
    fold.commit(spool_over=2)
    fold.close()
    shutil.rmtree(first.directory)

    second = Spool(tmp_path / "x.tape", append=True)
    second.begin("r2", wall=1_700_000_100 * 1_000_000_000)
    second.c2s(second.open("/?user_id=bob", name="again"), "hello")
    second.stop()
    rows = folded(second)

    assert [(e[0], e[1], e[3], e[4]) for e in rows["epoch"]] == [
        (0, "r1", 0, 1),
        (1, "r2", 100_000_000_000, 3),
    ]
    assert [c[:3] for c in rows["connection"]] == [(1, "c1", 0), (2, "again", 1)]
    assert rows["event"][0][0] > rows["epoch"][1][4]
    assert rows["event"][0][4] > 100_000_000_000


def test_a_gap_ends_what_was_open_and_the_tape_is_never_complete(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    old = spool.open()
    spool.c2s(old, "before")
    spool.record(Kind.MARK, 0, {"kind": "gap", "data": {"why": "storage"}})
    spool.c2s(old, "after")
    new = spool.open()
    spool.c2s(new, "whole")
    spool.stop()

    rows = folded(spool)

    assert said(rows, "c1") == [(0, b"before")]
    assert said(rows, "c2") == [(0, b"whole")]
    assert sqlite3.connect(spool.settings.tape).execute("SELECT value FROM meta WHERE key = 'complete'").fetchone() == (
        0,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The tape of the busy spool, folded at one go."""
    tmp = tmp_path_factory.mktemp("whole")
    return folded(busy(with_key(tmp / "x.tape")))


@pytest.mark.parametrize(("every", "block"), [(1, 100), (1, 700), (2, 700), (3, 5000), (7, 300), (1000, 10)])
def test_a_fold_that_is_restarted_at_any_block_writes_the_same_tape(tmp_path, whole, every, block):
    spool = busy(with_key(tmp_path / "x.tape"))

    assert restarted(spool, every, block) == whole


def test_old_segments_go_when_a_checkpoint_has_what_they_held(tmp_path):
    spool = busy(tmp_path / "x.tape")
    segments = len(spool.raw())
    fold = Fold(spool.settings)

    left = []
    while not fold.folder.closed:
        fold.step()
        left.append(len(spool.raw()))
    fold.close()

    assert segments > 5
    assert left[-1] == 1


def test_a_message_too_large_to_keep_keeps_its_segments(tmp_path):
    spool = Spool(tmp_path / "x.tape", segment_bytes=50_000, max_stored=1000)
    spool.begin()
    conn = spool.open("/?user_id=bob")
    data = frame(2, bytes(range(250)) * 1000, mask=True)
    for start in range(0, len(data), 10_000):
        spool.c2s(conn, data[start : start + 10_000])
    spool.c2s(conn, "small")
    spool.stop()

    rows = restarted(spool, 1, 20_000)

    assert [(e[8], len(e[7]), bool(e[11] & Flag.TRUNCATED)) for e in rows["event"]] == [
        (250_000, 1000, True),
        (5, 5, False),
    ]


def run_fold(spool: Spool, *before: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "recorder.fold", "--settings", str(spool.directory / "settings.json")]
    return subprocess.Popen([*before, *command], stderr=subprocess.PIPE)


def test_a_fold_killed_at_random_times_ends_with_the_same_tape(tmp_path, whole):
    spool = busy(with_key(tmp_path / "x.tape"))
    kills = 0
    for delay in range(1000):
        process = run_fold(spool)
        try:
            # The first ones die while they start, the later ones at work; in the end one gets through.
            if delay == 0:
                raise subprocess.TimeoutExpired(process.args, 0)
            _, errors = process.communicate(timeout=0.15 + 0.01 * delay)
            assert process.returncode == 0, errors
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            kills += 1

    assert kills > 0
    assert dump(spool.settings.tape) == whole


@pytest.mark.parametrize("deleted", range(8))
def test_a_fold_killed_while_it_clears_the_spool_comes_to_an_end(tmp_path, whole, monkeypatch, deleted):
    class Killed(BaseException):
        pass

    spool = busy(with_key(tmp_path / "x.tape"))
    fold = Fold(spool.settings)
    while not fold.folder.closed:
        fold.step()
    left, unlink = [deleted], Path.unlink

    def delete(path, missing_ok=False):
        if not left[0]:
            raise Killed
        left[0] -= 1
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", delete)
    try:
        fold.seal()
    except Killed:
        pass
    monkeypatch.undo()
    fold.close()

    assert as_child(spool.settings) == 0
    assert dump(spool.settings.tape) == whole


def may_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_trace(), reason="strace is missing or ptrace is denied here")
@pytest.mark.timeout(300)
def test_a_fold_killed_at_the_nth_write_ends_with_the_same_tape(tmp_path, whole):
    spool = busy(with_key(tmp_path / "x.tape"))
    for n in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144):
        calls = f"inject=write,pwrite64,fsync,fdatasync,rename,unlink:signal=SIGKILL:when={n}"
        process = run_fold(spool, "strace", "-f", "-o", os.devnull, "-e", "trace=write,pwrite64", "-e", calls)
        _, errors = process.communicate()
        if process.returncode == 0:
            break
    if process.returncode != 0:
        _, errors = (process := run_fold(spool)).communicate()
        assert process.returncode == 0, errors

    assert dump(spool.settings.tape) == whole


def test_the_fold_ends_when_its_recorder_is_gone(tmp_path):
    spool = busy(tmp_path / "x.tape", stop=False)
    code = (
        "import subprocess, sys;"
        " p = subprocess.Popen([sys.executable, '-m', 'recorder.fold', '--settings', sys.argv[1]]);"
        " print(p.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(spool.directory / "settings.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    while not (spool.directory / "progress").exists():
        time.sleep(0.01)

    parent.kill()
    parent.communicate()

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and os.path.exists(f"/proc/{child}"):  # noqa: PTH110
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{child}")  # noqa: PTH110


def test_a_bent_record_stops_a_living_fold_with_one_line(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    spool.c2s(spool.open(), "hello", HANDED_OVER)
    [(name, data)] = spool.raw()
    (spool.directory / name).write_bytes(data[:-1] + b"\x00")

    process = run_fold(spool)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 3
    assert errors.decode().startswith("goldentape: error: ")
    assert "the spool is damaged" in errors.decode()
    assert errors.count(b"\n") == 1


def test_storage_that_refuses_ends_the_fold_with_one_line(tmp_path):
    spool = busy(tmp_path / "x.tape", rounds=400)

    process = run_fold(spool, "sh", "-c", 'ulimit -f 100; exec "$@"', "sh")
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 3, errors
    assert errors.decode().startswith("goldentape: error: ")
    process = run_fold(spool)
    assert process.wait() == 0, process.communicate()[1]
    dump(spool.settings.tape)
