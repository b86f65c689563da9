"""A recorder as a whole: claim the tape, listen, keep the fold alive, tick, drain, seal.

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
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Self

from goldentape.errors import EnvironmentFault, InputError
from recorder.claim import Claim, claim
from recorder.control import Control
from recorder.journal import Journal, PowerJournal, StorageFailed
from recorder.proxy import Gateway
from recorder.recover import recover, remove
from recorder.settings import Settings
from recorder.spool import Kind, SpoolWriter, segments
from recorder.upstream import Upstream, client_context, parse_upstream, server_context

log = logging.getLogger("goldentape.recorder")

TICK = 1.0
RESTARTS = 20
"""How often in a row a fold that dies at once is started again."""
SPARE_DESCRIPTORS = 64
MOST = 10_000
"""Connections at once, when nothing else is asked for."""


def room_for(wanted: int | None) -> int:
    """Raise the soft limit of open files as far as is needed, and return how many connections may be open.

    Raises InputError when `wanted` do not fit; None asks for MOST, or as many as do fit.
    """
    try:
        import resource
    except ImportError:
        return wanted or MOST
    asked, wanted = wanted, wanted or MOST
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 2 * wanted + SPARE_DESCRIPTORS
    if soft < need:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (need if hard < 0 else min(need, hard), hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    fits = max((soft - SPARE_DESCRIPTORS) // 2, 1) if soft >= 0 else wanted
    if asked is not None and fits < asked:
        raise InputError(
            f"{wanted} connections need {need} open files, the limit is {soft}",
            fix=f"raise it (ulimit -n {need}) or lower --max-connections to {fits}",
        )
    return min(wanted, fits)


def no_core_dumps() -> None:
    """Keep traffic out of core files."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it exists, None (the stdlib's) elsewhere."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class Recorder:
    """A running recorder.  `failed` holds the error that ended it early, if one did."""

    def __init__(self, settings: Settings) -> None:
        host, port, prefix, tls = parse_upstream(settings.upstream)
        if settings.listen_port and port == settings.listen_port and _same_host(host, settings.listen_host):
            raise InputError("the upstream is the recorder itself: it would proxy to itself", found=settings.upstream)
        self.settings = settings
        self._upstream = Upstream(
            host=host, port=port, prefix=prefix, tls=client_context(settings.ca, settings.insecure) if tls else None,
            timeout=settings.handshake_timeout,
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
        self._claim: Claim | None = None
        self._server: asyncio.Server | None = None
        self._fold: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._inode: tuple[int, int] | None = None

    # -- start -------------------------------------------------------------------------------------------------

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
            if self._claim is not None:
                await self._abandon()
            raise

    def _bind(self) -> socket.socket:
        host, port = self.settings.listen_host, self.settings.listen_port
        try:
            family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        except socket.gaierror:
            raise InputError("the listen host cannot be resolved", found=host) from None
        sock = socket.socket(family, kind, proto)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            # Bind tells of a privileged port, listen of one in use by somebody who also sets SO_REUSEADDR.
            sock.listen(4096)
        except OSError as error:
            sock.close()
            raise EnvironmentFault(f"cannot listen: {error.strerror}", where=f"{host}:{port}") from None
        sock.setblocking(False)
        self.port = sock.getsockname()[1]
        return sock

    async def _begin(self, sock: socket.socket) -> None:
        assert self._claim is not None
        s = self.settings
        loop = asyncio.get_running_loop()
        _write_private(s.spool / "settings.json", s.to_json())
        first = max((number for number, _ in segments(s.spool)), default=0) + 1
        try:
            spool = SpoolWriter(s.spool, first)
        except OSError as error:
            raise EnvironmentFault(f"the spool cannot be written: {error.strerror}", where=s.spool) from error
        kind = PowerJournal if s.durability == "power" else Journal
        self.journal = kind(spool, self._storage_failed, passing=s.on_storage_error == "pass")
        begin = {
            "epoch": self._claim.epoch, "recorder": self.id, "wall": time.time_ns(), "mono": time.monotonic_ns(),
            "upstream": s.upstream, "listen": f"{s.listen_host}:{self.port}", "durability": s.durability,
            "insecure": s.insecure,
        }  # fmt: skip
        try:
            self.journal.append(Kind.BEGIN, 0, json.dumps(begin).encode())
        except StorageFailed:
            assert self.failed is not None
            raise self.failed from None
        self.gateway = Gateway(loop=loop, journal=self.journal, upstream=self._upstream, settings=s, room=self._room)
        await self._start_fold()
        if s.control_port is not None:
            self.control = Control(lambda kind, data: self.journal.mark(kind, data), self.status)
            try:
                await self.control.start(s.control_port)
            except OSError as error:
                raise EnvironmentFault(
                    f"cannot listen: {error.strerror}", where=f"127.0.0.1:{s.control_port}"
                ) from None
        self._server = await loop.create_server(
            self.gateway.protocol, sock=sock, ssl=self._tls, backlog=4096,
            ssl_handshake_timeout=s.handshake_timeout if self._tls else None,
        )  # fmt: skip
        self._tasks = [loop.create_task(self._tick()), loop.create_task(self._supervise())]

    async def _abandon(self) -> None:
        self._closing = True
        if self._fold is not None and self._fold.returncode is None:
            self._fold.kill()
            await self._fold.wait()
        assert self._claim is not None
        self._claim.release()

    async def _start_fold(self) -> None:
        # Its own session: Ctrl-C on the terminal is the proxy's business, and the fold has to go on behind it.
        self._fold = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "recorder.fold", "--settings", str(self.settings.spool / "settings.json"),
            "--parent", str(os.getpid()), stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    # -- while running -----------------------------------------------------------------------------------------

    def progress(self) -> dict[str, Any]:
        """Return what the fold last said of itself (`SPOOL/progress`), or nothing."""
        try:
            value = json.loads((self.settings.spool / "progress").read_text())
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def status(self) -> dict[str, Any]:
        """Return the counters of the status line."""
        return {"open": len(self.gateway.links), "connections": self.gateway.opened, **self.progress()}

    def _storage_failed(self, error: OSError) -> None:
        free = _free_bytes(self.settings.spool)
        fault = EnvironmentFault(
            f"the log cannot be written: {error.strerror or error}" + ("" if free is None else f" ({free} bytes free)"),
            where=self.settings.spool if error.filename is None else error.filename,
        )
        if self.settings.on_storage_error == "pass":
            log.error("%s; forwarding goes on without a log", fault)
            return
        self.failed = fault
        self.stopping.set()
        gateway = getattr(self, "gateway", None)
        if gateway is not None:
            asyncio.get_running_loop().call_soon(lambda: [link.reset_all() for link in list(gateway.links)])

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + TICK
        while True:
            await asyncio.sleep(max(due - loop.time(), 0))
            lag = loop.time() - due
            due = max(due + TICK, loop.time())
            self._check_files()
            with contextlib.suppress(StorageFailed):
                self.journal.mark("tick", {"lag": max(int(lag * 1e9), 0)})

    def _check_files(self) -> None:
        """Notice a tape or a spool that somebody removed."""
        if self.journal.failed is not None:
            return
        try:
            found = Path(self.settings.tape).stat()
        except OSError as error:
            if self._inode is not None:
                self.journal.fail(error)
            return
        inode = (found.st_dev, found.st_ino)
        if self._inode is None:
            self._inode = inode
        elif inode != self._inode:
            self.journal.fail(OSError(2, "the tape was replaced by another file", self.settings.tape))
        elif not (self.settings.spool / "lock").exists():
            self.journal.fail(OSError(2, "the spool was removed", str(self.settings.spool)))

    async def _supervise(self) -> None:
        """Start the fold again whenever it dies; nothing is lost, it goes on where the tape ends."""
        quick = 0
        while True:
            assert self._fold is not None
            started = time.monotonic()
            code = await self._fold.wait()
            if self._closing and code == 0:
                return
            quick = quick + 1 if time.monotonic() - started < 5 else 1
            if quick > RESTARTS or self.journal.failed is not None or code in (2, 3):
                self.failed = self.failed or EnvironmentFault(
                    "the fold cannot write the tape", where=self.settings.tape, found=f"exit code {code}",
                    fix=f"the traffic is safe in {self.settings.spool}; make room and run goldentape tape check",
                )  # fmt: skip
                self.stopping.set()
                return
            log.warning("the fold ended (%s); starting it again", code)
            await asyncio.sleep(min(0.05 * 2**quick, 2.0))
            await self._start_fold()

    # -- stop --------------------------------------------------------------------------------------------------

    async def stop(self, drain: float | None = None) -> None:
        """Stop accepting, let connections go on for `drain` seconds, end them, fold to the end and seal.

        Raises EnvironmentFault when the storage failed; what was logged until then stays.
        """
        if self._server is not None:
            self._server.close()
        if self.control is not None:
            await self.control.stop()
        seconds = self.settings.drain if drain is None else drain
        if self.failed is None and seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained(), seconds)
        for link in list(self.gateway.links):
            link.end_by_recorder("drain")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gateway.idle.wait(), 1.0)
        for link in list(self.gateway.links):
            link.reset_all()
        await self.journal.flush()
        self._closing = True
        if self._tasks:
            self._tasks[0].cancel()
        with contextlib.suppress(StorageFailed):
            self.journal.append(Kind.CLOSE, 0, b"")
        self.journal.spool.close()
        await self._finish_fold()
        assert self._claim is not None
        self._claim.release()
        if self.failed is None and self.journal.gap:
            log.warning("the tape has a gap; it is sealed as incomplete")
        if self.failed is None:
            remove(self.settings.spool)
            self.head = _head(self.settings.tape)
        else:
            raise self.failed

    async def _drained(self) -> None:
        waiter = asyncio.ensure_future(self.stopping.wait())
        idle = asyncio.ensure_future(self.gateway.idle.wait())
        try:
            await asyncio.wait({waiter, idle}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            idle.cancel()

    async def _finish_fold(self) -> None:
        supervisor = self._tasks[1] if len(self._tasks) > 1 else None
        if self.failed is not None:
            if supervisor is not None:
                supervisor.cancel()
            if self._fold is not None and self._fold.returncode is None:
                # It may still bring in what the spool has; what it cannot do now, the next command does.
                self._fold.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._fold.wait(), 10)
                if self._fold.returncode is None:
                    self._fold.kill()
            return
        if supervisor is not None:
            await supervisor

    async def kill(self) -> None:
        """Leave at once: no drain, no fold, no seal; the next command that opens the tape folds the rest."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            self._server.close()
        if self._fold is not None and self._fold.returncode is None:
            self._fold.kill()
            await self._fold.wait()
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
    with closing(sqlite3.connect(f"{Path(tape).absolute().as_uri()}?mode=ro", uri=True)) as db:
        row = db.execute("SELECT value FROM meta WHERE key = 'head'").fetchone()
    return None if row is None else row[0].hex() if isinstance(row[0], bytes) else str(row[0])


def _free_bytes(path: Path) -> int | None:
    try:
        stats = os.statvfs(path)
    except OSError:
        return None
    return stats.f_bavail * stats.f_frsize


def _same_host(one: str, other: str) -> bool:
    local = {"127.0.0.1", "localhost", "::1", "0.0.0.0", "::"}
    return one == other or (one in local and other in local)
