"""A folder of JSON Schemas for a contract: `NAME.json` is that of the event NAME, others may be referred to.  Pure.

Each schema has an invariant of its own, so that one which no message meets is vacuous, not forgotten.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from goldentape.errors import InputError
from verifier.load import Document, Path, nearest
from verifier.references import Library, Place, Schemas
from verifier.schemas import DRAFTS, LISTS, MAPPINGS, NEWEST, ONES

CONTRACT = ""
"""The contract's name among the files of the folder: it stands where they stand."""
_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//|#|/")


class SchemaFolder:
    """The schemas of a folder, for one contract after another."""

    def __init__(self, library: Library, files: list[str]) -> None:
        self._library = library
        self._files = files
        self._used: set[str] = set()
        self._events: set[str] = set()

    def bind(self, document: Document) -> bytes:
        """Give a contract the schemas; return the bytes that they were read from."""
        return _Binding(self._library, document, self._used).bind(self._files, self._events)

    def demand_used(self) -> None:
        """Raise InputError where a file is no event's and nothing refers to it: it would judge nothing."""
        for file in self._files:
            if file not in self._used:
                stem = posixpath.basename(file).partition(".")[0]
                raise InputError(
                    "the schema names no event of the contract, and nothing refers to it",
                    where=self._library.documents[file].name, found=stem,
                    fix=nearest(stem, self._events) or "name the file after an event",
                )  # fmt: skip


class _Binding:
    def __init__(self, library: Library, document: Document, used: set[str]) -> None:
        self._library = library
        self._document = document
        self._used = used
        self._taken = set(document.schemas)
        self._drafts: dict[str, Schemas] = {}
        library.documents[CONTRACT] = document

    def bind(self, files: list[str], events: set[str]) -> bytes:
        value = self._document.value
        own = {file: self._library.open(file) for file in files}
        named = {file: self._schemas(place).reference(place) for file, place in own.items()}
        given = value.get("events")
        known: dict[str, Any] = given if isinstance(given, dict) else {}
        events.update(known)
        for name, event in known.items():
            if isinstance(event, dict):
                for word in ("schema", "where"):
                    if word in event:
                        event[word] = self._rewritten(event[word], ("events", name, word), word == "schema")
        for section in ("schemas", "invariants"):
            part = value.get(section)
            for name in part if isinstance(part, dict) else ():
                part[name] = self._rewritten(part[name], (section, name), section == "schemas")
        self._forget_the_rest(known)
        for file, ref in named.items():
            stem = file.partition(".")[0]  # a file in a folder of its own is there to be referred to
            event = known.get(stem)
            if isinstance(event, dict) and not ("schema" in event and file in self._library.referred):
                self._give(stem, known[stem], own[file], ref)
        value["schemas"] = dict(self._document.schemas)
        for schemas in self._drafts.values():
            value["schemas"] |= schemas.made
            self._document.elsewhere |= schemas.origins
        self._used |= self._library.referred
        return b"".join(self._library.texts)

    def _schemas(self, place: Place) -> Schemas:
        draft = self._draft(place)
        return self._drafts.setdefault(draft, Schemas(draft, self._taken, foreign=False))

    def _draft(self, place: Place) -> str:
        """Return the draft of a file: its root says it, for all that is in it."""
        root = Place(self._library, place.file, ())
        uri = root.value.get("$schema", NEWEST) if isinstance(root.value, dict) else NEWEST
        if str(uri).rstrip("#") not in DRAFTS:
            raise root.child("$schema").error("unknown $schema", found=uri, wanted=" or ".join(DRAFTS))
        return str(uri)

    def _rewritten(self, value: Any, at: Path, schema: bool) -> Any:
        """Return a part of the contract whose references to files are references to schemas."""
        if isinstance(value, list):
            return [self._rewritten(item, (*at, index), schema) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        made: dict[str, Any] = {}
        for word, inner in value.items():
            place: Path = (*at, word)
            if not schema:
                made[word] = self._rewritten(inner, place, word == "schema")
            elif word == "$ref" and isinstance(inner, str) and not _ELSEWHERE.match(inner):
                target = self._library.find(inner, Place(self._library, CONTRACT, place))
                made[word] = self._schemas(target).reference(target)
            elif word in MAPPINGS and isinstance(inner, dict):
                made[word] = {key: self._rewritten(item, (*place, key), True) for key, item in inner.items()}
            elif word in ONES or word in LISTS:
                made[word] = self._rewritten(inner, place, True)
            else:
                made[word] = inner
        return made

    def _give(self, name: str, event: dict[str, Any], place: Place, ref: str) -> None:
        """The schema of a file is that of the event after which the file is named."""
        file = self._library.documents[place.file].name
        if "schema" in event:
            raise self._document.error(
                ("events", name, "schema"), "the event has a schema of its own", found=file, fix="remove one of them"
            )
        event["schema"] = {"$schema": self._draft(place), "$ref": ref}
        self._document.elsewhere["events", name, "schema"] = (place.document, ())
        self._used.add(place.file)
        invariants = self._document.value.setdefault("invariants", {})
        rule = "schema-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        while rule in invariants:
            rule += "-2"
        invariants[rule] = {"kind": "schema", "events": [name]}
        self._document.elsewhere["invariants", rule] = (place.document, ())

    def _forget_the_rest(self, events: dict[str, Any]) -> None:
        """An invariant of every schema is of those that the contract has itself: each of the folder has its own."""
        own = [name for name, event in events.items() if isinstance(event, dict) and "schema" in event]
        invariants = self._document.value.get("invariants")
        for name, spec in list(invariants.items()) if isinstance(invariants, dict) else []:
            if isinstance(spec, dict) and spec.get("kind") == "schema" and "events" not in spec:
                if own:
                    spec["events"] = own
                else:
                    del invariants[name]


__all__ = ["SchemaFolder"]
