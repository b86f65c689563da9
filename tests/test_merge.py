"""`goldentape tape merge`: several tapes as one, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from contracts import contract
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import SECOND, WALL, home, write

from goldentape.check import check
from goldentape.cli import main
from goldentape.event import Event
from goldentape.tape import Tape, open_tape


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*map(str, arguments)])
        return int(ended.value.code), *capsys.readouterr()

    return run


def merge(run, *tapes: Path | str, to: str = "all.tape", more: tuple[str, ...] = ()) -> tuple[int, str, str]:
    return run("tape", "merge", *tapes, "-o", to, *more)


def part(name: str, *sentences: str, at: int = 0, **options) -> Path:
    """A tape of a recorder of its own, begun `at` seconds after the others' WALL."""
    ids = [f"{s} id={name}-{n}" if s.endswith("connects") else s for n, s in enumerate(sentences)]
    return write(Path(f"{name}.tape"), *ids, wall=WALL + at * SECOND, recorder=name, **options)


def said(tape: Tape) -> list[tuple[str, bytes]]:
    return [(event.user, event.payload) for event in tape.events()]


def test_two_recorders_are_one_tape_in_the_order_of_time(run):
    part("a", "ada connects", "ada > one", "4s", "ada < three")
    part("b", "bob connects", "bob > two", "ada connects", "ada > two and a half", at=2)

    code, out, _ = merge(run, "a.tape", "b.tape")

    assert code == 0 and out.startswith("sealed all.tape: 4 events of 2 users from 2 tapes, head ")
    with open_tape("all.tape") as tape:
        check(tape).demand(tape)
        assert tape.state == "sealed"
        assert said(tape) == [("ada", b"one"), ("bob", b"two"), ("ada", b"two and a half"), ("ada", b"three")]
        assert [user.name for user in tape.users()] == ["ada", "bob"]
        seqs = [event.seq for event in tape.events()]
        times = [event.t for event in tape.events()]
        assert seqs == sorted(seqs) and times == sorted(times)
        assert [(e.number, e.recorder, e.wall) for e in tape.epochs] == [(0, "a", WALL), (1, "b", WALL + 2 * SECOND)]
        # Unix time of an event is what it was.
        two = next(event for event in tape.events(user="bob"))
        epoch = tape.epochs[1]
        assert epoch.wall - epoch.t + two.t == WALL + 2 * SECOND + 2_000_000
        assert {c.id: c.epoch for c in tape.connections()} == {"a-0": 0, "b-0": 1, "b-2": 1}


def test_users_who_change_on_a_connection_keep_their_messages(run):
    part("a", "ada connects", "ada > mine", "ada becomes eve", "ada > hers")
    part("b", "bob connects", "bob > his")
    merge(run, "b.tape", "a.tape")
    with open_tape("all.tape") as tape:
        assert sorted(said(tape)) == [("ada", b"mine"), ("bob", b"his"), ("eve", b"hers")]
        connection = next(c for c in tape.connections() if c.id == "a-0")
        first, second = connection.identities
        mine, hers = (next(iter(tape.events(user=user))).seq for user in ("ada", "eve"))
        assert first.seq < mine < second.seq < hers


def test_a_verdict_on_all_is_that_on_the_parts_together(run):
    rude = contract("{kind: never, event: rude}", events="events: {ask: {dir: c2s}, done: {}, rude: {}}")
    Path("calm.yaml").write_text(rude)
    part("a", "ada connects", 'ada > {"type": "ask"}', "4s", 'ada < {"type": "done"}')
    part("b", "bob connects", 'bob > {"type": "ask"}', 'bob < {"type": "rude"}', at=2)
    merge(run, "a.tape", "b.tape")

    code, out, _ = run("verify", "all.tape", "--contract", "calm.yaml", "--json")

    verdict = json.loads(out)
    [never] = [i for i in verdict["invariants"] if i["name"] == "a"]
    assert code == 1 and never["violations"][0]["examples"][0]["user"] == "bob"
    assert (verdict["users"], verdict["messages"]) == (2, 4)


def test_who_begins_while_another_records_makes_no_hole(run):
    """A `begin` says that nobody recorded before; of two recorders at work that is not so."""
    Path("owed.yaml").write_text(
        contract("{kind: responds, trigger: ask, answer: done, within: 10s}")
    )  # fmt: skip
    talk = ['ada > {"type": "ask"}', "4s", 'ada < {"type": "done"}', "ada < (close 1000)", "ada > (close 1000)"]
    part("a", "ada connects", *talk)
    part("b", "bob connects", "bob > x", at=2)
    part("c", "carol connects", "carol > x", at=60)
    merge(run, "a.tape", "b.tape", "c.tape")
    with open_tape("all.tape") as tape:
        assert [mark.kind for mark in tape.marks() if mark.kind in ("begin", "joined")] == ["begin", "joined", "begin"]
    code, out, _ = run("verify", "all.tape", "--contract", "owed.yaml", "--only", "a", "--json")
    assert json.loads(out)["invariants"][0]["verdict"] == "pass" and code == 0


