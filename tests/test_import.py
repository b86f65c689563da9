"""`goldentape tape import`: what five tools write as HAR, mitmproxy's flows, and JSON Lines, as tapes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tapes import Writer, home, write

from goldentape import jsonl
from goldentape.check import check
from goldentape.cli import main
from goldentape.event import Flag
from goldentape.tape import open_tape
from recorder.imports.flows import FlowReader
from recorder.imports.run import import_lines, import_source, kind_of
from recorder.imports.staging import Staging
from recorder.settings import Settings

SAMPLES = Path(__file__).parent.parent / "fixtures/imports"
HARS = sorted(path.name for path in SAMPLES.glob("*.har"))
TALK = [
    (0, 1, '{"type": "place", "order": 1, "dish": "Käse 🧀"}'.encode()), (0, 2, b"\0\1\2\xff"),
    (0, 1, b'{"type": "place", "order": 2, "dish": "soup"}'), (1, 1, b'{"type": "accepted", "order": 1}'),
    (1, 1, '{"type": "served", "order": 1, "dish": "Käse 🧀"}'.encode()), (1, 2, b"\xff\2\1\0"),
    (1, 1, b'{"type": "accepted", "order": 2}'), (1, 1, b'{"type": "served", "order": 2, "dish": "soup"}'),
]  # fmt: skip
SECOND = 1_000_000_000


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Import in a directory of its own; returns (code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["tape", "import", *map(str, arguments)])
        return int(ended.value.code), *capsys.readouterr()

    return run


def talk(tape, user: str) -> list[tuple[int, int, bytes]]:
    """What a user said and heard, as far as every source has it; JSON by its value."""

    def plain(payload: bytes) -> bytes:
        try:
            return json.dumps(json.loads(payload), ensure_ascii=False).encode()
        except ValueError:
            return payload

    return [(int(e.direction), int(e.opcode), plain(e.payload)) for e in tape.events(user=user) if e.opcode < 8]


@pytest.mark.parametrize("name", [*HARS, "flows.mitm"])
def test_every_dialect_tells_the_same_talk(run, name):
    code, out, _ = run(SAMPLES / name, "-o", "a.tape", "--identify", "query:user_id")

    assert code == 0 and out.startswith("sealed a.tape: ")
    with open_tape("a.tape") as tape:
        check(tape).demand(tape)
        assert tape.state == "sealed"
        assert talk(tape, "ada") == TALK
        assert talk(tape, "bob")[:8] == TALK
        ada = next(c for c in tape.connections() if c.user == "ada")
        assert ada.status == 101 and ada.target == "/chat?user_id=ada"
        times = [e.t for e in tape.events(user="ada")]
        assert times == sorted(times) and ada.opened <= ada.accepted <= times[0] <= times[-1] <= ada.closed
        seqs = [e.seq for e in tape.events()]
        assert seqs == sorted(seqs)
        [imported] = [mark for mark in tape.marks() if mark.kind == "import"]
        assert imported.data["source"] in ("HAR", "mitmproxy flows")
    assert {path.name for path in Path().iterdir()} == {"a.tape", "a.tape.key"}


@pytest.mark.parametrize("name", HARS)
def test_seconds_and_milliseconds_are_told_apart(run, name):
    run(SAMPLES / name, "-o", "a.tape")
    with open_tape("a.tape") as tape:
        begin = tape.epochs[0].wall
        assert 1_795_277_857 * SECOND < begin < 1_795_277_900 * SECOND
        assert tape.last_t() < 2 * SECOND


def test_a_byte_order_mark_is_passed_over(run):
    Path("bom.har").write_bytes(b"\xef\xbb\xbf" + (SAMPLES / "chrome.har").read_bytes())
    assert run("bom.har", "-o", "a.tape")[0] == 0
    with open_tape("a.tape") as tape:
        assert talk(tape, "ada") == TALK


def test_how_a_connection_ended_is_kept_where_the_source_says_it(run):
    run(SAMPLES / "flows.mitm", "-o", "a.tape")
    with open_tape("a.tape") as tape:
        ends = [(c.user.partition(":")[0], c.close_code, c.closed_by, str(c.ending)) for c in tape.connections()]
    assert ends == [
        ("ada", 1000, "client", "clean"), ("bob", 4001, "server", "clean"), ("eve", None, "client", "eof"),
        ("connection", None, "server", "refused"),
    ]  # fmt: skip


def test_what_the_source_could_not_carry_is_said(run):
    _, _, err = run(SAMPLES / "chrome.har", "-o", "a.tape")
    assert "WebInspector 537.36 does not say: who closed a connection, and with what code; pings and pongs" in err
    assert "chrome.har: errors of the tool, which are no messages, were left out (1)" in err
    _, _, err = run(SAMPLES / "playwright-minimal.har", "-o", "b.tape")
    assert "when messages were sent" in err
    _, _, err = run(SAMPLES / "gori.har", "-o", "c.tape")
    assert "handshakes with another status than 101 had messages, and count as accepted (1)" in err


def test_users_and_secrets_are_as_in_a_recording(run):
    _, _, _ = run(SAMPLES / "mitmproxy.har", "-o", "a.tape", "--redact", "dish", "--claim", "sub", "--tag", "release=2")
    with open_tape("a.tape") as tape:
        assert {user.name: user.rule for user in tape.users()}["ada"] == "jwt:header:Authorization:sub"
        assert b"soup" not in b"".join(event.payload for event in tape.events())
        assert any(event.flags & Flag.REDACTED for event in tape.events())
        assert tape.epochs[0].options["tags"] == {"release": "2"}
    raw = Path("a.tape").read_bytes()
    assert b"eyJhbGciOiJIUzI1NiJ9" not in raw
    run(SAMPLES / "playwright.har", "-o", "b.tape")
    assert b"s3cr3t-cookie-of-ada-0001" not in Path("b.tape").read_bytes()


def test_cookies_of_a_list_of_their_own_name_users_too(run):
    request = {"url": "ws://h/chat", "headers": [], "cookies": [{"name": "who", "value": "ada"}]}
    Path("in").write_bytes(har(entry(said(), request=request)))
    run("in", "-o", "a.tape", "--identify", "cookie:who")
    with open_tape("a.tape") as tape:
        [user] = tape.users()
        assert user.rule == "cookie:who"


# -- what a source does not say, the verifier does not know

ASKS = """
goldentape: 1
contract: {id: asks, version: 1.0.0}
wire: {format: json, type: type}
events: {place: {dir: c2s}, accepted: {}, served: {}, gone: {on: close}}
invariants:
  in-time: {kind: responds, trigger: place, answer: accepted, within: 5s}
  paired: {kind: precedes, first: place, then: served}
  polite: {kind: never, event: gone, where: {"@close.code": 1011}}
  quick: {kind: latency, from: place, to: accepted, max: 5s}
