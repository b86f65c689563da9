"""`goldentape demo`: a small agent service in two releases, recorded and verified before your eyes."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec
from pathlib import Path

import click

from goldentape.errors import EnvironmentFault

NEEDED = ("aiohttp", "starlette", "uvicorn", "websocket")
"""What the extra `demo` brings."""
FEWEST = 5


@click.command()
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-tapes"),
    show_default=True,
    metavar="DIR",
    help="Where the tapes are left; DIR-2, DIR-3, ... where something is there already.",
)
@click.option(
    "--users",
    type=click.IntRange(FEWEST, 200),
    default=12,
    show_default=True,
    help="How many users hold conversations at once.",
)
def demo(keep: Path, users: int) -> int:
    """Record and verify a small agent service: first as it should be, then with three bugs of concurrency."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise EnvironmentFault(
            "the demo needs a web server and clients", found=f"no {', '.join(missing)}",
            fix="pip install 'goldentape[demo]'",
        )  # fmt: skip

    # Only now: these import what the extra brings.
    from rich.console import Console

    from goldentape.fixtures.demo.account import Account
    from goldentape.fixtures.demo.process import ProcessFailed
    from goldentape.fixtures.demo.run import perform
    from goldentape.fixtures.demo.stage import PlayFailed

    try:
        code: int = asyncio.run(perform(keep, users, Account(Console(highlight=False))))
    except (PlayFailed, ProcessFailed) as failure:
        raise EnvironmentFault(f"the demo could not be played to its end: {failure}") from failure
    except OSError as error:
        raise EnvironmentFault(f"cannot be written: {error.strerror}", where=error.filename or keep) from error
    return code
