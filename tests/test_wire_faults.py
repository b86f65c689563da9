"""Faults on the way: real sockets, real tapes; what a peer was sent is what the tape has, whatever the faults do."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import run
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from goldentape.errors import InputError
from goldentape.event import Direction, Opcode
from goldentape.tape import open_tape
from recorder.faults.spec import MESSAGES, TOXICS, parse_faults
from recorder.faults.units import UnitCutter
from recorder.journal import Journal
from recorder.run import Recorder
from recorder.settings import Settings


class Played:
    """What a client heard, and the tape of it."""

    def __init__(self, tape) -> None:
        self.tape = tape
        self.heard: list[str] = []
        self.server: list[str] = []
        self.code: int | None = None
        self.reason = ""
        self.server_code: int | None = None

    def events(self, direction: Direction) -> list[str]:
        with open_tape(self.tape) as opened:
            return [e.payload.decode() for e in opened.events() if e.direction is direction and e.opcode is Opcode.TEXT]

    def times(self) -> list[int]:
        with open_tape(self.tape) as opened:
            return [e.t for e in opened.events() if e.opcode is Opcode.TEXT]

    def marks(self, *kinds: str) -> list[tuple[str, dict]]:
        with open_tape(self.tape) as opened:
            return [(m.kind, m.data) for m in opened.marks() if m.kind in (kinds or ("fault_begin", "fault_end"))]

    def connection(self):
        with open_tape(self.tape) as opened:
            return next(opened.connections())


@asynccontextmanager
async def recording(tape, *faults: str, server: list[str] | None = None, codes: list[int | None] | None = None):
    async def echo(line):
        try:
            async for text in line:
                if server is not None:
                    server.append(text)
                await line.send(text)
        except ConnectionClosed:
            pass
        if codes is not None:
            codes.append(line.close_code)

    async with serve(echo, "127.0.0.1", 0, close_timeout=1) as upstream:
        port = upstream.sockets[0].getsockname()[1]
        settings = Settings(tape=str(tape), upstream=f"ws://127.0.0.1:{port}", drain=0.0, fault=faults)
        async with Recorder(settings) as recorder:
            yield recorder


def dialled(recorder: Recorder):
    return connect(f"ws://127.0.0.1:{recorder.port}/", proxy=None, close_timeout=10)


def play(tape, *faults: str, say=("one", "two", "three"), pairs: bool = False) -> Played:
    """Say lines through faults to an echo server, and hear until the end; `pairs`: each after the last one's answer."""
    played = Played(tape)
    codes: list[int | None] = []

    async def main() -> None:
        async with recording(tape, *faults, server=played.server, codes=codes) as recorder:
            line = await connect(f"ws://127.0.0.1:{recorder.port}/", proxy=None, close_timeout=1)
            for text in say:
                try:
                    await line.send(text)
                    if pairs:
                        played.heard.append(await asyncio.wait_for(line.recv(), 20))
                except ConnectionClosed:
                    break
            # The echo of the last line says that all before it is through.
            try:
                while not pairs and len(played.heard) < len(say) + 5:
                    played.heard.append(await asyncio.wait_for(line.recv(), 1.5))
            except (ConnectionClosed, TimeoutError):
                pass
            await line.close()
            played.code, played.reason = line.close_code, line.close_reason

    run(main())
    played.server_code = codes[0] if codes else None
    assert played.events(Direction.S2C)[: len(played.heard)] == played.heard
    assert played.events(Direction.C2S)[: len(played.server)] == played.server
    return played


def test_without_faults_nothing_is_in_the_way(tmp_path):
    async def main() -> None:
        async with recording(tmp_path / "a.tape") as recorder, dialled(recorder) as line:
            await line.send("hi")
            await line.recv()
            [link] = recorder.gateway.links
            assert recorder.gateway.faults is None
            assert [leg.forward.__func__ for leg in (link.client, link.server)] == [Journal.forward] * 2

    run(main())


# -- messages


