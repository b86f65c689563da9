"""The server of a live run, from the command line's words: how it is reached, started and made fresh, and by whom."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from goldentape.commands.fuzz.users import passports_of
from goldentape.commands.sizes import DURATION
from goldentape.errors import InputError
from goldentape.guard import Guard
from goldentape.hosts import addresses, bare, is_loopback
from goldentape.tls import client_context
from verifier.fuzz.live.judging import Judge
from verifier.fuzz.live.processes import STARTING, Server
from verifier.fuzz.live.reach import Door
from verifier.fuzz.live.reset import Reset
from verifier.fuzz.live.stage import RESTART, Limits, Stage
from verifier.fuzz.live.target import Target, target
from verifier.fuzz.live.tokens import TokenMaker
from verifier.fuzz.passport import Passport

T = TypeVar("T")
_TARGET = re.compile(r"/[!-~]*")

_OPTIONS = [
    click.option("--server-cmd", metavar="COMMAND",
                 help="Starts the server; it must listen where the URL says, and is stopped at the end."),
    click.option("--start-timeout", type=DURATION, default=f"{STARTING:g}s", show_default=True,
                 help="How long that server may take until it listens."),
    click.option("--restart", type=click.Choice(RESTART), default="on-failure", show_default=True,
                 help="When the server is started again, or --reset-url is asked, for a fresh state."),
    click.option("--reset-url", metavar="URL", help="An address that makes the server's state fresh when POSTed to."),
    click.option("--i-own-this-host", "owned", multiple=True, metavar="HOST",
                 help="The target's host is not this machine, and is mine to be driven: its name once more."),
    click.option("--ca", type=click.Path(),
                 help="PEM file of the authorities that a wss:// target is checked against."),
    click.option("--insecure", is_flag=True, help="Do not check the target's certificate."),
    click.option("--as", "passports", multiple=True, metavar="KIND:PLACE:NAME",
                 help="How users say who they are: jwt:header:Authorization, jwt:query:token, plain:query:user_id, "
                 "...; may be given several times.  Default with --jwt-secret: both places of a JWT."),
    click.option("--jwt-secret", metavar="ENV",
                 help="The environment variable with the key that users' JWTs are signed by."),
    click.option("--token-command", metavar="COMMAND",
                 help="Prints a token for the user whose name it gets as {user}, or as its last argument."),
    click.option("--token-place", default="header:Authorization", show_default=True, metavar="PLACE:NAME",
                 help="Where those tokens go: header:NAME, query:NAME, cookie:NAME, subprotocol:NAME or "
                 "message:PATH, where a message says {token}."),
    click.option("--rate", type=click.FloatRange(0.1, 1000), default=20.0, show_default=True, metavar="N",
                 help="Plays a second, at most."),
    click.option("--budget", type=DURATION, default="5m", show_default=True, help="Time for everything together."),
]  # fmt: skip


def server_options(command: Any) -> Any:
    """Add the options that say how the server is reached, started and made fresh."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where a live run keeps its tapes, and who cleans up after it whatever happens."""

    folder: Path
    guard: Guard


@contextmanager
def workplace() -> Iterator[Workplace]:
    """Give a directory and a guard for a live run; neither is left behind."""
    with Guard() as guard, tempfile.TemporaryDirectory(prefix="goldentape-live-") as folder:
        guard.remove(folder)
        yield Workplace(Path(folder), guard)


class Reached:
    """How the server is reached."""

    def __init__(
        self, url: str, *, server_cmd: str | None, start_timeout: float, restart: str, reset_url: str | None,
        owned: tuple[str, ...], ca: str | None, insecure: bool, passports: tuple[str, ...], jwt_secret: str | None,
        token_command: str | None, token_place: str, rate: float, budget: float, known: tuple[Passport, ...] = (),
    ) -> None:  # fmt: skip
        """Take the options; `known`: how users say who they are where no option does.  Raises InputError."""
        if budget <= 0:
            raise InputError("--budget is time", found=f"{budget:g} s", wanted="60s, 5m")
        self.tokens = None if token_command is None else TokenMaker(token_command, token_place)
        self.passports = passports_of(passports, jwt_secret, "server") or known
        identified = (*self.passports, *([self.tokens.passport] if self.tokens is not None else []))
        self.target: Target = target(url, owned, identified)
        # Also for ws://, where it is of no use: a file that is none is a mistake all the same.
        tls = client_context(ca, insecure) if self.target.tls or ca is not None else None
        door = Door(self.target.host, self.target.port, self.target.addresses, tls if self.target.tls else None)
        self.server = Server(server_cmd, door, patience=start_timeout)
        self._reset = None if reset_url is None else _reset(reset_url, self.target, ca, insecure)
        self._restart = restart
        self._trust = (*(("--ca", ca) if ca is not None else ()), *(("--insecure",) if insecure else ()))
        self._limits = Limits(seconds=budget, per_second=rate)

    def stage(self, judge: Judge, place: Workplace) -> Stage:
        """Return the stage on which everything is played."""
        if "--insecure" in self._trust:
            print("WARNING: the server's certificate is not checked (--insecure)", file=sys.stderr)
        self.server.guard = place.guard
        return Stage(
            self.target, self.server, judge, folder=place.folder, options=self._trust, restart=self._restart,
            reset=self._reset, tokens=self.tokens, limits=self._limits, guard=place.guard,
        )  # fmt: skip


def _reset(url: str, target_: Target, ca: str | None, insecure: bool) -> Reset:
    """Return what resets the server; raises InputError for what is no address, or somebody else's."""
    wanted = "http://HOST:PORT/PATH"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError("--reset-url is no address", found=url, wanted=wanted) from None
    if parts.username is not None or parts.password is not None:
        raise InputError("credentials in --reset-url are not accepted")
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    if parts.scheme not in ("http", "https") or not host or port == 0 or not _TARGET.fullmatch(path):
        raise InputError("--reset-url is no address", found=url, wanted=wanted)
    dialled = target_.addresses if bare(host) == bare(target_.host) else addresses(host)
    if bare(host) != bare(target_.host) and not (dialled and all(map(is_loopback, dialled))):
        raise InputError("--reset-url is another host than the server's", found=host, wanted=target_.host)
    tls = client_context(ca, insecure) if parts.scheme == "https" else None
    return Reset(Door(host, port or (443 if tls else 80), dialled, tls), path)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; SIGINT and SIGTERM cancel the work, which then cleans up."""

    async def watched() -> T:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        asked: list[int] = []

        def stop(number: int) -> None:
            # Once is enough: another cancel would hit the cleaning up, and leave processes behind.
            if not asked:
                asked.append(number)
                task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        return await task

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
