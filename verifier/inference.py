"""Keys that messages do not carry: what a connection has shown, and what is shown next.  Plain state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from verifier.keys import Key
from verifier.paths import MISSING
from verifier.record import S2C, Record, Session
from verifier.slices import MANY, Placeholder
from verifier.spans import AMBIGUOUS, SpanRun


class Inference:
    """Supplies the values of keys that say `missing: infer`, over one history."""

    def __init__(self, keys: Iterable[Key], runs: Iterable[SpanRun]) -> None:
        self._keys = [key for key in keys if key.missing == "infer"]
        self._run_of = {run.key.name: run for run in runs if run.key is not None}

    def note(self, record: Record, session: Session) -> None:
        """Take the values that a message carries; what waited for one gets it."""
        for key in self._keys:
            value = key.read(record)
            if value is not MISSING:
                _shown(session, key.name, value, record.dir == S2C)

    def infer(self, key: Key, record: Record) -> Any:
        """Return the value of a key that a record does not carry: a value, a placeholder, or AMBIGUOUS."""
        session = record.session
        assert session is not None
        run = self._run_of.get(key.name)
        if run is not None:
            meant = run.meant(record)
            if len(meant) > 1:
                return AMBIGUOUS
            if meant:
                return meant[0].key if meant[0].key is not MISSING else ("nameless", meant[0].number)
        shown = session.shown.get(key.name)
        if shown is MANY:
            return AMBIGUOUS
        if record.guessed is None:
            record.guessed = {}
        record.guessed[key.name] = shown
        if shown is not None:
            return shown
        placeholder = session.inferred.get(key.name)
        if placeholder is None:
            placeholder = session.inferred[key.name] = Placeholder(key.name)
        return placeholder


def _shown(session: Session, key: str, value: Any, by_server: bool) -> None:
    known = session.shown.get(key)
    if known is None:
        session.shown[key] = value
    elif known is not MANY and known != value:
        session.shown[key] = MANY
    if by_server and session.inferred:
        placeholder = session.inferred.pop(key, None)
        if placeholder is not None:
            for slice in placeholder.slices:
                slice.check.resolve(slice, placeholder, value)