def test_a_dropped_message_never_comes_and_the_tape_says_so(tmp_path):
    played = play(tmp_path / "a.tape", "drop:message=2")

    assert played.heard == ["one", "three"] == played.events(Direction.S2C)
    assert played.server == ["one", "two", "three"]
    [(_, data)] = played.marks("fault")
    assert data["fault"] == "drop" and data["direction"] == "s2c" and data["message"] == 2 and data["size"] == 3
    assert [kind for kind, _ in played.marks()] == ["fault_begin", "fault_end"]


def test_a_message_can_be_dropped_on_its_way_to_the_server(tmp_path):
    played = play(tmp_path / "a.tape", "drop:match=tw,upstream")

    assert played.server == ["one", "three"] == played.events(Direction.C2S)


def test_a_message_comes_twice(tmp_path):
    assert play(tmp_path / "a.tape", "duplicate:message=1").heard == ["one", "one", "two", "three"]


def test_two_messages_change_places(tmp_path):
    assert play(tmp_path / "a.tape", "swap:message=1,count=1").heard == ["two", "one", "three"]


def test_a_message_without_a_successor_cannot_be_swapped(tmp_path):
    played = play(tmp_path / "a.tape", "swap:message=3")

    assert played.heard == ["one", "two", "three"] and played.marks("fault") == []


def test_a_delayed_message_keeps_those_behind_it_waiting(tmp_path):
    played = play(tmp_path / "a.tape", "delay:message=2,delay=300ms")
    times = played.times()

    assert played.heard == ["one", "two", "three"]
    assert max(b - a for a, b in pairwise(times)) >= 250_000_000


def test_a_connection_is_closed_with_a_code(tmp_path):
    played = play(tmp_path / "a.tape", "close:message=2,code=1011,reason=fault")

    assert (played.code, played.reason, played.heard) == (1011, "fault", ["one"])
    assert played.server_code == 1001
    connection = played.connection()
    assert (connection.close_code, connection.close_reason, connection.ending) == (1011, "fault", "clean")
    assert [data["fault"] for _, data in played.marks("fault")] == ["close"]


def test_a_count_ends_the_fault(tmp_path):
    played = play(tmp_path / "a.tape", "drop:count=1", say=("one", "two", "three"), pairs=False)

    assert played.heard == ["two", "three"]
    with open_tape(tmp_path / "a.tape") as opened:
        end = next(mark.seq for mark in opened.marks() if mark.kind == "fault_end")
        assert end < max(event.seq for event in opened.events())


def test_messages_that_are_fragmented_or_large_are_one_message(tmp_path):
    big = "x" * 300_000

    async def main() -> list[str]:
        async with recording(tmp_path / "a.tape", "drop:message=2,upstream") as recorder, dialled(recorder) as line:
            await line.send(iter(["a", "b", "c"]))
            await line.send(iter([big, big]))
            await line.ping()
            await line.send(big)
            return [await line.recv(), await line.recv()]

    assert run(main()) == ["abc", big]


# -- toxics


def test_latency_makes_every_answer_late_and_loses_none(tmp_path):
    played = play(tmp_path / "a.tape", "latency:latency=100,jitter=20", pairs=True)
    times = played.times()

    assert played.heard == ["one", "two", "three"]
    assert all(b - a >= 79_000_000 for a, b in zip(times[::2], times[1::2], strict=True))


def test_a_narrow_line_takes_its_time(tmp_path):
    text = random.Random(1).randbytes(50_000).hex()
    played = play(tmp_path / "a.tape", "bandwidth:rate=100", say=(text,), pairs=True)
    begin, end = played.times()

    assert played.heard == [text] and end - begin >= 400_000_000


def test_slices_are_put_together_again(tmp_path):
    text = "".join(map(str, range(2000)))
    played = play(tmp_path / "a.tape", "slicer:average_size=50,size_variation=20,both", say=(text, "end"), pairs=True)

    assert played.heard == [text, "end"] and played.server == [text, "end"]


def test_after_so_many_bytes_the_connection_is_closed(tmp_path):
    played = play(tmp_path / "a.tape", "limit_data:bytes=12", say=("12345678", "abcdefgh"), pairs=True)

    assert played.heard == ["12345678"] and played.code == 1006
    connection = played.connection()
    assert (connection.ending, connection.closed_by) == ("eof", "recorder")


