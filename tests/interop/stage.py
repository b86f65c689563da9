"""A server, a recorder in front of it, and scenarios that run both ways."""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import NODE, Node, Steps, aiohttp_client, websockets_client, ws_client
from harness import Background, Log, Recording, complete, recorded
from servers import Server, WsServer

from goldentape.event import Connection, Event

CLIENTS: dict[str, Callable[..., Any]] = {
    "websockets": websockets_client,
    "aiohttp": aiohttp_client,
    "ws": ws_client,
}

TALK = [
    ["text", "hello"], ["expect", 1], ["binary", 300_000], ["expect", 2], ["text", '!{"send": ["text", 100000]}'],
    ["expect", 3], ["ping", "there"], ["text", "again"], ["expect", 4],
]  # fmt: skip
"""Messages, both ways and large ones among them: what stands before the end that a scenario is about."""


def need_node(*packages: str) -> None:
    """Skip where Node.js or its packages are not installed."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed (tests/setup.sh)")
    if not all((NODE / "node_modules" / package).is_dir() for package in ("ws", *packages)):
        pytest.skip("the npm packages of tests/node are not installed (tests/setup.sh)")


class Stage:
    """A server, and a recorder in front of it."""

    def __init__(
        self, server: Server, tape: Path, *args: object, scheme: str = "ws", upstream: str | None = None, **popen: Any
    ) -> None:
        self.run = Background()
        self.server = server
        self.tape = tape
        self.scheme = scheme
        self._numbers = itertools.count()
        self._node: Node | None = None
        self.run(server.start())
        self.recording = Recording(tape, upstream or f"{scheme}://127.0.0.1:{server.port}", *args, **popen)

    def close(self) -> None:
        self.recording.__exit__()
        with contextlib.suppress(Exception):
            if self._node is not None:
                self.run(self._node.stop())
            self.run(self.server.stop())
        self.run.stop()

    def play(self, client: str, steps: Steps, *, port: int, user: str, **options: Any) -> tuple[Log, Log]:
        """One run of a scenario; what the client and what the server kept."""
        return self.meet(client, steps, port=port, user=user, **options), self.run(self.server.log(user))

    def meet(self, client: str, steps: Steps, *, port: int, user: str, **options: Any) -> Log:
        """One run of a scenario; what the client kept."""
        if client == "ws":
            if self._node is None:
                self._node = self.run(Node.start("client.js"))
            options["node"] = self._node
        url = f"{self.scheme}://127.0.0.1:{port}/chat?user_id={user}"
        return self.run(CLIENTS[client](url, steps, **options))

    def twice(self, client: str, steps: Steps, **options: Any) -> tuple[Log, Log, str]:
        """Run a scenario direct and through the recorder: both peers must see the same.

        Returns what the client and what the server kept, and whose log it is on the tape.
        """
        number = next(self._numbers)
        direct = self.play(client, steps, port=self.server.port, user=f"direct-{number}", **options)
        through = self.play(client, steps, port=self.recording.port, user=f"through-{number}", **options)
        assert through[0] == direct[0], "the client saw a difference"
        assert through[1] == direct[1], "the server saw a difference"
        return *through, f"through-{number}"

    def both(self, client: str, steps: Steps, **options: Any) -> tuple[Log, Log, Connection, list[Event]]:
        """As `twice`, and the tape must have all that both peers kept; returns that of the tape, too."""
        mine, theirs, user = self.twice(client, steps, **options)
        [connection], events = recorded(self.tape, user)
        complete(events, mine, theirs)
        return mine, theirs, connection, events


@contextlib.contextmanager
def stage(server: Any, tape: Path, *args: object, **options: Any) -> Iterator[Stage]:
    """A stage that is cleared behind the block."""
    if isinstance(server, WsServer):
        need_node()
    s = Stage(server, tape, *args, **options)
    try:
        yield s
    finally:
        s.close()
