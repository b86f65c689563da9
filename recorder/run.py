"""A recorder as a whole: claim the tape, listen, tick, drain, seal.

async with Recorder(Settings(tape="a.tape", upstream="ws://127.0.0.1:9000")) as recorder:
    ...   # clients speak to 127.0.0.1:recorder.port
# here the tape is folded and sealed
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import sqlite3
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from goldentape.errors import EnvironmentFault, InputError
from goldentape.tls import client_context
from recorder.child import FoldChild, free_bytes
from recorder.claim import Claim, claim
from recorder.control import Control
from recorder.faults.plan import Faults
from recorder.faults.spec import parse_faults
from recorder.gateway import Gateway
from recorder.identity import DEFAULT_RULES
from recorder.journal import Journal, PowerJournal, StorageFailed
from recorder.limits import no_core_dumps, room_for
from recorder.recover import recover, remove
from recorder.settings import Settings
from recorder.spool import Kind, SpoolWriter, segments
from recorder.upstream import Upstream, parse_upstream, server_context

log = logging.getLogger("goldentape.recorder")

TICK = 1.0
LOOK = 0.5
"""Seconds between two looks whether the tape is still there."""
BACKLOG = 4096
_LOCAL = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"}


class Recorder:
    """A running recorder.  `failed` holds the error that ended it early, if one did."""

    def __init__(self, settings: Settings) -> None:
        host, port, prefix, tls = parse_upstream(settings.upstream)
        if settings.listen_port and port == settings.listen_port and _same_host(host, settings.listen_host):
            raise InputError("the upstream is the recorder itself: it would proxy to itself", found=settings.upstream)
        self.settings = settings
        # Also for ws://, where it is of no use: a file that is none is a mistake all the same.
        context = client_context(settings.ca, settings.insecure) if tls or settings.ca else None
        self._upstream = Upstream(
            host=host, port=port, prefix=prefix, tls=context if tls else None,
            timeout=settings.handshake_timeout, addresses=settings.connect_to,
        )  # fmt: skip
        self._tls = server_context(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
        self.id = secrets.token_hex(16)
        self.port = 0
        self.control: Control | None = None
        self.failed: EnvironmentFault | None = None
        self.head: str | None = None
        """Hex of the sealed tape's head, after a clean stop."""
        self.stopping = asyncio.Event()
        """Set when something (a storage failure) wants the recorder to end."""
        self.fold = FoldChild(settings, self._fail, stubborn=settings.on_storage_error == "pass")
        self._claim: Claim | None = None
        self._server: asyncio.Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._inode: tuple[int, int] | None = None

    # -- start

    async def start(self) -> None:
        """Claim the tape and listen.  Raises InputError or EnvironmentFault, and then leaves nothing behind."""
        no_core_dumps()
        self._room = room_for(self.settings.max_connections)
        sock = self._bind()
        try:
            if self.settings.append and segments(self.settings.spool):
                await asyncio.to_thread(recover, Path(self.settings.tape), self.settings.spool)
            self._claim = claim(self.settings)
            await self._begin(sock)
        except BaseException:
            sock.close()
            await self._abandon()
            raise

    def _bind(self) -> socket.socket:
        host, port = self.settings.listen_host, self.settings.listen_port
        try:
            family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except (socket.gaierror, UnicodeError):
            raise InputError("the listen host cannot be resolved", found=host) from None
        sock = socket.socket(family, kind, proto)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            # Bind tells of a privileged port, listen of one in use by somebody who also sets SO_REUSEADDR.
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            raise EnvironmentFault(f"cannot listen: {error.strerror}", where=f"{host}:{port}") from None
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        return sock

    async def _begin(self, sock: socket.socket) -> None:
        s = self.settings
        loop = asyncio.get_running_loop()
        if s.control_port is not None:
            self.control = Control(self._mark, self.status)
            try:
                await self.control.start(s.control_port)
            except OSError as error:
                raise EnvironmentFault(
                    # What asyncio says of it has the address, and its own words, once more.
                    f"cannot listen: {os.strerror(error.errno or 0)}",
                    where=f"127.0.0.1:{s.control_port}",
                ) from None
        self.journal = self._open_journal()
        self.gateway = Gateway(loop=loop, journal=self.journal, upstream=self._upstream, settings=s, room=self._room)
        try:
            self.journal.append(Kind.BEGIN, 0, json.dumps(self._introduction()).encode())
        except StorageFailed:
            assert self.failed is not None
            raise self.failed from None
        if s.fault:
            self.gateway.faults = Faults(parse_faults(s.fault), self.journal)
            self.gateway.faults.start()
        await self.fold.start()
        self._server = await loop.create_server(
            self.gateway.protocol, sock=sock, ssl=self._tls, backlog=BACKLOG,
            ssl_handshake_timeout=s.handshake_timeout if self._tls else None,
        )  # fmt: skip
        self._tasks = [loop.create_task(self._tick()), loop.create_task(self._look())]

    def _open_journal(self) -> Journal:
        s = self.settings
        power = s.durability == "power"
        first = max((number for number, _ in segments(s.spool)), default=0) + 1
        try:
            _write_private(s.spool / "settings.json", s.to_json())
            spool = SpoolWriter(s.spool, first, durable=power)
        except OSError as error:
            raise EnvironmentFault(f"the spool cannot be written: {error.strerror}", where=s.spool) from error
        kind = PowerJournal if power else Journal
        return kind(spool, self._storage_failed, passing=s.on_storage_error == "pass")

    def _introduction(self) -> dict[str, Any]:
        s, c = self.settings, self._claim
        assert c is not None
        options = {
            "identify": s.identify or [rule.text for rule in DEFAULT_RULES],
            "max_stored": s.max_stored, "max_connections": self._room, "drain": s.drain,
            "on_storage_error": s.on_storage_error, "keep_host": s.keep_host, "http": s.http, "tls": bool(self._tls),
            "signatures": s.jwt_key_file is not None, "tags": s.tags,
            "claims": s.claim,
        } | ({"faults": s.fault} if s.fault else {})  # fmt: skip
        return {
            "epoch": c.epoch, "recorder": self.id, "wall": time.time_ns(), "mono": time.monotonic_ns(),
            "upstream": s.upstream, "listen": f"{s.listen_host}:{self.port}", "durability": s.durability,
            "insecure": s.insecure, "options": options, "software": f"goldentape {version('goldentape')}",
        }  # fmt: skip

    async def _abandon(self) -> None:
        """Give back what a start that failed had taken."""
        if self.control is not None:
            await self.control.stop()
        if self._claim is not None:
            fresh = self.fold.pid is None and not self._claim.exists
            await self.fold.kill()
            if fresh:
                remove(self.settings.spool)
            self._claim.release()

    # -- while running

    def status(self) -> dict[str, Any]:
        """Return the counters of the status line."""
        return {"open": len(self.gateway.links), "connections": self.gateway.opened, **self.fold.progress()}

    def _mark(self, kind: str, data: dict[str, Any]) -> None:
        with contextlib.suppress(StorageFailed):
            self.journal.mark(kind, data)

    def _fail(self, fault: EnvironmentFault) -> None:
        """Something is broken that nobody here can mend: end the recording."""
        self.failed = self.failed or fault
        self.stopping.set()

    def _storage_failed(self, error: OSError) -> None:
        free = free_bytes(self.settings.spool)
        fault = EnvironmentFault(
            f"the log cannot be written: {error.strerror or error}" + ("" if free is None else f" ({free} bytes free)"),
            where=self.settings.spool if error.filename is None else error.filename,
        )
        if self.settings.on_storage_error == "pass":
            log.error("%s; forwarding goes on without a log", fault)
            return
        self._fail(fault)
        gateway = getattr(self, "gateway", None)
        if gateway is not None:
            asyncio.get_running_loop().call_soon(lambda: [link.reset_all() for link in list(gateway.links)])

    async def _tick(self) -> None:
        """Write a mark every second: how late the loop was says whether times can be believed."""
        loop = asyncio.get_running_loop()
        due = loop.time() + TICK
        while True:
            await asyncio.sleep(max(due - loop.time(), 0))
            late = max(loop.time() - due, 0.0)
            due = max(due + TICK, loop.time())
            self._mend()
            self._mark("tick", {"lag": int(late * 1e9)})

    def _mend(self) -> bool:
        """With `--on-storage-error pass`: log again as soon as that is possible."""
        journal = self.journal
        if journal.failed is None:
            return True
        if not journal.passing or not self._files_are_there() or not journal.mend():
            return False
        for link in self.gateway.links:
            link.unlog()
        log.warning("the log is written again, behind a gap; connections that were open stay unlogged")
        return True

    async def _look(self) -> None:
        """Notice a tape or a spool that somebody removed."""
        while True:
            await asyncio.sleep(LOOK)
            if self.journal.failed is None:
                self._files_are_there()

    def _files_are_there(self) -> bool:
        tape, spool = Path(self.settings.tape), self.settings.spool
        # What the fold opened counts, not what is found first: the tape may be gone before anybody looked.
        self._inode = self._inode or self.fold.file()
        try:
            found = tape.stat()
            (spool / "lock").stat()
        except OSError as error:
            if self._inode is None:
                return True  # The fold has not made the tape yet.
            self.journal.fail(error)
            return False
        if self._inode not in (None, (found.st_dev, found.st_ino)):
            self.journal.fail(OSError(2, "the tape was replaced by another file", str(tape)))
            return False
        return True

    # -- stop

    async def stop(self, drain: float | None = None) -> None:
        """Stop accepting, let connections go on for `drain` seconds, end them, fold to the end and seal.

        Raises EnvironmentFault when the storage failed; what was logged until then stays.
        """
        if self._server is not None:
            self._server.close()
        seconds = self.settings.drain if drain is None else drain
        if self.failed is None and seconds > 0:
            await self._drained(seconds)
        if self.gateway.faults is not None:
            self.gateway.faults.stop()
        for link in list(self.gateway.links):
            link.end_by_recorder("drain")
        await self._idle(1.0)
        for link in list(self.gateway.links):
            link.reset_all()
        await self._idle(1.0)
        if self.control is not None:
            await self.control.stop()
        await self.journal.flush()
        for task in self._tasks:
            task.cancel()
        if self.failed is None and self._mend():
            with contextlib.suppress(StorageFailed):
                self.journal.append(Kind.CLOSE, 0, b"")
            await self._close_journal()
            await self.fold.finish()
        else:
            # What the spool has is brought in by the next command that opens the tape.
            await self._close_journal()
            await self.fold.kill()
        assert self._claim is not None
        if self.failed is None and self.journal.failed is not None:
            self.failed = EnvironmentFault(f"the log ends early: {self.journal.failed}", where=self.settings.tape)
        if self.failed is None:
            self.head = _head(self.settings.tape)
            if self.head is None:
                self.failed = EnvironmentFault("the fold ended before the tape was sealed", where=self.settings.tape)
        if self.failed is None:
            if self.journal.gaps:
                log.warning("the tape has a gap: it is sealed as incomplete")
            # Only now: until the tape is sealed, what passed may be nowhere else.
            remove(self.settings.spool)
        self._claim.release()
        if self.failed is not None:
            raise self.failed

    async def _close_journal(self) -> None:
        if self.settings.durability == "power" and self.journal.failed is None:
            with contextlib.suppress(OSError):
                await asyncio.to_thread(self.journal.spool.sync)
        self.journal.spool.close()

    async def _idle(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gateway.idle.wait(), seconds)

    async def _drained(self, seconds: float) -> None:
        """Wait until all links have ended, the time is up, or the storage fails."""
        idle = asyncio.ensure_future(self.gateway.idle.wait())
        try:
            deadline = asyncio.get_running_loop().time() + seconds
            while self.failed is None and not idle.done():
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    break
                await asyncio.wait([idle], timeout=min(left, 0.2))
        finally:
            idle.cancel()

    async def kill(self) -> None:
        """Leave at once: no drain, no fold, no seal; the next command that opens the tape folds the rest."""
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            self._server.close()
        for link in list(self.gateway.links):
            link.reset_all()
        await self.fold.kill()
        if self._claim is not None:
            self._claim.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop(0 if exc[0] is not None else None)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _head(tape: str) -> str | None:
    try:
        with closing(sqlite3.connect(f"{Path(tape).absolute().as_uri()}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'head'").fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


def _same_host(one: str, other: str) -> bool:
    return one == other or (one in _LOCAL and other in _LOCAL)
