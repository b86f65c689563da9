"""The head: it changes with everything that a tape says, and with nothing else."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spools import as_child, busy

from goldentape import seal

VALUES = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.text(), st.binary(), st.floats(allow_nan=False))


@given(a=st.lists(VALUES, max_size=4), b=st.lists(VALUES, max_size=4))
def test_different_rows_never_have_the_same_bytes(a, b):
    same = [(type(x), x) for x in a] == [(type(x), x) for x in b]

    assert (b"".join(map(seal.encode, a)) == b"".join(map(seal.encode, b))) is same or repr(a) == repr(b)


def test_rows_cannot_move_between_columns_or_tables():
    digests = [
        seal.digest("user", [(1, 2)]),
        seal.digest("user", [(1,), (2,)]),
        seal.digest("user", [(12,)]),
        seal.digest("mark", [(1, 2)]),
        seal.digest("user", [("1", 2)]),
        seal.digest("user", [(b"1", 2)]),
        seal.digest("user", []),
    ]

    assert len(set(digests)) == len(digests)


@pytest.fixture
def tape(tmp_path):
    as_child(busy(tmp_path / "x.tape").settings)
    with sqlite3.connect(tmp_path / "x.tape") as db:
        yield db
    db.close()


def test_the_stored_head_is_that_of_the_rows(tape):
    assert tape.execute("SELECT value FROM meta WHERE key = 'head'").fetchone() == (seal.head(tape.execute),)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE user SET rule = rule || 'x' WHERE id = 1",
        "UPDATE user SET link = zeroblob(32) WHERE id = 1",
        "DELETE FROM user WHERE events = 0",
        "UPDATE connection SET ending = 'eof' WHERE id = (SELECT min(id) FROM connection WHERE ending != 'eof')",
        "UPDATE connection SET closed = closed + 1 WHERE id = 1",
        "DELETE FROM identity WHERE connection = 1",
        "UPDATE mark SET data = data || ' ' WHERE kind = 'begin'",
        "DELETE FROM mark WHERE kind = 'end'",
        "UPDATE http SET status = NULL WHERE id = 1",
        "UPDATE epoch SET insecure = 1",
        "UPDATE meta SET value = 0 WHERE key = 'complete'",
        "INSERT INTO meta VALUES ('note', 'x')",
    ],
)
def test_whatever_is_changed_the_head_is_another(tape, change):
    before = seal.head(tape.execute)

    assert tape.execute(change).rowcount > 0

    assert seal.head(tape.execute) != before
