"""`goldentape record`: parse, run a recorder until a signal, print what became of it."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
from pathlib import Path
from typing import Any

import click

from goldentape.commands.sizes import DURATION, SIZE
from goldentape.display import show
from goldentape.errors import Exit, InputError
from recorder.demands import demand_possible
from recorder.limits import loop_factory
from recorder.run import Recorder
from recorder.settings import Settings

_LISTEN = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]*):)?(?P<port>\d+)")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Addresses that other machines cannot reach."""


def parse_listen(text: str) -> tuple[str, int]:
    """Return (host, port) of HOST:PORT; raise InputError."""
    found = _LISTEN.fullmatch(text)
    if found is None or not 0 <= int(found["port"]) <= 65535:
        raise InputError("--listen is not an address", found=text, wanted="HOST:PORT, with a port from 0 to 65535")
    return (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option("--upstream", metavar="URL", help="The server: ws://HOST:PORT or wss://HOST:PORT, perhaps with a path.")
@click.option(
    "--listen",
    default="127.0.0.1:8765",
    show_default=True,
    metavar="HOST:PORT",
    help="Where clients connect; port 0 picks a free one.",
)
@click.option("--allow-remote", is_flag=True, help="Let --listen be an address that other machines can reach.")
@click.option(
    "--identify",
    multiple=True,
    metavar="RULE",
    help="How a user is told, tried in order: jwt:header:Authorization:sub, jwt:query:token:sub, "
    "jwt:cookie:NAME:sub, header:X-User, query:user, cookie:NAME, message:PATH, path:REGEX.",
)
@click.option(
    "--claim",
    multiple=True,
    metavar="NAME",
    help="A claim of the users' JWTs that is kept for contracts (`@user.claims.role`, `when: {claim: ...}`); no "
    "other is.",
)
@click.option(
    "--tag",
    multiple=True,
    metavar="NAME=VALUE",
    help="What contracts know this recording by (`when: {tag: ...}`): release=2.3.1, tier=hard; may be given several "
    "times.",
)
@click.option(
    "--jwt-key-file", type=click.Path(exists=True, dir_okay=False), help="Key that JWT signatures are checked with."
)
@click.option(
    "--redact", multiple=True, metavar="PATH", help="A further payload path whose value never reaches the tape."
)
@click.option(
    "--redact-pattern", multiple=True, metavar="REGEX", help="A further pattern whose matches never reach the tape."
)
@click.option(
    "--known-subprotocol",
    "known_subprotocols",
    multiple=True,
    metavar="NAME",
    help="A subprotocol that is no secret (others than the negotiated one may be tokens).",
)
@click.option(
    "--redaction-key-file", type=click.Path(dir_okay=False), help="Shared redaction key of several recorders."
)
@click.option(
    "--durability",
    type=click.Choice(["process", "power"]),
    default="process",
    show_default=True,
    help="What the log survives: the death of the process, or a power cut too (a sync before each forward).",
)
@click.option(
    "--max-stored",
    "--max-size",
    type=SIZE,
    default="16MiB",
    show_default=True,
    help="Bytes of a message that are kept.",
)
@click.option(
    "--max-connections",
    type=click.IntRange(1, 1_000_000),
    help="Clients at once; one more is answered 503.  10,000 or what the limit of open files allows.",
)
@click.option(
    "--drain",
    type=DURATION,
    default="10s",
    show_default=True,
    help="How long connections may go on after the first signal.",
)
@click.option(
    "--on-storage-error",
    type=click.Choice(["stop", "pass"]),
    default="stop",
    show_default=True,
    help="When the log cannot be written: stop, or go on forwarding without a log.",
)
@click.option("--keep-host", is_flag=True, help="Forward the client's Host header instead of the upstream's.")
@click.option("--no-http", is_flag=True, help="Answer plain HTTP requests with 426 instead of passing them on.")
@click.option("--ca", type=click.Path(), help="PEM file of the authorities that a wss:// upstream is checked against.")
@click.option(
    "--insecure", is_flag=True, help="Do not check the upstream's certificate; said at every start and in the tape."
)
@click.option(
    "--connect-to",
    multiple=True,
    metavar="ADDRESS",
    help="An IP address to dial in place of those that the upstream's name leads to; may be given several times, "
    "tried in order.  Host header and certificate are the name's.",
)
@click.option("--tls-cert", type=click.Path(), help="PEM certificate of the listening side.")
@click.option("--tls-key", type=click.Path(), help="PEM key of the listening side.")
@click.option("--control-port", type=click.IntRange(0, 65535), help="Loopback port for marks; 0 picks a free one.")
@click.option(
    "--fault",
    multiple=True,
    metavar="NAME:KEY=VALUE,...",
    help="A fault on the way, by toxiproxy's names: latency:latency=200,jitter=50; bandwidth, slow_close, timeout, "
    "reset_peer, slicer, limit_data; or of messages: drop:message=3, duplicate, delay, swap, close:code=1011.",
)
@click.option("--append", is_flag=True, help="Go on with a tape that exists and is not sealed.")
@click.option(
    "--spool-dir", type=click.Path(file_okay=False), help="Where the spool goes; beside the tape unless said."
)
@click.option("--quiet", is_flag=True, help="Print errors only.")
def record(
    tape: Path, upstream: str | None, listen: str, allow_remote: bool, tls_cert: str | None, tls_key: str | None,
    no_http: bool, quiet: bool, **options: Any,
) -> int:  # fmt: skip
    """Record what passes between clients and the server at --upstream onto TAPE."""
    if upstream is None:
        raise InputError("missing upstream", fix="say --upstream ws://HOST:PORT")
    host, port = parse_listen(listen)
    if host not in LOOPBACK and not allow_remote:
        raise InputError("other machines could reach this address", found=host, fix="add --allow-remote if they should")
    if (tls_cert is None) != (tls_key is None):
        raise InputError("--tls-cert and --tls-key go together")
    settings = Settings(
        tape=str(tape), upstream=upstream, listen_host=host, listen_port=port, http=not no_http,
        tls_cert=tls_cert, tls_key=tls_key, **options,
    )  # fmt: skip
    demand_possible(settings)
    logging.basicConfig(
        format="goldentape: %(message)s", level=logging.ERROR if quiet else logging.INFO, stream=sys.stderr
    )
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(_record(settings, quiet))


async def _record(settings: Settings, quiet: bool) -> int:
    recorder = Recorder(settings)
    loop = asyncio.get_running_loop()
    caught: list[int] = []
    again = asyncio.Event()

    def signalled(number: int) -> None:
        if caught:
            again.set()
        caught.append(number)
        recorder.stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, signalled, number)
    await recorder.start()

    def say(text: str) -> None:
        if not quiet:
            print(text, file=sys.stderr, flush=True)

    scheme = "wss" if settings.tls_cert else "ws"
    address = f"[{settings.listen_host}]" if ":" in settings.listen_host else settings.listen_host
    say(f"recording {scheme}://{address}:{recorder.port} -> {show(settings.upstream)} onto {show(settings.tape)}")
    if recorder.control is not None:
        say(f"marks: POST {recorder.control.url}")
    for fault in settings.fault:
        say(f"fault: {show(fault)}")
    if settings.insecure:
        say("WARNING: the upstream's certificate is not checked (--insecure)")
    if settings.listen_host not in LOOPBACK:
        say(f"WARNING: other machines can connect to {settings.listen_host}")
    if sys.stderr.isatty() and not quiet:
        await _status_line(recorder)
    await recorder.stopping.wait()
    still = recorder.status()["open"]
    if caught and still:
        say(f"stopping: {still} still open, with {settings.drain:g} s to end; a second signal leaves at once")
    stop = asyncio.ensure_future(recorder.stop())
    second = asyncio.ensure_future(again.wait())
    await asyncio.wait({stop, second}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.done():
        stop.cancel()
        await recorder.kill()
        say(f"stopped at once; {show(settings.tape)} is completed by the next command that opens it")
        return Exit.INTERRUPTED
    second.cancel()
    stop.result()
    head = recorder.head
    say(f"sealed {show(settings.tape)}" + (f", head {head}" if head else ""))
    return Exit.INTERRUPTED if signal.SIGINT in caught else Exit.OK


async def _status_line(recorder: Recorder) -> None:
    """Show the counters on the terminal until something ends the recording."""
    from rich.console import Console

    with Console(stderr=True).status("recording") as line:
        last, at = 0, asyncio.get_running_loop().time()
        while not recorder.stopping.is_set():
            try:
                await asyncio.wait_for(recorder.stopping.wait(), 0.5)
            except TimeoutError:
                pass
            s, now = recorder.status(), asyncio.get_running_loop().time()
            events = int(s.get("events", 0))
            rate, last, at = (events - last) / max(now - at, 1e-3), events, now
            line.update(
                f"{s['open']} open of {s['connections']} connections, {s.get('users', 0)} users, "
                f"{rate:,.0f} messages/s, fold {float(s.get('lag', 0)):.1f} s behind"
            )