def test_a_peer_is_reset(tmp_path):
    played = play(tmp_path / "a.tape", "reset_peer:timeout=50")

    assert played.code == 1006
    connection = played.connection()
    assert (connection.ending, connection.closed_by) == ("reset", "recorder")


def test_nothing_passes_and_then_the_connection_is_closed(tmp_path):
    played = play(tmp_path / "a.tape", "timeout:timeout=200")

    assert played.heard == [] and played.code == 1006 and played.server == ["one", "two", "three"]


def test_a_line_that_was_dead_for_a_while_goes_on(tmp_path):
    played = play(tmp_path / "a.tape", "timeout:for=300ms", pairs=True)

    assert played.heard == ["one", "two", "three"]
    assert [kind for kind, _ in played.marks()] == ["fault_begin", "fault_end"]


def test_a_slow_close_comes_late(tmp_path):
    async def main() -> float:
        async with recording(tmp_path / "a.tape", "slow_close:delay=300") as recorder, dialled(recorder) as line:
            await line.send("hi")
            await line.recv()
            begin = asyncio.get_running_loop().time()
            await line.close()
            return asyncio.get_running_loop().time() - begin

    assert run(main()) >= 0.28


def test_a_share_of_the_connections_has_it_and_the_tape_says_which(tmp_path):
    async def main() -> list[str]:
        ends = []
        async with recording(tmp_path / "a.tape", "limit_data:bytes=1,toxicity=0.5,seed=7") as recorder:
            for _ in range(12):
                async with dialled(recorder) as line:
                    await line.send("hi")
                    try:
                        ends.append(await line.recv())
                    except ConnectionClosed:
                        ends.append("")
        return ends

    ends = run(main())
    with open_tape(tmp_path / "a.tape") as opened:
        numbers = {c.id: n for n, c in enumerate(opened.connections())}
        told = {numbers[mark.connection] for mark in opened.marks() if mark.kind == "fault"}

    assert told == {n for n, text in enumerate(ends) if not text} and 0 < len(told) < 12


# -- several at once, and marks


def test_between_a_begin_and_the_next_end_there_is_always_a_fault(tmp_path):
    faults = ("latency:latency=1", "drop:message=1,for=200ms", "latency:latency=2,from=100ms,for=50ms")
    played = play(tmp_path / "a.tape", *faults)

    kinds = [kind for kind, _ in played.marks()]
    on: list[str] = []
    for kind, data in played.marks():
        if kind == "fault_begin" and not data.get("still"):
            on.append(data["spec"])
        elif kind == "fault_end":
            on.remove(data["spec"])
        else:
            assert data["spec"] in on
    assert on == [] and kinds[0] == "fault_begin" and kinds[-1] == "fault_end"
    assert all(pair != ("fault_end", "fault_end") for pair in list(pairwise(kinds))[:-3])


@pytest.mark.parametrize("seed", range(4))
def test_whatever_faults_do_the_tape_has_what_was_passed_on(tmp_path, seed):
    faults = [
        f"latency:latency=2,jitter=2,both,seed={seed}",
        f"slicer:average_size=7,size_variation=3,seed={seed}",
        f"drop:toxicity=0.1,both,seed={seed}",
        f"duplicate:toxicity=0.1,seed={seed}",
        f"swap:toxicity=0.1,upstream,seed={seed}",
        f"limit_data:bytes={800 + 200 * seed}",
    ]
    played = play(tmp_path / "a.tape", *faults, say=[f"message {n}" for n in range(60)])

    assert played.heard and len(played.server) <= 60  # `play` holds what was heard against the tape


