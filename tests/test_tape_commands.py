"""`goldentape tape ls | show | check | seal | export`, as a user types them."""

import fcntl
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from spools import Spool
from tapes import Writer, home, write

from recorder.fold import Fold

GOLDENTAPE = [sys.executable, "-m", "goldentape"]
EVIL = "\x1b]0;owned\x07\x1b[2J\u202e\r\n::error::"
CHAT = (
    'alice connects /chat?room=1 credential=valid subprotocol=v1',
    'alice > {"type": "ask", "text": "where is it?"}',
    "250ms",
    'alice < {"type": "answer", "text": "on its way"}',
    "alice < (ping beat)",
    "alice > 0x00ff10",
    'bob > {"jsonrpc": "2.0", "method": "login", "id": 1}',
    'bob < {"jsonrpc": "2.0", "result": true, "id": 1}',
    'mark fault_begin {"what": "redis"}',
    'carol > 42["greet","x"]',
    "dave refused 401 who are you?",
    "alice < (close 1000 bye)",
    "alice > (close 1000)",
    "carol ends reset by server",
)  # fmt: skip


def run(*args, **options):
    words = [str(arg) for arg in args]
    return subprocess.run([*GOLDENTAPE, "tape", *words], capture_output=True, text=True, timeout=60, **options)


def out(*args, code=0):
    done = run(*args)
    assert (done.returncode, done.stderr) == (code, "")
    return done.stdout


def refused(*args, code=2):
    done = run(*args)
    assert done.returncode == code
    assert done.stderr.startswith("goldentape: error: ") and done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def chat():
    return write(home() / "chat.tape", *CHAT)


# -- show


def test_show_reads_like_a_conversation(chat):
    lines = out("show", chat, "--user", "alice").splitlines()

    assert [" ".join(line.split()) for line in lines] == [
        "#1 0.000 • begin 2023-11-14 22:13:20 UTC in front of ws://127.0.0.1:9",
        "0.000 ┌ connects /chat?room=1 101 after 0.0 ms credential valid subprotocol v1 id c1, 0.001 s on tape",
        '#3 0.001 → ask "where is it?"',
        '#4 0.252 ← answer "on its way"',
        "#5 0.253 ← ping beat",
        "#6 0.254 → binary 3 bytes: 00ff10",
        "#10 0.257 • fault_begin what=redis",
        '#14 0.259 ← close 1000 "bye"',
        "#15 0.260 → close 1000",
        '0.261 └ ends 1000 "bye" clean by the server',
        "#16 0.262 • end",
    ]


def test_show_names_events_of_other_protocols_and_says_who(chat):
    text = out("show", chat)

    said = [" ".join(line.split()[2:]) for line in text.splitlines()]
    assert "bob → login id=1 jsonrpc=2.0" in said or "bob → login jsonrpc=2.0" in said
    assert "bob ← result result=true" in said
    assert "carol → greet x" in said
    assert "dave ✗ refused / 401 Refused who are you? id c4, 0.259 s on tape" in [
        " ".join(line.split()[1:]) for line in text.splitlines()
    ]
    assert "• fault_begin" in text and "what=redis" in text
    assert "by a reset  by the server" in text


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--event", "ask"], ["ask"]),
        (["--event", "a*"], ["ask", "answer"]),
        (["--direction", "c2s", "--connection", "c1"], ["ask", "binary", "close"]),
        (["--direction", "s2c", "--from", "255ms"], ["result", "close"]),
        (["--direction", "c2s", "--to", "100ms"], ["ask"]),
        (["--limit", "1", "--event", "*"], ["ask"]),
        (["--event", "*", "--from", "#8", "--to", "#9"], ["login", "result"]),
    ],
)
def test_show_can_be_narrowed(chat, options, names):
    lines = out("show", chat, *options).splitlines()
    cells = [line.split() for line in lines]

    assert [words[words.index("→" if "→" in words else "←") + 1] for words in cells] == names


def test_show_says_so_where_there_is_nothing_to_show(chat):
    done = run("show", chat, "--event", "aks")

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{chat}: nothing on it is what was asked for\n"


def test_show_cuts_lines_unless_asked_for_all(tmp_path):
    tape = write(tmp_path / "a.tape", "alice > " + "x" * 5000)

    assert max(map(len, out("show", tape).splitlines())) == 160
    assert "x" * 5000 in out("show", tape, "--full")


