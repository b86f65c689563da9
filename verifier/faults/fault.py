"""What a fault looks like: a table row of pure functions, whose docstring is its page."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from verifier.faults.draft import Mutant, Place
from verifier.faults.reading import Reading

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from verifier.contract import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a server goes wrong."""

    name: str
    kinds: tuple[str, ...]
    """Kinds of invariants that must catch it: `pair`, or `count.min` where the option must be given;
    `wire.unknown` and `wire.undecodable` stand for messages that the contract does not describe, or nobody can read."""
    places: Callable[[Reading], Iterable[Place]]
    """Where it can be applied to a good history."""
    apply: Callable[[Reading, Place], Mutant]
    """What it makes of the history at one place."""
    asks: Callable[[Reading, Place, Spec], bool]
    """Whether an invariant of such a kind, by the words of the contract, looks at what is broken at a place."""
    page: str

    @classmethod
    def of(cls, module: ModuleType) -> Fault:
        """Return the fault that a module describes by KINDS, `places`, `apply`, its docstring and perhaps `asks`."""
        return cls(
            name=module.__name__.rpartition(".")[2],
            kinds=module.KINDS,
            places=module.places,
            apply=module.apply,
            asks=getattr(module, "asks", _asks),
            page=(module.__doc__ or "").strip(),
        )

    def blames(self, kind: str) -> bool:
        """Return whether a kind is one of those that must catch it."""
        return any(word.partition(".")[0] == kind for word in self.kinds)

    def demands(self, kind: str, options: Container[str]) -> bool:
        """Return whether an invariant of a kind, with these options, must catch it."""
        wanted = [word.partition(".")[2] for word in self.kinds if word.partition(".")[0] == kind]
        return any(not option or option in options for option in wanted)

    def strategy(self, reading: Reading) -> SearchStrategy[Mutant]:
        """Return the Hypothesis strategy of all that the fault can make of a history; it shrinks to the first place."""
        from hypothesis import strategies as st

        found = list(self.places(reading))
        return st.sampled_from(found).map(lambda place: self.apply(reading, place)) if found else st.nothing()


def _asks(reading: Reading, place: Place, spec: Spec) -> bool:
    return True
