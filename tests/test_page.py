"""What the HTML report has of a tape, what it leaves out, and the command that writes it; without a browser."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import make, run
from tapes import home, write

from goldentape.tape import open_tape
from verifier.page.gather import NEAR, Budget, gather
from verifier.page.packing import CHUNK, HAS_TEXT, SEVERAL, Column, Texts, fair
from verifier.page.runs import Names


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("pages"))


def blocks(path: Path) -> dict[str, str]:
    return dict(re.findall(r'<script type="text/plain" id="([a-z]+-?\d*)">([^<]*)</script>', path.read_text("utf-8")))


def unpacked(text: str) -> object:
    return json.loads(zlib.decompress(base64.b64decode(text)))


def numbers(text: str) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in zlib.decompress(base64.b64decode(text)):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            found.append(value)
            value = shift = 0
    return found


@given(st.lists(st.integers(0, 1 << 70)))
def test_numbers_are_packed_without_loss(values):
    column = Column()
    for value in values:
        column.add(value)

    assert numbers(column.done()) == values


@given(st.lists(st.integers(0, 1000), max_size=20), st.integers(0, 5000))
def test_a_fair_share_uses_what_there_is_and_no_more(sizes, total):
    share = fair(sizes, total)

    given_ = [min(size, share) for size in sizes]
    assert sum(given_) <= total
    assert given_ == sizes or sum(min(size, share + 1) for size in sizes) > total


def test_every_message_is_in_the_page_of_a_small_tape(pages):
    found = blocks(pages / "plain.html")
    facts = unpacked(found["facts-0"])
    texts = [text for line in found["texts-0"].split("\n") for text in unpacked(line)]

    with open_tape(pages / "talk.tape") as tape:
        events = [event for user in tape.users() for event in tape.events(user=user.name)]
    assert len(numbers(found["seq-0"])) == len(events) == sum(facts["counts"])
    kinds = [facts["kinds"][place] for place in numbers(found["kind-0"])]
    assert [direction for _, direction in kinds] == [int(event.direction) for event in events]
    assert texts[0] == events[0].payload.decode()
    assert len(texts) == len(events)
    assert facts["leftOut"] == []
    assert {tuple(run[:3]) for run in facts["runs"]} == {(n, "run_id", f"r-{who}") for n, who in
                                                        enumerate(("alice", "bob", "chloe"))}  # fmt: skip


def test_runs_are_those_of_the_contract(pages):
    facts = unpacked(blocks(pages / "talk.html")["facts-0"])

    names = ("alice", "bob", "chloe")
    assert [run[:3] + run[5:] for run in facts["runs"]] == [
        [n, "run", f"r-{who}", "ok", True] for n, who in enumerate(names)
    ]
    assert all(0 < begin < end for _, _, _, begin, end, _, _ in facts["runs"])
    assert facts["guessed"] is False


def test_what_does_not_fit_is_drawn_together_but_near_violations_and_that_is_said():
    people = [f"u{n}" for n in range(4)]
    said = [f'{who} < {{"type": "t{n % 3}", "n": {n}}}' for n in range(500) for who in people]
    path = write(home() / "large.tape", *said)
    with open_tape(path) as tape:
        [seq] = [event.seq for event in tape.events(user="u1") if b'"n": 250}' in event.payload]
        found = gather(tape, [], [("u1", seq)], Budget(events=200, raw=2000, texts=100, texts_near=10_000_000))

    flags, seqs = numbers(found.columns["flags"]), numbers(found.columns["seq"])
    shown = [lane[3] for lane in found.facts["lanes"]]
    assert sum(shown) == len(flags) < 400
    extra = numbers(found.columns["extra"])
    assert sum(extra[::2]) + sum(not flag & SEVERAL for flag in flags) == 2000  # none is lost
    begin = shown[0]
    mine = flags[begin : begin + shown[1]]
    assert sum(1 for flag in mine if flag & HAS_TEXT and not flag & SEVERAL) >= 2 * NEAR + 1
    assert seqs
    assert any("one by one" in line for line in found.left_out)


@pytest.mark.parametrize("last", [100, 1 << 39])
def test_messages_are_named_by_seq_however_far_apart_they_are(last):
    names = Names(10, last)
    names.set(3, "ask")
    names.set(last, "done")
    names.set(3, "again")

    assert [names.get(seq) for seq in (3, last, 4)] == [1, 2, 0]
    assert names.names == ["ask", "done", "again"]


def test_texts_are_cut_into_chunks():
    texts = Texts()
    for number in range(2 * CHUNK + 1):
        texts.add(number)

    assert [unpacked(line) for line in texts.done().split("\n")] == [
        list(range(CHUNK)), list(range(CHUNK, 2 * CHUNK)), [2 * CHUNK]
    ]  # fmt: skip


def test_a_thousand_users_fit(tmp_path):
    said = [f'u{user} < {{"type": "t", "run_id": "r{user}-{n}", "pad": "{user * 7919 + n}"}}' for n in range(12)
            for user in range(1000)]  # fmt: skip
    write(tmp_path / "a.tape", *said)

    assert run("report", tmp_path / "a.tape", "-o", tmp_path / "a.html") == 0
    assert (tmp_path / "a.html").stat().st_size < 20_000_000


def test_without_excerpts_it_has_nothing_of_what_messages_said(tmp_path, pages):
    assert run("report", pages / "talk.tape", "-o", tmp_path / "a.html", "--no-excerpts", "--contract",
               pages / "agents.yaml") == 0  # fmt: skip

    found = blocks(tmp_path / "a.html")
    assert found.get("texts-0", "") == ""
    assert "hello from" not in json.dumps([unpacked(found["facts-0"]), unpacked(found["about"])])
    assert "said" in unpacked(found["facts-0"])["leftOut"][0]


# -- the command


def test_verify_writes_the_same_page(tmp_path, pages, monkeypatch):
    monkeypatch.chdir(pages)
    arguments = ("talk.tape", "--contract", "agents.yaml")
    assert run("verify", *arguments, "--report", f"html={tmp_path / 'a.html'}", "--quiet") == 1
    assert run("report", *arguments, "-o", tmp_path / "b.html") == 0

    one, two = blocks(tmp_path / "a.html"), blocks(tmp_path / "b.html")
    assert {name: text for name, text in one.items() if name != "about"} == {
        name: text for name, text in two.items() if name != "about"
    }
    assert unpacked(one["about"])["tapes"] == unpacked(two["about"])["tapes"]


def test_what_cannot_be_drawn_is_refused_in_one_line(tmp_path, pages, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "no.tape").write_bytes(b"no tape")
    (tmp_path / "there.html").write_text("mine")
    write(tmp_path / "empty.tape")
    for arguments, code, what in (
        (("no.tape",), 2, "no.tape"),
        (("missing.tape",), 2, "no such"),
        (("empty.tape",), 2, "no connections"),
        ((pages / "talk.tape", "-o", "there.html"), 2, "--force"),
        ((pages / "talk.tape", "-o", pages / "talk.tape", "--force"), 2, "the tape itself"),
        ((pages / "talk.tape", "-o", "no/such/a.html"), 2, "does not exist"),
        ((pages / "talk.tape", "--contract", "golden-pth"), 2, "golden-path"),
    ):
        capsys.readouterr()
        assert run("report", *arguments) == code
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1)
        assert what in err
    assert (tmp_path / "there.html").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.tape", "no.tape", "there.html"]
