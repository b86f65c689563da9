"""What the recorded messages say to a contract: their events, values and keys, and what they mention.  Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from verifier.contract import Contract
from verifier.faults.reading import Reading
from verifier.fuzz.offline.mentions import ids_of, is_token, texts_of, users_in
from verifier.fuzz.offline.recorded import Kind, Recorded
from verifier.paths import compile_value_path


class Said:
    """The messages of a recording, as a contract reads them; by the numbers of their steps."""

    def __init__(
        self, recorded: Recorded, by: Contract, held: Collection[str] = (), owned: Collection[str] = ()
    ) -> None:  # fmt: skip
        """Read them by a contract.

        `held`: its keys that name what users share, and nobody creates.  `owned`: those that name what is somebody's.
        """
        self.recorded = recorded
        self.by = by
        reading = Reading(by, recorded.draft)
        self.values: dict[int, Any] = {}
        self.names: dict[int, tuple[str, ...]] = {}
        self.keys: dict[int, dict[str, Any]] = {}
        self.words: dict[int, str] = {}
        """What each is called: an event of the contract, else its own type."""
        self.mentioned: dict[int, set[Any]] = {}
        """The ids in a message, without the names of what users share."""
        self.texts: dict[int, set[Any]] = {}
        """Its texts and numbers, without the contract's own words."""
        self.users: dict[int, set[str]] = {}
        """The other users whom it names."""
        spans = {*owned, *(key for span in by.spans.values() for key in span.keys)} - set(held)
        people = {step.user for step in recorded.steps} - {""}
        words = {*by.events, *(word for event in by.events.values() for word in event.types or ())}
        type_of = None if by.wire.type is None else compile_value_path(by.wire.type)
        for n, step in enumerate(recorded.steps):
            if step.kind is not Kind.LINE:
                continue
            seen = reading.seen[step.line]
            self.values[n], self.names[n], self.keys[n] = seen.value, seen.names, seen.keys
            resources = {one for name, one in seen.keys.items() if name in held and _plain(one) and not is_token(one)}
            known = [one for name, one in seen.keys.items() if name in spans and _plain(one)]
            type_ = None if type_of is None else type_of(seen.value)
            self.words[n] = next(iter(seen.names), type_ if isinstance(type_, str) else "message")
            self.mentioned[n] = ids_of(seen.value, known) - resources - people
            self.texts[n] = (
                texts_of(seen.value) - resources - people - words - {type_ if isinstance(type_, str) else None}
            )
            self.users[n] = users_in(seen.value, people) - {step.user}


def _plain(value: Any) -> bool:
    return isinstance(value, (str, int, float, bool))
