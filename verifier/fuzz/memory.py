"""What failed before, kept in a database of Hypothesis' examples: each small workload with its schedule, by search."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis.database import ExampleDatabase

from goldentape.errors import GoldentapeError
from verifier.fuzz.found import Found
from verifier.fuzz.schedule import Schedule
from verifier.fuzz.workload import Workload

MOST = 20
"""Failures that are remembered of one search."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """A failure of another day."""

    value: bytes
    """As it stands in the database."""
    workload: Workload
    schedule: Schedule
    faults: tuple[str, ...]
    """Those that it was found with."""
    fingerprint: str


class Memory:
    """The failures of one search: what is kept under its key.  Without a database nothing is."""

    def __init__(self, database: ExampleDatabase | None, key: bytes) -> None:
        self._database = database
        self._key = key

    def recall(self, workload: Workload) -> list[Remembered]:
        """Return what failed before; how users say who they are is taken from a workload of today."""
        return sorted(self._all(workload), key=lambda one: one.value)[:MOST]

    def keep(self, found: Found, faults: tuple[str, ...]) -> None:
        """Remember a failure, instead of older ones of its kind.  Keys of tokens are not kept."""
        if self._database is None:
            return
        fingerprint = found.failure.fingerprint
        for old in self._all(found.workload):
            if old.fingerprint == fingerprint:
                self.forget(old)
        value = {
            "fingerprint": fingerprint, "faults": faults, "schedule": found.schedule.to_json(),
            "workload": replace(found.workload, passports=()).to_json(),
        }  # fmt: skip
        self._database.save(self._key, json.dumps(value).encode())

    def forget(self, remembered: Remembered) -> None:
        """Forget a failure: it holds now."""
        if self._database is not None:
            self._database.delete(self._key, remembered.value)

    def _all(self, workload: Workload) -> Iterator[Remembered]:
        for value in [] if self._database is None else list(self._database.fetch(self._key)):
            try:
                read = json.loads(value)
                yield Remembered(
                    value, replace(Workload.from_json(read["workload"]), passports=workload.passports),
                    Schedule.from_json(read["schedule"]), tuple(map(str, read["faults"])), str(read["fingerprint"]),
                )  # fmt: skip
            except (ValueError, LookupError, TypeError, GoldentapeError):
                continue  # something else's, or of another release
