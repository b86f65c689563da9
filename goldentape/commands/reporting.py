"""`--report KIND=FILE`: one option for every command that judges; files that appear whole, or not at all."""

from __future__ import annotations

import functools
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click

from goldentape.commands.progress import watched
from goldentape.display import home_and_here, show
from goldentape.errors import EnvironmentFault, Exit, GoldentapeError, InputError
from verifier.exporters import REPORTS, Report
from verifier.exporters.github import step_summary
from verifier.judgement import Judged, Judgement, Unjudged
from verifier.load import nearest

STDOUT = "-"
SQLITE = b"SQLite format 3\0"

_option = click.option(
    "--report", "reports", multiple=True, metavar="KIND=FILE",
    help=f"Write a report as well: {', '.join(report.kind for report in REPORTS)}; FILE - is stdout, which then has"
    " nothing else. May be given several times. In GitHub Actions, github is on by itself.",
)  # fmt: skip


def reported(command: str) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return a decorator: adds `--report`, and hands the command the `Judgement` that its reports are views of.

    The command adds to `judgement.judged` and `judgement.unjudged`; when it ends, the reports are written.
    """

    def decorate(body: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(body)
        def run(*args: Any, reports: tuple[str, ...], **options: Any) -> int:
            targets = [_target(asked, list(_paths(options.values()))) for asked in reports]
            _demand_apart(targets)
            judgement = Judgement(command=command, excerpts=bool(options.get("excerpts", True)), below=_below())
            alone = any(target.stdout for target in targets)
            if not options.get("quiet") and sys.stderr is not None:
                judgement.watch = watched
            machine = alone or bool(options.get("as_json"))
            stdout = sys.stdout

            def tell() -> None:
                _write(targets, judgement, stdout)
                if _in_actions(targets) and not options.get("quiet"):
                    _annotate(judgement, sys.stderr if machine else stdout)

            with redirect_stdout(sys.stderr if alone else stdout):
                try:
                    judgement.exit = Exit(body(*args, judgement=judgement, **options) or Exit.OK)
                except GoldentapeError as error:
                    judgement.exit = error.exit_code
                    judgement.unjudged.append(Unjudged(tape=None, why=str(error), exit=error.exit_code))
                    tell()
                    raise
            tell()
            return judgement.exit

        return _option(run)

    return decorate


@dataclass(frozen=True, slots=True)
class _Target:
    report: Report
    path: Path
    stdout: bool


def _target(asked: str, inputs: list[Path]) -> _Target:
    """Return what is asked for.  Raises InputError for what cannot be meant, EnvironmentFault for what cannot be."""
    kind, equals, name = asked.partition("=")
    kinds = {report.kind: report for report in REPORTS}
    if kind not in kinds:
        fix = nearest(kind, kinds) or f"there are {', '.join(kinds)}"
        raise InputError("--report: no such kind of report", found=kind, fix=fix)
    if not equals or not name:
        raise InputError("--report wants KIND=FILE", found=asked, fix=f"--report {kind}=FILE, or {kind}=- for stdout")
    if name == STDOUT:
        return _Target(kinds[kind], Path(), stdout=True)
    path = Path(name)
    if path.is_dir():
        raise EnvironmentFault("is a directory", where=name, wanted="the name of a file for --report")
    if path.exists():
        if any(path.samefile(one) for one in inputs) or _is_database(path):
            raise InputError("--report would write over it", where=name, fix="name another file")
        # A link stays, and what it names is replaced.
        path = path.resolve()
    if not path.exists() or path.is_file():
        with _new(path):
            pass
    return _Target(kinds[kind], path, stdout=False)


def _paths(values: Iterable[Any]) -> Iterator[Path]:
    """Yield the files among a command's arguments."""
    for value in values:
        if isinstance(value, (tuple, list)):
            yield from _paths(value)
        elif isinstance(value, (str, Path)) and value and "\0" not in str(value) and len(str(value)) < 4096:
            try:
                if Path(value).exists():
                    yield Path(value)
            except OSError:
                continue


def _is_database(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except OSError:
        return False


def _demand_apart(targets: list[_Target]) -> None:
    if sum(target.stdout for target in targets) > 1:
        raise InputError("--report: only one report can have stdout")
    paths = [target.path.absolute() for target in targets if not target.stdout]
    for path in paths:
        if paths.count(path) > 1 and (not path.exists() or path.is_file()):
            raise InputError("--report: two reports have one file", found=str(path), fix="name two")


@contextmanager
def _new(path: Path) -> Iterator[Path]:
    """Give the path of a new file beside `path`; it is gone afterwards if it was not renamed."""
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.new")
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except OSError as error:
        what = "the directory does not exist" if not path.parent.is_dir() else error.strerror or str(error)
        raise EnvironmentFault(f"the report cannot be written: {what}", where=path) from error
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _write(targets: list[_Target], judgement: Judgement, stdout: TextIO) -> None:
    """Write all reports; raise what went wrong with the first that could not be, when the others are written."""
    failures: list[GoldentapeError] = []
    for target in targets:
        try:
            if target.stdout:
                stdout.writelines(target.report.pieces(judgement))
                stdout.flush()
            else:
                _write_file(target, judgement)
            if target.report.kind == "github":
                _summarise(judgement)
        except GoldentapeError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _write_file(target: _Target, judgement: Judgement) -> None:
    path = target.path
    with ExitStack() as stack:
        try:
            plain = not path.exists() or stat.S_ISREG(path.stat().st_mode)
            goal = stack.enter_context(_new(path)) if plain else path
            with goal.open("w", encoding="utf-8", newline="\n") as file:
                file.writelines(target.report.pieces(judgement))
            if plain:
                goal.replace(path)
        except BrokenPipeError:
            raise
        except OSError as error:
            what = error.strerror or str(error)
            raise EnvironmentFault(f"the report cannot be written: {what}", where=path) from error


# -- GitHub Actions


def _in_actions(targets: list[_Target]) -> bool:
    asked = any(target.report.kind == "github" for target in targets)
    return os.environ.get("GITHUB_ACTIONS") == "true" and not asked


def _annotate(judgement: Judgement, stream: TextIO) -> None:
    """Write annotations where the runner reads them, and the step summary."""
    github = next(report for report in REPORTS if report.kind == "github")
    stream.writelines(github.pieces(judgement))
    stream.flush()
    try:
        _summarise(judgement)
    except EnvironmentFault as error:
        # Nobody asked for it: the verdict counts.
        print(f"goldentape: warning: {show(str(error), 2000)}", file=sys.stderr)


def _summarise(judgement: Judgement) -> None:
    name = os.environ.get("GITHUB_STEP_SUMMARY")
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8", newline="\n") as file:
            file.writelines(step_summary(judgement))
    except OSError as error:
        what = f"the step summary cannot be written: {error.strerror or error}"
        raise EnvironmentFault(what, where=name) from error


def _below() -> str:
    """Return where we are below the root of the repository that a CI job has checked out."""
    root = os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR")
    here = Path.cwd()
    if not root or not here.is_relative_to(root) or here == Path(root):
        return ""
    return here.relative_to(root).as_posix()


# -- for commands


def name_of(path: Path) -> str:
    """Return what reports call a tape."""
    return home_and_here(path)


__all__ = ["Judged", "Judgement", "Unjudged", "name_of", "reported"]
