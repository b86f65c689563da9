"""The imprint: a sealed tape nobody touched passes by one digest of its file, and any change is found as before."""

import sqlite3

import pytest
from agents import talk
from hypothesis import given
from hypothesis import strategies as st

from goldentape.check import check
from goldentape.imprint import holds
from goldentape.tape import open_tape

SENTENCES = ("alice > ask run_id=r1 content=hello", "alice < agent_completed run_id=r1")


@pytest.fixture(scope="module")
def sealed():
    return talk(*SENTENCES).tape.path


def imprint(path):
    with sqlite3.connect(path) as db:
        return db.execute("SELECT value FROM meta WHERE key = 'imprint'").fetchone()[0]


def test_a_sealed_tape_has_one(sealed):
    assert holds(sealed, imprint(sealed))


def test_what_is_checked_by_it_is_what_a_whole_check_finds(sealed):
    with open_tape(sealed) as tape:
        assert check(tape, anew=False) == check(tape)


@given(st.data())
def test_no_byte_can_change(sealed, data):
    whole = sealed.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    other = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[place]))
    changed = sealed.with_suffix(".changed")
    changed.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])

    assert not holds(changed, imprint(sealed))


@pytest.mark.parametrize("change", [lambda b: b + b"\x00", lambda b: b[:-1], lambda b: b""])
def test_a_file_of_another_size_has_another(sealed, change):
    changed = sealed.with_suffix(".changed")
    changed.write_bytes(change(sealed.read_bytes()))

    assert not holds(changed, imprint(sealed))


@pytest.mark.parametrize("value", [None, 7, "", "x" * 85, "9" * 20 + ":" + "a" * 64, "0" * 20 + ":" + "a" * 64])
def test_what_is_no_imprint_holds_nothing(sealed, value):
    assert not holds(sealed, value)


def test_what_another_program_writes_is_checked_row_by_row(sealed):
    path = sealed.with_suffix(".written")
    path.write_bytes(sealed.read_bytes())
    with sqlite3.connect(path) as db:
        db.execute("UPDATE event SET payload = replace(payload, 'hello', 'howdy')")

    with open_tape(path, quick_check=False) as tape:
        assert check(tape, anew=False).damage == check(tape).damage != ()
