"""Made-up histories for a contract: its events, in any order, with fields that its invariants read.  Pure, by a seed.

They are not good and need not be: what no history can break is what is looked for, so all kinds of histories are made.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

from goldentape.event import Connection, Ending, Mark, Opcode
from verifier.contract import Contract
from verifier.events import Matcher
from verifier.faults.draft import CLOSE, Draft, Line
from verifier.faults.reading import ENCODERS
from verifier.paths import as_list, compile_value_path
from verifier.record import C2S, MESSAGE, S2C, Record
from verifier.schemas import resolve
from verifier.telling import telling_values
from verifier.uses import named_events, named_paths

MS = 1_000_000
STEPS = (MS, MS, MS, MS, MS, 200 * MS, 3_000 * MS, 40_000 * MS, 7_200_000 * MS)
"""Time between two messages; mostly next to none, at times longer than anybody waits."""
USERS = ("alice", "bob")
CODES = (1000, 1001, 1008, 1011, 4000)
TRIES = 12
MOST = 50
"""Items of a made-up list."""


class Maker:
    """Makes messages of a contract's events."""

    def __init__(self, contract: Contract, random: Random) -> None:
        self.contract = contract
        self.random = random
        type_of = compile_value_path(contract.wire.type) if contract.wire.type is not None else None
        self._matcher = Matcher(contract.events, type_of, frozenset())
        self.plain = [
            e.name for e in contract.events.values() if e.on == MESSAGE and e.any_of is None and e.unless is None
        ]
        self.unmade: set[str] = set()
        """Events of which no message could be made."""
        self._paths: dict[str, list[str]] = {}
        for spec in contract.invariants.values():
            paths = [path for _, path in named_paths(spec) if not path.startswith("@") and "*" not in path]
            names = {name for _, name in named_events(spec)} or {"$any"}
            for name in self.plain if any(name.startswith("$") for name in names) else self._members(names):
                self._paths.setdefault(name, []).extend(paths)
        self._serial = 0
        self._telling = telling_values(contract)

    def _members(self, names: set[str]) -> Iterator[str]:
        for name in names:
            event = self.contract.events.get(name)
            if event is None or event.unless is not None:
                continue
            yield from self._members(set(event.any_of)) if event.any_of is not None else (name,)

    def message(self, name: str, user: str) -> tuple[int, bytes] | None:
        """Return the direction and payload of a message that is the event `name`, or None where none can be made."""
        event = self.contract.events[name]
        direction = event.dir if event.dir is not None else self.random.choice((C2S, S2C))
        for _ in range(TRIES):
            value = self._value(name, user)
            record = Record(MESSAGE, 1, 0, None, user, direction)
            record.value, record.payload = value, b""
            if name in self._matcher.names(record):
                return direction, ENCODERS[self.contract.wire.format](value)
        self.unmade.add(name)
        return None

    def _value(self, name: str, user: str) -> Any:
        spec = self.contract.document.value["events"][name]
        event = self.contract.events[name]
        where = spec.get("where", {})
        shape = event.schema
        if shape is None and isinstance(where.get("@payload"), dict):
            shape = where["@payload"].get("schema")
        value = self.of_schema(shape) if shape is not None else {}
        if not isinstance(value, dict):
            return value
        for path in self._paths.get(name, ()):
            if self.random.random() < 0.8:
                put(value, path, self.scalar(user))
        carried = spec.get("keys") != {}
        for key, given in self.contract.document.value.get("keys", {}).items():
            paths = as_list(spec.get("keys", {}).get(key) or (given if isinstance(given, str) else given["path"]))
            types = as_list(given.get("type")) if isinstance(given, dict) else ()
            if carried and not paths[0].startswith("@") and self.random.random() < 0.9:
                put(value, paths[0], self.random.choice((1, 2)) if "string" not in types and types else
                    self.random.choice((f"{key}-1", f"{key}-2")))  # fmt: skip
        if self.random.random() < 0.15 and value:
            value.pop(self.random.choice(list(value)))
        self._satisfy(value, where)
        for path, values in self._telling.items():
            if values and self.random.random() < 0.5 and (path in where or path in self._paths.get(name, ())):
                put(value, path, copy.deepcopy(self.random.choice(values)))
        if event.types is not None and self.contract.wire.type is not None:
            put(value, self.contract.wire.type, self.random.choice(event.types))
        return value

    def _satisfy(self, value: dict[str, Any], where: Any) -> None:
        for path, test in where.items() if isinstance(where, dict) else ():
            if path == "any" and isinstance(test, list) and test:
                self._satisfy(value, self.random.choice(test))
            elif path == "all" and isinstance(test, list):
                for inner in test:
                    self._satisfy(value, inner)
            elif path != "not" and not path.startswith("@"):
                if isinstance(test, dict) and test.get("exists") is False:
                    drop(value, path)
                else:
                    put(value, path, self.of_test(test))

    def of_test(self, test: Any) -> Any:
        """Return a value that passes a test, as far as that is easy."""
        if not isinstance(test, dict):
            return test
        if "eq" in test:
            return test["eq"]
        if test.get("in"):
            return self.random.choice(test["in"])
        for word, by in (("ge", 0), ("le", 0), ("gt", 1), ("lt", -1)):
            if word in test:
                return test[word] + by
        if "schema" in test:
            return self.of_schema(test["schema"])
        names = as_list(test.get("type"))
        return self._typed(self.random.choice(names), {}, 0) if names else self.scalar("alice")

    def scalar(self, user: str) -> Any:
        """Return some small value: few enough that they meet again, many enough that they differ."""
        other = USERS[user == USERS[0]]
        self._serial += 1
        return self.random.choice(
            (user, user, other, 1, 2, 3, 0.5, "a", "b", f"n{self._serial}", self._serial, None, True, "",
             "a text of several words that nobody has said before")
        )  # fmt: skip

    # -- values of a JSON Schema

    def of_schema(self, schema: Any, depth: int = 0) -> Any:
        """Return a value that is likely valid."""
        seen = 0
        while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and seen < 20:
            beside = {word: inner for word, inner in schema.items() if word != "$ref"}
            inner = resolve(self.contract, schema["$ref"], ())
            schema = {"allOf": [inner, beside]} if beside.keys() - {"$schema"} else inner
            seen += 1
        if not isinstance(schema, dict) or depth > 6:
            return {} if depth == 0 else self.scalar("alice")
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self.random.choice(schema["enum"])
        for word in ("oneOf", "anyOf"):
            if schema.get(word):
                rest = {w: v for w, v in schema.items() if w != word}
                schema = {**rest, "allOf": [*rest.get("allOf", ()), self.random.choice(schema[word])]}
        if schema.get("allOf"):
            parts = [self.of_schema(part, depth + 1) for part in schema["allOf"]]
            own = self.of_schema({w: v for w, v in schema.items() if w != "allOf"} or True, depth + 1)
            merged: dict[str, Any] = {}
            for part in (*parts, own):
                if not isinstance(part, dict):
                    return part
                merged |= part
            return merged
        names = as_list(schema.get("type")) or (
            ("object",) if depth == 0 or {"properties", "required"} & schema.keys() else ("string",)
        )
        return self._typed(self.random.choice(names), schema, depth)

    def _typed(self, name: str, schema: Mapping[str, Any], depth: int) -> Any:
        random = self.random
        if name == "object":
            wanted = set(schema.get("required", ()))
            shapes = schema.get("properties", {})
            return {
                key: self.of_schema(shapes.get(key, True), depth + 1)
                for key in dict.fromkeys([*shapes, *wanted])
                if key in wanted or random.random() < 0.6
            }
        if name == "array":
            low = min(int(schema.get("minItems", 0)), MOST)
            items = schema.get("items", True)
            first = schema.get("prefixItems", items if isinstance(items, list) else [])
            return [
                self.of_schema(
                    first[n] if n < len(first) else items if not isinstance(items, list) else True, depth + 1
                )
                for n in range(max(low, random.randrange(3)))
            ]
        if name in ("integer", "number"):
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 0)
            return min(low + random.randrange(3), schema.get("maximum", low + 3))
        if name == "boolean":
            return random.random() < 0.5
        if name == "null":
            return None
        self._serial += 1
        text = SAMPLES.get(str(schema.get("format")), random.choice(("a", "b", f"text {self._serial}")))
        text += "x" * (min(int(schema.get("minLength", 0)), MOST * MOST) - len(text))
        return text[: int(schema.get("maxLength", len(text)))]


