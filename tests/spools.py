"""Spools as tests write them: what a proxy would have appended, without sockets."""

import json
import os
from pathlib import Path

from websockets.frames import Frame, Opcode

from recorder.settings import Settings
from recorder.spool import HANDED_OVER, Kind, SpoolWriter

SECOND = 1_000_000_000
WALL = 1_700_000_000 * SECOND


def frame(opcode: int, payload: bytes, *, mask: bool, fin: bool = True, rsv1: bool = False) -> bytes:
    data = Frame(Opcode(opcode), payload, fin).serialize(mask=mask)
    return bytes([data[0] | rsv1 << 6]) + data[1:]


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
