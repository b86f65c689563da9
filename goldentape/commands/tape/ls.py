"""`goldentape tape ls`: who was there, on which connections, and how each ended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from goldentape.columns import columns
from goldentape.commands.opening import opened
from goldentape.display import show
from goldentape.tape import Tape

SECOND = 1_000_000_000
FEW = 50
"""Rows of each table, unless all are asked for."""


def moment(ns: int) -> str:
    """Return Unix time in ns as ISO 8601, UTC."""
    try:
        return datetime.fromtimestamp(ns / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{ns} ns"


def summary(tape: Tape) -> dict[str, Any]:
    """Return what there is to say of a tape as a whole, in JSON's types."""
    users = list(tape.users())
    connections = list(tape.connections())
    endings: dict[str, int] = {}
    for connection in connections:
        endings[connection.ending] = endings.get(connection.ending, 0) + 1
    return {
        "tape": str(tape.path), "state": tape.state, "complete": tape.complete, "head": tape.head,
        "users": len(users), "connections": len(connections), "events": sum(user.events for user in users),
        "endings": endings,
        "epochs": [
            {"epoch": e.number, "recorder": e.recorder, "began": e.wall, "t": e.t, "upstream": e.upstream,
             "durability": e.durability, "insecure": e.insecure, "software": e.software}
            for e in tape.epochs
        ],
    }  # fmt: skip


def user_rows(tape: Tape) -> list[dict[str, Any]]:
    """Return one JSON object a user."""
    counts: dict[str, int] = {}
    for connection in tape.connections():
        counts[connection.user] = counts.get(connection.user, 0) + 1
    return [
        {"user": user.name, "rule": user.rule, "events": user.events, "connections": counts.get(user.name, 0)}
        for user in tape.users()
    ]


def connection_rows(tape: Tape) -> list[dict[str, Any]]:
    """Return one JSON object a connection; times in ns of the tape."""
    return [
        {"id": c.id, "user": c.user, "path": c.target, "status": c.status, "subprotocol": c.subprotocol,
         "credential": c.credential, "opened": c.opened, "accepted": c.accepted, "closed": c.closed,
         "close_code": c.close_code, "close_reason": c.close_reason, "closed_by": c.closed_by, "ending": str(c.ending)}
        for c in tape.connections()
    ]  # fmt: skip


def lines(tape: Tape, few: int | None) -> Iterator[str]:
    """Yield the page as text."""
    told = summary(tape)
    yield (
        f"{show(told['tape'], 500)}: {tape.state}, {told['users']} users, {told['connections']} connections, "
        f"{told['events']:,} events" + (f", head {show(tape.head)}" if tape.head else "")
    )
    for epoch in tape.epochs:
        insecure = ", certificate not checked" if epoch.insecure else ""
        yield (
            f"epoch {epoch.number}: from {moment(epoch.wall)} UTC, {show(epoch.upstream)}, durability "
            f"{show(epoch.durability)}, {show(epoch.software)}{insecure}"
        )
    users = user_rows(tape)
    if users:
        yield ""
        table: list[tuple[str, ...]] = [("user", "events", "connections", "named by")]
        table += [
            (show(u["user"], 48), f"{u['events']:,}", str(u["connections"]), show(u["rule"])) for u in users[:few]
        ]
        yield from columns(table, right=frozenset({1, 2}))
        yield from _more(len(users), few, "users")
    connections = connection_rows(tape)
    if connections:
        yield ""
        table = [("connection", "user", "opened", "lasted", "status", "ending", "path")]
        table += [_connection(c) for c in connections[:few]]
        yield from columns(table, right=frozenset({2, 3, 4}))
        yield from _more(len(connections), few, "connections")


def _connection(c: dict[str, Any]) -> tuple[str, ...]:
    lasted = "" if c["closed"] is None else f"{(c['closed'] - c['opened']) / SECOND:.3f} s"
    how = c["ending"] if c["close_code"] is None else f"{c['ending']} {c['close_code']}"
    if c["closed_by"] is not None and c["ending"] != "refused":
        how += f" by {show(c['closed_by'])}"
    status = "-" if c["status"] is None else str(c["status"])
    opened = f"{c['opened'] / SECOND:.3f} s"
    return show(c["id"], 8).rstrip("…"), show(c["user"], 32), opened, lasted, status, how, show(c["path"], 60)


def _more(total: int, few: int | None, what: str) -> Iterator[str]:
    if few is not None and total > few:
        yield f"... {total - few:,} more {what} (--all)"


@click.command()
@click.argument("tape", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help=f"List every user and connection, not the first {FEW}.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ls(tape: Path, everything: bool, as_json: bool) -> None:
    """List the users and connections of TAPE, and how each connection ended."""
    with opened(tape) as found:
        if as_json:
            rows = {"by_user": user_rows(found), "by_connection": connection_rows(found)}
            click.echo(json.dumps({**summary(found), **rows}))
            return
        for line in lines(found, None if everything else FEW):
            click.echo(line)