def test_nothing_recorded_reaches_a_terminal_raw(tmp_path):
    tape = write(
        tmp_path / "a.tape", f"eve > {EVIL}", 'eve > {"type": "\\u001b[2J\\u202e"}', f"eve < (close 1000 {EVIL})",
        'mark say {"k": "\\u001b[2J"}', f"mallory refused 401 {EVIL}",
    )  # fmt: skip
    terminal, end = pty.openpty()
    process = subprocess.Popen([*GOLDENTAPE, "tape", "show", str(tape)], stdout=end, stderr=end)
    os.close(end)
    shown = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
    process.wait(30)

    text = shown.decode("utf-8")
    plain = text.replace("\r\n", "\n")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", plain)  # our own colours
    assert "\x1b" not in plain and "\x07" not in plain and "\u202e" not in plain and "\r" not in plain
    assert "\n::error" not in plain
    assert "\\x1b]0;owned" in plain


def followed(tape):
    """A tape that is being recorded, with one message of bob's, and a `show --follow` of it."""
    spool = Spool(tape)
    lock = os.open(spool.directory / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    spool.begin()
    bob = spool.open("/?user_id=bob")
    spool.c2s(bob, "first")
    fold = Fold(spool.settings)
    while fold.step():
        pass
    process = subprocess.Popen(
        [*GOLDENTAPE, "tape", "show", "--follow", str(tape)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return spool, fold, lock, bob, process


def test_show_follows_a_tape_until_it_is_sealed(tmp_path):
    spool, fold, lock, bob, process = followed(tmp_path / "a.tape")
    seen = []
    while not seen or "first" not in seen[-1]:
        seen.append(process.stdout.readline())
    spool.s2c(bob, "second")
    eve = spool.open("/?user_id=eve")
    spool.c2s(eve, "third")
    while fold.step():
        pass
    while "third" not in seen[-1]:
        seen.append(process.stdout.readline())
    spool.close(bob)
    spool.close(eve)
    spool.stop()
    while not fold.folder.closed:
        fold.step()
    fold.seal()
    fold.close()
    os.close(lock)
    rest, _ = process.communicate(timeout=30)

    text = "".join(seen)
    assert process.returncode == 0
    assert [word for word in ("first", "second", "third") if text.count(word) == 1] == ["first", "second", "third"]
    assert rest.count("└") == 2


def test_show_follows_a_tape_until_its_recorder_is_killed(tmp_path):
    spool, fold, lock, bob, process = followed(tmp_path / "a.tape")
    while "first" not in process.stdout.readline():
        pass
    spool.s2c(bob, "never folded while it lived")
    # The last one to close the tape takes the write-ahead log away, and the tape still says that it has one.
    fold.close()
    os.close(lock)
    rest, errors = process.communicate(timeout=30)

    assert (process.returncode, errors.count("\n")) == (0, 1), errors
    assert "its recorder had died; brought in 1 events" in errors
    assert "never folded while it lived" in rest and "• crash" in rest


# -- ls


def test_ls_lists_users_connections_and_how_they_ended(chat):
    text = out("ls", chat)

    assert "sealed, 4 users, 4 connections, 9 events, head " in text
    assert ["alice", "6", "1", "query:user"] in [line.split() for line in text.splitlines()]
    assert any("clean 1000 by server" in line and "/chat?room=1" in line for line in text.splitlines())
    assert any("refused" in line and "401" in line for line in text.splitlines())


def test_ls_prints_json_for_programs(chat):
    told = json.loads(out("ls", chat, "--json"))

    assert (told["state"], told["users"], told["events"]) == ("sealed", 4, 9)
    assert told["endings"] == {"clean": 1, "open": 1, "reset": 1, "refused": 1}
    assert [c["user"] for c in told["by_connection"]] == ["alice", "bob", "carol", "dave"]


def test_ls_of_a_great_many_is_cut_unless_asked_for_all(tmp_path):
    tape = write(tmp_path / "a.tape", *(f"u{n} > x" for n in range(60)))

    assert "... 10 more connections (--all)" in out("ls", tape)
    assert "u59" in out("ls", tape, "--all")


# -- check and seal


def test_check_of_a_whole_tape_is_0_and_prints_its_head(chat):
    head = json.loads(out("ls", chat, "--json"))["head"]

    assert out("check", chat, "--expect-head", head).rstrip().endswith(f"head {head}")
    assert "another tape" in refused("check", chat, "--expect-head", "0" * 64)
    assert "not a head" in refused("check", chat, "--expect-head", "abc")


def test_check_of_a_changed_tape_is_1_and_names_the_event(tmp_path):
    tape = write(tmp_path / "a.tape", *CHAT)
    with closing(sqlite3.connect(tape)) as db:
        seq = db.execute("SELECT seq FROM events WHERE type = 'answer'").fetchone()[0]
        db.execute('UPDATE event SET payload = \'{"type": "answer"}\' WHERE id & 1099511627775 = ?', (seq,))
        db.commit()

    assert f"seq {seq} of alice" in refused("check", tape, code=1)


def test_a_tape_without_a_seal_is_4_until_it_is_sealed_after_the_crash(tmp_path):
    tape = write(tmp_path / "a.tape", *CHAT, crashed=True)

    done = run("check", tape)
    assert (done.returncode, "has no seal, for its recorder died" in done.stderr) == (4, True)
    assert out("check", tape, "--allow-unsealed")
    assert "--after-crash" in refused("seal", tape)
    assert "sealed" in out("seal", tape, "--after-crash")
    assert "sealed incomplete" in out("check", tape)
    assert "sealed already" in refused("seal", tape, "--after-crash")


def test_a_tape_without_connections_is_4(tmp_path):
    done = run("check", write(tmp_path / "a.tape"))

    assert (done.returncode, "nothing was checked" in done.stderr) == (4, True)


def test_a_tape_that_is_being_recorded_is_not_sealed(tmp_path):
    tape = tmp_path / "a.tape"
    writer = Writer(tape)
    writer.say("alice > hi")
    writer.commit()
    (tmp_path / "a.tape.spool").mkdir()
    lock = os.open(tmp_path / "a.tape.spool" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)

    assert "is being recorded" in refused("seal", tape, "--after-crash", code=3)
    assert "live" in out("ls", tape)
    os.close(lock)
    writer.writer.close()


def test_what_a_killed_recorder_left_is_brought_in_by_the_first_command(tmp_path):
    spool = Spool(tmp_path / "a.tape")
    spool.begin()
    bob = spool.open("/?user_id=bob")
    spool.c2s(bob, "hello")
    spool.writer.close()

    done = run("show", tmp_path / "a.tape")

    assert done.returncode == 0
    assert "brought in 1 events, 1 connections were open" in done.stderr
    assert "hello" in done.stdout and "lost from sight" in done.stdout
    assert run("show", tmp_path / "a.tape").stderr == ""


# -- export


def test_jsonl_says_everything(chat):
    objects = [json.loads(line) for line in out("export", chat, "--format", "jsonl").splitlines()]
    kinds = [o["kind"] for o in objects]
    events = [o for o in objects if o["kind"] == "event"]
    alice = next(o for o in objects if o["kind"] == "connection")

    assert kinds[:6] == ["epoch"] + ["connection"] * 4 + ["mark"]
    assert kinds[-1] == "tape" and objects[-1]["complete"] is True
    placed = [o["seq"] for o in objects if "seq" in o]
    assert placed == sorted(placed)
    assert (alice["path"], alice["subprotocol"], alice["status"], alice["close_code"], alice["closed_by"]) == (
        "/chat?room=1", "v1", 101, 1000, "server",
    )  # fmt: skip
    assert events[0]["payload"] == '{"type": "ask", "text": "where is it?"}'
    assert (events[0]["dir"], events[0]["opcode"], events[0]["n"], events[0]["size"]) == ("c2s", 1, 0, 39)
    assert (events[3]["opcode"], events[3]["payload_b64"]) == (2, "AP8Q")
    assert all(isinstance(o["t"], int) for o in events)


def test_payloads_can_be_left_out(chat):
    for form in ("jsonl", "har"):
        done = run("export", chat, "--format", form, "--payloads", "none")
        assert done.returncode == 0 and "on its way" not in done.stdout and "AP8Q" not in done.stdout


def test_har_is_chromes_dialect(chat):
    done = run("export", chat, "--format", "har")
    log = json.loads(done.stdout)["log"]
    alice, bob, carol, dave = log["entries"]

    assert log["version"] == "1.2" and log["creator"]["name"] == "goldentape"
    assert done.stderr.startswith("HAR has no place for")
    assert [(m["type"], m["opcode"], m["data"]) for m in alice["_webSocketMessages"]] == [
        ("send", 1, '{"type": "ask", "text": "where is it?"}'),
        ("receive", 1, '{"type": "answer", "text": "on its way"}'),
        ("send", 2, "AP8Q"),
    ]
    assert alice["_webSocketMessages"][1]["time"] == pytest.approx(1_700_000_000.253)
    assert alice["_webSocketClose"] == {"code": 1000, "reason": "bye", "timestamp": pytest.approx(1_700_000_000.262)}
    assert (alice["_resourceType"], alice["request"]["url"]) == ("websocket", "ws://127.0.0.1:9/chat?room=1")
    assert alice["request"]["queryString"] == [{"name": "room", "value": "1"}]
    assert [c["opcode"] for c in alice["_goldentape"]["control"]] == [9, 8, 8]
    assert carol["_webSocketClose"] == "aborted" and "_webSocketClose" not in bob
    assert (dave["response"]["status"], dave["response"]["content"]["text"]) == (401, "who are you?")
    assert [m["mark"] for m in log["_goldentape"]["marks"]] == ["begin", "fault_begin", "end"]


def test_an_export_of_one_user_or_connection_has_nobody_elses(chat):
    for option in (["--user", "bob"], ["--connection", "c2"]):
        objects = [json.loads(line) for line in out("export", chat, *option).splitlines()]
        assert {o["user"] for o in objects if o["kind"] in ("event", "connection")} == {"bob"}
        har = json.loads(run("export", chat, "--format", "har", *option).stdout)
        assert len(har["log"]["entries"]) == 1


def test_an_export_to_a_file_appears_whole_or_not_at_all(chat, tmp_path):
    target = tmp_path / "out.jsonl"

    assert out("export", chat, "-o", target) == ""
    whole = target.read_text()
    assert "exists" in refused("export", chat, "-o", target)
    assert out("export", chat, "-o", target, "--force") == ""
    assert target.read_text() == whole == out("export", chat)
    assert "does not exist" in refused("export", chat, "-o", tmp_path / "no" / "x")
    assert "is the tape itself" in refused("export", chat, "-o", chat, "--force")
    assert "is not one of" in refused("export", chat, "--format", "pcap")
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_full_disk_leaves_no_half_file(tmp_path):
    tape = write(tmp_path / "a.tape", *(f"alice > {'x' * 1000}" for _ in range(200)))
    code = (
        "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from goldentape.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "tape", "export", str(tape), "-o", str(tmp_path / "out.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert done.returncode == 3
    assert "cannot be written: File too large" in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.tape"]


@pytest.mark.parametrize("command", [["show"], ["ls", "--all"], ["export"], ["export", "--format", "har"]])
def test_a_reader_that_has_enough_ends_it_quietly(tmp_path, command):
    tape = write(tmp_path / "a.tape", *(f"alice > {'x' * 1000}" for _ in range(2000)))
    process = subprocess.Popen(
        [*GOLDENTAPE, "tape", *command, str(tape)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()

    assert process.stderr.read() == b""
    assert process.wait(30) in (0, 141, -signal.SIGPIPE)


@pytest.mark.parametrize("command", [["show"], ["ls"], ["check"], ["seal"], ["export"]])
def test_what_is_no_tape_is_refused_in_one_line(tmp_path, command):
    text = tmp_path / "x.tape"
    text.write_text("hello " * 200)

    assert "not a SQLite file" in refused(*command, text)
    assert "no such tape" in refused(*command, tmp_path / "none.tape")
    assert "directory" in refused(*command, tmp_path)


def test_names_that_are_not_there_are_said_to_be_so(chat):
    assert "there are alice, bob, carol, dave" in refused("show", chat, "--user", "al")
    assert "no such connection" in refused("show", chat, "--connection", "zz")
    assert "no such user" in refused("export", chat, "--user", "zz")
    assert "'soon' is neither a time such as 12s or 250ms nor a seq such as '#358'" in refused(
        "show", chat, "--from", "soon"
    )
    assert "--to is before --from" in refused("show", chat, "--from", "2s", "--to", "1s")
