"""The texts of a record, each with its place: leaves, names of members, reasons of closes, refusals.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goldentape.path import Place
from verifier.record import CLOSE, CONNECT, LOSS, MESSAGE, REJECT, Record
from verifier.taint.decode import number

NAME = "@name"
"""Last step of the place of a member's name."""
MAX_LEAVES = 50_000
"""Texts of one message that are looked at."""


def texts(record: Record) -> Iterator[tuple[Place, str]]:
    """Yield (place, text) of all that a record says."""
    if record.kind == MESSAGE:
        if record.problem is not None:
            text = record.text()
            if text:
                yield ("@text",), text
        if record.problem is None or record.problem.kind != "undecodable":
            yield from _leaves(record.value)
    elif record.kind in (CLOSE, LOSS):
        if record.reason:
            yield ("@close.reason",), record.reason
    elif record.kind == REJECT:
        text = record.text()
        if text:
            yield ("@text",), text
    elif record.kind == CONNECT and record.session is not None:
        for secret in record.session.secrets:
            yield ("@handshake",), secret


def _leaves(value: Any) -> Iterator[tuple[Place, str]]:
    todo: list[tuple[Place, Any]] = [((), value)]
    left = MAX_LEAVES
    while todo and left:
        left -= 1
        place, here = todo.pop()
        kind = type(here)
        if kind is str:
            if here:
                yield place, here
                if place and place[-1] == "$bytes":
                    yield from _bytes(place, here)
        elif kind is dict:
            for name, inner in here.items():
                if len(name) > 5:
                    yield (*place, name, NAME), name
                todo.append(((*place, name), inner))
        elif kind is list:
            todo += [((*place, index), inner) for index, inner in enumerate(here)]
        elif kind is int or kind is float:
            yield place, number(here)


def _bytes(place: Place, digits: str) -> Iterator[tuple[Place, str]]:
    """MessagePack's bytes are told in hex; a text in them is a text."""
    try:
        text = bytes.fromhex(digits).decode("utf-8")
    except ValueError:
        return
    if text:
        yield place, text


def shape(place: Place) -> Place:
    """Return a place without its indices: the same field of any element."""
    return tuple("*" if isinstance(step, int) else step for step in place)


def written(place: Place) -> str:
    """Return a place as a path."""
    if place and place[-1] == NAME:
        return f"the name at {written(place[:-2]) or 'the top'}"
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "the whole message"
