"""The shipped contracts on good peers by chance: a network that delays, a client that asks, stops, leaves as it likes.

Both peers are played: what each of them sends travels through the recorder, FIFO in each direction, so that messages
cross on their way as they do in the world.  Nothing of it may raise an alarm, whatever the peers do rightly; where the
client does wrong, the server does what its protocol demands.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from agents import judge, shipped, talk, troubled
from hypothesis import given, settings
from hypothesis import strategies as st

SECOND = 1000
SEEDS = st.integers(0, 1 << 32)
CHECK = settings(derandomize=True, deadline=None, max_examples=60)


class World:
    """A clock in milliseconds, a link between a client and a server with a recorder in it, and what it recorded."""

    def __init__(self, random: Random, opening: str) -> None:
        self.random = random
        self.agenda: list[tuple[int, int, Callable[[], None]]] = []
        self.tickets = 0
        self.now = 0
        self.sentences: list[str] = [opening]
        self.recorded = 0
        self.near, self.far = random.choice([0, 5, 60]), random.choice([0, 2, 30, 100])
        """How long the ways are: between the client and the recorder, between it and the server."""
        self.order = {">": [0, 0], "<": [0, 0]}
        self.closed = False

    def at(self, t: int, do: Callable[[], None]) -> None:
        self.tickets += 1
        heapq.heappush(self.agenda, (t, self.tickets, do))

    def later(self, by: int, do: Callable[[], None]) -> None:
        self.at(self.now + by, do)

    def run(self) -> list[str]:
        while self.agenda:
            self.now, _, do = heapq.heappop(self.agenda)
            do()
        return self.sentences

    def send(self, sign: str, text: str, heard: Callable[[], None]) -> None:
        """Let one side say something; the other side hears it later."""
        first, second = (self.near, self.far) if sign == ">" else (self.far, self.near)
        way = self.order[sign]
        way[0] = max(self.now + first + self.random.randint(0, first), way[0])
        way[1] = max(way[0] + second + self.random.randint(0, second), way[1])
        self.at(way[0], lambda: self.record(f"alice {sign} {text}"))
        self.at(way[1], heard)

    def record(self, sentence: str) -> None:
        if self.closed:
            return
        if self.now > self.recorded:
            self.sentences.append(f"{self.now - self.recorded}ms")
            self.recorded = self.now
        self.sentences.append(sentence)
        if "(close" in sentence or " ends " in sentence:
            self.closed = True  # what travels behind it is lost with the connection


class GraphQL:
    """A client and a server of graphql-transport-ws."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = World(random, "alice connects /graphql subprotocol=graphql-transport-ws")
        self.ready = self.over = self.hung_up = False
        self.inits = 0
        self.asked: dict[str, int] = {}
        """What the client believes is open; id to the number of its operation."""
        self.running: dict[str, int] = {}
        """What the server knows to be open."""
        self.operations = 0
        self.acked = False

    def play(self) -> list[str]:
        world, random = self.world, self.random
        if random.random() < 0.1:
            world.later(3 * SECOND, lambda: self.hang_up(4408))
        else:
            world.later(random.randint(0, 500), lambda: self.say({"type": "connection_init"}))
        t = 0
        for _ in range(random.randint(0, 25)):
            t += random.choice([1, 20, 150, 900])
            world.at(600 + t, self.act)
        wrong = random.choice([None, None, self.init_again, self.nonsense, self.twice])
        if wrong is not None:
            world.at(700 + t, wrong)
        end = random.choice([self.leave, self.vanish, lambda: self.hang_up(1001), lambda: None])
        world.at(9 * SECOND + t, end)
        return world.run()

    # -- the client

    def say(self, message: dict[str, Any]) -> None:
        if not self.over:
            self.world.send(">", json.dumps(message), lambda: self.hear(message))

    def act(self) -> None:
        if not self.ready:
            return
        what = self.random.choice(["ask", "ask", "ask", "stop", "ping"])
        if what == "ping":
            self.say({"type": "ping"})
        elif what == "stop" and self.asked:
            id = self.random.choice(sorted(self.asked))
            del self.asked[id]
            self.say({"type": "complete", "id": id})
        elif what == "ask":
            free = [id for id in "abc" if id not in self.asked]
            if free:
                self.ask(self.random.choice(free))

    def ask(self, id: str) -> None:
        self.operations += 1
        self.asked[id] = self.operations
        query = self.random.choice(["{hello}", "mutation {x}", "subscription {news}", " query Q {a @defer {b}}"])
        self.say({"type": "subscribe", "id": id, "payload": {"query": query}})

    def init_again(self) -> None:
        if self.ready:
            self.say({"type": "connection_init"})

    def nonsense(self) -> None:
        self.say(self.random.choice([{"type": "hello"}, {"type": "subscribe", "payload": {}}, {}]))

    def twice(self) -> None:
        if self.ready and self.asked:
            self.ask(self.random.choice(sorted(self.asked)))

    def told(self, message: dict[str, Any]) -> None:
        if message["type"] == "connection_ack":
            self.ready = True
        elif message["type"] == "ping":
            self.say({"type": "pong"})
        elif message["type"] in ("complete", "error") and self.asked.get(message["id"]) == message["n"]:
            del self.asked[message["id"]]

    def leave(self) -> None:
        self.over = True
        self.world.send(">", "(close 1000)", self.die)

    def vanish(self) -> None:
        self.over = True
        self.die()
        self.world.record("alice ends reset by client")

    # -- the server

    def die(self) -> None:
        self.hung_up = True
        self.running.clear()

    def hang_up(self, code: int) -> None:
        if not self.hung_up:
            self.die()
            self.world.send("<", f"(close {code})", lambda: setattr(self, "over", True))

    def tell(self, message: dict[str, Any], number: int = 0) -> None:
        if not self.hung_up:
            self.world.send("<", json.dumps(message), lambda: self.told({**message, "n": number}))

    def hear(self, message: dict[str, Any]) -> None:
        if self.hung_up:
            return
        kind, id = message.get("type"), message.get("id", "")
        if kind == "connection_init":
            self.inits += 1
            if self.inits > 1:
                self.hang_up(4429)
            else:
                self.world.later(self.random.choice([0, 300]), self.acknowledge)
        elif kind == "ping":
            self.world.later(self.random.choice([0, 50]), lambda: self.tell({"type": "pong"}))
        elif kind == "complete":
            self.running.pop(id, None)
        elif kind == "subscribe" and "query" in message["payload"]:
            if not self.acked:
                self.hang_up(4401)
            elif id in self.running:
                self.hang_up(4409)
            else:
                self.operations += 1
                self.running[id] = self.operations
                self.run(id, self.operations, message["payload"]["query"], self.asked.get(id, 0))
        elif kind != "pong":
            self.hang_up(4400)

    def acknowledge(self) -> None:
        self.acked = True
        self.tell({"type": "connection_ack"})

    def run(self, id: str, number: int, query: str, of_client: int) -> None:
        results = 1 if "@" not in query and "subscription" not in query else self.random.randint(0, 5)
        how = self.random.choice(["complete", "complete", "error"])

        def go_on(left: int) -> None:
            if self.running.get(id) != number:
                return
            if left and not (how == "error" and left == results):
                self.tell({"type": "next", "id": id, "payload": {"data": {}}})
                self.world.later(self.random.choice([0, 10, 400]), lambda: go_on(left - 1))
                return
            del self.running[id]
            payload = {"payload": [{"message": "no"}]} if how == "error" else {}
            self.tell({"type": how, "id": id, **payload}, of_client)

        self.world.later(self.random.choice([0, 10, 700]), lambda: go_on(results))


