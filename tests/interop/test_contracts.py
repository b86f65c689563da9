"""The shipped contracts on what real servers and clients say, and on what a bad server would have made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from agents import failed, judge, shipped, talk, troubled
from clients import Node
from harness import recorded
from stage import need_node, stage

from goldentape.event import Connection, Event, Opcode

MS = 1_000_000


class NodeServer:
    """A script of tests/node that writes its port first."""

    def __init__(self, script: str) -> None:
        self.script = script

    async def start(self) -> None:
        self.node = await Node.start(self.script)
        self.port = await self.node.hear()

    async def stop(self) -> None:
        await self.node.stop()


@dataclass(frozen=True)
class Said:
    """One message or close, as the recorder saw it."""

    t: int
    who: str
    sign: str
    text: str

    @property
    def value(self) -> Any:
        return json.loads(self.text) if self.text.startswith("{") else {}


Lines = list[Said]


def lines(connections: list[Connection], events: list[Event]) -> tuple[list[str], Lines]:
    """Return the tape as tests write it: who connects how, and what was said."""
    names = {c.id: f"u/{n}" for n, c in enumerate(sorted(connections, key=lambda c: c.opened))}
    opened = [
        f"{names[c.id]} connects {c.target}" + (f" subprotocol={c.subprotocol}" if c.subprotocol else "")
        for c in connections
    ]
    said = []
    for e in sorted(events, key=lambda e: e.seq):
        text = e.payload.decode() if e.opcode is Opcode.TEXT else f"0x{e.payload.hex()}"
        if e.opcode is Opcode.CLOSE:
            text = f"(close {int.from_bytes(e.payload[:2], 'big')})" if e.payload else "(close)"
        if e.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE):
            said.append(Said(e.t, names[e.connection], "<" if e.direction else ">", text))
    return opened, said


def verdict_on(contract: str, opened: list[str], said: Lines, culprit: Said | None = None) -> Any:
    """Write the lines as a tape and judge it; the culprit must be in a witness where there is one."""
    sentences, clock = list(opened), 0
    for line in said:
        if clock and line.t - clock > MS:
            sentences.append(f"{(line.t - clock) // MS}ms")
        clock = line.t
        sentences.append(("* " if line is culprit else "") + f"{line.who} {line.sign} {line.text}")
    talked = talk(*sentences)
    verdict = judge(shipped(contract), talked.tape)
    if culprit is not None:
        assert any(talked.culprits <= set(v.seqs) for v in verdict.violations), troubled(verdict)
    return verdict


@pytest.fixture(scope="module")
def graphql(tmp_path_factory):
    need_node("graphql-ws", "graphql")
    with stage(NodeServer("graphql-server.js"), tmp_path_factory.mktemp("tape") / "a.tape") as s:

        async def main(port: int, user: str) -> Any:
            client = await Node.start("graphql-client.js")
            await client.tell({"url": f"ws://127.0.0.1:{port}/graphql", "user": user})
            heard = await client.hear()
            await client.stop()
            return heard

        direct = s.run(main(s.server.port, "direct"))
        assert s.run(main(s.recording.port, "through")) == direct
        assert direct["codes"] == {"none": 4408, "twice": 4429, "early": 4401, "shared": 4409, "nonsense": 4400}
        yield lines(*recorded(s.tape, "through", 7))


def test_a_real_graphql_server_passes(graphql):
    verdict = verdict_on("graphql-transport-ws", *graphql)

    assert verdict.verdict == "pass" and failed(verdict) == set(), troubled(verdict)
    judged = {outcome.name: outcome.tally.activations for outcome in verdict.outcomes}
    wanted = [
        "op",
        "completes",
        "one-init",
        "too-early",
        "closes-invalid",
        "init-in-time",
        "pong-back",
        "ack-first",
        "shapes",
    ]
    assert not [name for name in wanted if not judged[name]], judged


def find(said: Lines, wanted: Callable[[Said], bool], number: int = 0) -> int:
    return [at for at, line in enumerate(said) if wanted(line)][number]


def of_type(type_: str, sign: str = "<") -> Callable[[Said], bool]:
    return lambda line: line.sign == sign and line.value.get("type") == type_


def twice(type_: str) -> Callable[[Lines], tuple[Lines, Said | None]]:
    def mutate(said: Lines) -> tuple[Lines, Said]:
        at = find(said, of_type(type_))
        again = replace(said[at], t=said[at].t + 1)
        return [*said[: at + 1], again, *said[at + 1 :]], again

    return mutate


def answers_before_the_ack(said: Lines) -> tuple[Lines, Said]:
    at, ack = find(said, of_type("next")), find(said, of_type("connection_ack"))
    early = replace(said[at], t=said[ack].t)
    return [*said[:ack], early, *said[ack:at], *said[at + 1 :]], early


def under_another_id(said: Lines) -> tuple[Lines, Said]:
    at = find(said, of_type("next"))
    other = replace(said[at], text=json.dumps({**said[at].value, "id": "somebody-elses"}))
    return [*said[:at], other, *said[at + 1 :]], other


def never_completes(said: Lines) -> tuple[Lines, Said]:
    ask = find(said, lambda line: of_type("subscribe", ">")(line) and "hello" in line.text)
    id = said[ask].value["id"]
    rest = [line for line in said if not (of_type("complete")(line) and line.value["id"] == id)]
    leaves = find(rest, lambda line: line.who == said[ask].who and line.text.startswith("(close"))
    # It waits for 40 seconds before it leaves.
    waits = [replace(line, t=line.t + 40_000 * MS) for line in rest[leaves:]]
    return [*rest[:leaves], *waits], said[ask]


def closes_with(code: int, instead: int) -> Callable[[Lines], tuple[Lines, Said]]:
    def mutate(said: Lines) -> tuple[Lines, Said]:
        at = find(said, lambda line: line.text == f"(close {code})" and line.sign == "<")
        other = replace(said[at], text=f"(close {instead})")
        return [*said[:at], other, *said[at + 1 :]], other

    return mutate


@pytest.mark.parametrize(
    "mutate, invariants",
    [
        (twice("complete"), {"op"}),
        (twice("error"), {"op"}),
        (twice("next"), {"op"}),
        (twice("connection_ack"), {"ack-needs-init"}),
        (answers_before_the_ack, {"ack-first"}),
        (under_another_id, {"op"}),
        (never_completes, {"completes"}),
        (closes_with(4429, 4400), {"one-init"}),
        (closes_with(4401, 1000), {"too-early"}),
        (closes_with(4409, 1000), {"op"}),
        (closes_with(4400, 1002), {"closes-invalid"}),
        (closes_with(4408, 1011), {"closes-well"}),
    ],
)
def test_what_a_bad_graphql_server_makes_of_it_is_found(graphql, mutate, invariants):
    opened, said = graphql
    mutant, culprit = mutate(said)
    verdict = verdict_on("graphql-transport-ws", opened, mutant, culprit)

    assert failed(verdict) >= invariants, troubled(verdict)


@pytest.fixture(scope="module")
def socket_io(tmp_path_factory):
    need_node()
    with stage(NodeServer("socketio-server.js"), tmp_path_factory.mktemp("tape") / "a.tape") as s:

        async def main(script: str, port: int, user: str, **more: Any) -> Any:
            client = await Node.start(script)
            await client.tell({"url": f"http://127.0.0.1:{port}", "user": user, **more})
            heard = await client.hear()
            await client.stop()
            return heard

        direct = s.run(main("socketio-admin.js", s.server.port, "direct"))
        assert s.run(main("socketio-admin.js", s.recording.port, "through")) == direct
        assert direct[:5] == ["joined", "not you", "joined", 3, 3]
        for transports in (["websocket"], ["polling", "websocket"]):
            user = "-".join(transports)
            s.run(main("socketio-client.js", s.recording.port, user, transports=transports))
        yield {user: lines(*recorded(s.tape, user)) for user in ("through", "websocket", "polling-websocket")}


@pytest.mark.parametrize("user", ["through", "websocket", "polling-websocket"])
def test_a_real_socket_io_server_passes(socket_io, user):
    verdict = verdict_on("socket.io", *socket_io[user])

    assert verdict.verdict == "pass" and failed(verdict) == set(), troubled(verdict)
    judged = {outcome.name: outcome.tally.activations for outcome in verdict.outcomes}
    wanted = ["opens", "first-open", "beats", "acked", "client-pongs"]
    if user != "polling-websocket":
        wanted += ["join-answered", "asked-to-join", "namespace", "ack-once", "attachments", "client-attachments"]
    assert not [name for name in wanted if not judged[name]], judged


def text(begins: str, sign: str = "<") -> Callable[[Said], bool]:
    return lambda line: line.sign == sign and line.text.startswith(begins)


def again(begins: str) -> Callable[[Lines], tuple[Lines, Said | None]]:
    def mutate(said: Lines) -> tuple[Lines, Said]:
        at = find(said, text(begins))
        other = replace(said[at], t=said[at].t + 1)
        return [*said[: at + 1], other, *said[at + 1 :]], other

    return mutate


def instead(begins: str, becomes: str) -> Callable[[Lines], tuple[Lines, Said | None]]:
    def mutate(said: Lines) -> tuple[Lines, Said]:
        at = find(said, text(begins))
        other = replace(said[at], text=becomes + said[at].text.removeprefix(begins))
        return [*said[:at], other, *said[at + 1 :]], other

    return mutate


def dropped(begins: str) -> Callable[[Lines], tuple[Lines, Said | None]]:
    def mutate(said: Lines) -> tuple[Lines, Said | None]:
        rest = [line for line in said if not (line.sign == "<" and line.text.startswith(begins))]
        # And it is a minute before the client does its last; where that is a close, the server may still answer it.
        # (A pong comes when it comes, on a busy machine also after the client has left.)
        last = max(at for at, line in enumerate(rest) if line.sign == ">" and line.text != "3")
        at = min([last, *(at for at, line in enumerate(rest) if line.text.startswith("(close"))])
        return [*rest[:at], *(replace(line, t=line.t + 60_000 * MS) for line in rest[at:])], None

    return mutate


@pytest.mark.parametrize(
    "mutate, invariants",
    [
        (again("43/admin"), {"namespace", "ack-once"}),
        (again("430"), {"ack-once"}),
        (instead("430", "4377"), {"ack-once"}),
        (instead("40/admin", "40/other"), {"asked-to-join"}),
        (again("40/admin"), {"asked-to-join", "namespace"}),
        (instead("42/admin", "42/other"), {"namespace"}),
        (again("0x"), {"attachments"}),
        (dropped("0x"), {"attachments"}),
        (dropped("430"), {"acked"}),
        (dropped("44/admin"), {"join-answered"}),
        (dropped("0{"), {"first-open"}),
        (dropped("2"), {"beats"}),
        (instead("44/admin", "40/admin"), {"shapes"}),
        (instead("430[", "430{"), {"wire.undecodable"}),
    ],
)
def test_what_a_bad_socket_io_server_makes_of_it_is_found(socket_io, mutate, invariants):
    opened, said = socket_io["through"]
    mutant, culprit = mutate(said)
    verdict = verdict_on("socket.io", opened, mutant, culprit)

    assert failed(verdict) & invariants, troubled(verdict)