SAMPLES: Mapping[str, str] = {
    "date-time": "2026-01-01T00:00:00Z", "date": "2026-01-01", "time": "12:00:00Z", "email": "a@example.org",
    "uuid": "123e4567-e89b-12d3-a456-426614174000", "uri": "https://example.org/", "ipv4": "127.0.0.1", "ipv6": "::1",
    "hostname": "example.org", "uri-reference": "/a", "json-pointer": "/a", "duration": "P1D",
}  # fmt: skip


def put(value: dict[str, Any], path: str, what: Any) -> None:
    """Set what stands at a path, where there is a way to it."""
    steps = _steps(path)
    inner: Any = value
    for step, following in pairwise(steps):
        made: Any = [] if isinstance(following, int) else {}
        if isinstance(inner, dict) and isinstance(step, str):
            found = inner.get(step)
            inner[step] = inner = found if type(found) is type(made) else made
        elif isinstance(inner, list) and isinstance(step, int):
            while len(inner) <= step:
                inner.append({})
            inner[step] = inner = inner[step] if type(inner[step]) is type(made) else made
        else:
            return
    last = steps[-1]
    if isinstance(inner, dict) and isinstance(last, str):
        inner[last] = what
    elif isinstance(inner, list) and isinstance(last, int):
        while len(inner) <= last:
            inner.append(what)
        inner[last] = what


def drop(value: dict[str, Any], path: str) -> None:
    """Take away what stands at a path."""
    *way, last = _steps(path)
    inner: Any = value
    for step in way:
        inner = inner.get(step) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner.pop(last, None)


