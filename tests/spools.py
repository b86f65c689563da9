"""Spools as tests write them: what a proxy would have appended, without sockets."""

import json
import os
import random
import sqlite3
from pathlib import Path

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.speedups import apply_mask

from goldentape import chain
from goldentape.tape_writer import ddl
from recorder.settings import Settings
from recorder.spool import HANDED_OVER, Kind, SpoolWriter

SECOND = 1_000_000_000
MASK = b"\x12\x34\x56\x78"
WALL = 1_700_000_000 * SECOND
WORDS = ("hello ", "world ", "x", "grüße ", "0123456789")


def frame(opcode: int, payload: bytes, *, mask: bool, fin: bool = True, rsv1: bool = False) -> bytes:
    data = known_mask(Frame(Opcode(opcode), payload, fin).serialize(mask=mask))
    return bytes([data[0] | rsv1 << 6]) + data[1:]


def known_mask(data: bytes) -> bytes:
    """Give a masked frame a mask that is the same in every run."""
    if not data[1] & 0x80:
        return data
    body = {126: 8, 127: 14}.get(data[1] & 127, 6)
    payload = apply_mask(data[body:], data[body - 4 : body])
    return data[: body - 4] + MASK + apply_mask(payload, MASK)


class Spool:
    """Write a spool; `begin` and `open` come before anything else of an epoch or connection."""

    def __init__(self, tape: Path, *, segment_bytes: int = 1 << 26, **settings) -> None:
        self.settings = Settings(tape=str(tape), upstream="ws://127.0.0.1:9", **settings)
        self.directory = self.settings.spool
        self.directory.mkdir(mode=0o700)
        (self.directory / "settings.json").write_text(self.settings.to_json())
        self.writer = SpoolWriter(self.directory, segment_bytes=segment_bytes)
        self.now = 5 * SECOND
        self.connections = 0

    def record(self, kind: int, conn: int = 0, body: bytes | dict = b"", flags: int = 0) -> None:
        self.now += 1_000_000
        self.writer.append(kind, conn, self.now, body if isinstance(body, bytes) else json.dumps(body).encode(), flags)

    def begin(self, recorder: str = "r1", wall: int = WALL) -> None:
        self.record(Kind.BEGIN, 0, {"epoch": 0, "recorder": recorder, "wall": wall, "mono": self.now})

    def open(
        self,
        target: str = "/",
        *,
        headers: str = "",
        answer: str = "",
        status: str = "101 Switching Protocols",
        name=None,
    ) -> int:
        self.connections += 1
        conn = self.connections
        self.record(Kind.OPEN, conn, {"id": name or f"c{conn}", "client": f"127.0.0.1:{5000 + conn}"})
        head = f"GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k{conn}\r\n{headers}\r\n"
        self.record(Kind.REQUEST, conn, head.encode())
        if status:
            self.record(Kind.RESPONSE, conn, f"HTTP/1.1 {status}\r\n{answer}\r\n".encode())
        return conn

    def c2s(self, conn: int, data: bytes | str, flags: int = HANDED_OVER) -> None:
        self.record(Kind.C2S, conn, frame(1, data.encode(), mask=True) if isinstance(data, str) else data, flags)

    def s2c(self, conn: int, data: bytes | str, flags: int = HANDED_OVER) -> None:
        self.record(Kind.S2C, conn, frame(1, data.encode(), mask=False) if isinstance(data, str) else data, flags)

    def end(self, conn: int, by: str = "server", how: str = "eof", final: bool = True) -> None:
        self.record(Kind.END, conn, {"by": by, "how": how, "detail": "", "final": final})

    def close(self, conn: int, code: int = 1000, reason: str = "") -> None:
        """Close a connection as well-behaved peers do, the client first."""
        payload = code.to_bytes(2, "big") + reason.encode()
        self.c2s(conn, frame(8, payload, mask=True))
        self.s2c(conn, frame(8, payload, mask=False))
        self.end(conn)

    def stop(self) -> None:
        self.record(Kind.CLOSE)
        self.writer.close()

    def raw(self) -> list[tuple[str, bytes]]:
        """The segments' names and bytes."""
        return [(p.name, p.read_bytes()) for p in sorted(self.directory.glob("*.seg"))]


def as_child(settings: Settings) -> int:
    """Run the fold in this process, as the recorder's child would."""
    from recorder.fold import run

    return run(settings, os.getppid())


def with_key(tape: Path) -> Path:
    """Give a tape a known redaction key: two tapes can be compared then."""
    key = Path(f"{tape}.key")
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    return tape


