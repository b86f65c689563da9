"""Tapes as tests write them: a sentence an event.

    tape("alice > hello", "alice < hi")                   who, direction, payload (text)
    tape('alice < {"type": "done"}', "alice/2 > hi")      JSON is text; `alice/2` is alice's second connection
    tape("alice > 0x00ff", "alice < (ping)", "alice > (pong ab)")       binary (hex), control frames
    tape("alice > #0", "alice < #2")                      `#k` is the text `#k`, numbered k in its connection
    tape("alice connects /chat?x=1 credential=valid subprotocol=v1", "alice > hi")
    tape("alice refused 401 credential=expired too late")       a handshake that got another answer; its body
    tape("alice < (close 1000 bye)", "alice > (close 1000)", "alice ends")       clean, closed by the server
    tape("alice ends eof by client")                      eof, reset, lost; by client, server, recorder
    tape("alice becomes bob credential=expired")          from here on the connection belongs to bob
    tape("2.5s", "10ms")                                  time passes; each event is 1 ms after the one before
    tape("mark fault_begin {\"kind\": \"cut\"}", "tick {\"lag\": 0.2}")
    tape("get /login 200")                                plain HTTP that passed through

A connection opens at its first sentence, at `/`, and is `open` at the end of the tape unless a sentence ends it;
where both close frames are there and nothing else is said, it ends clean.
Flags stand before the payload: `alice < !delivery_unknown hello` (any name of `Flag`).
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

from goldentape.event import Connection, Ending, Flag, Identity, Mark
from goldentape.seal import seal as seal_tape
from goldentape.tape import Tape, open_tape
from goldentape.tape_writer import Row, TapeWriter

MS = 1_000_000
SECOND = 1000 * MS
WALL = 1_700_000_000 * SECOND
"""Unix time of every written tape's begin, ns."""

_UNITS = {"ms": MS, "s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND}
_TIME = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h)")
_EVENT = re.compile(r"([^\s/<>]+(?:/\S+)?) ([<>]) ?(.*)", re.DOTALL)
_CONTROL = re.compile(r"\((close|ping|pong)(?: (.*))?\)", re.DOTALL)
_VERB = re.compile(r"([^\s/]+(?:/\S+)?) (connects|refused|ends|becomes)(?: (.*))?", re.DOTALL)
_OPCODES = {"close": 8, "ping": 9, "pong": 10}
_numbers = count()


@dataclass
class _Open:
    """A connection that sentences have named."""

    number: int
    id: str
    user: str
    n: int = 0
    closes: list[str] = field(default_factory=list)
    code: int | None = None
    reason: str | None = None
    ended: bool = False


