"""Whose words are whose by the contract: which texts of which messages are sources, and what is searched.  Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from goldentape.path import Place
from verifier.batch.chunk import Unclear
from verifier.globs import compile_glob, roots
from verifier.paths import PathError, as_list
from verifier.patterns import PatternError, check_pattern, compile_pattern
from verifier.record import CONNECT, S2C, Record
from verifier.taint.decode import chosen, number
from verifier.taint.extract import Memory, Public, Reader, is_timed
from verifier.taint.leaves import NAME, texts
from verifier.taint.sketch import Told
from verifier.taint.text import Limits, fold, whole

if TYPE_CHECKING:
    from verifier.contract import Contract

REMEMBERED = 4096
"""Kinds of messages, and places, of which is remembered whether they are sources."""


class Origins:
    """The sources of a contract's `taint`."""

    def __init__(self, contract: Contract, options: Any, at: tuple[str | int, ...], public: Public) -> None:
        specs = options.get("sources", [{"dir": "c2s"}])
        self.specs = _sources(contract, specs, at)
        self._type = contract.wire.type
        self._public = public
        self._roots = [roots(spec["paths"]) if "paths" in spec else ((),) for spec in specs]
        """Where in a message what a source covers begins."""
        self._known: dict[tuple[int | None, tuple[str, ...]], tuple[int, ...]] = {}
        self._places: dict[tuple[tuple[int, ...], Place], bool] = {}
        self._told: dict[tuple[tuple[int, ...], Place], tuple[bool, bool, bool] | tuple[()]] = {}

    def said(self, record: Record) -> list[Told]:
        """Return what a source says."""
        return [(text, *self._flags(place)) for place, text in self.texts(record)]

    def said_in(self, side: int, names: tuple[str, ...], doc: Any) -> list[Told]:
        """Return what a source says, by its value alone.  Raises Unclear where there are bytes in it."""
        matching = self._matching(side, names)
        found: list[Told] = []
        told = self._told
        todo = self._under(matching, doc)
        while todo:
            place, here = todo.pop()
            kind = type(here)
            if kind is dict:
                for name, inner in here.items():
                    if len(name) > 5:
                        todo.append(((*place, name, NAME), name))
                    todo.append(((*place, name), inner))
                continue
            if kind is list:
                todo += [((*place, index), inner) for index, inner in enumerate(here)]
                continue
            if kind is int or kind is float:
                here = number(here)
            elif kind is not str or not here:
                continue
            flags = told.get((matching, place))
            if flags is None:
                if place[-1:] == ("$bytes",):
                    raise Unclear("bytes in a JSON text")
                flags = self._flags(place) if self._covered(matching, place) else ()
                if len(told) < REMEMBERED:
                    told[matching, place] = flags
            if flags:
                found.append((here, *flags))
        return found

    def _under(self, matching: tuple[int, ...], doc: Any) -> list[tuple[Place, Any]]:
        """Return the parts of a message in which all is that some sources cover."""
        found: list[tuple[Place, Any]] = []
        for root in {root for at in matching for root in self._roots[at]}:
            here = doc
            for step in root:
                here = here.get(step) if type(here) is dict else None
            if here is not None:
                if root:
                    found.append(((*root, NAME), root[-1]))
                found.append((root, here))
        return found

    def _flags(self, place: Place) -> tuple[bool, bool, bool]:
        return self._public.covers(place), is_timed(place), place[-1:] == (NAME,)

    def listens(self, side: int, names: tuple[str, ...]) -> bool:
        """Return whether messages of a direction and of these names are sources."""
        return bool(self._matching(side, names))

    def texts(self, record: Record) -> list[tuple[Place, str]]:
        """Return the texts of a record that are a user's own, with their places."""
        if record.kind == CONNECT:
            return list(texts(record))
        matching = self._matching(record.dir, record.names)
        if not matching:
            return []
        return [(place, text) for place, text in texts(record) if self._covered(matching, place)]

    def _matching(self, side: int | None, names: tuple[str, ...]) -> tuple[int, ...]:
        """Return which sources messages of a direction and of these names are."""
        found = self._known.get((side, names))
        if found is None:
            found = tuple(
                at for at, (events, of, _) in enumerate(self.specs)
                if (of is None or of == side) and (not events or not events.isdisjoint(names))
            )  # fmt: skip
            if len(self._known) < REMEMBERED:
                self._known[side, names] = found
        return found

    def _covered(self, matching: tuple[int, ...], place: Place) -> bool:
        """Return whether a place is one of those of some sources; the type of a message is nobody's."""
        covered = self._places.get((matching, place))
        if covered is None:
            bare = without_name(place)
            covered = bare != (self._type,) and any(
                covers is None or covers(bare) for _, _, covers in (self.specs[at] for at in matching)
            )
            if len(self._places) < REMEMBERED:
                self._places[matching, place] = covered
        return covered

    def covers(self, record: Record, place: Place) -> bool:
        """Return whether a place in a message is a source."""
        matching = self._matching(record.dir, record.names)
        return record.kind != CONNECT and bool(matching) and self._covered(matching, place)


