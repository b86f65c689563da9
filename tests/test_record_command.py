"""`goldentape record` as a user types it: bad inputs, signals, a second recorder, appending."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import jwt
import pytest
from websockets.sync.client import connect
from websockets.sync.server import serve

from goldentape.tape import open_tape
from verifier.history import kept_claims, tags_of

GOLDENTAPE = [sys.executable, "-m", "goldentape"]
UP = ["--upstream", "ws://127.0.0.1:9"]


def run(*args: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*GOLDENTAPE, "record", *map(str, args)], capture_output=True, text=True, timeout=60, **options
    )


def refused(result: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert result.returncode == code, result.stderr
    assert result.stderr.startswith("goldentape: error: ")
    assert result.stderr.count("\n") == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], ["missing upstream"]),
        (["--upstream", "http://x"], ["upstream must be ws:// or wss://", "http://x"]),
        (["--upstream", "ws://"], ["no host"]),
        (["--upstream", "ws://u:p@h"], ["credentials in the URL are not accepted"]),
        (["--upstream", "ws://h:0"], ["port"]),
        (["--upstream", "ws://h:70000"], ["port", "70000"]),
        (["--upstream", "ws://h:abc"], ["port", "abc"]),
        (["--upstream", "ws://h/#frag"], ["#frag"]),
        (["--upstream", "ws://h/日本"], ["path", "percent-encode"]),
        (["--upstream", "ws://h/a b"], ["path", "percent-encode"]),
        (["--upstream", "ws://a..b:9"], ["cannot be a name", "a..b"]),
        (["--upstream", "ws://127.0.0.1:8765", "--listen", "127.0.0.1:8765"], ["would proxy to itself"]),
        ([*UP, "--listen", "no.such.host.invalid:1"], ["no.such.host.invalid", "--allow-remote"]),
        ([*UP, "--listen", "no.such.host.invalid:1", "--allow-remote"], ["cannot be resolved", "no.such.host.invalid"]),
        ([*UP, "--listen", "0.0.0.0:0"], ["0.0.0.0", "--allow-remote"]),
        ([*UP, "--listen", "127.0.0.1:70000"], ["70000"]),
        (["--upstream", "wss://h", "--ca", "missing.pem"], ["missing.pem"]),
        ([*UP, "--ca", "missing.pem"], ["missing.pem"]),
        ([*UP, "--max-size", "0"], ["'0'"]),
        ([*UP, "--max-size", "10XB"], ["10XB"]),
        ([*UP, "--drain", "abc"], ["abc"]),
        ([*UP, "--identify", "header:X Y"], ["X Y"]),
        ([*UP, "--tag", "hard"], ["--tag", "hard", "NAME=VALUE"]),
        ([*UP, "--tag", "tier="], ["--tag", "tier="]),
        ([*UP, "--tag", "a b=c"], ["--tag", "a b=c"]),
        ([*UP, "--tag", "tier=easy", "--tag", "tier=hard"], ["--tag names a tag twice", "tier"]),
        ([*UP, "--redact", "a[["], ["a[["]),
        ([*UP, "--redact-pattern", "("], ["--redact-pattern", "("]),
        ([*UP, "--redact-pattern", "(a+)+"], ["--redact-pattern", "(a+)+", "for ever"]),
        ([*UP, "--redact-pattern", "a*"], ["--redact-pattern", "a*", "empty text"]),
        ([*UP, "--redaction-key-file", "missing.key"], ["missing.key"]),
        ([*UP, "--tls-cert", "c.pem"], ["--tls-key"]),
        ([*UP, "--max-connections", "900000"], ["900000", "open files"]),
    ],
)
def test_bad_words_end_in_one_line_and_leave_nothing(tmp_path, args, words):
    result = run(tmp_path / "a.tape", *args, cwd=tmp_path)

    refused(result, 2, *words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not PEM"])
def test_an_authority_file_without_a_certificate_is_refused(tmp_path, content):
    ca = tmp_path / "ca.pem"
    ca.write_bytes(content)

    refused(run(tmp_path / "a.tape", "--upstream", "wss://h", "--ca", ca), 2, "--ca")


def test_the_output_must_be_a_file_of_ours(tmp_path):
    foreign, target, link = tmp_path / "foreign", tmp_path / "target", tmp_path / "link"
    foreign.write_bytes(b"something else")
    target.write_bytes(b"untouched")
    link.symlink_to(target)
    listen = ["--listen", "127.0.0.1:0"]

    refused(run(tmp_path, *UP, *listen), 2, "is a directory")
    refused(run(tmp_path / "no" / "a.tape", *UP, *listen), 2, "does not exist")
    refused(run(foreign, *UP, *listen), 2, "not a goldentape log; refusing to overwrite")
    refused(run(foreign, *UP, *listen, "--append"), 2, "not a goldentape log; refusing to overwrite")
    refused(run(link, *UP, *listen), 2, "symbolic link")
    assert target.read_bytes() == b"untouched"


def test_a_spool_that_somebody_else_has_laid_there_is_refused(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "a.tape.spool").symlink_to(tmp_path / "theirs")
    (tmp_path / "b.tape.spool").mkdir()
    (tmp_path / "b.tape.spool").chmod(0o777)

    refused(run(tmp_path / "a.tape", *UP, "--listen", "127.0.0.1:0"), 3, "symbolic link", "a.tape.spool")
    refused(run(tmp_path / "b.tape", *UP, "--listen", "127.0.0.1:0"), 3, "other users", "b.tape.spool")
    assert list((tmp_path / "theirs").iterdir()) == list((tmp_path / "b.tape.spool").iterdir()) == []


def test_a_port_in_use_is_the_environments_fault(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        refused(run(tmp_path / "a.tape", *UP, "--listen", address), 3, address)
        result = run(tmp_path / "a.tape", *UP, "--listen", "127.0.0.1:0", "--control-port", address.split(":")[1])
        refused(result, 3, f"{address}: cannot listen: Address already in use\n")

    assert list(tmp_path.iterdir()) == []


class Recording:
    """A `goldentape record` process in front of an echo server."""

    def __init__(self, tape: Path, *args: object) -> None:
        self.server = serve(lambda ws: [ws.send(m) for m in ws], "127.0.0.1", 0)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        upstream = f"ws://127.0.0.1:{self.server.socket.getsockname()[1]}"
        self.process = subprocess.Popen(
            [*GOLDENTAPE, "record", str(tape), "--upstream", upstream, "--listen", "127.0.0.1:0", *map(str, args)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        assert line.startswith("recording ws://127.0.0.1:"), line
        self.url = line.split()[1]

    def __enter__(self) -> "Recording":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self.server.shutdown()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors


def rows(tape: str | Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"file:{tape}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_in_a_sealed_tape_and_no_spool(tmp_path, number, code):
    tape = tmp_path / "a.tape"
    with Recording(tape) as recording:
        with connect(f"{recording.url}/?user_id=alice") as ws:
            ws.send("hello")
            assert ws.recv() == "hello"
        result, errors = recording.stop(number)

    assert result == code
    assert "sealed" in errors
    assert rows(tape, "SELECT user, direction, payload FROM events WHERE opcode = 'text' ORDER BY seq") == [
        ("alice", "c2s", "hello"),
        ("alice", "s2c", "hello"),
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tape", "a.tape.key"]
    assert rows(tape, "SELECT value FROM meta WHERE key = 'sealed'") == [(1,)]


def test_tags_are_in_the_tape_for_contracts(tmp_path):
    tape = tmp_path / "a.tape"
    with Recording(tape, "--tag", "tier=hard", "--tag", "release=2.3.1=rc") as recording:
        recording.stop()

    with open_tape(tape) as recorded:
        assert [tags_of(epoch) for epoch in recorded.epochs] == [{"tier": "hard", "release": "2.3.1=rc"}]


def test_of_a_token_only_the_claims_that_were_named_are_kept(tmp_path):
    tape = tmp_path / "a.tape"
    token = jwt.encode({"sub": "alice", "role": "admin", "mail": "alice@example.org"}, "k" * 40, algorithm="HS256")
    with Recording(tape, "--claim", "role", "--claim", "tier") as recording:
        with connect(f"{recording.url}/?token={token}") as ws:
            ws.send("hello")
            ws.recv()
        recording.stop()

    assert rows(tape, "SELECT kind, data FROM mark WHERE connection IS NOT NULL") == [("claims", '{"role": "admin"}')]
    with open_tape(tape) as recorded:
        assert kept_claims(recorded.epochs[0]) == {"role", "tier"}
    assert b"alice@example.org" not in tape.read_bytes()


def test_open_connections_are_ended_when_the_drain_is_over(tmp_path):
    tape = tmp_path / "a.tape"
    with Recording(tape, "--drain", "0.2") as recording, connect(recording.url) as ws:
        ws.send("hello")
        ws.recv()
        code, said = recording.stop()

    assert code == 0
    assert "stopping: 1 still open, with 0.2 s to end" in said
    assert rows(tape, "SELECT closed_by, ending FROM connections") == [("recorder", "lost")]


def test_files_are_private_whatever_the_umask(tmp_path):
    tape = tmp_path / "a.tape"
    old = os.umask(0)
    try:
        recording = Recording(tape)
    finally:
        os.umask(old)
    with recording:
        with connect(recording.url) as ws:
            ws.send("hello")
            ws.recv()
        modes = {
            p.name: p.stat().st_mode & 0o777 for p in [*tmp_path.iterdir(), *(tmp_path / "a.tape.spool").iterdir()]
        }
        recording.stop()

    assert modes.pop("a.tape.spool") == 0o700
    assert set(modes.values()) == {0o600}, modes


def test_a_copy_without_the_write_ahead_log_is_refused_and_left_as_it_was(tmp_path):
    tape, copy = tmp_path / "a.tape", tmp_path / "copy" / "b.tape"
    copy.parent.mkdir()
    with Recording(tape) as recording, connect(recording.url) as ws:
        ws.send("hello")
        ws.recv()
        while not Path(f"{tape}-wal").exists():
            assert recording.process.poll() is None
        copy.write_bytes(tape.read_bytes())
        contract = tmp_path / "c.yaml"
        contract.write_text(
            "goldentape: 1\ncontract: {id: x, version: '1.0.0'}\nwire: {type: type}\nevents: {a: {}}\n"
            "invariants: {x: {kind: never, event: a}}\n"
        )
        for words in (["tape", "check"], ["tape", "ls"], ["tape", "show"], ["verify", "--contract", contract]):
            done = subprocess.run([*GOLDENTAPE, *words, copy], capture_output=True, text=True, timeout=60)
            refused(done, 2, "its write-ahead log is missing", "b.tape-wal")

    assert [p.name for p in copy.parent.iterdir()] == ["b.tape"]


def listed(tape) -> str:
    return subprocess.run([*GOLDENTAPE, "tape", "ls", str(tape)], capture_output=True, text=True, timeout=60).stdout


def test_a_second_recorder_on_the_tape_is_refused_and_a_finished_one_needs_append(tmp_path):
    tape = tmp_path / "a.tape"
    with Recording(tape) as first:
        refused(run(tape, *UP, "--listen", "127.0.0.1:0"), 3, "another recorder")
        with connect(first.url) as ws:
            ws.send("one")
            ws.recv()
        first.stop()

    refused(run(tape, *UP, "--listen", "127.0.0.1:0"), 2, "--append")
    refused(run(tape, *UP, "--listen", "127.0.0.1:0", "--append"), 2, "sealed")


def test_a_second_recorder_with_its_spool_elsewhere_is_refused_and_so_is_a_seal(tmp_path):
    tape = tmp_path / "a.tape"
    with Recording(tape, "--spool-dir", tmp_path / "one") as recording, connect(recording.url) as ws:
        ws.send("hello")
        ws.recv()
        while not (tmp_path / "one" / "progress").exists():
            assert recording.process.poll() is None
        two = ("--listen", "127.0.0.1:0", "--append", "--spool-dir", tmp_path / "two")
        refused(run(tape, *UP, *two), 3, "another recorder is writing this tape")
        seal = [*GOLDENTAPE, "tape", "seal", "--after-crash", str(tape)]
        refused(subprocess.run(seal, capture_output=True, text=True, timeout=60), 3, "is being recorded")
        ws.close()
        assert recording.stop()[0] == 0
    assert rows(tape, "SELECT value FROM meta WHERE key = 'complete'") == [(1,)]


def test_a_killed_recorder_goes_on_with_append_and_seq_goes_on(tmp_path):
    tape = tmp_path / "a.tape"
    for word in ("one", "two", "three"):
        with Recording(tape, "--append") as recording, connect(recording.url) as ws:
            ws.send(word)
            assert ws.recv() == word
            recording.process.kill()
            recording.process.wait()
    with Recording(tape, "--append") as recording:
        recording.stop()

    assert rows(tape, "SELECT payload FROM events WHERE opcode = 'text' AND direction = 's2c' ORDER BY seq") == [
        ("one",),
        ("two",),
        ("three",),
    ]
    assert rows(tape, "SELECT count(*) FROM epoch") == [(4,)]
    assert rows(tape, "SELECT count(*) FROM mark WHERE kind = 'crash'") == [(3,)]


def test_a_tape_goes_on_whatever_its_name_has_in_it(tmp_path):
    for name in ("a%41.tape", "a #b?c&d.tape", "two\nlines.tape"):
        for _ in range(2):
            with Recording(tmp_path / name, "--append") as recording:
                recording.process.kill()
                recording.process.wait()
        with Recording(tmp_path / name, "--append") as recording:
            recording.stop()
        assert rows(quote(str(tmp_path / name)), "SELECT count(*) FROM epoch") == [(3,)]


def test_a_tape_whose_spool_is_elsewhere_is_seen_as_live(tmp_path):
    tape = tmp_path / "a.tape"
    with Recording(tape, "--spool-dir", str(tmp_path / "elsewhere")) as recording, connect(recording.url) as ws:
        ws.send("one")
        ws.recv()
        deadline = time.monotonic() + 30
        while "live" not in (said := listed(tape)) and time.monotonic() < deadline:
            time.sleep(0.1)
        recording.process.kill()
        recording.process.wait()

    assert "live" in said
    assert "crashed" in listed(tape)


def test_a_tape_goes_on_with_the_key_that_began_it_and_no_other(tmp_path):
    tape, other = tmp_path / "a.tape", tmp_path / "other.key"
    with Recording(tape) as recording, connect(recording.url) as ws:
        ws.send("one")
        ws.recv()
        recording.process.kill()
        recording.process.wait()
    other.write_bytes(bytes(32))
    other.chmod(0o600)

    append = ["--listen", "127.0.0.1:0", "--append"]
    refused(run(tape, *UP, *append, "--redaction-key-file", str(other)), 2, "another redaction key")
    (tmp_path / "a.tape.key").unlink()
    refused(run(tape, *UP, *append), 2, "no redaction key here")


def test_marks_of_a_load_driver_arrive_and_those_of_a_web_page_do_not(tmp_path):
    import http.client

    tape = tmp_path / "a.tape"
    with Recording(tape, "--control-port", "0") as recording:
        line = recording.process.stderr.readline()
        url = line.split()[-1]
        port, path = int(url.split(":")[2].split("/")[0]), "/" + url.split("/", 3)[3]

        def post(where: str, body: object, **headers: str) -> int:
            client = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            client.request("POST", where, json.dumps(body), headers)
            return client.getresponse().status

        assert post(path, {"kind": "fault_begin", "data": {"what": "redis"}}) == 204
        assert post(path, {"kind": "fault_begin"}, Origin="http://evil.example") == 403
        assert post("/.goldentape/guess/mark", {"kind": "fault_begin"}) == 404
        assert post(path, {"kind": "crash"}) == 400
        recording.stop()

    assert rows(tape, "SELECT kind, data FROM mark WHERE kind LIKE 'fault%'") == [("fault_begin", '{"what": "redis"}')]
