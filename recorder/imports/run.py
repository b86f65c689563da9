"""One import from begin to end: what kind of source it is, staged, folded, sealed; or nothing left behind."""

from __future__ import annotations

import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from goldentape.assemble import Assembly
from goldentape.errors import EnvironmentFault, InputError
from goldentape.jsonl_reader import JsonlReader
from goldentape.seal import seal
from goldentape.tape_writer import TapeWriter
from recorder.demands import demand_possible
from recorder.identity import DEFAULT_RULES
from recorder.imports.feed import Feed
from recorder.imports.flows import FlowReader
from recorder.imports.staging import Staging, Told
from recorder.pseudonym import load_key
from recorder.redact import Redactor
from recorder.settings import Settings

HAR, FLOWS, JSONL = "har", "mitmproxy", "jsonl"
FORMATS = (HAR, FLOWS, JSONL)
STAGING = ".staging"
"""What the scratch database is called beside the tape that is made: an interrupt may come while it is made."""
_LOOK = 64 << 10
_ARCHIVES = {b"PK": "a zip archive", b"\x1f\x8b": "compressed with gzip", b"\x28\xb5\x2f\xfd": "compressed with zstd"}


@dataclass(slots=True)
class Imported:
    """What came of an import."""

    head: str
    connections: int
    users: int
    events: int
    told: Told = field(default_factory=Told)


def kind_of(path: Path) -> str:
    """Return what a file is, by its first bytes.  Raises InputError for what is none of it."""
    if not path.exists():
        raise InputError("there is no such file", where=path)
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is no regular file, and has to be read more than once"
        raise InputError(what, where=path, wanted="a HAR, flows of mitmproxy, or JSON Lines")
    try:
        with path.open("rb") as file:
            begin = file.read(_LOOK)
    except OSError as error:
        raise EnvironmentFault(error.strerror or "cannot be read", where=path) from error
    if not begin:
        raise InputError("is empty", where=path, wanted="a HAR, flows of mitmproxy, or JSON Lines")
    for magic, what in _ARCHIVES.items():
        if begin.startswith(magic):
            raise InputError(f"is {what}", where=path, fix="unpack it first")
    if begin.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError("is UTF-16", where=path, fix="save it as UTF-8")
    if begin.startswith(b"SQLite format 3\0"):
        raise InputError("is a database, perhaps a tape already", where=path, wanted="a HAR, flows, or JSON Lines")
    text = begin.removeprefix(b"\xef\xbb\xbf").lstrip()
    if re.match(rb"\d{1,12}:", text):
        return FLOWS
    if re.match(rb'\{\s*"kind"\s*:', text):
        return JSONL
    if text.startswith((b"{", b"[")):
        return HAR
    raise InputError("is neither a HAR, nor flows of mitmproxy, nor JSON Lines of a tape", where=path)


def demand_free(tape: Path) -> None:
    """Raise InputError unless a tape may be made there."""
    if not tape.parent.is_dir():
        raise InputError("the directory does not exist", where=tape.parent, fix="make it first")
    if tape.is_symlink():
        raise InputError("is a symbolic link; refusing to follow it", where=tape, fix="name the file itself")
    if tape.is_dir():
        raise InputError("is a directory", where=tape, wanted="a file name for the tape")
    if tape.exists():
        raise InputError("exists", where=tape, fix="name another file")
    if Path(f"{tape}.spool").exists():
        raise InputError("the spool of another recording is there", where=f"{tape}.spool", fix="name another file")


@contextmanager
def made(tape: Path) -> Iterator[Path]:
    """Give a path for a tape that appears under its name only when all went well; else nothing of it stays.

    Raises EnvironmentFault where the storage refuses.
    """
    demand_free(tape)
    temporary = tape.with_name(f".{tape.name[:200]}.{secrets.token_hex(4)}.new")
    try:
        yield temporary
        # Not in place of something that came meanwhile.
        os.link(temporary, tape, follow_symlinks=False)
    except FileExistsError as error:
        raise InputError("exists", where=tape, fix="name another file") from error
    except sqlite3.Error as error:
        raise EnvironmentFault(f"cannot be written: {error}", where=tape) from error
    except OSError as error:
        where = tape if error.filename in (None, str(temporary)) else error.filename
        raise EnvironmentFault(error.strerror or str(error), where=where) from error
    finally:
        for end in ("", "-wal", "-shm", "-journal", ".new", STAGING):
            temporary.with_name(temporary.name + end).unlink(missing_ok=True)


