"""The public API for invariants of your own, in Python: plain values, no I/O.  See docs/python-invariants.md.

A contract names one by `kind: python` and `use: "module:Class"`; slicing and dispatch are the verifier's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One record of a slice: a message, a step of a connection's life, or a mark."""

    name: str
    """The first of the contract's names for it that the invariant listens to."""
    names: tuple[str, ...]
    """All of those."""
    t: int
    """Nanoseconds on the recorder's clock since the tape began."""
    user: str
    connection: str | None
    direction: str | None
    """`c2s` or `s2c`; None for marks."""
    getter: Callable[[str, Any], Any]
    """What `get` asks; the verifier's."""
    namer: Callable[[], str]
    """What `ref` asks; the verifier's."""

    def get(self, path: str, default: Any = None) -> Any:
        """Return the value at a path of the contract language (`data.usd`, `/a/0`, `@close.code`), or `default`.

        What it returns is yours: changing it changes nothing else.
        """
        return self.getter(path, default)

    @property
    def ref(self) -> str:
        """A name of the event for a witness; a text, so that it can stand in the state.

        The verifier remembers an event from the moment its `ref` is asked for until the slice ends.
        """
        return self.namer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a slice ended."""

    cause: str
    """`exit`, `left`, `lost`, `expired` or `cut`."""
    t: int
    exit: str | None = None
    """The name of the span's exit, where that is the cause."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong, and the events that prove it."""

    why: str
    """A sentence that a stranger can check."""
    witness: Sequence[Event | str]
    """The fewest events that prove it, or their refs."""
    expected: str = ""
    """What would have been right."""
    fault: str | None = None
    """`server` or `client`; None: whoever sent the last event of the witness."""
    proven: bool = False
    """The witness alone proves it.  Else it is inconclusive where the recording has a hole in the slice before it."""
    because: Event | str | None = None
    """An earlier event of the other direction that forbids the last one: if the two crossed, nothing is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an invariant may know beside its state."""

    params: Mapping[str, Any]
    """`params` of the contract, valid against `params_schema`."""
    user: str | None
    slice: Mapping[str, str]
    """What the slice is about: user, connection, keys; as texts."""
    doubter: Callable[[str], None]
    """What `inconclusive` tells; the verifier's."""

    def inconclusive(self, why: str) -> None:
        """Say that something could not be judged."""
        self.doubter(why)


Found = Iterable[Violation] | None
"""What `step` and `end` give back: yield violations, return some, or return nothing."""


class Invariant:
    """An invariant over slices; derive from it, or write a class of the same shape.

    One instance judges all slices, so what it knows of a slice stands in the state.
    """

    params_schema: ClassVar[Mapping[str, Any]] = {}
    """JSON Schema of `params`."""
    per: ClassVar[tuple[str, ...]] = ("connection",)
    """How to slice, unless the contract says `per` or `scope`: the name of a span, or words of `per`."""
    events: ClassVar[tuple[str, ...]] = ()
    """Names of the contract's events that `step` gets, unless the contract says `events`."""

    def start(self, ctx: Context) -> Any:
        """Return the state of a new slice, of JSON's values only."""
        return None

    def step(self, state: Any, event: Event, ctx: Context) -> Found:
        """Take one event."""
        return None

    def end(self, state: Any, ending: Ending, ctx: Context) -> Found:
        """Judge what is owed when the slice is over; the contract's `at_end` decides what that means."""
        return None


__all__ = ["Context", "Ending", "Event", "Found", "Invariant", "Violation"]
