"""The command line: a table of commands, loaded when called, and the one place where errors become exit codes."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from goldentape.display import show
from goldentape.errors import Exit, GoldentapeError

COMMANDS: Mapping[str, str] = {
    "contract": "goldentape.commands.contract:contract",
    "demo": "goldentape.commands.demo:demo",
    "diff": "goldentape.commands.diff:diff",
    "fuzz": "goldentape.commands.fuzz:fuzz",
    "mine": "goldentape.commands.mine:mine",
    "mock": "goldentape.commands.mock:mock",
    "plugin": "goldentape.commands.plugin:plugin",
    "record": "goldentape.commands.record:record",
    "replay": "goldentape.commands.replay:replay",
    "report": "goldentape.commands.report:report",
    "tape": "goldentape.commands.tape:tape",
    "verify": "goldentape.commands.verify:verify",
}
"""Name to `module:attribute`.  A command is imported only when it is called."""


class CommandTable(click.Group):
    """A click group whose commands are named in a table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        target = COMMANDS.get(cmd_name)
        if target is None:
            near = difflib.get_close_matches(cmd_name, COMMANDS, 1)
            ctx.fail(f"No such command '{cmd_name}'." + (f" Did you mean '{near[0]}'?" if near else ""))
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; click itself would end with 1, a violation, where the reader of stdout has gone."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ReaderGone from None


class ReaderGone(Exception):
    """Whoever read stdout (`| head`) has what it wanted."""


@click.command(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="goldentape")
def goldentape() -> None:
    """Record what really happens on WebSocket connections and prove whether it was right."""


def fail(message: str) -> None:
    """Print one line of error on stderr."""
    print(f"goldentape: error: {show(message, 2000)}", file=sys.stderr)


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit with the documented code.

    Every error that is ours ends in one line on stderr and no traceback; a closed stdout ends quietly.
    """
    if sys.stdout is None:
        # Closed by whoever called us (`>&-`): nobody wants to read it.
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code: Any = goldentape.main(args=args, prog_name="goldentape", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        raise SystemExit(code if isinstance(code, int) else Exit.OK)
    except GoldentapeError as error:
        fail(str(error))
        raise SystemExit(error.exit_code) from None
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        raise SystemExit(Exit.BAD_INPUT) from None
    except click.ClickException as error:
        fail(error.format_message())
        raise SystemExit(Exit.BAD_INPUT) from None
    except (click.Abort, KeyboardInterrupt):
        raise SystemExit(Exit.INTERRUPTED) from None
    except (ReaderGone, BrokenPipeError):
        # Keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.OK if not hasattr(signal, "SIGPIPE") else 141) from None
    except MemoryError:
        fail("there is not enough memory for this")
        raise SystemExit(Exit.ENVIRONMENT) from None
    except OSError as error:
        # What no command foresaw, a full disk behind stdout among them: the world's fault, told in one line.
        where = f"{error.filename}: " if error.filename is not None else ""
        fail(f"{where}{error.strerror or error}")
        if sys.stdout is not None and error.errno == errno.ENOSPC:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.ENVIRONMENT) from None
