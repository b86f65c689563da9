"""Acceptors of what looks at each message alone: its schema, its owner, its absence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.chunk import Chunk, Unclear, column
from verifier.batch.log import Log
from verifier.batch.schema import compile_columns
from verifier.invariants.never import Never
from verifier.invariants.owner import Envelope
from verifier.invariants.schema import Schema
from verifier.record import MESSAGE, S2C, Record
from verifier.slicing import SESSION, Check

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class AcceptSchema(Accept):
    """Every event that has a schema is valid."""

    rule: Schema

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if self.rule.where is not None:
            raise Unsupported
        contract = check.engine.contract
        self._columns = {name: compile_columns(schema, contract) for name, schema in self.rule.schemas.items()}

    def chunk(self, chunk: Chunk) -> None:
        """Validate the messages of each event together."""
        for symbol in chunk.of:
            for name in self.batch.symbols.names[symbol]:
                accepts = self._columns.get(name)
                if accepts is not None:
                    docs = chunk.docs_of(symbol)
                    self.judged += len(docs)
                    if not accepts(docs):
                        raise Unclear(f"a {name} that its schema does not accept")


class AcceptEnvelope(Accept):
    """Every message of the server is the user's own."""

    rule: Envelope

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if self.rule.where is not None:
            raise Unsupported
        self._readers = [column((path,)) for path in self.rule.paths]

    def chunk(self, chunk: Chunk) -> None:
        """Compare."""
        symbols = self.batch.symbols
        user = self.batch.user
        for symbol in chunk.of:
            names = symbols.names[symbol]
            if symbols.directions[symbol] != S2C or self.rule.wants.isdisjoint(names):
                continue
            if not self.rule.exempt.isdisjoint(names):
                continue
            docs = chunk.docs_of(symbol)
            for read in self._readers:
                values = read(docs)
                mine = values.count(user)
                self.judged += mine
                if mine == len(docs):
                    break
                rest = [at for at, value in enumerate(values) if value is None]
                if mine + len(rest) != len(docs):
                    raise Unclear("a message that names another user")
                docs = [docs[at] for at in rest]
            else:
                if self.rule.required:
                    raise Unclear("a message that names no user")


class AcceptNever(Accept):
    """What must not come has not come."""

    rule: Never

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        self.hears_lifecycle = True
        if check.dims or check.mode != SESSION:
            raise Unsupported
        where = check.spec.options.get("where")
        self._literal: bytes | None = None
        if isinstance(where, dict) and where.keys() == {"@text"} and isinstance(where["@text"], dict):
            test = where["@text"]
            text = test.get("pattern")
            if test.keys() == {"pattern"} and isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9_ ]+", text):
                self._literal = text.encode()

    def chunk(self, chunk: Chunk) -> None:
        """Look for what must not be there."""
        symbols = self.batch.symbols
        wanted = [symbol for symbol in chunk.of if not self.rule.wants.isdisjoint(symbols.names[symbol])]
        if not wanted:
            return
        if self.rule.where is None:
            raise Unclear("an event that must never occur")
        if self._literal is not None:
            if self._literal in chunk.joined:
                raise Unclear("a text that must never occur")
            return
        for symbol in wanted:
            for at in chunk.of[symbol]:
                session = self.batch.sessions[chunk.sessions[at]]
                seq, t = chunk.seqs[at], chunk.times[at]
                record = Record(MESSAGE, seq, t, session, self.batch.user, symbols.directions[symbol])
                record.value, record.payload, record.names = chunk.docs[at], chunk.payloads[at], symbols.names[symbol]
                if self.rule.where(record):
                    raise Unclear("an event that must never occur")

    def settle(self, log: Log) -> None:
        """Look at handshakes and closes too; each session that was watched to its end is one judgement."""
        for record, names in log.lifecycle:
            if not self.rule.wants.isdisjoint(names) and (self.rule.where is None or self.rule.where(record)):
                raise Unclear("an event that must never occur")
        eager_from_connect = "$connect" in self.rule.wants
        self.judged += sum(1 for s in log.sessions if eager_from_connect or s.accepted is not None)


ACCEPTS: Mapping[type, Acceptor] = {Schema: AcceptSchema, Envelope: AcceptEnvelope, Never: AcceptNever}
