"""What values are together: texts joined, numbers added, values counted, listed or replaced.  Pure, and bounded."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from verifier.equality import Number, brief, digest, number_of
from verifier.paths import MISSING
from verifier.slices import excerpt
from verifier.verdict import listed, plural

TOLD = 16
LONGEST = 1 << 16
"""Characters of a text that are kept to say where another differs."""
KEPT = 512
"""Parts of a text, or values of a set, of which it is known where they came from."""


class NotFoldable(TypeError):
    """A value of another type than the fold is of; says of which it is."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A final value that is not what came before it."""

    why: str
    expected: str
    blamed: Sequence[int]
    """Which of the parts, counted from 0, prove it."""


class Fold(Protocol):
    """A value that grows."""

    size: int
    """Parts so far."""
    kept: int
    """How many of the latest parts are worth being kept for a proof."""

    @property
    def says(self) -> bool:
        """Whether there is anything to compare with."""

    def add(self, value: Any) -> None:
        """Add a part.  Raises NotFoldable."""

    def differs(self, value: Any) -> Difference | None:
        """Return how another value is not this one, or None."""


class Concat:
    """Texts, one behind the other: a digest of all, and the begin of them to show."""

    kept = KEPT
    says = True

    def __init__(self) -> None:
        self.size = 0
        self._digest = hashlib.blake2b()
        self._begin: list[str] = []
        self._ends = array("q")
        self._length = 0

    def add(self, value: Any) -> None:
        """Join it to the text."""
        if not isinstance(value, str):
            raise NotFoldable("text")
        self.size += 1
        self._digest.update(value.encode("utf-8", "surrogatepass"))
        if self._length < LONGEST:
            self._begin.append(value[: LONGEST - self._length])
        self._length += len(value)
        self._ends.append(self._length)
        if len(self._ends) > KEPT:
            del self._ends[0]

    def differs(self, value: Any) -> Difference | None:
        """Compare digests; where they differ, say at which character."""
        if isinstance(value, str) and len(value) == self._length:
            same = hashlib.blake2b(value.encode("utf-8", "surrogatepass")).digest() == self._digest.digest()
            if same:
                return None
        begin = "".join(self._begin)
        expected = excerpt(begin) if self._length <= LONGEST else f"{excerpt(begin)} (and more)"
        if not isinstance(value, str):
            return Difference(f"{plural(self.size, 'part')} before it are a text", expected, self._last())
        at = next(
            (n for n, (a, b) in enumerate(zip(begin, value, strict=False)) if a != b), min(len(begin), len(value))
        )
        if at >= self._length:
            why = f"the {plural(self.size, 'part')} before it are its begin only, {plural(at, 'character')}"
            return Difference(why, expected, self._last())
        first = self.size - len(self._ends)
        part = next((first + n for n, end in enumerate(self._ends) if end > at), self.size - 1)
        if at == LONGEST:
            why = f"it differs from the {plural(self.size, 'part')} before it somewhere behind character {at}"
            return Difference(why, expected, self._last())
        there, here = excerpt(begin[at : at + 12]), excerpt(value[at : at + 12])
        why = f"it differs from the {plural(self.size, 'part')} before it at character {at}: {here}, not {there}"
        return Difference(why, expected, [part])

    def _last(self) -> Sequence[int]:
        return [self.size - 1] if self.size else []


class Sum:
    """Numbers, added exactly as they were written."""

    kept = TOLD
    says = True

    def __init__(self) -> None:
        self.size = 0
        self._total: Number = 0

    def add(self, value: Any) -> None:
        """Add it."""
        number = number_of(value)
        if number is None:
            raise NotFoldable("number")
        self.size += 1
        self._total += number

    def differs(self, value: Any) -> Difference | None:
        """Compare."""
        if number_of(value) == self._total:
            return None
        total = excerpt(self._total if isinstance(self._total, int) else float(self._total))
        return Difference(f"the {plural(self.size, 'number')} before it make {total}", total, _latest(self.size))


class Count:
    """How many there were."""

    kept = TOLD
    says = True

    def __init__(self) -> None:
        self.size = 0

    def add(self, value: Any) -> None:
        """Count it."""
        self.size += 1

    def differs(self, value: Any) -> Difference | None:
        """Compare."""
        if number_of(value) == self.size:
            return None
        return Difference(f"{plural(self.size, 'event')} came before it", str(self.size), _latest(self.size))


class Last:
    """The latest value."""

    kept = 1

    def __init__(self) -> None:
        self.size = 0
        self._value: Any = MISSING
        self._shown = ""

    @property
    def says(self) -> bool:
        """Whether there was one."""
        return self.size > 0

    def add(self, value: Any) -> None:
        """Replace it."""
        self.size += 1
        self._value, self._shown = brief(value), excerpt(value)

    def differs(self, value: Any) -> Difference | None:
        """Compare."""
        if brief(value) == self._value:
            return None
        return Difference(f"the latest before it was {self._shown}", self._shown, [self.size - 1])


class Set:
    """Values, each once."""

    kept = KEPT
    says = True

    def __init__(self) -> None:
        self.size = 0
        self._values: dict[int, tuple[int, str]] = {}
        """Digest to (which part showed it first, how it looks)."""

    def add(self, value: Any) -> None:
        """Put it in."""
        key = digest(value)
        if key not in self._values:
            self._values[key] = (self.size, excerpt(value) if len(self._values) < KEPT else "…")
        self.size += 1

    def differs(self, value: Any) -> Difference | None:
        """Compare with the values of a list."""
        own = [shown for _, shown in list(self._values.values())[:8]]
        expected = "[" + ", ".join(own) + (", …]" if len(self._values) > 8 else "]")
        if not isinstance(value, list):
            return Difference("the values before it make a list", expected, [])
        there = {digest(item): item for item in value}
        absent = [place for key, place in self._values.items() if key not in there]
        extra = [item for key, item in there.items() if key not in self._values]
        if not absent and not extra:
            return None
        why = []
        if absent:
            why.append(f"{listed([shown for _, shown in absent[:3]], 'and')} came before it and is not in it")
        if extra:
            why.append(f"{listed([excerpt(item) for item in extra[:3]], 'and')} is in it and never came before")
        return Difference(", ".join(why), expected, [part for part, _ in absent[:3]])


def _latest(size: int) -> Sequence[int]:
    return range(max(0, size - TOLD), size)


FOLDS: Mapping[str, Callable[[], Fold]] = {"concat": Concat, "sum": Sum, "count": Count, "last": Last, "set": Set}
"""What `op` makes; `json_patch` has a file of its own."""

__all__ = ["FOLDS", "Difference", "Fold", "NotFoldable"]