"""


def verdicts(tape: str, capsys) -> dict[str, str]:
    Path("asks.yaml").write_text(ASKS)
    with pytest.raises(SystemExit):
        main(["verify", tape, "--contract", "asks.yaml", "--json"])
    said = json.loads(capsys.readouterr().out)
    return {i["name"]: i["verdict"] for i in said["invariants"] if not i["name"].startswith("wire.")}


def test_what_the_source_does_not_say_is_inconclusive(run, capsys):
    run(SAMPLES / "flows.mitm", "-o", "flows.tape")
    assert verdicts("flows.tape", capsys) == {"in-time": "pass", "paired": "pass", "polite": "pass", "quick": "pass"}
    run(SAMPLES / "mitmproxy.har", "-o", "har.tape")
    assert verdicts("har.tape", capsys) == {
        "in-time": "pass", "paired": "pass", "polite": "inconclusive", "quick": "pass"
    }  # fmt: skip
    run(SAMPLES / "playwright-minimal.har", "-o", "minimal.tape")
    assert verdicts("minimal.tape", capsys) == {
        "in-time": "inconclusive", "paired": "pass", "polite": "inconclusive", "quick": "inconclusive"
    }  # fmt: skip


# -- bad input: one line, and nothing left behind


def har(*entries: object) -> bytes:
    return json.dumps(
        {"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": entries}}
    ).encode()


def entry(*messages: object, **more: object) -> dict:
    return {
        "startedDateTime": "2026-11-21T16:18:00.728Z", "time": 10, "_resourceType": "websocket",
        "request": {"method": "GET", "url": "ws://h/chat?user_id=ada", "headers": []},
        "response": {"status": 101, "headers": []}, "_webSocketMessages": list(messages), **more,
    }  # fmt: skip


def said(**more: object) -> dict:
    return {"type": "send", "time": 1795277880.7, "opcode": 1, "data": "hi", **more}


GOOD = har(entry(said()))
BAD = [
    ("empty", b"", "is empty"),
    ("text", b"hello", "is neither a HAR, nor flows of mitmproxy, nor JSON Lines"),
    ("zip", b"PK\3\4xxxx", "is a zip archive: unpack it first"),
    ("gzip", b"\x1f\x8b\x08xxxx", "is compressed with gzip: unpack it first"),
    ("UTF-16", GOOD.decode().encode("utf-16"), "is UTF-16: save it as UTF-8"),
    ("a tape", b"SQLite format 3\0", "is a database"),
    ("other JSON", b'{"a": 1}', "is no HAR: it has no log.entries"),
    ("a list", b"[1, 2]", "is no HAR: it is no JSON object"),
    ("log is a list", b'{"log": []}', "is no HAR: its log is no object"),
    ("entries are none", b'{"log": {"entries": {}}}', "is no HAR: its log.entries are no list"),
    ("no entries", har(), "has no WebSocket in it, found 0 entries"),
    ("no websocket", har({"request": {"url": "http://h/"}, "response": {"status": 200}}), "has no WebSocket in it"),
    ("cut off", GOOD[:-30], "ends in the middle of its JSON: it was cut off"),
    ("cut off early", GOOD[:200], "ends in the middle of its JSON"),
    ("no JSON", GOOD.replace(b'"time": 10', b'"time": ten'), "is no JSON"),
    ("bad UTF-8", GOOD.replace(b'"hi"', b'"h\xff"'), "is no JSON"),
    ("entry is a number", har(entry(said()), 7), "entry 2: is no object"),
    ("request is a list", har(entry(said(), request=[])), "entry 1: its request is no object"),
    ("URL is a number", har(entry(said(), request={"url": 7})), "entry 1: its URL is no text"),
    ("headers are text", har(entry(said(), response={"status": 101, "headers": "x"})), "its headers are no list"),
    ("messages are text", har(entry() | {"_webSocketMessages": "x"}), "entry 1: its _webSocketMessages are no list"),
    ("message is text", har(entry(said(), "x")), "entry 1, message 2: is no object"),
    ("data is a number", har(entry(said(data=7))), "entry 1, message 1: its data are no text"),
    ("type is unknown", har(entry(said(type="shout"))), "its type is neither send nor receive, found shout"),
    ("opcode is text", har(entry(said(opcode="x"))), "its opcode is no number"),
    ("opcode is 3", har(entry(said(opcode=3))), "its opcode is none of 1, 2, 8, 9, 10, found 3"),
    ("time is text", har(entry(said(time="now"))), "its time is no number"),
    ("status is text", har(entry(said(), response={"status": "ok"})), "its status is no number"),
    ("deep", b'{"log": {"entries": [{"request": ' + b"[" * 5000 + b"]" * 5000 + b"}]}}", "is nested too deeply"),
    ("a broken file beside", har(entry(response={"status": 101, "content": {"_file": "../x.jsonl"}})),
     "which is not beside it"),
    ("flows: a lie", b"99999999999:x,", "ends in the middle"),
    ("flows: cut off", (SAMPLES / "flows.mitm").read_bytes()[:-100], "flow 4: ends in the middle: the file"),
    ("flows: no flow", b"3:abc,", "flow 1: is no flow"),
    ("flows: another type", b"14:4:type;4:http;}", "flow 1: is not as mitmproxy writes one"),
    ("flows: old", b"19:4:type;9:websocket;}", "is of mitmproxy 6 or older"),
    ("lines: no JSON", b'{"kind": "epoch"', "line 1: is no JSON, and has no end: the file was cut off"),
    ("lines: wrong types", b'{"kind": "epoch", "epoch": "x"}\n', "line 1: its epoch is no whole number"),
    ("lines: no kind", b'{"kind": "epcoh"}\n', "line 1: its kind is none of epoch, connection"),
]  # fmt: skip


@pytest.mark.parametrize("data, what", [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_bad_input_is_one_line_and_leaves_nothing(run, data, what):
    Path("in").write_bytes(data)

    code, out, err = run("in", "-o", "a.tape")

    assert (code, out) == (2, "")
    assert err.startswith("goldentape: error: in: ") and err.count("\n") == 1 and "Traceback" not in err
    assert what in err
    assert [path.name for path in Path().iterdir()] == ["in"]


def test_where_a_tape_may_not_be_nothing_is_made(run):
    Path("in").write_bytes(GOOD)
    Path("there.tape").write_text("mine")
    Path("dir.tape").mkdir()
    Path("link.tape").symlink_to("elsewhere")
    for name, what in (
        ("there.tape", "exists"), ("dir.tape", "is a directory"), ("link.tape", "symbolic link"),
        ("no/a.tape", "the directory does not exist"),
    ):  # fmt: skip
        code, _, err = run("in", "-o", name)
        assert code == 2 and what in err
    assert Path("there.tape").read_text() == "mine"
    assert sorted(p.name for p in Path().iterdir()) == ["dir.tape", "in", "link.tape", "there.tape"]
    assert run("nowhere.har")[2].startswith("goldentape: error: nowhere.har: there is no such file")
    assert run(".")[2].startswith("goldentape: error: .: is a directory")


def test_what_is_no_file_is_refused_and_not_waited_for(run):
    os.mkfifo("pipe")
    code, _, err = run("pipe", "-o", "a.tape")
    assert code == 2 and "is no regular file" in err


def test_two_at_once_and_an_interrupt_leave_one_tape_with_its_key_or_nothing(tmp_path):
    entries = [entry(*[said(data=f"{n}")] * 200) for n in range(30)]
    (tmp_path / "in").write_bytes(har(*entries))
    command = [sys.executable, "-m", "goldentape", "tape", "import", "in", "-o", "a.tape"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=-3, stderr=-3) for _ in range(2)]
    assert sorted(one.wait(60) for one in both) == [0, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"in", "a.tape", "a.tape.key"}
    with open_tape(tmp_path / "a.tape") as tape:
        check(tape).demand(tape)

    (tmp_path / "long").write_bytes(har(*entries * 30))
    with subprocess.Popen(
        [*command[:5], "long", "-o", "b.tape"], cwd=tmp_path, stdout=-3, stderr=-3, start_new_session=True
    ) as one:
        while one.poll() is None and not any(path.name.startswith(".b.tape") for path in tmp_path.iterdir()):
            pass
        one.send_signal(signal.SIGINT)
        assert one.wait(60) == 130
    assert {path.name for path in tmp_path.iterdir()} == {"in", "long", "a.tape", "a.tape.key"}


def test_hostile_numbers_cost_nothing(run):
    data = GOOD.replace(b"1795277880.7", b"1e999999999").replace(b'"time": 10', b'"time": 1e400')
    Path("in").write_bytes(data)
    code, _, err = run("in", "-o", "a.tape")
    assert code == 0 and "when messages were sent" in err


def test_a_line_break_in_a_header_makes_no_header(run):
    headers = [{"name": "Cookie", "value": "a=b\r\nX-User: root"}, {"name": "X-User", "value": "ada"}]
    request = {"url": "ws://h/chat", "headers": headers}
    Path("in").write_bytes(har(entry(said(), request=request)))
    run("in", "-o", "a.tape", "--identify", "header:X-User")
    with open_tape("a.tape") as tape:
        assert [user.name for user in tape.users()] == ["ada"]


# -- laws


def contents(path: Path) -> list[dict]:
    """Everything a tape says, but what a seal makes of chance."""
    with open_tape(path) as tape:
        return [o for o in jsonl.objects(tape) if o["kind"] != "tape"] + [{"complete": tape.complete}]


def lines_of(path: Path, target: Path) -> Path:
    with open_tape(path) as tape:
        target.write_text("".join(json.dumps(o) + "\n" for o in jsonl.objects(tape)))
    return target


WORDS = st.sampled_from([
    "{u} > hello", "{u} < hi", '{u} < {{"type": "done", "n": 1}}', "{u} > 0x00ff", "{u} < (ping ab)", "{u} > (pong)",
    "{u} < !delivery_unknown maybe", "{u} < !redacted secret", "{u} < !truncated long", "{u} > é\u2028🧀",
    "{u} < (close 4001 as you like)", "{u} > (close 1000)", "{u} ends", "{u} ends eof by client", "{u} ends reset",
    "{u} becomes eve credential=expired expires=1795277880", "{u} refused 401 credential=expired no entry", "2.5s",
    'mark fault_begin {{"kind": "cut"}}', 'tick {{"lag": 0.2}}', "get /login 200",
])  # fmt: skip


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["ada", "bob", "ada/2"]), WORDS), min_size=1, max_size=25), st.booleans())
def test_lines_of_a_tape_are_the_tape_again(said, complete):
    folder = home() / f"law-{abs(hash((tuple(said), complete)))}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    sentences = ["ada connects", *(word.format(u=user) for user, word in said)]
    tape = write(folder / "a.tape", *sentences, complete=complete)

    import_lines(lines_of(tape, folder / "a.jsonl"), folder / "b.tape", lambda _: None)

    assert contents(folder / "b.tape") == contents(tape)
    with open_tape(folder / "b.tape") as again:
        check(again).demand(again)


def test_lines_that_were_changed_or_cut_are_told(run):
    tape = write(Path("a.tape"), "ada > hello", "ada < hi")
    lines = lines_of(tape, Path("a.jsonl")).read_text().splitlines(keepends=True)

    Path("changed.jsonl").write_text("".join(lines).replace('"hello"', '"hullo"'))
    code, _, err = run("changed.jsonl", "-o", "b.tape")
    assert code == 2 and "its payload is not that of its sha256: it was changed" in err

    Path("cut.jsonl").write_text("".join(lines[:-1]))
    code, _, err = run("cut.jsonl", "-o", "c.tape")
    assert code == 0 and "end of the file is missing: the tape is sealed as incomplete" in err
    with open_tape("c.tape") as cut:
        assert cut.state == "sealed incomplete"

    Path("swapped.jsonl").write_text("".join([*lines[:-3], lines[-2], lines[-3], lines[-1]]))
    assert "is not higher than" in run("swapped.jsonl", "-o", "d.tape")[2]


@pytest.mark.parametrize("odd", [[], None, 10**30])
def test_any_field_may_be_anything(run, odd):
    tape = write(Path("a.tape"), "ada > hello", "mark m {}", "get / 200")
    lines = [json.loads(line) for line in lines_of(tape, Path("a.jsonl")).read_text().splitlines()]
    Path("a.jsonl").unlink()
    for at, line in enumerate(lines):
        for name in line:
            changed = [*lines[:at], {**line, name: odd}, *lines[at + 1 :]]
            Path("in").write_text("".join(json.dumps(one) + "\n" for one in changed))
            code, _, err = run("in", "--format", "jsonl", "-o", "b.tape")
            assert code in (0, 2) and "Traceback" not in err and (code == 0 or err.count("\n") == 1)
            Path("b.tape").unlink(missing_ok=True)


def test_lines_without_payloads_are_a_tape_that_proves_nothing_by_them(run):
    tape = write(Path("a.tape"), "ada > hello", "ada < hi")
    with open_tape(tape) as found:
        Path("a.jsonl").write_text("".join(json.dumps(o) + "\n" for o in jsonl.objects(found, payloads=False)))
    assert run("a.jsonl", "-o", "b.tape")[0] == 0
    with open_tape("b.tape") as again:
        assert all(event.flags & Flag.TRUNCATED and not event.payload for event in again.events())
        assert again.state == "sealed incomplete"


def test_an_erased_message_stays_erased(run):
    writer = Writer(Path("a.tape"))
    for sentence in ("ada > hello", "ada < gone", "ada > bye", 'mark tombstone {"user": "ada"}'):
        writer.say(sentence)
    writer.finish()
    lines = [json.loads(line) for line in lines_of(Path("a.tape"), Path("a.jsonl")).read_text().splitlines()]
    for o in lines:
        if o.get("payload") == "gone":
            del o["payload"]
            o["flags"], o["sha256"] = ["erased"], None
    Path("a.jsonl").write_text("".join(json.dumps(o) + "\n" for o in lines))
    run("a.jsonl", "-o", "b.tape")
    with open_tape("b.tape") as tape:
        check(tape).demand(tape)
        assert [bool(event.flags & Flag.ERASED) for event in tape.events()] == [False, True, False]
    Path("a.jsonl").write_text("".join(json.dumps(o) + "\n" for o in lines if o.get("mark") != "tombstone"))
    assert "no tombstone says so" in run("a.jsonl", "-o", "c.tape")[2]


def test_identity_and_redaction_are_not_for_lines_which_have_them(run):
    lines_of(write(Path("a.tape"), "ada > hello"), Path("a.jsonl"))
    code, _, err = run("a.jsonl", "-o", "b.tape", "--identify", "query:user")
    assert code == 2 and "--identify is for what is no tape yet" in err


def test_our_own_har_comes_back_with_its_users_and_closes(run):
    tape = write(Path("a.tape"), "ada > hello", "ada < (close 4001 as you like)", "ada > (close 4001)", "ada ends")
    with open_tape(tape) as found:
        from goldentape import har as exported

        Path("a.har").write_text("".join(exported.pieces(found)))
    assert run("a.har", "-o", "b.tape")[0] == 0
    with open_tape("b.tape") as again:
        [c] = again.connections()
        assert (c.user, c.close_code, c.close_reason, c.closed_by) == ("ada", 4001, "as you like", "server")
        assert [e.payload for e in again.events(user="ada") if e.opcode == 1] == [b"hello"]


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40), st.integers(0, 2**32))
def test_messages_of_one_moment_are_put_in_an_order_that_can_be(times, seed):
    """Each connection's own order stays; and what a client says stands before what servers say at that time."""
    path = home() / f"staging-{seed}"
    path.unlink(missing_ok=True)
    staging = Staging(path)
    try:
        from recorder.imports.staging import MESSAGE, Head

        for n, t in enumerate(times):
            staging.message(n % 3, (t + 1) * SECOND, (n * 7 + seed) % 2, 1, b"%d" % n)
        for number in {n % 3 for n in range(len(times))}:
            staging.connection(number, Head(request=b"", response=b"HTTP/1.1 101\r\n\r\n", opened=SECOND))
        steps = list(staging.steps())
    finally:
        staging.close()
    assert [s.t for s in steps] == sorted(s.t for s in steps)
    for number in range(3):
        own = [int(s.payload) for s in steps if s.connection == number and s.kind == MESSAGE]
        assert own == sorted(own)
    assert sum(s.kind == MESSAGE for s in steps) == len(times)
    assert not path.exists()


