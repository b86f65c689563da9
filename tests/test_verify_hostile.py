"""`goldentape verify` on what is hostile: messages, terminals, readers that go away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from contracts import contract
from tapes import write
from verifying import (
    ASK,
    CALM,
    DONE,
    command,
    on_disk,
)

MINEFIELD = [
    "[" * 5000, "[" * 150 + "]" * 150, "{" * 300, '{"a":' * 199 + "1" + "}" * 199, "9" * 5000, "1e400", "-1e400",
    '{"type": 1e400}', "NaN", '{"type": NaN}', "Infinity", '{"type": "done", "type": "rude"}', '"\\ud800"',
    '{"type": "\\ud800"}', '{"\\udfff": 1}', '{"type": "done", "n": 123456789012345678901234567890}', '{"type": -0.0}',
    '{"type": ["done"]}', '{"type": null}', '{"type": {"type": "done"}}', "null", "true", "[]", "{}", '""', "0x00ff",
    '{"type": "done"', '{"type": "done"} x', "0x7b2274797065223a2022ff227d", '{"type": "\\u0000"}', '{"": {"": ""}}',
    '{"type": "done", "run_id": {"a": [1, {"b": null}]}}', '{"type": "done", "run_id": ' + "7" * 400 + "}",
]  # fmt: skip
ESCAPES = [
    "\x1b[31mred", "\x1b]52;c;ZWNobw==\x07", "\x1b]0;title\x07", "\x9b31m", "\u202eevil", "\u2066x", "::add-mask::x",
    "##vso[task.setvariable]", "\r\nfake: pass", "\x00", "\x7f", "\x85", "\ufeff", "\U000e0041", "x" * 500, "é", "a\tb",
]  # fmt: skip
STRICT = contract(
    wire="wire: {format: json, type: type, unknown: violation}",
    keys="keys: {run: {path: run_id, missing: infer}}",
    schemas='schemas: {base: {type: object, properties: {a: {$ref: "#/schemas/base"}}, required: [type, text]}}',
    events='events: {ask: {dir: c2s}, done: {schema: {$ref: "#/schemas/base"}}, any: {type: [a, b], where: {t: '
    '{pattern: "^x*$"}}}}',
    spans="spans: {run: {open: ask, key: run, exits: {ok: done}}}",
    invariants="""invariants:
  shapes: {kind: schema}
  once: {kind: count, event: done, max: 0, per: run}
  mine: {kind: owner, mode: envelope, event: $s2c, path: user_id}
  ids: {kind: owner, mode: key, keys: [run]}
  pairs: {kind: pair, key: run, open: ask, close: done}
  order: {kind: protocol, per: connection, alphabet: all, pattern: "ask done"}
  said: {kind: never, event: $any, where: {"@text": {pattern: "red|evil|fake|x"}}}
  odd: {kind: never, event: $undecodable}
  answered: {kind: responds, trigger: ask, answer: done, within: 1s}
  fast: {kind: latency, from: ask, to: done, max: 1ms, p95: 1ms}
  ends: {kind: exits, scope: run}
