"""Folds: the pieces of a text make the whole, and a number says how many there were."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import ALMOST, Model, Slice
from verifier.mining.vocabulary import at

SAMPLE = 100


def propose(model: Model) -> Iterator[Candidate]:
    """Yield concatenations and counts that an exit of the span tells."""
    span = model.span
    if span is None:
        return
    for whole in span.exits.values():
        ended = [i for i in span.instances if i.said[-1].event == whole]
        for target, field in model.events[whole].fields.items():
            if "string" in field.types:
                for piece in span.alphabet:
                    for path, inner in model.events[piece].fields.items():
                        if "string" in inner.types and _held(
                            partial(_concat, piece=piece, path=path, target=target), ended
                        ):
                            yield _fold(model, "concat", piece, path, whole, target)
            elif set(field.types) == {"integer"} and len(field.values) > 1:
                for piece in span.alphabet:
                    if _held(partial(_counts, piece=piece, target=target), ended):
                        yield _fold(model, "count", piece, None, whole, target)


def _fold(model: Model, op: str, piece: str, path: str | None, whole: str, target: str) -> Candidate:
    span = model.span
    assert span is not None
    options = {"kind": "fold", "scope": span.name, "of": piece, "op": op, "equals": {"event": whole, "path": target}}
    if path is not None:
        options["path"] = path
    what = f"the {path} of all {piece} together are" if path is not None else f"the number of {piece} is"
    return Candidate(
        name=slug(whole, target, op), options=options, about=f"in a {span.name}, {what} the {target} of {whole}",
        triggers=frozenset({whole}), of=len(span.instances),
    )  # fmt: skip


def _held(judge: Callable[[list[Slice]], bool], slices: list[Slice]) -> bool:
    """Whether it holds of a few, and then of all: most fields do not, and are soon left."""
    return judge(slices[:SAMPLE]) and judge(slices)


def _concat(slices: list[Slice], piece: str, path: str, target: str) -> bool:
    held, several = 0, 0
    judged = 0
    for slice in slices:
        parts = [str(v) for s in slice.said if s.event == piece and isinstance(v := at(s, path), str)]
        whole = at(slice.said[-1], target)
        if not parts or not isinstance(whole, str):
            continue
        judged += 1
        several += len(parts) > 1
        held += "".join(parts) == whole
    return judged > 0 and held >= ALMOST * judged and several >= judged / 4


def _counts(slices: list[Slice], piece: str, target: str) -> bool:
    pairs = [(sum(s.event == piece for s in slice.said), at(slice.said[-1], target)) for slice in slices]
    pairs = [(n, told) for n, told in pairs if type(told) is int]
    return len({n for n, _ in pairs}) > 1 and sum(n == told for n, told in pairs) >= ALMOST * len(pairs)
