"""Writing a tape: private, never over something else, each user's log one run with one chain."""

import os
import sqlite3
import threading

import pytest
from spools import check_chains

from goldentape.errors import EnvironmentFault, TapeError
from goldentape.event import Connection, Ending, Flag
from goldentape.tape_writer import LARGE, Row, TapeWriter


def row(user: int, seq: int, payload: bytes = b"hello", opcode: int = 1, **more) -> Row:
    values = {
        "connection": 1,
        "n": seq,
        "t": seq,
        "direction": 0,
        "size": len(payload),
        "wire": len(payload),
        "frames": 1,
    }
    return Row(user=user, seq=seq, opcode=opcode, payload=payload, **{**values, **more})


@pytest.fixture
def writer(tmp_path):
    writer = TapeWriter(tmp_path / "x.tape", create=True)
    writer.begin()
    yield writer
    writer.close()


def stored(writer) -> list[tuple]:
    """(user, seq, payload, flags) in the order of the file; the chains are checked on the way."""
    writer.commit()
    with sqlite3.connect(writer.path) as db:
        check_chains(db)
        rows = db.execute("SELECT id >> 40, id & 1099511627775, payload, flags FROM event ORDER BY id").fetchall()
    writer.begin()
    return rows


def test_a_tape_is_private_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        writer = TapeWriter(tmp_path / "x.tape", create=True)
        writer.begin()
        writer.commit(key="value")
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        writer.close()
    finally:
        os.umask(old)

    assert modes == {"x.tape": 0o600, "x.tape-wal": 0o600, "x.tape-shm": 0o600}


@pytest.mark.parametrize("what", ["file", "symlink", "dangling", "directory", "tape"])
def test_nothing_that_is_there_is_written_over(tmp_path, what):
    path, other = tmp_path / "x.tape", tmp_path / "other"
    other.write_bytes(b"precious")
    if what == "file":
        path.write_bytes(b"precious")
    elif what == "symlink":
        path.symlink_to(other)
    elif what == "dangling":
        path.symlink_to(tmp_path / "nowhere")
    elif what == "directory":
        path.mkdir()
    else:
        TapeWriter(path, create=True).close()
    before = {p.name: p.lstat().st_mtime_ns for p in tmp_path.iterdir()}

    with pytest.raises(EnvironmentFault, match="exists"):
        TapeWriter(path, create=True)

    assert {p.name: p.lstat().st_mtime_ns for p in tmp_path.iterdir()} == before
    assert other.read_bytes() == b"precious"


def test_a_tape_is_not_reopened_through_a_symbolic_link(tmp_path):
    TapeWriter(tmp_path / "x.tape", create=True).close()
    (tmp_path / "link").symlink_to(tmp_path / "x.tape")

    with pytest.raises(EnvironmentFault):
        TapeWriter(tmp_path / "link", create=False)


@pytest.mark.parametrize(
    "change",
    [
        "PRAGMA application_id = 1",
        "PRAGMA user_version = 2",
        "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM event; END",
        "CREATE TABLE more (x)",
        "DROP VIEW events",
    ],
)
def test_a_file_that_is_not_our_tape_is_not_written(tmp_path, change):
    TapeWriter(tmp_path / "x.tape", create=True).close()
    with sqlite3.connect(tmp_path / "x.tape") as db:
        db.execute(change)
    db.close()

    with pytest.raises(TapeError):
        TapeWriter(tmp_path / "x.tape", create=False)