def _steps(path: str) -> list[str | int]:
    if path.startswith("/"):
        return [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    return [int(part[1:-1]) if part.startswith("[") else part for part in re.findall(r"[^.\[\]]+|\[\d+\]", path)]


def soup(maker: Maker, length: int) -> Draft:
    """Return a history in which anything may follow anything."""
    return _Soup(maker).cook(length)


class _Soup:
    def __init__(self, maker: Maker) -> None:
        self.maker = maker
        self.random = maker.random
        self.lines: list[Line] = []
        self.marks: list[Mark] = []
        self.connections: dict[int, Connection] = {}
        self.open: dict[int, str] = {}
        self.t = 0
        self.seq = 1
        events = maker.contract.events.values()
        values = maker.contract.document.value["events"]
        self._marks = [values[e.name].get("where", {}) for e in events if e.on == "mark"]
        self._codes = [*CODES]
        for event in events:
            if event.on in ("close", "loss"):
                test = values[event.name].get("where", {}).get("@close.code")
                code = maker.of_test(test) if test is not None else 1000
                self._codes.append(code if isinstance(code, int) else 1000)

    def cook(self, length: int) -> Draft:
        """Make it."""
        random, plain = self.random, self.maker.plain
        users = USERS if random.random() < 0.8 else USERS[:1]
        # Some of the events, so that what belongs together comes together, and what must come is missing.
        some = {user: random.sample(plain, min(len(plain), random.choice((1, 2, 3, 5, 99)))) for user in users}
        for _ in range(length):
            self.t += random.choice(STEPS)
            chance = random.random()
            user = random.choice(users)
            if not [n for n, who in self.open.items() if who == user] or chance < 0.04:
                self._connect(user)
            number = random.choice([n for n, who in self.open.items() if who == user])
            if chance > 0.95 and self._marks:
                self._mark()
            elif chance > 0.9:
                self._close(number)
            elif plain:
                self._message(number, random.choice(some[user]))
        if random.random() < 0.5:
            self.t += STEPS[-1]
            self._note("tick", {})
        self._note("end", {})
        return Draft(lines=tuple(self.lines), connections=self.connections, marks=tuple(self.marks))

    def _connect(self, user: str) -> None:
        number = len(self.connections) + 1
        refused = self.random.random() < 0.1
        self.t += self.random.choice(STEPS)
        opened, self.t = self.t, self.t + self.random.choice(STEPS)
        self.connections[number] = Connection(
            id=f"c{number}", user=user, epoch=0, client="client", target="/", key=f"key-{number}", request=(),
            status=401 if refused else 101, reason=None, response=(), body=None,
            subprotocol=self.maker.contract.wire.subprotocol, extensions=None, credential="valid",
            credential_expires=None, opened=opened, accepted=None if refused else self.t,
            closed=self.t if refused else None, close_code=None, close_reason=None,
            closed_by="server" if refused else None, ending=Ending.REFUSED if refused else Ending.OPEN,
        )  # fmt: skip
        if refused:
            self._connect(user)
        else:
            self.open[number] = user

    def _close(self, number: int) -> None:
        user = self.open.pop(number)
        by = self.random.choice(("client", "server"))
        code = self.random.choice(self._codes)
        lost = code == 1006 or self.random.random() < 0.3
        if not lost:
            payload = code.to_bytes(2, "big")
            self._line(user, number, S2C if by == "server" else C2S, payload, CLOSE)
        changes: dict[str, Any] = {"closed": self.t, "closed_by": by, "ending": Ending.EOF}
        if not lost:
            changes |= {"close_code": code, "ending": Ending.CLEAN}
        self.connections[number] = replace(self.connections[number], **changes)

    def _message(self, number: int, name: str) -> None:
        user = self.open[number]
        made = self.maker.message(name, user)
        if made is None:
            return
        direction, payload = made
        opcode = Opcode.BINARY if self.maker.contract.wire.format == "msgpack" else Opcode.TEXT
        self._line(user, number, direction, payload, int(opcode))
        mine = [n for n, who in self.open.items() if who == user and n != number]
        if direction == S2C and mine and self.random.random() < 0.5:
            self._line(user, mine[0], direction, payload, int(opcode))
        while self.random.random() < 0.15:
            self._line(user, number, direction, payload, int(opcode))

    def _line(self, user: str, number: int, direction: int, payload: bytes, opcode: int) -> None:
        self.seq += 1
        self.t += MS
        self.lines.append(
            Line(seq=self.seq, user=user, connection=number, t=self.t, dir=direction, opcode=opcode, payload=payload)
        )

    def _mark(self) -> None:
        where = self.random.choice(self._marks)
        kind = self.maker.of_test(where["@mark"]) if "@mark" in where else "note"
        data: dict[str, Any] = {}
        for path, test in where.items():
            if path.startswith("@mark."):
                put(data, path.removeprefix("@mark."), self.maker.of_test(test))
        self._note(str(kind), data)

    def _note(self, kind: str, data: dict[str, Any]) -> None:
        self.seq += 1
        self.marks.append(Mark(seq=self.seq, t=self.t, kind=kind, data=data))


__all__ = ["Maker", "soup"]
