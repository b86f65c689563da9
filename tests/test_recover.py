"""After a crash: what was delivered is in the tape, what perhaps was not says so, and a second try changes nothing."""

import fcntl
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from spools import SECOND, Spool, busy, columns, dump, frame, said, with_key
from tapes import write

from goldentape.errors import EnvironmentFault, InputError, TapeError
from goldentape.event import Flag
from goldentape.tape_writer import TapeWriter
from recorder import recover as module
from recorder.claim import claim
from recorder.fold import Fold, lock_fold
from recorder.recover import recover
from recorder.settings import Settings
from recorder.spool import HANDED_OVER, Kind


def crashed(tape) -> Spool:
    """Bob was told everything; of what eve was told, the last two messages may not have left the recorder."""
    spool = Spool(tape)
    spool.begin()
    bob, eve = spool.open("/?user_id=bob"), spool.open("/?user_id=eve")
    spool.c2s(bob, "hello")
    spool.s2c(eve, "one", HANDED_OVER)
    spool.s2c(eve, "two", HANDED_OVER)
    spool.s2c(eve, "three", 0)
    spool.close(bob)
    tick(spool)
    spool.now += 3 * SECOND
    tick(spool)
    spool.writer.close()
    return spool


def tick(spool: Spool) -> None:
    spool.record(Kind.MARK, 0, {"kind": "tick", "data": {"lag": 0}})


def flags(rows) -> dict[bytes, int]:
    return {event[7]: event[11] for event in rows["event"] if event[6] == 1}


def test_the_rest_is_folded_and_the_crash_is_noted(tmp_path):
    spool = crashed(tmp_path / "x.tape")

    found = recover(tmp_path / "x.tape")

    assert found is not None
    assert (found.events, found.lost, found.sealed, found.cut) == (6, 1, False, ())
    rows = dump(tmp_path / "x.tape")
    assert columns(rows, "name", "ending", "closed_by") == [("c1", "clean", "client"), ("c2", "lost", "recorder")]
    assert [m[2] for m in rows["mark"]] == ["begin", "tick", "tick", "crash"]
    assert flags(rows) == {b"hello": 0, b"one": 0, b"two": Flag.DELIVERY_UNKNOWN, b"three": Flag.DELIVERY_UNKNOWN}
    meta = dict(sqlite3.connect(tmp_path / "x.tape").execute("SELECT * FROM meta"))
    assert meta["complete"] == 0
    assert "sealed" not in meta
    assert not spool.directory.exists()
    assert {p.name for p in tmp_path.iterdir()} == {"x.tape", "x.tape.key"}