def test_a_contract_judges_what_happens_while_a_fault_lasts(tmp_path):
    contract = tmp_path / "c.yaml"
    contract.write_text(
        """
goldentape: 1
contract: {id: echo, version: "1.0.0", title: An echo}
wire: {format: text}
events:
  ask: {dir: c2s}
  answer: {dir: s2c}
  fault_begin: {on: mark, where: {"@mark": fault_begin}}
  fault_end: {on: mark, where: {"@mark": fault_end}}
invariants:
  degraded:
    kind: responds
    per: connection
    scope: {between: [fault_begin, fault_end]}
    trigger: ask
    answer: answer
    mode: each
    within: 1s
"""
    )
    say = ("one", "two", "three")
    for name, fault, code in (("ok", "latency:latency=5", 0), ("bad", "drop:message=3", 1)):
        play(tmp_path / f"{name}.tape", fault, say=say)
        words = ["verify", str(tmp_path / f"{name}.tape"), "--contract", str(contract)]
        done = subprocess.run([sys.executable, "-m", "goldentape", *words], capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr


# -- spelling


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latancy:latency=5", "did you mean latency?"),
        ("", "names no fault"),
        ("latency", "lacks latency"),
        ("latency:latency=5,jiter=1", "did you mean jitter?"),
        ("latency:latency=soon", "latency is wrong"),
        ("latency:latency=5,latency=6", "says latency twice"),
        ("latency:latency=5,toxicity=2", "a share from 0 to 1"),
        ("latency:latency=5,stream=sideways", "upstream, downstream or both"),
        ("latency:latency=5,message=2", "has no 'message'"),
        ("bandwidth:rate=0", "a number from 1 on"),
        ("slicer:average_size=5,size_variation=5", "less than average_size"),
        ("close:code=1006", "a close code that may be sent"),
        ("close:code=99999", "a close code that may be sent"),
        ("close:reason=" + "x" * 124, "at most 123 bytes"),
        ("drop:,", "an empty attribute"),
        ("drop:message=-1", "a number from 1 on"),
    ],
)
def test_what_is_no_fault_is_told_with_what_would_be(text, said):
    with pytest.raises(InputError) as wrong:
        parse_faults([text])

    assert said in str(wrong.value)


def test_a_wrong_fault_ends_in_one_line_before_anything_is_recorded(tmp_path):
    words = ["record", str(tmp_path / "a.tape"), "--upstream", "ws://127.0.0.1:9", "--fault", "latancy:latency=1"]
    done = subprocess.run([sys.executable, "-m", "goldentape", *words], capture_output=True, text=True)

    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "did you mean latency?" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_times_are_read_in_toxiproxys_units():
    [latency, slicer, limit] = parse_faults(
        [
            "latency:latency=200,jitter=1s,upstream",
            "slicer:average_size=64,delay=500",
            "limit_data:bytes=1KiB,from=2,for=1m",
        ]
    )

    assert latency.attributes == {"latency": 0.2, "jitter": 1.0} and latency.streams == ("upstream",)
    assert slicer.attributes["delay"] == 0.0005 and limit.attributes == {"bytes": 1024}
    assert (limit.begin, limit.length) == (2.0, 60.0)


def test_every_fault_is_in_the_docs():
    from pathlib import Path

    page = (Path(__file__).parent.parent / "docs" / "faults.md").read_text()
    assert all(f"`{name}" in page for name in (*TOXICS, *MESSAGES))


# -- cutting


@given(st.lists(st.binary(max_size=300), max_size=6), st.booleans(), st.data())
def test_messages_are_cut_without_losing_a_byte(payloads, masked, data):
    from websockets.frames import Frame
    from websockets.frames import Opcode as Wire

    wire = b"".join(Frame(Wire.BINARY, payload).serialize(mask=masked) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=5)))
    cutter = UnitCutter(masked=masked)
    units = [
        unit for begin, end in zip([0, *cuts], [*cuts, len(wire)], strict=True) for unit in cutter.feed(wire[begin:end])
    ]

    assert b"".join(unit.raw for unit in units) + cutter.rest() == wire
    assert [unit.payload for unit in units] == payloads and all(unit.message for unit in units)


@given(st.binary(max_size=400), st.booleans())
def test_bytes_that_are_no_frames_pass_as_they_are(junk, masked):
    cutter = UnitCutter(masked=masked)

    assert b"".join(unit.raw for unit in cutter.feed(junk)) + cutter.rest() == junk


def test_marks_can_be_read_by_everybody(tmp_path):
    played = play(tmp_path / "a.tape", "drop:message=1")

    assert json.dumps(played.marks("fault", "fault_begin"))
