"""What a contract declares, one value each: how messages are written, spans, scopes, and what every invariant has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verifier.conditions import When
from verifier.load import Path
from verifier.paths import Getter
from verifier.predicate import Predicate


@dataclass(frozen=True, slots=True)
class Wire:
    """How messages are written."""

    format: str = "json"
    type: str | None = None
    id: Getter | None = None
    unwrap: bool = False
    subprotocol: str | None = None
    unknown: str = "warning"
    race: int = 0
    """Nanoseconds within which two messages of opposite directions have no order."""
    handshakes: bool = False
    """An event asks what the client said in its handshake."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a conversation: from an opening event to one of its exits."""

    name: str
    open: frozenset[str]
    keys: tuple[str, ...]
    exits: Mapping[str, frozenset[str]]
    suspend: bool
    """A close only suspends: the same key on another session of the user resumes."""
    grace: int | None
    line: int
    one_at_a_time: bool = False
    """A user has one open instance at most; `exits` judges it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A scope between events: begins with one of `begin` (none: at once), is over before one of `end` (none: never)."""

    begin: frozenset[str]
    end: frozenset[str]
    must_end: bool
    """`between`: where the end never comes, it was none."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What every invariant has; the rest is in `options`."""

    name: str
    kind: str
    per: tuple[str, ...]
    """Words of `per`; empty where only the scope slices."""
    scope: str | None
    """A span."""
    segment: Segment | None
    """Of the slice, or of the span's instance."""
    where: Predicate | None
    when: When
    severity: str
    gate: str
    at_end: Mapping[str, str]
    min_activations: int
    req: tuple[str, ...]
    impact: str | None
    line: int
    options: Mapping[str, Any]
    at: Path
