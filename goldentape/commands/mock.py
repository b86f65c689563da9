"""`goldentape mock`: the server of a tape, for a client under development."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import click

from goldentape.commands.opening import opened
from goldentape.commands.record import LOOPBACK, parse_listen
from goldentape.commands.replay import Speed, digest_of
from goldentape.display import show
from goldentape.errors import EnvironmentFault, Exit, InputError, NothingVerified
from verifier.correlate import learn
from verifier.mapping import parse_rules
from verifier.replay.outcome import Difference, Outcome
from verifier.replay.serve import Hooks, Mock
from verifier.script import UNREADABLE, Recording


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option(
    "--listen", default="127.0.0.1:8765", show_default=True, metavar="HOST:PORT",
    help="Where clients connect; port 0 picks a free one.",
)  # fmt: skip
@click.option("--allow-remote", is_flag=True, help="Let --listen be an address that other machines can reach.")
@click.option(
    "--speed", type=Speed(), default="1", show_default=True, metavar="FACTOR|max",
    help="How fast: as recorded, so many times as fast, or at once.",
)  # fmt: skip
@click.option(
    "--map", "maps", multiple=True, metavar="SERVER=CLIENT",
    help="Where a value of the server's comes from: ack:id=ask:request.id, or `color=keep`, `token=value:abc`.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Every difference of the client's is a divergence, other texts too.")
@click.option("--once/--loop", default=False, help="Play each user of the tape once and end, or again and again.")
@click.option("--quiet", is_flag=True, help="Print errors and divergences only.")
def mock(
    tape: Path, listen: str, allow_remote: bool, speed: float, maps: tuple[str, ...], strict: bool, once: bool,
    quiet: bool,
) -> int:  # fmt: skip
    """Play the server recorded on TAPE to clients, as they say what its clients said."""
    host, port = parse_listen(listen)
    if host not in LOOPBACK and not allow_remote:
        raise InputError("other machines could reach this address", found=host, fix="add --allow-remote if they should")
    rules = parse_rules(maps)
    with opened(tape) as source:
        recording = learn(source.connections(), source.events(), rules, digest_of(source, None), mirrored=True)
    steps = [step for script in recording.scripts for step in script.steps]
    if not steps:
        raise NothingVerified("has no server to play", where=tape)
    for step in steps:
        if step.flags & UNREADABLE:
            raise InputError(f"event #{step.seq} cannot be said again: it is not whole on the tape", where=tape)
    return asyncio.run(_serve(tape, recording, host, port, speed=speed, strict=strict, once=once, quiet=quiet))


async def _serve(
    tape: Path, recording: Recording, host: str, port: int, *, speed: float, strict: bool, once: bool, quiet: bool
) -> int:
    diverged: list[Difference] = []

    def say(text: str) -> None:
        if not quiet:
            print(text, file=sys.stderr, flush=True)

    def complain(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def ended(actor: str, outcome: Outcome, first: Difference | None) -> None:
        if first is None:
            say(f"{show(actor)}: played to the end")
            return
        diverged.append(first)
        complain("diverged: " + "\n".join(first.lines()))

    hooks = Hooks(
        began=lambda actor: say(f"{show(actor)}: a client is here"),
        ended=ended,
        refused=lambda path: print(
            f"refused {show(path)}: the tape has no such connection", file=sys.stderr, flush=True
        ),
    )
    play = Mock(recording, hooks, speed=speed, once=once, strict=strict)
    loop = asyncio.get_running_loop()
    signalled: list[int] = []
    stopped = asyncio.Event()

    def stop(number: int) -> None:
        signalled.append(number)
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        server = await play.listen(host, port)
    except OSError as error:
        raise EnvironmentFault(f"cannot listen: {os.strerror(error.errno or 0)}", where=f"{host}:{port}") from None
    address = f"[{host}]" if ":" in host else host
    bound = next(iter(server.sockets)).getsockname()[1]
    users = f"{len(recording.scripts)} user" + ("" if len(recording.scripts) == 1 else "s")
    say(f"playing ws://{address}:{bound} from {show(str(tape), 500)}, {users}")
    ends = {loop.create_task(stopped.wait()), loop.create_task(play.finished.wait())}
    _, rest = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    play.closing = True
    server.close()
    await server.wait_closed()
    if signal.SIGINT in signalled:
        return Exit.INTERRUPTED
    return Exit.VIOLATION if once and diverged else Exit.OK