def import_source(source: Path, settings: Settings, kind: str, tick: Callable[[int], None]) -> Imported:
    """Make `settings.tape` of a HAR or a flow file, by the rules of `settings`; `tick` is told of messages read.

    Raises InputError for a source that cannot be used, with the place in it; EnvironmentFault where storage refuses.
    """
    tape = Path(settings.tape)
    demand_possible(settings)
    with made(tape) as temporary, _keyed(settings, temporary) as keyed:
        staging = Staging(temporary.with_name(temporary.name + STAGING))
        try:
            upstreams = _read(source, staging, kind, tick)
            done = _write(replace(keyed, upstream=", ".join(upstreams)[:2000]), temporary, staging, source, tick)
        finally:
            staging.close()
    return done


@contextmanager
def _keyed(settings: Settings, temporary: Path) -> Iterator[Settings]:
    """Give settings whose redaction key is there: the one asked for, the tape's own, or one that is made for it.

    A new one takes its name, `TAPE.key`, only when all went well.
    """
    if settings.redaction_key_file is not None or settings.key_file.exists():
        yield replace(settings, redaction_key_file=str(settings.key_file))
        return
    made_now = temporary.with_name(f"{temporary.name}.key")
    try:
        load_key(made_now, True)
        yield replace(settings, redaction_key_file=str(made_now))
        os.link(made_now, settings.key_file, follow_symlinks=False)
    finally:
        made_now.unlink(missing_ok=True)


def _read(source: Path, staging: Staging, kind: str, tick: Callable[[int], None]) -> list[str]:
    try:
        if kind == HAR:
            # Not at the top: who imports flows needs no reader of JSON.
            from recorder.imports.har import HarReader

            reader: HarReader | FlowReader = HarReader(source, staging, tick)
        else:
            reader = FlowReader(source, staging, tick)
        reader.read()
    except OSError as error:
        raise EnvironmentFault(error.strerror or "cannot be read", where=source) from error
    except MemoryError:
        raise InputError("has a value that does not fit into memory", where=source) from None
    return list(reader.upstreams)


def _write(
    settings: Settings, temporary: Path, staging: Staging, source: Path, tick: Callable[[int], None]
) -> Imported:
    told = staging.told
    key = load_key(settings.key_file, False)
    redactor = Redactor(key, settings.redact, settings.redact_pattern, settings.known_subprotocols)
    jwt = None if settings.jwt_key_file is None else Path(settings.jwt_key_file).read_bytes()
    writer = TapeWriter(temporary, create=True)
    try:
        feed = Feed(settings, writer, redactor, jwt, staging)
        mark = {"source": told.source, "creator": told.creator, "lacks": told.lacks, "odd": dict(told.odd)}
        feed.run(_introduction(settings, told, source), mark, tick)
        unnamed = writer.execute("SELECT count(*) FROM user WHERE rule = 'connection'").fetchone()[0]
        if unnamed:
            told.lacks["users"] = f"who the users are, of {unnamed:,} of them (--identify says how they are told)"
        head = seal(writer, True)
        ask = writer.execute
        return Imported(
            head, ask("SELECT count(*) FROM connection").fetchone()[0], ask("SELECT count(*) FROM user").fetchone()[0],
            writer.events, told,
        )  # fmt: skip
    finally:
        writer.close()


def _introduction(settings: Settings, told: Told, source: Path) -> dict[str, Any]:
    options = {
        "identify": settings.identify or [rule.text for rule in DEFAULT_RULES], "max_stored": settings.max_stored,
        "signatures": settings.jwt_key_file is not None, "tags": settings.tags, "claims": settings.claim,
        "import": {"source": told.source, "creator": told.creator, "file": source.name, "lacks": sorted(told.lacks)},
    }  # fmt: skip
    return {
        "epoch": 0, "recorder": secrets.token_hex(16), "upstream": settings.upstream, "listen": "import",
        "durability": "process", "insecure": False, "options": options,
        "software": f"goldentape {version('goldentape')}",
    }  # fmt: skip


def import_lines(source: Path, tape: Path, tick: Callable[[int], None]) -> Imported:
    """Make a tape of the JSON Lines of another: users, seqs, redaction and all are as they were.

    Raises InputError for lines that no export has, with their number.
    """
    with made(tape) as temporary:
        writer = TapeWriter(temporary, create=True)
        try:
            reader = JsonlReader(source, Assembly(writer), tick)
            reader.read()
            told = Told(source="JSON Lines of a tape")
            if not reader.end.found:
                told.odd["end of the file is missing: the tape is sealed as incomplete"] += 1
            if not reader.end.whole:
                told.lacks["rest"] = "what the export left out (payloads, or others than one user or connection)"
            head = seal(writer, reader.end.complete and reader.end.whole)
            ask = writer.execute
            return Imported(
                head, ask("SELECT count(*) FROM connection").fetchone()[0],
                ask("SELECT count(*) FROM user").fetchone()[0], writer.events, told,
            )  # fmt: skip
        finally:
            writer.close()


__all__ = [
    "FLOWS",
    "FORMATS",
    "HAR",
    "JSONL",
    "Imported",
    "demand_free",
    "import_lines",
    "import_source",
    "kind_of",
    "made",
]
