"""Keys: how records correlate, and what an absent one means.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifier.equality import atom, is_type
from verifier.paths import MISSING, Getter
from verifier.record import Record


@dataclass(frozen=True, slots=True)
class Key:
    """A field, or the first present of several, whose value says what belongs together."""

    name: str
    get: Getter
    missing: str
    """violation, ignore, value or infer."""
    types: tuple[str, ...]
    fallback: Getter | None
    """Pairs records in order where the key itself is absent; it owns nothing."""
    by_event: Mapping[str, Getter]
    """Events that carry the key elsewhere."""
    paths: tuple[str, ...]
    inside: frozenset[str] | None = None
    """The only events that carry it; None: all do."""
    without: frozenset[str] = frozenset()
    """Events that say `keys: {}`: they carry none."""

    def carried(self, names: tuple[str, ...]) -> bool:
        """Return whether the contract says that a record of these names has it: else none is missing."""
        return (self.inside is None or not self.inside.isdisjoint(names)) and self.without.isdisjoint(names)

    def read(self, record: Record) -> Any:
        """Return the key's value in a record as a hashable stand-in, or MISSING.  null is no id."""
        found = record.keys.get(self.name)
        if found is not None:
            return found
        if (self.inside is not None or self.without) and not self.carried(record.names):
            record.keys[self.name] = MISSING
            return MISSING
        get = self.get
        if self.by_event:
            for name in record.names:
                if name in self.by_event:
                    get = self.by_event[name]
                    break
        result = record.keys[self.name] = self.stand_in(get(record))
        return result

    def stand_in(self, value: Any) -> Any:
        """Return a hashable stand-in for what was found at the key's path, or MISSING if that is no key."""
        if type(value) is str:
            return value if not self.types or "string" in self.types else MISSING
        return atom(value) if self._fits(value) else MISSING

    def _fits(self, value: Any) -> bool:
        if value is None or value is MISSING or isinstance(value, (dict, list)):
            return False
        return not self.types or any(is_type(value, name) for name in self.types)

    def read_fallback(self, record: Record) -> Any:
        """Return the stand-in for a fallback value, or MISSING; never equal to a value of the key itself."""
        if self.fallback is None or not self.carried(record.names):
            return MISSING
        value = self.fallback(record)
        return MISSING if value is MISSING or value is None else ("fallback", atom(value))


def plain(value: Any) -> str:
    """Write a stand-in for people."""
    if isinstance(value, tuple):
        return plain(value[1]) if len(value) == 2 else str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