def test_what_the_kernel_had_for_two_seconds_only_is_in_doubt_too(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    bob, eve, old = spool.open("/?user_id=bob"), spool.open("/?user_id=eve"), spool.open("/?user_id=eve")
    spool.c2s(bob, "early")
    tick(spool)
    spool.now += 3 * SECOND
    spool.c2s(bob, "late", HANDED_OVER)
    spool.s2c(eve, "to eve", HANDED_OVER)
    spool.s2c(eve, "", HANDED_OVER)
    spool.s2c(old, "closed", HANDED_OVER)
    spool.close(old)
    spool.writer.close()

    recover(tmp_path / "x.tape")

    doubt = Flag.DELIVERY_UNKNOWN
    found = flags(dump(tmp_path / "x.tape"))
    assert found == {b"early": 0, b"late": doubt, b"to eve": doubt, b"": doubt, b"closed": 0}


def test_there_is_nothing_to_do_a_second_time_or_without_a_spool(tmp_path):
    crashed(tmp_path / "x.tape")
    recover(tmp_path / "x.tape")
    before = (tmp_path / "x.tape").read_bytes()

    assert recover(tmp_path / "x.tape") is None
    assert (tmp_path / "x.tape").read_bytes() == before


def test_a_living_recorder_is_left_alone(tmp_path):
    spool = crashed(tmp_path / "x.tape")
    lock = os.open(spool.directory / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)

    assert recover(tmp_path / "x.tape") is None

    assert not (tmp_path / "x.tape").exists()
    os.close(lock)
    assert recover(tmp_path / "x.tape") is not None


def test_a_clean_stop_whose_fold_died_is_sealed_as_complete(tmp_path):
    busy(tmp_path / "x.tape")

    found = recover(tmp_path / "x.tape")

    assert found is not None
    assert found.sealed
    meta = dict(sqlite3.connect(tmp_path / "x.tape").execute("SELECT * FROM meta"))
    assert (meta["sealed"], meta["complete"]) == (1, 1)


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize("place", ["seal", "leave_wal", "remove"])
def test_a_recovery_that_dies_can_be_repeated(tmp_path, monkeypatch, clean, place):
    busy(with_key(tmp_path / "x.tape"), stop=clean)
    shutil.copytree(tmp_path, tmp_path / "twin")
    recover(tmp_path / "twin" / "x.tape")
    expected = dump(tmp_path / "twin" / "x.tape")

    class Died(BaseException):
        pass

    def die(*_):
        raise Died

    with monkeypatch.context() as patch:
        if place == "remove":
            patch.setattr(module, "remove", die)
        elif place == "leave_wal":
            patch.setattr("goldentape.tape_writer.TapeWriter.leave_wal", die)
        else:
            patch.setattr("recorder.fold.seal", die)
        if clean or place != "seal":
            with pytest.raises(Died):
                recover(tmp_path / "x.tape")
    recover(tmp_path / "x.tape")

    assert dump(tmp_path / "x.tape") == expected
    assert not (tmp_path / "x.tape.spool").exists()


def test_wherever_the_spool_is_cut_the_tape_is_a_prefix(tmp_path):
    spool = busy(tmp_path / "whole.tape", segment_bytes=1 << 20, rounds=40, stop=False)
    [(name, data)] = spool.raw()
    recover(tmp_path / "whole.tape")
    whole = dump(tmp_path / "whole.tape")
    connections = [row[1] for row in whole["connection"]]
    logs = {c: {d: [m for m in said(whole, c) if m[0] == d] for d in (0, 1)} for c in connections}

    for size in range(0, len(data), 97):
        tape = tmp_path / f"{size}.tape"
        part = Spool(tape, identify=spool.settings.identify)
        part.writer.close()
        (part.directory / name).write_bytes(data[:size])
        recover(tape)
        rows = dump(tape)
        for c in connections:
            for direction in (0, 1):
                log = [m for m in said(rows, c) if m[0] == direction]
                assert log == logs[c][direction][: len(log)]
        assert len(rows["event"]) <= len(whole["event"])
        tape.unlink()


def test_every_flipped_bit_leaves_a_prefix_and_a_mark(tmp_path):
    spool = busy(tmp_path / "whole.tape", segment_bytes=1 << 20, rounds=15, stop=False)
    [(name, data)] = spool.raw()
    recover(tmp_path / "whole.tape")
    whole = dump(tmp_path / "whole.tape")["event"]

    for bit in range(3, len(data) * 8, 1009):
        bent = bytearray(data)
        bent[bit // 8] ^= 1 << bit % 8
        tape = tmp_path / f"{bit}.tape"
        part = Spool(tape, identify=spool.settings.identify)
        part.writer.close()
        (part.directory / name).write_bytes(bent)
        recover(tape)
        rows = dump(tape)
        assert [e[0] for e in rows["event"]] == [e[0] for e in whole[: len(rows["event"])]]
        crash = json.loads(rows["mark"][-1][4])
        assert crash["torn_bytes"] > 0
        tape.unlink()


def test_a_bent_segment_before_others_is_a_gap_for_what_was_open(tmp_path):
    spool = Spool(tmp_path / "x.tape", segment_bytes=1 << 20)
    spool.begin()
    old = spool.open()
    spool.c2s(old, "before")
    spool.c2s(old, "lost")
    spool.writer.rotate()
    spool.c2s(old, "after")
    spool.c2s(spool.open(), "new")
    spool.stop()
    name, data = spool.raw()[0]
    (spool.directory / name).write_bytes(data[:-1] + b"\x00")

    found = recover(tmp_path / "x.tape")

    assert found is not None
    assert found.cut[0]["why"] == "bent record in the spool"
    rows = dump(tmp_path / "x.tape")
    assert said(rows, "c1") == [(0, b"before")]
    assert said(rows, "c2") == [(0, b"new")]
    assert [m[2] for m in rows["mark"]] == ["begin", "gap", "end"]
    meta = dict(sqlite3.connect(tmp_path / "x.tape").execute("SELECT * FROM meta"))
    assert (meta["sealed"], meta["complete"]) == (1, 0)


def test_a_message_cut_by_the_crash_is_not_invented(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    conn = spool.open()
    spool.c2s(conn, frame(1, b"half", mask=True, fin=False))
    spool.writer.close()

    recover(tmp_path / "x.tape")

    assert dump(tmp_path / "x.tape")["event"] == []


def test_a_spool_without_its_settings_is_left_where_it_is(tmp_path):
    spool = crashed(tmp_path / "x.tape")
    (spool.directory / "settings.json").unlink()

    with pytest.raises(EnvironmentFault, match="cannot be read"):
        recover(tmp_path / "x.tape")

    assert spool.raw()


def test_a_tape_that_moved_with_its_spool_is_recovered_where_it_is_now(tmp_path):
    crashed(tmp_path / "x.tape")
    (tmp_path / "there").mkdir()
    for name in ("x.tape.spool",):
        shutil.move(tmp_path / name, tmp_path / "there" / name)

    found = recover(tmp_path / "there" / "x.tape")

    assert found is not None
    assert found.events == 6
    assert not (tmp_path / "x.tape").exists()


def test_a_spool_in_which_nothing_was_written_goes_away(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.writer.close()
    spool.raw()
    for segment in spool.directory.glob("*.seg"):
        segment.unlink()

    assert recover(tmp_path / "x.tape") is None
    assert not spool.directory.exists()


def test_a_spool_in_another_place_is_found_through_the_tape(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    spool = Spool(tmp_path / "x.tape", spool_dir=str(elsewhere))
    spool.begin()
    spool.c2s(spool.open("/?user_id=bob"), "hello")
    fold = Fold(spool.settings)
    fold.step()
    fold.close()
    spool.c2s(1, "again")
    spool.writer.close()

    found = recover(tmp_path / "x.tape")

    assert found is not None
    assert found.events == 1
    assert not elsewhere.exists()


def test_a_tape_cannot_point_at_a_directory_that_does_not_know_it(tmp_path):
    TapeWriter(tmp_path / "x.tape", create=True).close()
    other = Spool(tmp_path / "other.tape")
    other.writer.close()
    with sqlite3.connect(tmp_path / "x.tape") as db:
        db.execute("INSERT INTO meta VALUES ('spool', ?)", (str(other.directory),))
    db.close()

    assert recover(tmp_path / "x.tape") is None
    assert (other.directory / "settings.json").exists()


DAMAGE = {
    "settings of another kind": lambda spool: (spool.directory / "settings.json").write_text("[]"),
    "settings too deep": lambda spool: (spool.directory / "settings.json").write_text("[" * 100_000),
    "a mark that is a list": lambda spool: spool.record(Kind.MARK, 0, b"[]"),
    "a name that no tape can hold": lambda spool: spool.record(Kind.MARK, 0, b'{"kind": "\\ud800"}'),
    "a connection twice": lambda spool: [spool.open("/", name="same") for _ in range(2)],
    "an end by nobody": lambda spool: spool.end(1, "nobody"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_what_cannot_be_brought_in_is_told_in_one_line_and_stays(tmp_path, damage):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    spool.c2s(spool.open("/?user_id=bob"), "hello")
    damage(spool)
    spool.writer.close()
    segment = spool.directory / "00000001.seg"
    before = segment.read_bytes()

    with pytest.raises((EnvironmentFault, OSError)) as fault:
        recover(tmp_path / "x.tape")

    assert len(str(fault.value).splitlines()) == 1 and str(fault.value).isprintable()
    assert segment.read_bytes() == before


@pytest.mark.timeout(60)
def test_a_pipe_among_the_segments_is_not_waited_for(tmp_path):
    spool = crashed(tmp_path / "x.tape")
    os.mkfifo(spool.directory / "00000002.seg")

    with pytest.raises(OSError):
        recover(tmp_path / "x.tape")

    assert flags(dump(tmp_path / "x.tape")).keys() == {b"hello", b"one", b"two", b"three"}


def test_a_full_disk_is_told_in_one_line_and_a_later_try_brings_in_the_rest(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    spool.c2s(spool.open("/?user_id=bob"), "x" * 500_000)
    spool.writer.close()
    command = [sys.executable, "-m", "goldentape", "tape", "ls", str(tmp_path / "x.tape")]

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))

    full = subprocess.run(command, preexec_fn=small_files, capture_output=True, text=True, timeout=60)
    again = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert full.returncode == 3 and full.stderr.startswith("goldentape: error: ") and full.stderr.count("\n") == 1
    assert again.returncode == 0 and "1 events" in again.stdout


def test_a_tape_is_not_gone_on_with_under_another_redaction_key(tmp_path):
    spool = Spool(tmp_path / "x.tape")
    spool.begin()
    fold = Fold(spool.settings)
    fold.step()
    fold.close()
    spool.c2s(spool.open("/?user_id=bob"), "hello")
    spool.writer.close()
    key = Path(f"{tmp_path / 'x.tape'}.key")
    kept = key.read_bytes()

    for change in (lambda: key.unlink(), lambda: key.touch(0o600) or key.write_bytes(bytes(32))):
        change()
        with pytest.raises(InputError, match="redaction key"):
            recover(tmp_path / "x.tape")
    key.write_bytes(kept)

    found = recover(tmp_path / "x.tape")
    assert found is not None and found.events == 1


@pytest.mark.timeout(60)
def test_a_table_that_is_a_view_without_end_holds_up_no_command(tmp_path):
    path = write(tmp_path / "x.tape", "alice > hi")
    with closing(sqlite3.connect(path)) as db:
        db.executescript("""DROP VIEW users; DROP VIEW connections; DROP VIEW events; DROP TABLE meta;
            CREATE VIEW meta AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
            SELECT i AS key, i AS value FROM n""")

    assert recover(path) is None
    with pytest.raises(TapeError, match="schema"):
        claim(Settings(tape=str(path), upstream="ws://127.0.0.1:9", append=True))


def test_files_of_others_in_a_spool_are_left_alone(tmp_path):
    spool = crashed(tmp_path / "x.tape")
    (spool.directory / "notes.txt").write_text("mine")

    recover(tmp_path / "x.tape")

    assert [p.name for p in spool.directory.iterdir()] == ["notes.txt"]


def opened(pid: int, path: Path) -> int:
    """How often a process has a file open."""
    count = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            count += descriptor.readlink() == path
    return count


def test_a_fold_that_outlives_its_recorder_leaves_a_recovered_tape_alone(tmp_path):
    """It may have waited for its turn all the while: what it would open then is a tape that is at rest."""
    spool = crashed(tmp_path / "x.tape")
    settings = spool.directory / "settings.json"
    orphan = [sys.executable, "-m", "recorder.fold", "--settings", settings, "--parent", "999999999"]
    lock = lock_fold(spool.directory)
    with subprocess.Popen(orphan, stderr=subprocess.PIPE, text=True) as waits:
        while not opened(waits.pid, spool.directory / "fold.lock"):
            assert waits.poll() is None
        os.close(lock)
        recover(tmp_path / "x.tape")
        waits.communicate(timeout=30)

    assert (tmp_path / "x.tape").read_bytes()[18:20] == b"\1\1", "not in write-ahead mode"
    assert {p.name for p in tmp_path.iterdir()} == {"x.tape", "x.tape.key"}


def test_the_lock_of_a_spool_that_is_gone_locks_nothing(tmp_path):
    first = lock_fold(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(lock_fold, tmp_path)
        while opened(os.getpid(), tmp_path / "fold.lock") < 2:
            pass
        (tmp_path / "fold.lock").unlink()
        os.close(first)
        with pytest.raises(EnvironmentFault, match="somebody else"):
            second.result()