class Writer:
    """Writes sentences as a tape."""

    def __init__(self, path: Path, *, wall: int = WALL, recorder: str = "r1", epoch: int = 0, **epoch_columns) -> None:
        self.writer = TapeWriter(path, create=not path.exists())
        self.connections: dict[str, _Open] = {}
        self.t = int(self.writer.meta("last_t", 0))
        self.seq = int(self.writer.meta("next_seq", 1))
        self.epoch = epoch
        self.rows: list[Row] = []
        self.writer.begin()
        self.writer.add_epoch(
            {
                "epoch": epoch, "recorder": recorder, "wall": wall + self.t, "t": self.t, "first_seq": self.seq,
                "upstream": "ws://127.0.0.1:9", "listen": "127.0.0.1:8", "durability": "process", "insecure": 0,
                "redaction_key": "0" * 16, "software": "goldentape", "options": "{}", **epoch_columns,
            }
        )  # fmt: skip
        self.mark("begin", {"epoch": epoch})

    def draw(self) -> int:
        self.seq += 1
        return self.seq - 1

    def mark(self, kind: str, data: dict | None = None, connection: int | None = None) -> None:
        self.flush()
        self.writer.add_marks([(Mark(seq=self.draw(), t=self.t, kind=kind, data=data or {}), connection)])

    def say(self, sentence: str) -> None:
        import json

        if time := _TIME.fullmatch(sentence):
            self.t += round(float(time[1]) * _UNITS[time[2]])
        elif sentence.startswith(("mark ", "tick")):
            words = sentence.removeprefix("mark ").split(" ", 1)
            self.mark(words[0], json.loads(words[1]) if len(words) > 1 else {})
        elif sentence.startswith("get "):
            _, target, status = sentence.split(" ")
            self.writer.add_http(self.t, "GET", target, int(status))
        elif verb := _VERB.fullmatch(sentence):
            self.t += MS
            getattr(self, "_" + verb[2])(verb[1], verb[3] or "")
        elif event := _EVENT.fullmatch(sentence):
            self.t += MS
            self._event(event[1], event[2] == "<", event[3])
        else:
            raise ValueError(f"no such sentence: {sentence!r}")

    def _connects(self, who: str, rest: str, status: int = 101, body: bytes | None = None) -> _Open:
        target = "/"
        columns: dict[str, object] = {}
        for word in rest.split():
            if word.startswith("/"):
                target = word
            else:
                name, _, value = word.partition("=")
                columns[name] = int(value) if value.isdigit() else value
        user = who.partition("/")[0]
        rule = str(columns.pop("rule", "query:user"))
        self.writer.user(user, rule)
        number = self.writer.next_connection
        self.writer.add_connection(
            Connection(
                **{
                    "id": f"c{number}", "user": user, "epoch": self.epoch, "client": "client-digest",
                    "target": target, "key": f"key-{number}==", "request": (("Host", "x"), ("Upgrade", "websocket")),
                    "status": status, "reason": "Switching Protocols" if status == 101 else "Refused",
                    "response": (("Upgrade", "websocket"),), "body": body, "subprotocol": None, "extensions": None,
                    "credential": "none", "credential_expires": None, "opened": self.t,
                    "accepted": self.t if status == 101 else None, "closed": None, "close_code": None,
                    "close_reason": None, "closed_by": None, "ending": Ending.OPEN, **columns,
                }
            )
        )  # fmt: skip
        made = _Open(number, str(columns.get("id", f"c{number}")), user)
        self.connections[who] = made
        self.writer.add_identity(
            number,
            Identity(
                seq=self.draw(), user=user, rule=rule, credential=str(columns.get("credential", "none")),
                expires=columns.get("credential_expires"),
            ),
        )  # fmt: skip
        return made

    def _of(self, who: str) -> _Open:
        found = self.connections.get(who)
        return self._connects(who, "") if found is None or found.ended else found

    def _refused(self, who: str, rest: str) -> None:
        status, _, rest = rest.partition(" ")
        words = rest.split(" ")
        columns = [word for word in words if re.match(r"\w+=", word)]
        body = " ".join(word for word in words if word not in columns)
        c = self._connects(who, " ".join(columns), int(status), body.encode() or None)
        self._end(c, ending=Ending.REFUSED, closed_by="server")

    def _ends(self, who: str, rest: str) -> None:
        c = self._of(who)
        how, _, by = rest.partition(" by ")
        if how in ("", "clean"):
            how = "clean" if len(set(c.closes)) == 2 or how else "eof"
        self._end(c, ending=Ending(how), closed_by=by or (c.closes[0] if c.closes else "client"))

    def _end(self, c: _Open, **columns) -> None:
        self.flush()
        c.ended = True
        self.writer.update_connection(
            c.number, closed=self.t, close_code=c.code, close_reason=c.reason,
            **{name: str(value) for name, value in columns.items()},
        )  # fmt: skip

    def _becomes(self, who: str, rest: str) -> None:
        name, *words = rest.split()
        said = dict(word.split("=", 1) for word in words)
        c = self._of(who)
        self.flush()
        number = self.writer.user(name, "message:user")
        c.user = name
        identity = Identity(
            seq=self.draw(), user=name, rule=said.get("rule", "message:user"),
            credential=said.get("credential", "valid"), expires=int(said["expires"]) if "expires" in said else None,
        )  # fmt: skip
        self.writer.add_identity(c.number, identity)
        self.writer.update_connection(c.number, user=number)

    def _event(self, who: str, from_server: bool, text: str) -> None:
        c = self._of(who)
        flags = Flag(0)
        while text.startswith("!"):
            name, _, text = text[1:].partition(" ")
            flags |= Flag[name.upper()]
        opcode, payload = 1, text.encode("utf-8", "surrogateescape")
        if control := _CONTROL.fullmatch(text):
            opcode, payload = _OPCODES[control[1]], (control[2] or "").encode()
            if opcode == 8 and control[2]:
                code, _, reason = control[2].partition(" ")
                payload = int(code).to_bytes(2, "big") + reason.encode()
                if c.code is None:
                    c.code, c.reason = int(code), reason
            if opcode == 8:
                c.closes.append("server" if from_server else "client")
        elif re.fullmatch(r"0x(?:[0-9a-fA-F]{2})*", text):
            opcode, payload = 2, bytes.fromhex(text[2:])
        elif re.fullmatch(r"#\d+", text):
            c.n = int(text[1:])
        whole, size = None, len(payload)
        if flags & Flag.TRUNCATED:
            size, whole = len(payload) + 1000, sha256(payload + bytes(1000)).digest()
        user = self.writer.user(c.user, "query:user")
        self.rows.append(
            Row(user, self.draw(), c.number, c.n, self.t, int(from_server), opcode, payload, size,
                size + (2 if from_server else 6), 1, int(flags), whole)
        )  # fmt: skip
        c.n += 1

    def flush(self) -> None:
        self.writer.add_events(self.rows)
        self.rows = []

    def commit(self) -> None:
        """Make what was said visible to readers, and go on."""
        self.flush()
        self.writer.commit(last_t=self.t, next_seq=self.seq, complete=1)
        self.writer.begin()

    def finish(self, *, seal: bool = True, complete: bool = True, crashed: bool = False) -> None:
        for c in self.connections.values():
            if not c.ended and (len(set(c.closes)) == 2 or crashed):
                self._end(
                    c,
                    ending="lost" if len(set(c.closes)) < 2 else "clean",
                    closed_by="recorder" if crashed else c.closes[0],
                )
        self.mark("crash" if crashed else "end")
        self.writer.commit(last_t=self.t, next_seq=self.seq, complete=int(complete and not crashed))
        if seal and not crashed:
            seal_tape(self.writer, complete)
        else:
            self.writer.leave_wal()
        self.writer.close()


def write(
    path: Path, *sentences: str, seal: bool = True, complete: bool = True, crashed: bool = False, **epoch
) -> Path:
    """Write a tape at `path`, sealed unless said otherwise."""
    writer = Writer(path, **epoch)
    for sentence in sentences:
        writer.say(sentence)
    writer.finish(seal=seal, complete=complete, crashed=crashed)
    return path


_home: list[Path] = []


def home() -> Path:
    """A directory for tapes that nobody has to clean up."""
    if not _home:
        _home.append(Path(tempfile.mkdtemp(prefix="goldentape-tests-")))
        atexit.register(shutil.rmtree, _home[0], ignore_errors=True)
    return _home[0]


def tape(*sentences: str, **options) -> Tape:
    """Write a tape in a directory of its own and open it; `.path` says where it is."""
    return open_tape(write(home() / f"{next(_numbers)}.tape", *sentences, **options))
