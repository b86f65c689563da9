"""An app of a test, served on a free port of this machine by a thread with a loop of its own.

ASGI app, or "module:attribute" of one    by uvicorn
aiohttp.web.Application                   by aiohttp
async def handler(websocket)              by websockets
async def server(host, port)              by itself, until it is cancelled
ws://HOST:PORT, http://HOST:PORT          is served already
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from types import ModuleType
from typing import Any

from goldentape.errors import EnvironmentFault, InputError

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds that an app may take to listen, or to end."""
WANTED = (
    'an ASGI app or its "module:attribute", an aiohttp application, `async def handler(websocket)`, '
    "`async def server(host, port)`, or a ws:// URL"
)

Running = Callable[[socket.socket, Callable[[], None]], Awaitable[None]]
"""Serves on a socket that listens, until cancelled; calls back when it does."""


@contextmanager
def served(target: Any) -> Iterator[str]:
    """Serve `target` while inside; yields its ws:// URL.

    Raises InputError for what cannot be served, EnvironmentFault where it does not start.
    """
    if isinstance(target, str) and "://" in target:
        yield _upstream(target)
        return
    running = _how(target)
    listening = socket.socket()
    try:
        listening.bind((HOST, 0))
        listening.listen(1024)
        port = listening.getsockname()[1]
        with _thread(running, listening):
            yield f"ws://{HOST}:{port}"
    finally:
        listening.close()


def _upstream(url: str) -> str:
    scheme, _, rest = url.partition("://")
    known = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if scheme not in known:
        raise InputError("goldentape(...) takes no such URL", found=url, wanted="ws://HOST:PORT")
    return f"{known[scheme]}://{rest}"


@contextmanager
def _thread(running: Running, listening: socket.socket) -> Iterator[None]:
    """Run an app in a thread while inside."""
    ready, over = threading.Event(), threading.Event()
    failed: list[BaseException] = []
    made: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def run() -> None:
        task = asyncio.ensure_future(running(listening, ready.set))
        made.append((asyncio.get_running_loop(), task))
        with suppress(asyncio.CancelledError):
            await task

    def main() -> None:
        try:
            with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(run())
        except BaseException as fault:
            failed.append(fault)
        finally:
            over.set()
            ready.set()

    thread = threading.Thread(target=main, name="goldentape app", daemon=True)
    thread.start()
    if not ready.wait(PATIENCE):
        raise EnvironmentFault(f"the app did not start within {PATIENCE:g} s")
    if over.is_set():
        why = f": {type(failed[0]).__name__}: {failed[0]}" if failed else ""
        raise EnvironmentFault(f"the app did not start{why}") from (failed[0] if failed else None)
    try:
        yield
    finally:
        loop, task = made[0]
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(task.cancel)
        over.wait(PATIENCE)


def _how(target: Any) -> Running:
    """Return how to serve it."""
    if isinstance(target, str):
        target = _imported(target)
    if type(target).__module__.startswith("aiohttp.") and hasattr(target, "router"):
        return _aiohttp(target)
    names = _parameters(target)
    if names is None:
        raise InputError("goldentape(...) cannot serve this", found=repr(target), wanted=WANTED)
    if names[:2] == ["host", "port"]:
        return _own(target)
    if len(names) == 1 and inspect.iscoroutinefunction(target):
        return _websockets(target)
    return _asgi(target)


def _imported(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not colon or not attribute or "/" in name:
        raise InputError("goldentape(...) takes no such text", found=name, wanted='"module:attribute" or a ws:// URL')
    try:
        found: Any = importlib.import_module(module)
        for word in attribute.split("."):
            found = getattr(found, word)
    except (ImportError, AttributeError) as fault:
        raise InputError(f"the app cannot be imported ({fault})", found=name) from fault
    return found


def _parameters(target: Any) -> list[str] | None:
    """Return the names of a callable's parameters, None for what cannot be called."""
    if not callable(target):
        return None
    try:
        return list(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return []


def _asgi(app: Any) -> Running:
    uvicorn = _module("uvicorn", "an ASGI app is served by it")

    async def run(listening: socket.socket, ready: Callable[[], None]) -> None:
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        try:
            while not server.started and not serving.done():
                # uvicorn tells nobody; this is its own pace of looking.
                await asyncio.wait([serving], timeout=0.005)
            if serving.done():
                serving.result()
                raise EnvironmentFault("its start-up failed (see the log)")
            ready()
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
            with suppress(asyncio.CancelledError, SystemExit):
                await serving

    return run


def _aiohttp(app: Any) -> Running:
    web = _module("aiohttp.web", "its application is served by it")

    async def run(listening: socket.socket, ready: Callable[[], None]) -> None:
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=2)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()
            ready()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    return run


def _websockets(handler: Callable[[Any], Awaitable[None]]) -> Running:
    async def run(listening: socket.socket, ready: Callable[[], None]) -> None:
        server = _module("websockets.asyncio.server", "a handler is served by it")
        async with server.serve(handler, sock=listening):
            ready()
            await asyncio.Event().wait()

    return run


def _own(server: Callable[[str, int], Awaitable[None]]) -> Running:
    async def run(listening: socket.socket, ready: Callable[[], None]) -> None:
        # It binds itself, so the port is given back first; ready when it takes connections.
        port = listening.getsockname()[1]
        listening.close()
        serving = asyncio.ensure_future(server(HOST, port))
        try:
            while not await _listens(port):
                if serving.done():
                    serving.result()
                    raise EnvironmentFault("it returned at once")
            ready()
            await asyncio.shield(serving)
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving

    return run


async def _listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(probe, (HOST, port))
        except OSError:
            await asyncio.sleep(0.01)
            return False
    return True


def _module(name: str, why: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise EnvironmentFault(f"{package} is not installed, and {why}", fix=f"pip install {package}") from None
