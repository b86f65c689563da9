"""`goldentape verify`: tapes, contracts and options that it refuses, each in one line."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from contracts import contract
from tapes import Writer, write
from verifying import (
    ASK,
    DONE,
    on_disk,
    one_line,
    schemas,
)


def whole() -> Path:
    return write(Path("whole.tape"), ASK, DONE)


def bytes_of(data: bytes) -> Path:
    Path("odd.tape").write_bytes(data)
    return Path("odd.tape")


def half() -> Path:
    path = write(Path("half.tape"), *[ASK, DONE] * 400)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def another_database() -> Path:
    with sqlite3.connect("other.tape") as db:
        db.execute("CREATE TABLE event (id INTEGER)")
    return Path("other.tape")


def newer() -> Path:
    path = whole()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    return path


def flipped() -> Path:
    path = write(Path("flipped.tape"), *[ASK, 'alice < {"type": "done", "text": "something to be changed"}'] * 3)
    data = path.read_bytes()
    assert data.count(b"something to be changed") == 3
    path.write_bytes(data.replace(b"something to be changed", b"something to be chanhed", 1))
    return path


def without_wal() -> Path:
    """A copy of what a recorder writes at this moment, of the tape alone."""
    with closing(Writer(Path("live.tape")).writer) as writer:
        assert Path("live.tape-wal").exists() and writer
        shutil.copy("live.tape", "copy.tape")
    return Path("copy.tape")


def directory() -> Path:
    Path("dir.tape").mkdir()
    return Path("dir.tape")


def pipe() -> Path:
    os.mkfifo("pipe.tape")
    return Path("pipe.tape")


BAD_TAPES = [
    ("29 missing", lambda: Path("nowhere.tape"), (), 2, "no such tape"),
    ("30 empty", lambda: bytes_of(b""), (), 2, "empty"),
    ("31 a directory", directory, (), 2, "directory"),
    ("31 a pipe", pipe, (), 2, "not a"),
    ("32 random bytes", lambda: bytes_of(bytes(range(256)) * 40), (), 2, "not a SQLite file"),
    ("32 text", lambda: bytes_of(b"hello\n" * 400), (), 2, "not a SQLite file"),
    ("33 not ours", another_database, (), 2, "not a goldentape"),
    ("34 newer", newer, (), 2, "format 99"),
    ("35 half", half, (), 2, "truncated"),
    ("36 a flipped bit", flipped, (), 1, "seq "),
    ("37 its log is missing", without_wal, (), 2, "its write-ahead log is missing"),
    ("37 its log is missing, allowed", without_wal, ("--allow-unsealed",), 2, "its write-ahead log is missing"),
    ("39 unsealed", lambda: write(Path("u.tape"), ASK, seal=False), (), 4, "--allow-unsealed"),
    ("39 crashed", lambda: write(Path("u.tape"), ASK, crashed=True), (), 4, "--allow-unsealed"),
    ("40 no connections", lambda: write(Path("e.tape")), (), 4, "no connections"),
    ("57 a user that nobody is", whole, ("--user", "alcie"), 4, "found alcie: did you mean alice?"),
    ("58 a head of another length", whole, ("--expect-head", "abc"), 2, "wanted 64 hexadecimal digits"),
    ("58 another head", whole, ("--expect-head", "0" * 64), 2, "another tape"),
    ("58 a head of what has none", lambda: write(Path("u.tape"), ASK, seal=False), ("--expect-head", "0" * 64), 2,
     "not sealed"),
    ("insecure and strict", lambda: write(Path("i.tape"), ASK, insecure=1), ("--strict",), 2, "--insecure"),
]  # fmt: skip


@pytest.mark.parametrize("make, options, code, what", [pytest.param(*row[1:], id=row[0]) for row in BAD_TAPES])
def test_a_tape_that_cannot_be_judged_is_refused_in_one_line(run, make, options, code, what):
    path = make()
    before = sorted(p.name for p in Path().iterdir())

    said = run(path, "--contract", "calm.yaml", *options)

    assert said.code == code
    assert what in one_line(said)
    assert sorted(p.name for p in Path().iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_tape_that_may_not_be_read_is_the_environments_fault(run):  # 38
    path = whole()
    path.chmod(0)

    assert (run(path, "--contract", "calm.yaml").code, path.chmod(0o600)) == (3, None)


# -- bad contracts and options


LATENCY = "{kind: latency, from: ask, to: done, %s}"
BAD_CONTRACTS = [
    ("41 a directory", lambda: directory(), "is a directory"),
    ("41 nowhere", lambda: "golden-paht", "contract: did you mean golden-path?\n"),
    ("41 nowhere near", lambda: "x/y.yaml", "shipped are: "),
    ("42 and 55 not YAML", lambda: on_disk("a: [1"), "mine.yaml:1:"),
    ("42 JSON cut short", lambda: on_disk('{"goldentape": 1,\n "contract": '), "mine.yaml:2:"),
    ("43 not a JSON Schema", lambda: on_disk(schemas("{type: [3]}")), "not a JSON Schema, at /type"),
    ("44 an unknown $schema", lambda: on_disk(schemas("{$schema: x}")), "unknown $schema, found x"),
    ("45 a misspelt keyword", lambda: on_disk(schemas("{requird: [a]}")), "did you mean required?"),
    ("46 a remote reference", lambda: on_disk(schemas('{$ref: "http://127.0.0.1:1/"}')), "remote references are disab"),
    ("47 a reference to nothing", lambda: on_disk(schemas('{$ref: "#/schemas/no"}')), "the reference names nothing"),
    ("48 a circle", lambda: on_disk(schemas('{$ref: "#/schemas/base"}',
                                            schemas='schemas: {base: {$ref: "#/schemas/base"}}')), "in a circle"),
    ("49 an invalid pattern", lambda: on_disk(schemas('{pattern: "("}')), "mine.yaml:7:"),
    ("49 a slow pattern", lambda: on_disk(schemas('{pattern: "^(a+)+$"}')), "for ever"),
    ("51 an id twice", lambda: on_disk(contract(invariants="invariants:\n  a: {kind: schema}\n  a: {kind: schema}")),
     "mine.yaml:11:3: a key comes twice"),
    ("52 an unknown kind", lambda: on_disk(contract("{kind: ownr}")), "did you mean owner?"),
    ("52 an unknown event", lambda: on_disk(contract("{kind: never, event: aks}")), "did you mean ask?"),
    ("53 below nothing", lambda: on_disk(contract(LATENCY % "p99: -1s")), "a duration is a number and a unit"),
    ("53 p101", lambda: on_disk(contract(LATENCY % "p101: 1s")), "unknown key, found p101"),
    ("53 no unit", lambda: on_disk(contract(LATENCY % "p99: 100")), "wanted 500ms, 2s, 1m"),
    ("54 nothing at all", lambda: on_disk(contract(LATENCY % "max: 0ms")), "clock's resolution"),
    ("55 UTF-16", lambda: on_disk(contract().encode("utf-16")), "found UTF-16"),
    ("55 a byte order mark", lambda: on_disk(b"\xef\xbb\xbf" + contract().encode()), "byte order mark"),
    ("56 an unknown key", lambda: on_disk(contract(keys="kesy: {}")), "did you mean keys?"),
]  # fmt: skip


@pytest.mark.parametrize("make, what", [pytest.param(*row[1:], id=row[0]) for row in BAD_CONTRACTS])
def test_a_contract_that_cannot_be_used_is_refused_before_any_tape_is_opened(run, make, what):
    said = run("nowhere.tape", "--contract", make())

    assert said.code == 2
    assert what in one_line(said)


BAD_OPTIONS = [
    ((), "Missing argument"),
    (("a.tape",), "Missing option '--contract'"),
    (("a.tape", "--contract"), "requires an argument"),
    (("a.tape", "--contract", "calm.yaml", "--stric"), "--strict"),
    (("a.tape", "--contract", "calm.yaml", "--set", "fast"), "--set wants name=value, found fast"),
    (("a.tape", "--contract", "calm.yaml", "--set", "fats=1s"), "found fats: did you mean fast?"),
    (("a.tape", "--contract", "calm.yaml", "--set", "many=x"), "the parameter many is a number, found x"),
    (("a.tape", "--contract", "calm.yaml", "--set", "many=1", "--set", "many=2"), "twice, found many"),
    (("a.tape", "b.tape", "--contract", "calm.yaml", "--expect-head", "0" * 64), "the head of one tape, found 2 tapes"),
    (("a.tape", "--contract", "\x1b]0;x\x07"), r"\x1b]0;x\x07"),
    (("\x1b[31m.tape", "--contract", "calm.yaml"), r"\x1b[31m"),
]


@pytest.mark.parametrize("arguments, what", BAD_OPTIONS)
def test_a_command_that_cannot_be_meant_is_refused_in_one_line(run, arguments, what):
    said = run(*arguments)

    assert said.code == 2
    assert what in one_line(said)


# -- verdicts and exit codes
