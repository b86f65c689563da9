"""One difference at one place of one event, and the test that it has to pass.  Values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from verifier.diff.names import Steps
from verifier.diff.policy import Policy
from verifier.diff.sides import Rate
from verifier.diff.tally import Node, Place


@dataclass(slots=True)
class Change:
    """One difference at one place of one event."""

    event: str
    steps: Steps
    what: str
    """gone, new, rarer, type, values, numbers"""
    p: float
    size: float
    says: tuple[str, str]
    """What it was and is, the same for all that have one cause."""
    places: tuple[Place | None, Place | None]
    figures: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Test:
    """A share that may have changed, and what to make of it if it has."""

    rate: Rate
    make: Callable[[float], Change | None]
    alpha: float


@dataclass(frozen=True, slots=True)
class Where:
    """Which event is looked at, and by what rules."""

    event: str
    most: tuple[int, int]
    """Runs that have it, of each side: independent observations."""
    policy: Policy
    named: frozenset[Steps]


def field_place(steps: Steps) -> tuple[str | int, ...]:
    """Return a place as `ignore` understands it."""
    return tuple(0 if step == "[]" else step for step in steps)


def rate_among(a: tuple[int, int], b: tuple[int, int], most: tuple[int, int], effect: float, noise: float) -> Rate:
    """Return a rate, with no more observations than there are runs."""
    (xa, na), (xb, nb) = a, b
    fa, fb = min(1.0, max(1, most[0]) / max(1, na)), min(1.0, max(1, most[1]) / max(1, nb))
    return Rate(((xa * fa, na * fa, xb * fb, nb * fb),), max(1.0, effect * min(fa, fb)), noise)


def grouped(node: Node, kind: str | None, whole: Node, whole_kind: str | None) -> list[tuple[int, int]]:
    """Return (of this type, all of the whole) of each group of connections."""
    n: Counter[int] = Counter()
    x: Counter[int] = Counter()
    for (k, bucket), count in whole.kinds.items():
        if whole_kind is None or k == whole_kind:
            n[bucket] += count
    for (k, bucket), count in node.kinds.items():
        if kind is None or k == kind:
            x[bucket] += count
    return [(min(x[bucket], count), count) for bucket, count in n.items()]


def any_place(node: Node) -> Place | None:
    """Return any example of a place."""
    return next(iter(node.places.values()), None)


def dotted(steps: Steps) -> str:
    """Return a place as a path: `data.items[].sku`."""
    text = ""
    for step in steps:
        text += "[]" if step == "[]" else f".{step}" if text else str(step)
    return text