def test_half_a_tape_is_never_seen(tmp_path, monkeypatch):
    def die(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", die)

    with pytest.raises(EnvironmentFault, match="No space"):
        TapeWriter(tmp_path / "x.tape", create=True)

    assert list(tmp_path.iterdir()) == []


def test_each_user_is_one_run_of_the_file(writer):
    bob, eve = writer.user("bob", "r"), writer.user("eve", "r")
    writer.add_events([row(eve, 1), row(bob, 2), row(eve, 3)])
    writer.add_events([row(bob, 4), row(eve, 5)])

    assert [r[:2] for r in stored(writer)] == [(bob, 2), (bob, 4), (eve, 1), (eve, 3), (eve, 5)]


def test_text_stays_text_and_what_is_not_utf8_is_a_flagged_blob(writer):
    user = writer.user("bob", "r")
    cut = int(Flag.TRUNCATED)
    large, bad = "é".encode() * LARGE, b"\xff" * (LARGE + 1)
    writer.add_events(
        [
            row(user, 1, "grüße".encode()),
            row(user, 2, b"\xff\xfe"),
            row(user, 3, b"bytes", opcode=2),
            row(user, 4, b"cut", size=9, flags=cut, sha256=bytes(32)),
            row(user, 5, large),
            row(user, 6, bad),
            row(user, 7, b"\x00a\x00"),
        ]
    )

    found = [(payload, flags) for _, _, payload, flags in stored(writer)]

    malformed = int(Flag.MALFORMED)
    assert found == [
        ("grüße", 0),
        (b"\xff\xfe", malformed),
        (b"bytes", 0),
        ("cut", cut),
        (large.decode(), 0),
        (bad, malformed),
        ("\x00a\x00", 0),
    ]


def test_an_event_that_waited_for_its_user_takes_its_place_and_the_chain_is_made_anew(writer):
    bob, eve = writer.user("bob", "r"), writer.user("eve", "r")
    writer.add_events([row(bob, 1), row(eve, 2), row(bob, 5), row(bob, 6)])
    writer.commit()
    writer.begin()

    writer.add_events([row(bob, 3), row(bob, 4), row(bob, 7), row(eve, 8)])

    assert [seq for user, seq, *_ in stored(writer) if user == bob] == [1, 3, 4, 5, 6, 7]


def test_events_that_were_perhaps_not_delivered_are_flagged_and_chained(writer):
    bob = writer.user("bob", "r")
    writer.add_events([row(bob, seq, direction=seq % 2, connection=1 + seq // 5) for seq in range(1, 10)])

    writer.delivery_unknown(bob, [1], 2, [1])
    writer.rechain(bob, 2)

    assert [seq for _, seq, _, flags in stored(writer) if flags] == [3]


def test_a_reopened_tape_goes_on_with_its_chains_and_numbers(writer, tmp_path):
    bob = writer.user("bob", "r")
    writer.add_epoch(
        {
            "epoch": 0, "recorder": "r", "wall": 1, "t": 0, "first_seq": 1, "upstream": "u", "listen": "l",
            "durability": "process", "insecure": 0, "redaction_key": "k", "software": "s", "options": "{}",
        }
    )  # fmt: skip
    connection = Connection(
        id="c", user="bob", epoch=0, client="x", target="/", key=None, request=(), status=101, reason=None, response=(),
        body=None, subprotocol=None, extensions=None, credential="none", credential_expires=None, opened=0, accepted=1,
        closed=None, close_code=None, close_reason=None, closed_by=None, ending=Ending.OPEN,
    )  # fmt: skip
    assert writer.add_connection(connection) == 1
    writer.add_events([row(bob, 1)])
    writer.commit(note="kept")
    with pytest.raises(EnvironmentFault, match="another process writes"):
        TapeWriter(tmp_path / "x.tape", create=False)
    writer.close()

    again = TapeWriter(tmp_path / "x.tape", create=False)
    again.begin()
    assert (again.user("bob", "r"), again.user("eve", "r"), again.next_connection) == (1, 2, 2)
    assert (again.events, again.users, again.meta("note"), again.meta("none", 7)) == (1, 2, "kept", 7)
    again.add_events([row(1, 2), row(2, 3)])
    assert len(stored(again)) == 3
    again.close()


def test_leaving_the_write_ahead_log_leaves_one_file(writer, tmp_path):
    writer.add_events([row(writer.user("bob", "r"), 1)])
    writer.commit()

    writer.leave_wal()

    assert [p.name for p in tmp_path.iterdir()] == ["x.tape"]
    writer.begin()


def test_a_reader_is_waited_for(writer):
    writer.commit()
    reader = sqlite3.connect(writer.path, check_same_thread=False)
    reader.execute("SELECT * FROM meta").fetchall()
    with pytest.raises(EnvironmentFault, match="still reads"):
        writer.leave_wal(patience=0.1)

    threading.Timer(0.3, reader.close).start()
    writer.leave_wal()

    assert not writer.path.with_name("x.tape-wal").exists()
    writer.begin()