class JsonRpc:
    """A client and a server that call each other."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = World(random, "alice connects /rpc")
        self.waits: list[Any] = []
        self.over = self.hung_up = False

    def play(self) -> list[str]:
        t = 0
        for _ in range(self.random.randint(0, 20)):
            t += self.random.choice([1, 50, 800])
            self.world.at(t, self.random.choice([self.ask, self.ask, self.ask, self.call_back, self.nonsense]))
        end = self.random.choice([self.leave, self.hang_up, lambda: None])
        self.world.at(t + 20 * SECOND, end)
        return self.world.run()

    def request(self) -> dict[str, Any]:
        found: dict[str, Any] = {"jsonrpc": "2.0", "method": self.random.choice(["sum", "nope"])}
        if self.random.random() < 0.5:
            found["params"] = self.random.choice([[], [1], {"a": 1}])
        free = [id for id in (1, 2, 3, "1", "x", -7) if id not in self.waits]
        if free and self.random.random() < 0.8:
            found["id"] = self.random.choice(free)
            self.waits.append(found["id"])
        return found

    def ask(self) -> None:
        if self.random.random() < 0.3:
            batch = [self.request() for _ in range(self.random.randint(1, 4))]
            self.say(json.dumps(batch), lambda: self.answer(batch, self.random.random() < 0.5))
        else:
            one = self.request()
            self.say(json.dumps(one), lambda: self.answer([one], False))

    def say(self, text: str, heard: Callable[[], None]) -> None:
        if not self.over:
            self.world.send(">", text, heard)

    def tell(self, value: Any) -> None:
        if self.hung_up:
            return

        def got() -> None:
            for one in value if isinstance(value, list) else [value]:
                if one.get("id") in self.waits and "method" not in one:
                    self.waits.remove(one["id"])

        self.world.send("<", json.dumps(value), got)

    def answer(self, requests: list[dict[str, Any]], together: bool) -> None:
        answers: list[dict[str, Any]] = [self.answered(one) for one in requests if "id" in one]
        self.random.shuffle(answers)
        if together and answers:
            self.world.later(self.random.choice([0, 100]), lambda: self.tell(answers))
            return
        for one in answers:
            self.world.later(self.random.choice([0, 10, 5 * SECOND]), lambda one=one: self.tell(one))

    def answered(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "nope":
            return {"jsonrpc": "2.0", "error": {"code": -32601, "message": "no"}, "id": request["id"]}
        return {"jsonrpc": "2.0", "result": self.random.choice([None, 0, {}]), "id": request["id"]}

    def call_back(self) -> None:
        self.tell({"jsonrpc": "2.0", "method": "news", "params": [1]})

    def nonsense(self) -> None:
        text = self.random.choice(["[]", "1", '{"foo": 1}', '{"jsonrpc": "2.0", "method": 1}'])
        error = {"jsonrpc": "2.0", "error": {"code": -32600, "message": "no"}, "id": None}
        self.say(text, lambda: self.tell(error))

    def leave(self) -> None:
        self.over = True
        self.world.send(">", "(close 1000)", lambda: setattr(self, "hung_up", True))

    def hang_up(self) -> None:
        self.hung_up = True
        self.world.send("<", "(close 1001)", lambda: setattr(self, "over", True))


class SocketIo:
    """A client and a server with namespaces, of which one lets nobody in."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = World(random, "alice connects /socket.io/?EIO=4&transport=websocket")
        self.over = self.hung_up = False
        self.inside: set[str] = set()
        """What the client believes."""
        self.guests: set[str] = set()
        """What the server knows."""
        self.next = 0

    def play(self) -> list[str]:
        world, random = self.world, self.random
        opened = {"sid": "e", "upgrades": [], "pingInterval": 25 * SECOND, "pingTimeout": 20 * SECOND}
        self.tell(f"0{json.dumps(opened)}", lambda: [self.join(n) for n in ("/", "/a", "/no")])
        world.at(25 * SECOND, self.beat)
        t = SECOND
        for _ in range(random.randint(0, 25)):
            t += random.choice([1, 20, 150, 3 * SECOND])
            world.at(t, random.choice([self.ask, self.ask, self.say_bytes, self.leave_one, self.join_one, self.news,
                                       self.news, self.ask_back, self.shut_out]))  # fmt: skip
        world.at(t + 10 * SECOND, random.choice([self.leave, self.hang_up, lambda: None]))
        return world.run()

    def say(self, text: str, heard: Callable[[], Any]) -> None:
        if not self.over:
            self.world.send(">", text, heard)

    def tell(self, text: str, heard: Callable[[], Any] = lambda: None) -> None:
        if not self.hung_up:
            self.world.send("<", text, heard)

    @staticmethod
    def of(name: str) -> str:
        return "" if name == "/" else f"{name},"

    def beat(self) -> None:
        if not self.hung_up and self.world.now < 100 * SECOND:
            self.tell("2", lambda: self.say("3", lambda: self.world.later(25 * SECOND, self.beat)))

    # -- the client

    def join(self, name: str) -> None:
        self.say(f"40{self.of(name)}", lambda: self.let_in(name))

    def join_one(self) -> None:
        out = sorted({"/", "/a"} - self.inside)
        if out:
            self.join(out[0])

    def leave_one(self) -> None:
        if self.inside:
            name = self.random.choice(sorted(self.inside))
            self.inside.discard(name)
            self.say(f"41{self.of(name)}", lambda: self.guests.discard(name))

    def ask(self) -> None:
        if self.inside:
            name, self.next = self.random.choice(sorted(self.inside)), self.next + 1
            self.say(f'42{self.of(name)}{self.next}["ask"]', lambda n=self.next: self.answer(name, n))

    def say_bytes(self) -> None:
        if self.inside:
            name = self.random.choice(sorted(self.inside))
            self.say(f'451-{self.of(name)}["bytes",{{"_placeholder":true,"num":0}}]', lambda: None)
            self.say("0x00ff", lambda: None)

    def leave(self) -> None:
        self.over = True
        self.world.send(">", "(close 1000)", lambda: setattr(self, "hung_up", True))

    # -- the server

    def let_in(self, name: str) -> None:
        if name == "/no":
            self.tell('44/no,{"message":"no"}')
        else:
            self.guests.add(name)
            self.tell(f'40{self.of(name)}{{"sid":"s{self.world.now}"}}', lambda: self.inside.add(name))

    def answer(self, name: str, number: int) -> None:
        if name not in self.guests:
            return
        text = f'43{self.of(name)}{number}["yes"]'
        self.world.later(self.random.choice([0, 10, 4 * SECOND]), lambda: self.tell(text))

    def news(self) -> None:
        for name in sorted(self.guests):
            self.tell(f'42{self.of(name)}["news"]')
            if self.random.random() < 0.3:
                self.tell(f'452-{self.of(name)}["bytes",{{"_placeholder":true,"num":0}}]')
                self.tell("0x00")
                self.tell("0x")

    def ask_back(self) -> None:
        for name in sorted(self.guests):
            self.next += 1
            self.tell(f'42{self.of(name)}{self.next}["you?"]',
                      lambda n=self.next, of=name: self.say(f"43{self.of(of)}{n}[]", lambda: None))  # fmt: skip

    def shut_out(self) -> None:
        if self.guests and self.random.random() < 0.3:
            name = self.random.choice(sorted(self.guests))
            self.guests.discard(name)
            self.tell(f"41{self.of(name)}", lambda: self.inside.discard(name))

    def hang_up(self) -> None:
        self.hung_up = True
        self.world.send("<", "(close 1001)", lambda: setattr(self, "over", True))


PLAYS = {"graphql-transport-ws": GraphQL, "json-rpc-2.0": JsonRpc, "socket.io": SocketIo}


@pytest.mark.parametrize("contract", PLAYS)
@given(seed=SEEDS)
@CHECK
def test_good_peers_raise_no_alarm(contract, seed):
    sentences = PLAYS[contract](Random(seed)).play()
    verdict = judge(shipped(contract), talk(*sentences).tape)

    ended = any("(close" in sentence or " ends " in sentence for sentence in sentences)
    wanted = {"pass"} if ended and verdict.messages else {"pass", "inconclusive", "vacuous"}
    assert verdict.verdict in wanted, (troubled(verdict), sentences)
