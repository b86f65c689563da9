"""The server's side of ASGI, as uvicorn has it: one connection, and the lifespan.  No sockets.

Copied from uvicorn's `websockets_sansio_impl` and `lifespan/on`: what raises, what yields, and what is a no-op.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from verifier.fuzz.loop import Loop

Message = dict[str, Any]
App = Callable[[Any, Any, Any], Awaitable[Any]]


class ClientDisconnected(OSError):
    """What a `send` raises when the client has gone (ASGI 2.4)."""


class Watcher(Protocol):
    """Who is told what the app does on a connection."""

    def accepted(self, subprotocol: str) -> None:
        """Hear that the connection is accepted."""

    def rejected(self, status: int, said: str = "") -> None:
        """Hear that it is refused with an HTTP status, and what the app said: `close 1013 try again later`."""

    def sent(self, payload: str | bytes) -> None:
        """Hear a message."""

    def closed(self, code: int, reason: str) -> None:
        """Hear that the server closes."""

    def lost(self) -> None:
        """Hear that the server ends it without a close frame."""

    def misused(self, text: str) -> None:
        """Hear what the app did against the ASGI specification."""

    def failed(self, error: BaseException) -> None:
        """Hear what came out of the app."""


class Connection:
    """One websocket as the app gets it: `receive` and `send`, and what the client does to it."""

    def __init__(self, loop: Loop, watcher: Watcher) -> None:
        self.loop = loop
        self.watcher = watcher
        self.handshake_complete = False
        self.close_sent = False
        self.gone = False
        """The transport is lost, or closing because the client closed."""
        self.disconnected = False
        """The app has been told, or will be told next, that the connection is over."""
        self.slow = False
        self.stalled: deque[asyncio.Future[None]] = deque()
        """Those who wait in `send` until a slow client reads."""
        self._refusal: int | None = None
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._wire: deque[Message] = deque()
        """What the client did that the server has not read: it reads one message ahead of the app, no more."""
        self._paused = False
        self._queue.put_nowait({"type": "websocket.connect"})

    # What the client does

    def arrive(self, message: Message) -> None:
        """Take in what the client sent: `websocket.receive`, or `websocket.disconnect` as its last word."""
        self._wire.append(message)
        if not self._paused:
            self._read()

    def _read(self) -> None:
        while self._wire and not self._paused:
            message = self._wire.popleft()
            if message["type"] == "websocket.disconnect":
                self.gone = self.disconnected = True
                self.unstall()
            elif self.close_sent:
                continue
            else:
                self._paused = True
            self._queue.put_nowait(message)

    def unstall(self) -> None:
        """Let go on who waits in `send`: the client has read, or will never read again."""
        while self.stalled:
            waiting = self.stalled.popleft()
            if not waiting.done():
                waiting.set_result(None)

    # What the app does

    async def receive(self) -> Message:
        """Return what comes next, as uvicorn does."""
        message = await self._queue.get()
        if self._paused and self._queue.empty():
            self._paused = False
            if self._wire:
                self.loop.call_soon(self._read)
        return message

    async def send(self, message: Message) -> None:
        """Send what the app says; raises what uvicorn raises."""
        if self.slow and not self.gone:
            waiting = self.loop.create_future()
            self.stalled.append(waiting)
            closed = self.close_sent
            await waiting
            if self.close_sent and not closed:
                return  # it was on its way before another task closed the connection
        if self.gone:
            raise ClientDisconnected
        kind = message["type"]
        if not self.handshake_complete and self._refusal is None:
            self._answer(kind, message)
        elif not self.close_sent and self._refusal is None:
            if kind == "websocket.send":
                payload = message.get("bytes")
                if payload is None:
                    payload = message.get("text")
                if payload is not None:
                    self.watcher.sent(payload)
            elif kind == "websocket.close":
                self._close(message.get("code", 1000), message.get("reason", "") or "")
            else:
                raise self._wrong(f"Expected ASGI message 'websocket.send' or 'websocket.close', but got '{kind}'.")
        elif self._refusal is not None:
            if kind != "websocket.http.response.body":
                raise self._wrong(f"Expected ASGI message 'websocket.http.response.body' but got '{kind}'.")
            if not message.get("more_body", False):
                self._reject(self._refusal)
        else:
            raise self._wrong(f"Unexpected ASGI message '{kind}', after sending 'websocket.close'.")

    def _answer(self, kind: str, message: Message) -> None:
        if kind == "websocket.accept":
            self.handshake_complete = True
            self.watcher.accepted(message.get("subprotocol") or "")
        elif kind == "websocket.close":
            code, reason = message.get("code", 1000), message.get("reason", "") or ""
            self._reject(403, "" if code == 1000 and not reason else f"close {code} {reason}".strip())
        elif kind == "websocket.http.response.start":
            self._refusal = int(message["status"])
        else:
            raise self._wrong(
                "Expected ASGI message 'websocket.accept', 'websocket.close' or 'websocket.http.response.start' "
                f"but got '{kind}'."
            )

    def _reject(self, status: int, said: str = "") -> None:
        self.close_sent = self.handshake_complete = True
        self._refusal = None
        self._queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
        self.watcher.rejected(status, said)

    def _close(self, code: int, reason: str) -> None:
        self._queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = True
        self._paused = False
        self._wire.clear()
        self.watcher.closed(code, reason)

    def _wrong(self, text: str) -> RuntimeError:
        self.watcher.misused(text)
        return RuntimeError(text)

    async def run(self, app: App, scope: Mapping[str, Any]) -> None:
        """Call the app and see to its end, as uvicorn's `run_asgi` does."""
        try:
            result: object = await app(scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.watcher.failed(error)
            self._end(500)
        else:
            if not self.handshake_complete and not self.gone:
                self.watcher.misused("ASGI callable returned without completing handshake.")
                self._end(500)
            elif result is not None:
                self.watcher.misused(f"ASGI callable should return None, but returned '{type(result).__name__}'.")
            self._end(500)

    def _end(self, status: int) -> None:
        if self.gone or self.close_sent:
            return
        self.gone = True
        if self.handshake_complete:
            self.watcher.lost()
        else:
            self.handshake_complete = True
            self.watcher.rejected(status)


class Lifespan:
    """Start-up and shut-down of the app, `--lifespan auto`: an app that does not know it is left alone."""

    def __init__(self, loop: Loop, app: App) -> None:
        self.state: dict[str, Any] = {}
        self.started = loop.create_future()
        """Done when the app has started, or does not want to."""
        self.stopped = loop.create_future()
        self.failure: str = ""
        """What a failed start-up or shut-down said."""
        self.error: BaseException | None = None
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._queue.put_nowait({"type": "lifespan.startup"})
        self._known = False
        self.task = loop.create_task(self._main(app))

    def shut_down(self) -> None:
        """Ask the app to stop, where it has a lifespan."""
        if self._known and not self.task.done():
            self._queue.put_nowait({"type": "lifespan.shutdown"})
        else:
            _done(self.stopped)

    async def _main(self, app: App) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await app(scope, self._queue.get, self._send)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if self._known or self.failure:
                self.error = error
        finally:
            _done(self.started)
            _done(self.stopped)

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "lifespan.startup.complete":
            self._known = True
            _done(self.started)
        elif kind == "lifespan.startup.failed":
            self.failure = message.get("message", "") or "start-up failed"
            _done(self.started)
        elif kind == "lifespan.shutdown.complete":
            _done(self.stopped)
        elif kind == "lifespan.shutdown.failed":
            self.failure = message.get("message", "") or "shut-down failed"
            _done(self.stopped)
        else:
            raise AssertionError(f"no lifespan message: {kind}")


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
