"""A recording once more, record by record: for rules that judge when they have seen everything.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.contract import Contract
from verifier.events import BUILT_IN, Matcher
from verifier.history import History, Source
from verifier.paths import compile_value_path
from verifier.record import CLOSE, CONNECT, LOSS, MESSAGE, REJECT, UNREADABLE, Record

_TOLD = frozenset({CONNECT, REJECT, CLOSE, LOSS, MESSAGE})


def matcher_of(contract: Contract) -> Matcher:
    """Return what names records."""
    type_of = compile_value_path(contract.wire.type) if contract.wire.type is not None else None
    return Matcher(contract.events, type_of, frozenset(BUILT_IN))


def replay(contract: Contract, source: Source) -> tuple[History, Iterator[Record]]:
    """Return a history and its records that say something, with the names of their events and whose they are."""
    history = History(source, contract.wire)
    matcher = matcher_of(contract)

    def records() -> Iterator[Record]:
        for record in history.records():
            session = record.session
            if session is None or session.ghost or record.kind not in _TOLD:
                continue
            if session.user != record.user:
                session.user = record.user
                session.known = history.named(record.user)
            if record.flags & UNREADABLE:
                continue
            record.names = matcher.names(record)
            yield record

    return history, records()


def place_of(record: Record) -> int:
    """Return the place of a record in the tape; of a handshake, the place of its identity."""
    if record.seq is not None:
        return record.seq
    session = record.session
    return session.identities[0].seq if session is not None and session.identities else 0


def event_of(record: Record) -> str:
    """Return the name to show for a record."""
    return next((name for name in record.names if name not in BUILT_IN), next(iter(record.names), record.kind))
