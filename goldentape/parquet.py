"""A tape's messages as one Parquet file: a row a message, for DuckDB, pandas, Polars, Spark.  Needs pyarrow.

`time` is UTC, `t` the tape's own; `payload` is text, and `payload_binary` what is none; `type` that of a JSON object.
The metadata of the file has the tape's head and state, and its connections.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from goldentape.errors import EnvironmentFault
from goldentape.event import Event, Flag, Opcode
from goldentape.jsonl import connection_object, flag_names
from goldentape.tape import Tape

ROWS = 20_000
"""Rows of one group; held in memory."""
ROW_BYTES = 64 << 20


def write(
    tape: Tape, path: Path, *, payloads: bool = True, user: str | None = None, connection: str | None = None
) -> int:
    """Write a tape's messages; return how many.  Raises EnvironmentFault where pyarrow is missing."""
    arrow, parquet = _module("pyarrow"), _module("pyarrow.parquet")
    schema = arrow.schema(
        [
            ("seq", arrow.int64()), ("time", arrow.timestamp("ns", tz="UTC")), ("t", arrow.int64()),
            ("user", arrow.dictionary(arrow.int32(), arrow.string())),
            ("connection", arrow.dictionary(arrow.int32(), arrow.string())), ("n", arrow.int64()),
            ("direction", arrow.dictionary(arrow.int32(), arrow.string())),
            ("opcode", arrow.dictionary(arrow.int32(), arrow.string())), ("type", arrow.string()),
            ("payload", arrow.string()), ("payload_binary", arrow.binary()), ("size", arrow.int64()),
            ("wire", arrow.int64()), ("frames", arrow.int64()), ("flags", arrow.list_(arrow.string())),
        ],
        metadata=_metadata(tape),
    )  # fmt: skip
    offsets = {epoch.number: epoch.wall - epoch.t for epoch in tape.epochs}
    of = {c.id: offsets.get(c.epoch, 0) for c in tape.connections()}
    events = tape.events(user=user, connection=connection)
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while rows := list(_group(events)):
            count += len(rows)
            columns = [_row(event, of.get(event.connection, 0), payloads) for event in rows]
            writer.write_table(arrow.Table.from_pylist(columns, schema=schema))
    return count


def demand() -> None:
    """Raise EnvironmentFault where pyarrow is missing."""
    _module("pyarrow.parquet")


def _group(events: Iterator[Event]) -> Iterator[Event]:
    held = 0
    for event in islice(events, ROWS):
        yield event
        held += len(event.payload)
        if held > ROW_BYTES:
            return


def _row(event: Event, offset: int, payloads: bool) -> dict[str, Any]:
    text = None
    if event.opcode == Opcode.TEXT and not event.flags & Flag.ERASED:
        try:
            text = event.payload.decode("utf-8")
        except UnicodeDecodeError:
            text = None
    binary = event.payload if text is None and not event.flags & Flag.ERASED else None
    return {
        "seq": event.seq, "time": offset + event.t, "t": event.t, "user": event.user, "connection": event.connection,
        "n": event.n, "direction": event.direction.label, "opcode": event.opcode.name.lower(),
        "type": _type(event.payload) if text is not None and payloads else None,
        "payload": text if payloads else None, "payload_binary": binary if payloads else None, "size": event.size,
        "wire": event.wire, "frames": event.frames, "flags": flag_names(int(event.flags)),
    }  # fmt: skip


def _type(payload: bytes) -> str | None:
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    found = value.get("type") if isinstance(value, dict) else None
    return found if isinstance(found, str) else None


def _metadata(tape: Tape) -> dict[str, str]:
    about = {"state": tape.state, "head": tape.head, "complete": tape.complete}
    connections = [connection_object(c) for c in islice(tape.connections(), 100_000)]
    return {"goldentape": json.dumps(about), "goldentape.connections": json.dumps(connections)}


def _module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise EnvironmentFault(
            "pyarrow is not installed, and Parquet is written by it", fix="pip install 'goldentape[parquet]'"
        ) from None
