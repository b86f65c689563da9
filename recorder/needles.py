"""Many needles, some of which come while we search: an automaton in two parts.  Pure.

Needles that have been there for a while are compiled together with the fixed ones, so a block is walked once.  New
ones are compiled apart, quickly, and join the others when no more come, or when they have become many.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ahocorasick_rs import BytesAhoCorasick, Implementation

_DFA_MOST = 16_384
"""Beyond that many needles a DFA takes too much memory; the other kind is half as fast."""
WINDOW = 1 << 18
LONGEST = 128
"""Bytes of the longest needle."""
_FRESH_MOST = 64
_QUIET = 64
"""Blocks without a new needle after which the new ones join the others."""


_FOLDED = bytes(0x80 if c >= 0x80 else c for c in range(256)).lower()


def fold(text: bytes) -> bytes:
    """Return `text` as it is searched: lower case, and all bytes that are not ASCII alike."""
    return text.lower() if text.isascii() else text.translate(_FOLDED)


def _compile(needles: Sequence[bytes]) -> BytesAhoCorasick:
    kind = Implementation.DFA if len(needles) <= _DFA_MOST else Implementation.ContiguousNFA
    return BytesAhoCorasick(needles, implementation=kind)


class Needles:
    """Fixed needles, and those of a list that grows at its end; all of them folded, as `find` does with blocks."""

    def __init__(self, fixed: Sequence[bytes], growing: Sequence[bytes]) -> None:
        self._fixed = tuple(fixed)
        self._growing = growing
        self._settled = 0
        self._fresh_end = 0
        self._quiet = 0
        self._main: BytesAhoCorasick | None = None
        self._fresh: BytesAhoCorasick | None = None

    def find(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        """Yield (number of the needle, start, end): fixed needles count from 0, growing ones go on behind them."""
        self._compile()
        shift = len(self._fixed) + self._settled
        # In windows, so that a hostile block of nothing but needles costs no memory.
        for begin in range(0, len(block), WINDOW):
            window = fold(block if len(block) <= WINDOW else block[begin : begin + WINDOW + LONGEST])
            for automaton, first in ((self._main, 0), (self._fresh, shift)):
                if automaton is None:
                    continue
                for needle, start, end in automaton.find_matches_as_indexes(window, overlapping=True):
                    if start < WINDOW:
                        yield needle + first, start + begin, end + begin

    def _compile(self) -> None:
        total = len(self._growing)
        fresh = total - self._settled
        if total != self._fresh_end:
            self._fresh_end, self._quiet, self._fresh = total, 0, None
        else:
            self._quiet += 1
        # Settling is dear: only when it pays for long.
        many = fresh > max(_FRESH_MOST, self._settled // 8)
        calm = fresh > 0 and self._quiet > _QUIET and (fresh > self._settled // 64 or self._quiet > 64 * _QUIET)
        if many or calm:
            self._settled, self._main, self._fresh, fresh = total, None, None, 0
        if self._main is None and (self._fixed or self._settled):
            self._main = _compile((*self._fixed, *self._growing[: self._settled]))
        if self._fresh is None and fresh:
            self._fresh = _compile(self._growing[self._settled :])