""",
)


@pytest.mark.parametrize("payload", MINEFIELD)
def test_no_message_makes_the_verifier_fail_itself(run, payload):
    on_disk(STRICT)
    path = write(Path("a.tape"), ASK, f"alice < {payload}", f"bob > {payload}", f"bob < {payload}", DONE)

    said = run(path, "--contract", "mine.yaml", "--json")
    shown = run(path, "--contract", "mine.yaml")

    assert (said.code, said.err) == (1, "")
    assert said.verdicts[0]["messages"] == 5
    assert (shown.code, shown.err) == (1, "")


def printable(text: str) -> bool:
    return all(char == "\n" or char.isprintable() for char in text)


@pytest.mark.parametrize("hostile", ESCAPES)
def test_no_recorded_text_reaches_the_terminal_raw_or_begins_a_line(run, hostile):
    on_disk(STRICT)
    text = json.dumps(hostile)
    name = "".join(c for c in hostile if c not in " <>/\n\r\0\t\x85") or "nobody"
    path = write(
        Path("a.tape"), f'alice > {{"type": "ask", "run_id": {text}}}',
        f'alice < {{"type": "done", "run_id": {text}, "user_id": {text}, "text": {text}, {text}: {text}}}',
        f'alice < {{"type": {text}, "user_id": {text}}}', f'alice < {{"type": "done", "text": {{{text}: 1}}}}',
        f"alice < {hostile}" if hostile.isprintable() else "alice < x", f'{name} < {{"type": {text}}}',
        f"alice > (close 1000 {hostile[:40]})",
    )  # fmt: skip

    shown = run(path, "--contract", "mine.yaml")

    assert (shown.code, shown.err) == (1, "")
    [verdict] = run(path, "--contract", "mine.yaml", "--json").verdicts
    ids = [group["id"] for one in verdict["invariants"] for group in one["violations"]]
    stories = [run(path, "--contract", "mine.yaml", "--explain", id) for id in ids]
    assert all((story.code, story.err) == (1, "") for story in stories)
    for out in (shown.out, *(story.out for story in stories)):
        assert printable(out)
        assert not any(line.lstrip().startswith(("::", "##")) for line in out.splitlines())
    assert run(path, "--contract", "mine.yaml", "--json").out.isascii()


@pytest.mark.parametrize("deep", [50, 199])
def test_a_recursive_schema_meets_a_message_as_deep_as_messages_may_be(run, deep):
    on_disk(STRICT)
    payload = '{"type": "done", "text": "", "a": ' * (deep - 1) + "{}" + "}" * (deep - 1)

    said = run(write(Path("a.tape"), ASK, f"alice < {payload}"), "--contract", "mine.yaml", "--json")

    shapes = next(one for one in said.verdicts[0]["invariants"] if one["name"] == "shapes")
    assert (said.code, shapes["verdict"]) == (1, "fail")
    assert shapes["violations"][0]["examples"][0]["why"].count("/a") == deep - 1


# -- the streams


def broken_tape(directory: Path) -> Path:
    (directory / "calm.yaml").write_text(CALM)
    sentences = [s for n in range(300) for s in (f'u{n} > {{"type": "ask"}}', f'u{n} < {{"type": "rude", "n": {n}}}')]
    return write(directory / "a.tape", *sentences)


def test_the_same_tape_and_contract_give_the_same_bytes(tmp_path):
    path = broken_tape(tmp_path)

    for options in ((), ("--json",)):
        said = {
            command(
                path, "--contract", tmp_path / "calm.yaml", *options, env={**os.environ, "PYTHONHASHSEED": seed}
            ).stdout
            for seed in ("0", "1", "4711")
        }
        assert len(said) == 1
        assert b"rude" in said.pop()


@pytest.mark.parametrize("unbuffered", ["", "-u"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path, unbuffered):  # 60
    path = broken_tape(tmp_path)
    said = f"'{sys.executable}' {unbuffered} -m goldentape verify {path} --contract {tmp_path}/calm.yaml"
    line = f"{{ {said}; echo $? > {tmp_path}/code; }} | true; cat {tmp_path}/code"

    done = subprocess.run(["sh", "-c", line], capture_output=True, timeout=100)

    assert (done.stdout, done.stderr) == (b"141\n", b"")


def test_a_stdout_that_is_closed_or_full_ends_in_no_traceback(tmp_path):
    path = broken_tape(tmp_path)
    said = f"'{sys.executable}' -m goldentape verify {path} --contract {tmp_path}/calm.yaml"

    closed = subprocess.run(["sh", "-c", f"{said} >&-"], capture_output=True, timeout=100)
    full = subprocess.run(["sh", "-c", f"{said} > /dev/full"], capture_output=True, timeout=100)

    assert (closed.returncode, closed.stderr) == (1, b"")
    assert (full.returncode, full.stderr) == (3, b"goldentape: error: No space left on device\n")


@pytest.mark.parametrize("encoding", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_terminal_that_knows_ascii_only_is_told_too(tmp_path, encoding):  # 61
    (tmp_path / "calm.yaml").write_text(CALM.replace("id: x", "id: x, title: Überall"))
    path = write(tmp_path / "é.tape", ASK, 'zoë < {"type": "rude"}')

    done = command(path, "--contract", tmp_path / "calm.yaml", env={**os.environ, **encoding})

    assert (done.returncode, done.stderr) == (1, b"")
    assert b"FAIL" in done.stdout


def test_the_help_names_every_option(run):
    said = run("--help")

    assert said.code == 0
    for option in (
        "--contract", "--set", "--only", "--tag", "--user", "--explain", "--fail-on", "--expect-fail", "--allow-code",
        "--allow-unsealed", "--expect-head", "--strict", "--no-excerpts", "--json", "--quiet",
    ):  # fmt: skip
        assert option in said.out