# -- size


def test_a_large_har_is_read_in_little_memory(tmp_path):
    """40 MB, most of it in one entry: far more than the process may take beside what it takes for a small one."""
    big = tmp_path / "big.har"
    message = json.dumps(said(data=json.dumps({"type": "place", "text": "x" * 900})))
    with big.open("w") as file:
        before, after = har(entry("MESSAGES")).decode().split('"MESSAGES"')
        file.write(before)
        for n in range(40_000):
            file.write((", " if n else "") + message)
        file.write(after)
    assert big.stat().st_size > 40_000_000
    code = (
        "import resource, sys; from goldentape.cli import main\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "tape", "import", str(big), "-o", str(tmp_path / "a.tape")],
        capture_output=True, text=True, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "40,000 events" in done.stdout
    assert int(done.stderr.splitlines()[-1]) < 80_000


def test_flows_are_read_without_a_value_that_does_not_matter(tmp_path):
    """A response body of 64 MB in a flow is passed over."""
    small = (SAMPLES / "flows.mitm").read_bytes()
    body = b"%d:" % (64 << 20) + bytes(64 << 20) + b","
    flow = b"4:type;4:http;7:request;36:7:headers;0:]4:path;2:/x,4:host;1:h;}7:content;" + body
    (tmp_path / "big.mitm").write_bytes(b"%d:" % len(flow) + flow + b"}" + small)
    staging = Staging(tmp_path / "staging")
    try:
        reader = FlowReader(tmp_path / "big.mitm", staging, lambda _: None)
        reader.read()
    finally:
        staging.close()
    assert staging.messages == 20 and len(staging.heads) == 4


def test_the_library_does_what_the_command_does(tmp_path):
    source = SAMPLES / "flows.mitm"
    done = import_source(source, Settings(tape=str(tmp_path / "a.tape"), upstream=""), kind_of(source), lambda _: None)
    assert (done.connections, done.events) == (4, 24)
