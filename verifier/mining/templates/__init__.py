"""What mining looks for: a template a file, each a function from a model to candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from verifier.mining.candidate import Candidate
from verifier.mining.model import Model
from verifier.mining.templates import (
    bounds,
    closes,
    ends,
    folds,
    numbering,
    order,
    owners,
    pairs,
    replies,
    sameness,
    shapes,
    timing,
)

TEMPLATES: tuple[Callable[[Model], Iterator[Candidate]], ...] = tuple(
    template.propose
    for template in (
        bounds, pairs, order, ends, replies, sameness, numbering, folds, owners, closes, shapes, timing,
    )
)  # fmt: skip