def busy(
    tape: Path, *, segment_bytes: int = 2000, seed: int = 1, rounds: int = 80, stop: bool = True, **settings
) -> Spool:
    """A spool with everything in it: compression, fragments, late names, refusals, ends of each kind, many segments."""
    rng = random.Random(seed)
    spool = Spool(tape, segment_bytes=segment_bytes, identify=("query:user_id", "message:user"), **settings)
    spool.begin()
    live: dict[int, list] = {}
    deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n"

    def message(conn: int, to_server: bool) -> bytes:
        extension = live[conn][to_server]
        payload = json.dumps(
            {"type": rng.choice(["ask", "answer"]), "text": rng.choice(WORDS) * rng.randint(1, 30)}
        ).encode()
        if rng.random() < 0.05:
            payload = json.dumps({"user": f"late{conn}"}).encode()
        parts = [payload] if rng.random() < 0.7 else [payload[:7], payload[7:20], payload[20:]]
        return b"".join(
            known_mask(
                Frame(Opcode.CONT if i else Opcode.TEXT, part, i == len(parts) - 1).serialize(
                    mask=to_server, extensions=[extension] if extension else None
                )
            )
            + (frame(9, b"ping", mask=to_server) if rng.random() < 0.1 else b"")
            for i, part in enumerate(parts)
        )

    waiting: dict[tuple[int, bool], bytes] = {}
    for turn in range(rounds):
        if len(live) < 4:
            compress = rng.random() < 0.6
            target = f"/?user_id=u{rng.randint(1, 3)}" if rng.random() < 0.6 else "/"
            conn = spool.open(target, answer=deflate if compress else "")
            live[conn] = [PerMessageDeflate(False, False, 15, 15) if compress else None for _ in range(2)]
        conn, to_server = rng.choice(list(live)), rng.random() < 0.5
        data = waiting.pop((conn, to_server), b"") + b"".join(
            message(conn, to_server) for _ in range(rng.randint(1, 3))
        )
        cut = len(data) if rng.random() < 0.6 else rng.randint(0, len(data))
        waiting[conn, to_server] = data[cut:]
        spool.record(Kind.C2S if to_server else Kind.S2C, conn, data[:cut], HANDED_OVER if rng.random() < 0.8 else 0)
        if turn % 10 == 9:
            conn = rng.choice(list(live))
            del live[conn]
            rng.choice([spool.close, lambda c: spool.end(c, "client", "reset"), spool.end])(conn)
            spool.record(Kind.MARK, 0, {"kind": "tick", "data": {"lag": 0}})
            spool.record(Kind.HTTP, 0, {"method": "GET", "target": "/x", "status": 200})
            refused = spool.open(status="403 Forbidden")
            spool.record(Kind.BODY, refused, b"no")
            spool.end(refused)
    if stop:
        spool.stop()
    else:
        spool.writer.close()
    return spool


def dump(tape: Path) -> dict[str, list]:
    """What a tape says, without what is random in it; its chains are checked on the way."""
    db = sqlite3.connect(f"file:{tape}?mode=ro", uri=True)
    try:
        events = db.execute(
            "SELECT v.id & 1099511627775, u.name, c.name, n, t, direction, opcode, CAST(payload AS BLOB), size, wire,"
            " frames, flags, v.sha256 FROM event v LEFT JOIN user u ON u.id = v.id >> 40"
            " LEFT JOIN connection c ON c.id = v.connection ORDER BY 1"
        ).fetchall()
        check_chains(db)
        return {
            "event": events,
            "connection": db.execute("SELECT * FROM connection ORDER BY id").fetchall(),
            "identity": db.execute("SELECT * FROM identity ORDER BY 1, 2").fetchall(),
            "mark": db.execute("SELECT * FROM mark ORDER BY seq").fetchall(),
            "user": db.execute("SELECT id, name, rule, events FROM user ORDER BY id").fetchall(),
            "http": db.execute("SELECT * FROM http ORDER BY id").fetchall(),
            "epoch": db.execute("SELECT * FROM epoch ORDER BY epoch").fetchall(),
        }
    finally:
        db.close()


def check_chains(db: sqlite3.Connection) -> None:
    """Compute every link anew."""
    for user, count, last in db.execute("SELECT id, events, link FROM user").fetchall():
        link, seen = chain.START, 0
        for row in db.execute(
            "SELECT id & 1099511627775, connection, n, t, direction, opcode, typeof(payload) = 'text', size, wire,"
            " frames, flags, CAST(payload AS BLOB), salt, coalesce(sha256, x''), link FROM event WHERE id >> 40 = ?"
            " ORDER BY id",
            (user,),
        ):
            *header, payload, salt, whole, stored = row
            link = chain.link(link, chain.pack_header(*header), chain.inner(salt, payload, whole))
            assert link == stored
            seen += 1
        assert (link, seen) == (last, count)


def said(rows: dict[str, list], connection: str) -> list[tuple[int, bytes]]:
    return [(event[5], event[7]) for event in rows["event"] if event[2] == connection]


def columns(rows: dict[str, list], *names: str) -> list[tuple]:
    db = sqlite3.connect(":memory:")
    db.executescript(ddl())
    where = [row[1] for row in db.execute("PRAGMA table_info(connection)")]
    return [tuple(row[where.index(name)] for name in names) for row in rows["connection"]]