REFUSED = [
    ("another key", lambda: (part("a", "ada > x"), part("b", "bob connects", redaction_key="1" * 16)),
     "b.tape: was redacted with another key than a.tape"),
    ("the same again", lambda: (part("a", "ada connects"), Path("copy.tape").write_bytes(Path("a.tape").read_bytes())),
     "copy.tape: has the same recording as a.tape, found recorder a, epoch 0"),
    ("one alone", lambda: part("a", "ada connects"), "merging takes two tapes at least, found 1"),
    ("unsealed", lambda: (part("a", "ada connects"), part("b", "bob connects", seal=False)), "has no seal"),
    ("no tape", lambda: (part("a", "ada connects"), Path("x.tape").write_text("no tape" * 100)), "not a SQLite file"),
    ("damaged", lambda: (part("a", "ada connects", "ada > original"), part("b", "bob connects"), Path(
        "a.tape").write_bytes(Path("a.tape").read_bytes().replace(b"original", b"orlginal"))), "not what was recorded"),
]  # fmt: skip


@pytest.mark.parametrize("make, what", [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_what_is_no_part_of_one_is_refused_in_one_line(run, make, what):
    make()
    before = sorted(Path().iterdir())
    code, out, err = merge(run, *sorted(Path().glob("*.tape")))
    assert code in (1, 2, 4) and out == ""
    assert what in err and err.count("\n") == 1
    assert sorted(Path().iterdir()) == before


def test_a_tape_that_is_there_is_not_touched(run):
    part("a", "ada connects")
    part("b", "bob connects")
    before = Path("a.tape").read_bytes()
    assert "is one of the tapes to merge" in merge(run, "a.tape", "b.tape", to="a.tape")[2]
    Path("all.tape").write_text("mine")
    assert merge(run, "a.tape", "b.tape")[0] == 2
    assert (Path("a.tape").read_bytes(), Path("all.tape").read_text()) == (before, "mine")


def test_what_a_crash_has_left_is_taken_where_it_is_allowed(run):
    part("a", "ada connects", "ada > x")
    part("b", "bob connects", "bob > y", crashed=True)
    code, _, _ = merge(run, "a.tape", "b.tape", more=("--allow-unsealed",))
    assert code == 0
    with open_tape("all.tape") as tape:
        assert tape.state == "sealed incomplete"
        assert any(mark.kind == "crash" for mark in tape.marks())


def test_a_directory_stands_for_its_tapes(run):
    Path("fleet").mkdir()
    for name in "ab":
        part(name, f"{name} connects", f"{name} > x").rename(f"fleet/{name}.tape")
    assert merge(run, "fleet")[0] == 0


SAID = st.lists(
    st.sampled_from(["{u} > x", "{u} < y", "{u} < (ping)", "1s", "250ms", "{u}/2 > z", 'mark m {{"a": 1}}']),
    max_size=12,
)


@settings(max_examples=25)
@given(st.lists(st.tuples(SAID, st.integers(0, 8)), min_size=2, max_size=3), st.integers(0, 2**32))
def test_nothing_is_lost_and_each_tape_keeps_its_order(parts, seed):
    folder = home() / f"merge-{seed}-{abs(hash(str(parts)))}"
    folder.mkdir(exist_ok=True)
    paths = []
    for n, (sentences, at) in enumerate(parts):
        user = f"u{n % 2}"
        path = folder / f"{n}.tape"
        path.unlink(missing_ok=True)
        words = [f"{user} connects id=t{n}", f"{user}/2 connects id=t{n}-2", *(s.format(u=user) for s in sentences)]
        paths.append(write(path, *words, wall=WALL + at * SECOND, recorder=f"r{n}"))
    (folder / "all.tape").unlink(missing_ok=True)
    with pytest.raises(SystemExit) as ended:
        main(["tape", "merge", *map(str, paths), "-o", str(folder / "all.tape")])
    assert ended.value.code == 0

    def plain(event: Event) -> tuple:
        return (event.user, event.connection, event.n, event.direction, event.opcode, event.payload, event.flags)

    with open_tape(folder / "all.tape") as tape:
        check(tape).demand(tape)
        merged = list(tape.events())
        for path in paths:
            with open_tape(path) as one:
                own = {c.id for c in one.connections()}
                assert [plain(e) for e in merged if e.connection in own] == [plain(e) for e in one.events()]
        assert [e.t for e in merged] == sorted(e.t for e in merged)
