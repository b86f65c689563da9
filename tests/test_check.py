"""Checking a tape: whatever was changed, removed, added or moved is found, and where it can be, named."""

import shutil
import sqlite3
from contextlib import closing
from random import Random

import pytest
from tapes import Writer, home, write

from goldentape.check import check, expect_head
from goldentape.errors import GoldentapeError, InputError, TapeError
from goldentape.seal import head as compute_head
from goldentape.tape import open_tape
from goldentape.tape_writer import SEQ_BITS, SEQ_MASK

CHAT = [
    sentence
    for k in range(40)
    for sentence in (f'alice > {{"type": "ask", "k": {k}}}', f'alice < {{"type": "answer", "k": {k}}}', f"bob > #{k}")
] + ["get /login 200", 'mark fault_begin {"kind": "cut"}', "alice < (close 1000 bye)", "alice > (close 1000)"]


@pytest.fixture
def sealed(tmp_path):
    return write(tmp_path / "chat.tape", *CHAT)


def seqs(path):
    with closing(sqlite3.connect(path)) as db:
        return [row[0] & SEQ_MASK for row in db.execute("SELECT id FROM event ORDER BY id & ?", (SEQ_MASK,))]


def edit(path, *statements):
    """What somebody with sqlite3 would do to it."""
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


def damage(path):
    with open_tape(path, quick_check=False) as tape:
        return check(tape).damage


def noticed(path):
    """Whether reading and checking the file ends in one of our own errors, and in no other."""
    try:
        with open_tape(path, quick_check=False) as tape:
            check(tape).demand(tape)
    except GoldentapeError:
        return True
    return False


def test_a_tape_as_it_was_recorded_passes(sealed):
    with open_tape(sealed) as tape:
        found = check(tape)

        assert (found.damage, found.events, found.users, found.state) == ((), 122, 2, "sealed")
        assert found.head == tape.head
        found.demand(tape)


def test_a_tape_without_a_seal_is_checked_by_its_links(tmp_path):
    path = write(tmp_path / "open.tape", *CHAT, seal=False)

    assert damage(path) == ()
    edit(path, f"UPDATE event SET payload = 'x' WHERE id & {SEQ_MASK} = {seqs(path)[30]}")
    assert damage(path)[0].seq == seqs(path)[30]


@pytest.mark.parametrize(
    "change",
    [
        "payload = 'another'", "t = t + 1", "direction = 1 - direction", "opcode = 2", "size = size + 1", "n = n + 1",
        "connection = 3 - connection", "wire = wire + 1", "frames = 2", "flags = flags | 8", "link = zeroblob(32)",
        "salt = zeroblob(16)", "sha256 = zeroblob(32)", "flags = flags | 64", "payload = CAST(payload AS BLOB)",
        "payload = NULL", "salt = NULL", "size = -1",
    ],
)  # fmt: skip
def test_a_changed_column_names_the_event(sealed, change):
    for seq in (seqs(sealed)[0], seqs(sealed)[50], seqs(sealed)[-3]):
        path = shutil.copy(sealed, sealed.with_name("changed.tape"))
        edit(path, f"UPDATE event SET {change} WHERE id & {SEQ_MASK} = {seq}")
        first = damage(path)[0]
        assert first.seq == seq
        assert first.user in ("alice", "bob")


def test_a_removed_event_is_found_at_the_next_of_its_log(sealed):
    with closing(sqlite3.connect(sealed)) as db:
        ids = [row[0] for row in db.execute("SELECT id FROM event WHERE id >> 40 = 1 ORDER BY id")]
    edit(sealed, f"DELETE FROM event WHERE id = {ids[7]}")

    assert damage(sealed)[0].seq == ids[8] & SEQ_MASK


def test_a_removed_end_is_found_by_the_length_of_the_log(sealed):
    edit(sealed, "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id >> 40 = 1 ORDER BY id DESC LIMIT 3)")

    [first] = [found for found in damage(sealed) if found.seq is not None]
    assert "is the last event" in first.why and first.user == "alice"


def test_two_exchanged_events_are_found(sealed):
    with closing(sqlite3.connect(sealed)) as db:
        a, b = (row[0] for row in db.execute("SELECT id FROM event WHERE id >> 40 = 1 ORDER BY id LIMIT 2 OFFSET 9"))
    edit(
        sealed, f"UPDATE event SET id = -1 WHERE id = {a}", f"UPDATE event SET id = {a} WHERE id = {b}",
        f"UPDATE event SET id = {b} WHERE id = -1",
    )  # fmt: skip

    assert damage(sealed)[0].seq == a & SEQ_MASK


def test_an_inserted_event_is_found(sealed):
    with closing(sqlite3.connect(sealed)) as db:
        last = db.execute("SELECT max(id) FROM event WHERE id >> 40 = 1").fetchone()[0]
    edit(
        sealed, f"INSERT INTO event SELECT {last + 1000}, connection, n + 1, t, direction, opcode, payload, size, "
        f"wire, frames, flags, sha256, salt, link FROM event WHERE id = {last}",
    )  # fmt: skip

    assert damage(sealed)[0].seq == (last + 1000) & SEQ_MASK