class Sinks:
    """Which messages are searched, and where."""

    def __init__(self, contract: Contract, options: Any, at: tuple[str | int, ...]) -> None:
        here = (*at, "sinks")
        self._events = frozenset(contract.names(options.get("event", "$any"), (*here, "event")))
        self._except = frozenset(contract.names(options.get("except"), (*here, "except")))
        self.ignores = _covers(contract, options["ignore"], (*here, "ignore")) if "ignore" in options else None

    def has(self, record: Record) -> bool:
        """Return whether a record is searched."""
        return not self._events.isdisjoint(record.names) and self._except.isdisjoint(record.names)


def _sources(contract: Contract, value: Any, at: tuple[str | int, ...]) -> list[_Source]:
    found: list[_Source] = []
    for index, spec in enumerate(value):
        here = (*at, "sources", index)
        events = frozenset(contract.names(spec.get("event"), (*here, "event")))
        side = {"c2s": 0, "s2c": 1, None: None}[spec.get("dir")]
        if side == S2C and not events and "paths" not in spec:
            raise contract.error(
                here, "all that the server says would be everybody's own", fix="name an event, or paths"
            )
        found.append((events, side, _covers(contract, spec["paths"], (*here, "paths")) if "paths" in spec else None))
    return found


_Source = tuple[frozenset[str], int | None, Callable[[Place], bool] | None]
"""(events, direction, places); no events and no places mean all"""


def _covers(contract: Contract, paths: Any, at: tuple[str | int, ...]) -> Callable[[Place], bool]:
    try:
        return compile_glob(paths)
    except PathError as error:
        raise contract.error(at, str(error), found=", ".join(as_list(paths))) from None


def reader_of(contract: Contract, options: Any, at: tuple[str | int, ...]) -> tuple[Reader, int | None]:
    """Return how texts are read, and how many must have sent a value for it to be common.  Raises ContractError."""
    public = options.get("public", {})
    canary = None
    patterns = []
    place: tuple[str | int, ...] = (*at, "canary")
    try:
        if "canary" in options:
            canary = _canary(options["canary"])
        for index, pattern in enumerate(public.get("patterns", ())):
            place = (*at, "public", "patterns", index)
            patterns.append(compile_pattern(pattern))
    except PatternError as error:
        raise contract.error(place, str(error)) from None
    values = frozenset(whole(fold(str(value))) for value in public.get("values", ()))
    covers = _covers(contract, public.get("paths", ()), (*at, "public", "paths"))
    reader = Reader(
        Limits(**options.get("min", {})), chosen(options.get("decode")), canary, Public(values, patterns, covers)
    )
    wanted = [options.get(name) for name in ("min", "decode", "canary", "public")]
    reader.remembers(_texts_read(json.dumps(wanted, sort_keys=True, default=str)))
    return reader, public.get("common_to")


@lru_cache(64)
def _canary(pattern: str) -> re.Pattern[str]:
    check_pattern(pattern)
    canary = re.compile(pattern, re.IGNORECASE)
    if canary.search("") is not None:
        raise PatternError("a canary that matches nothing at all would be everywhere")
    return canary


@lru_cache(8)
def _texts_read(options: str) -> Memory:
    """Return what readers with these options remember of texts: short recordings by the hundred say the same."""
    return {}


def beginning(pattern: str) -> bytes:
    """Return the letters that each match of a pattern begins with, in lower case; none where that is not known."""
    plain = re.match(r"(?:[A-Za-z0-9]|-(?![*+?{]))*(?![*+?{|])", pattern)
    return plain[0].lower().encode() if plain is not None and "|" not in pattern else b""


def without_name(place: Place) -> Place:
    """Return the place of a member, not of its name."""
    return place[:-1] if place and place[-1] == NAME else place
