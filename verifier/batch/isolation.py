"""Acceptors of what looks for others in what a user sees."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from goldentape.path import Place
from verifier.batch.accept import Accept, Acceptor, Unsupported
from verifier.batch.chunk import Chunk, KeyColumn, Unclear
from verifier.batch.log import Log
from verifier.invariants.noninterference import Noninterference
from verifier.invariants.taint import Taint
from verifier.record import S2C
from verifier.slices import Slice
from verifier.slicing import Check
from verifier.taint.decode import number
from verifier.taint.look import Look
from verifier.taint.seams import is_text
from verifier.taint.sketch import texts_of

if TYPE_CHECKING:
    from verifier.batch.judge import Batch


class AcceptNoninterference(Accept):
    """Without a recording of users who were alone there is nothing to compare with."""

    rule: Noninterference

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if batch.engine.baselines:
            raise Unsupported
        self.hears_lifecycle = True


class AcceptTaint(Accept):
    """What a user was shown is looked at for keys of what others said; what is suspected is judged at the end."""

    rule: Taint

    def __init__(self, check: Check, batch: Batch) -> None:
        super().__init__(check, batch)
        if "shared_by" in check.spec.options or self.rule.foreseen is None:
            raise Unsupported
        self.hears_lifecycle = True
        self.keys = frozenset(key.name for key in self.rule.stream_keys)
        self._columns = [KeyColumn(key, batch.symbols) for key in self.rule.stream_keys]
        self._look: Look | None = None
        self._first: dict[Hashable, tuple[int, bytes] | None] = {}
        """What tells a stream, to its first message; None where there were more."""

    def begin(self) -> None:
        """A new log."""
        super().begin()
        self._look = None
        self._first = {}

    def chunk(self, chunk: Chunk) -> None:
        """Look at what the server says."""
        look = self._look
        if look is None:
            look = self._look = self.rule.look(self.batch.user)
        directions, small = self.batch.symbols.directions, self.rule.sketcher.small
        shown = [
            at for at, symbol in enumerate(chunk.symbols) if directions[symbol] == S2C
        ]  # fmt: skip
        if not shown:
            return
        self.judged += len(shown)
        docs, seqs = chunk.docs, chunk.seqs
        texts = texts_of([docs[at] for at in shown], small)
        if "$bytes" in texts:
            raise Unclear("bytes in a JSON text")
        look.block(
            texts, seqs[shown[0]], seqs[shown[-1]],
            lambda: ((seqs[at], texts_of([docs[at]], small)) for at in shown),
        )  # fmt: skip
        self._streams(look, chunk, shown)

    def _streams(self, look: Look, chunk: Chunk, shown: list[int]) -> None:
        """Join what may be pieces of one text: messages of one event, of one connection, with the same ids."""
        columns = [column.read(chunk) for column in self._columns]
        every = list(zip(chunk.sessions, chunk.symbols, *columns, strict=True))
        first = self._first
        for at in shown:
            about = every[at]
            if about not in first:
                first[about] = chunk.seqs[at], chunk.payloads[at]
                continue
            before = first[about]
            if before is not None:
                look.pieces(about, before[0], _pieces(orjson.loads(before[1])))
                first[about] = None
            look.pieces(about, chunk.seqs[at], _pieces(chunk.docs[at]))

    def commit(self, log: Log) -> None:
        """Remember what is suspected."""
        super().commit(log)
        self.rule.resume(self.batch.user, self._look)
        for record, names in log.lifecycle:
            self.check.feed(record, names, True, None)
        self.rule.over(Slice(self.check, (), None, None, None, 0))


def _pieces(doc: Any) -> Iterator[tuple[Place, str]]:
    """Yield (place without indices, text) of what may be pieces of streamed texts."""
    todo: list[tuple[Place, Any]] = [((), doc)]
    while todo:
        place, here = todo.pop()
        for name, inner in here.items() if type(here) is dict else [("*", one) for one in here]:
            kind = type(inner)
            if kind is dict or kind is list:
                todo.append(((*place, name), inner))
            elif (kind is str and inner) or kind is int or kind is float:
                at = (*place, name)
                if is_text(at):
                    yield at, inner if kind is str else number(inner)


ACCEPTS: Mapping[type, Acceptor] = {Noninterference: AcceptNoninterference, Taint: AcceptTaint}