def test_an_event_of_a_user_that_does_not_exist_is_found(sealed):
    edit(
        sealed, f"INSERT INTO event SELECT {9 << SEQ_BITS | 7}, connection, n, t, direction, opcode, payload, size, "
        "wire, frames, flags, sha256, salt, link FROM event LIMIT 1",
    )  # fmt: skip

    assert any("belongs to no user" in found.why and found.seq == 7 for found in damage(sealed))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE connection SET target = '/other' WHERE id = 1",
        "UPDATE connection SET ending = 'reset' WHERE id = 1",
        "UPDATE user SET rule = 'none' WHERE id = 1",
        "UPDATE mark SET data = '{}' WHERE kind = 'fault_begin'",
        "DELETE FROM mark WHERE kind = 'fault_begin'",
        "UPDATE http SET status = 500",
        "UPDATE epoch SET insecure = 1",
        "DELETE FROM identity WHERE connection = 2",
        "UPDATE meta SET value = 0 WHERE key = 'complete'",
        "UPDATE meta SET value = 'f' || substr(value, 2) || '0' WHERE key = 'head'",
        "INSERT INTO meta VALUES ('more', 1)",
    ],
)
def test_whatever_else_a_sealed_tape_says_is_in_its_head(sealed, statement):
    edit(sealed, statement)

    assert noticed(sealed)


def test_a_forger_who_computes_everything_anew_is_found_by_a_head_kept_elsewhere(tmp_path, sealed):
    with open_tape(sealed) as tape:
        kept = tape.head
        expect_head(tape, kept)
        expect_head(tape, f" {kept.upper()} ")
    forged = write(tmp_path / "forged.tape", *[s.replace('"k": 7', '"k": 8') for s in CHAT])

    assert not noticed(forged)
    with open_tape(forged) as tape, pytest.raises(TapeError, match="another tape"):
        expect_head(tape, kept)


def test_a_roll_back_to_an_older_copy_is_found_by_the_newer_head(tmp_path):
    older = write(tmp_path / "older.tape", *CHAT[:60])
    with open_tape(write(tmp_path / "newer.tape", *CHAT)) as tape:
        kept = tape.head

    with open_tape(older) as tape, pytest.raises(TapeError, match="not the tape that it was"):
        expect_head(tape, kept)


@pytest.mark.parametrize("head", ["", "abc", "g" * 64, "0" * 63, "0" * 65])
def test_what_is_no_head_is_refused(sealed, head):
    with open_tape(sealed) as tape, pytest.raises(InputError, match="not a head"):
        expect_head(tape, head)


def test_a_tape_without_a_seal_has_no_head_to_expect(tmp_path):
    with (
        open_tape(write(tmp_path / "open.tape", *CHAT, seal=False)) as tape,
        pytest.raises(TapeError, match="not sealed"),
    ):
        expect_head(tape, "0" * 64)


def test_the_line_names_the_first_place_and_counts_the_others(sealed):
    edit(sealed, f"UPDATE event SET t = t + 1 WHERE id & {SEQ_MASK} IN ({seqs(sealed)[5]}, {seqs(sealed)[15]})")

    with open_tape(sealed) as tape, pytest.raises(TapeError) as caught:
        check(tape).demand(tape)

    assert f"not what was recorded: seq {seqs(sealed)[5]} of " in str(caught.value)
    assert str(caught.value).endswith("(1 more)")
    assert caught.value.exit_code == 1


def test_no_flipped_bit_in_the_stored_rows_goes_unseen(sealed):
    """A bit of every 97th byte: found, or in a place that holds nothing of the tape."""
    whole = sealed.read_bytes()
    said = contents(sealed)
    random = Random(97)
    path = sealed.with_name("flipped.tape")
    seen = 0
    for at in range(0, len(whole), 97):
        data = bytearray(whole)
        data[at] ^= 1 << random.randrange(8)
        path.write_bytes(data)
        if noticed(path):
            seen += 1
        else:
            assert contents(path) == said, f"byte {at} changed what the tape says, and nobody noticed"
    assert seen > 100


def contents(path):
    """Everything that a reader of the tape sees, but for the imprint: a spoilt one only makes a check slower."""
    with closing(sqlite3.connect(path)) as db:
        tables = ("meta", "epoch", "user", "connection", "identity", "event", "mark", "http")
        found = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    found["meta"] = [row for row in found["meta"] if row[0] != "imprint"]
    return found


@pytest.mark.parametrize("part", [0.999, 0.9, 0.5, 0.1, 0.01])
def test_a_cut_file_is_never_taken_for_the_whole(sealed, part):
    whole = sealed.read_bytes()
    sealed.write_bytes(whole[: int(len(whole) * part)])

    assert noticed(sealed)


def test_the_head_is_what_the_documented_computation_gives(sealed):
    with open_tape(sealed) as tape, closing(sqlite3.connect(sealed)) as db:
        assert tape.head == compute_head(db.execute)


def test_an_appended_epoch_is_part_of_the_same_chains():
    path = home() / "appended-check.tape"
    write(path, *CHAT[:9], seal=False)
    writer = Writer(path, epoch=1)
    for sentence in ("alice > again", "alice < hello again"):
        writer.say(sentence.replace("alice", "carol"))
    writer.finish()

    with open_tape(path) as tape:
        assert check(tape).damage == ()
        assert len(tape.epochs) == 2
