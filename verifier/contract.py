"""A contract, resolved: events, keys, spans and invariants, ready to be compiled.  Text in, values out; no I/O.

text -> load (places, guards) -> params -> shape (JSON Schema) -> here (names, paths, meaning)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from verifier.clock import Clock, compile_clock
from verifier.conditions import When, compile_when
from verifier.durations import duration, parse_duration
from verifier.events import BUILT_IN, EventDef
from verifier.globs import compile_glob
from verifier.keys import Key
from verifier.load import ContractError, Document, Path, load, nearest
from verifier.params import declared, substitute
from verifier.paths import Getter, PathError, as_list, compile_path, compile_value_path, first_of
from verifier.predicate import Predicate, compile_predicate
from verifier.principal import NOBODY, Principal, compile_principal
from verifier.record import C2S, S2C
from verifier.shape import check_shape
from verifier.units import sliced
from verifier.waivers import Waiver, compile_waivers
from verifier.wanted import demanding

SESSION_WORDS = ("connection", "session")
DIRECTIONS: Mapping[str, int | None] = {"s2c": S2C, "c2s": C2S, "any": None}
CLOUDEVENTS_CLOCK = {"path": "time"}
CAUSES = ("exit", "left", "lost", "expired", "cut")


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


@dataclass(slots=True)
class Contract:
    """A contract that can be judged by."""

    document: Document
    id: str
    version: str
    title: str
    digest: str
    wire: Wire
    keys: dict[str, Key] = field(default_factory=dict)
    events: dict[str, EventDef] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    invariants: dict[str, Spec] = field(default_factory=dict)
    tiers: dict[str, Spec] = field(default_factory=dict)
    """What share of the units must be well in recordings of some tags: a ratio each."""
    disabled: list[str] = field(default_factory=list)
    schemas: dict[str, Any] = field(default_factory=dict)
    clock: Clock | None = None
    waivers: tuple[Waiver, ...] = ()
    principal: Principal = NOBODY
    compare: Mapping[str, Any] = field(default_factory=dict)
    """How recordings are compared; `ignore` can be read by `globs`."""
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    """The day that waivers are held against."""
    params: dict[str, Any] = field(default_factory=dict)
    """The parameters with their values."""
    code: dict[str, Any] = field(default_factory=dict)
    """What the invariants of kind `python` use; `verifier/plugins.py` brings it."""

    @property
    def file(self) -> str:
        """The file as messages show it."""
        return self.document.name

    def error(self, at: Iterable[str | int], what: str, **facts: Any) -> ContractError:
        """Return an error that points into the contract."""
        return self.document.error(at, what, **facts)

    def names(self, value: Any, at: Path) -> tuple[str, ...]:
        """Return names of events, all of which exist."""
        found = as_list(value)
        for index, name in enumerate(found):
            if name not in self.events and name not in BUILT_IN:
                place = at if isinstance(value, str) else (*at, index)
                raise self.error(place, "no such event", found=name, fix=nearest(name, [*self.events, *BUILT_IN]))
        return found

    def key_names(self, value: Any, at: Path) -> tuple[str, ...]:
        """Return names of keys, all of which exist."""
        found = as_list(value)
        for name in found:
            if name not in self.keys:
                raise self.error(
                    at, "no such key", found=name, fix=nearest(name, self.keys) or "declare it under `keys`"
                )
        return found

    def getters(self, value: Any, at: Path) -> Getter:
        """Return one function for a path or the first present of several."""
        try:
            return first_of(as_list(value))
        except PathError as error:
            raise self.error(at, str(error), found=value) from None

    def span(self, name: str, at: Path) -> Span:
        """Return a span that exists."""
        if name not in self.spans:
            raise self.error(at, "no such span", found=name, fix=nearest(name, self.spans))
        return self.spans[name]

    def time(self, value: Any, at: Path) -> int:
        """Return nanoseconds."""
        try:
            return parse_duration(str(value))
        except ValueError as error:
            raise self.error(at, str(error), found=value) from None

    def agree(self, value: Any, at: Path) -> tuple[tuple[str, Getter, Getter], ...]:
        """Return (path, getter in the later event, getter in the earlier one) of an `agree`."""
        pairs = value.items() if isinstance(value, dict) else [(path, path) for path in as_list(value)]
        found = []
        for later, earlier in pairs:
            try:
                found.append((later, compile_path(later), compile_path(earlier)))
            except PathError as error:
                raise self.error(at, str(error), found=later) from None
        return tuple(found)


def read_contract(data: bytes, name: str, settings: Mapping[str, str] | None = None) -> Contract:
    """Return the contract in `data`, with values for its parameters.

    Raises ContractError with the line of what is wrong.
    """
    return build(load(data, name), data, settings or {})


def build(document: Document, data: bytes, settings: Mapping[str, str]) -> Contract:
    """Return the contract that was loaded from `data`; settings that it does not know are not its business."""
    try:
        return _build(document, data, settings)
    except RecursionError:
        raise document.error((), "nested too deeply to be understood") from None


def _build(document: Document, data: bytes, settings: Mapping[str, str]) -> Contract:
    if "asyncapi" in document.value:
        raise document.error(("asyncapi",), "the AsyncAPI document has not been read", fix="judge by the file itself")
    substitute(document, settings)
    check_shape(document)
    value = document.value
    head = value["contract"]
    contract = Contract(
        document,
        id=head["id"],
        version=head["version"],
        title=head.get("title", ""),
        digest=hashlib.sha256(data).hexdigest(),
        wire=_wire(value.get("wire", {}), document),
        schemas=value.get("schemas", {}),
        params=declared(document),
    )
    contract.clock = compile_clock(
        contract, value.get("clock", CLOUDEVENTS_CLOCK if contract.wire.format == "cloudevents" else None)
    )
    _events(contract, value["events"])
    _keys(contract, value.get("keys", {}))
    _spans(contract, value.get("spans", {}))
    _invariants(contract, value["invariants"])
    _tiers(contract, value.get("tiers", {}))
    contract.waivers = compile_waivers(contract, value.get("waivers", ()))
    contract.principal = compile_principal(contract, value.get("principal"))
    contract.compare = _compare(contract, value.get("compare", {}))
    return contract


def _compare(contract: Contract, value: Mapping[str, Any]) -> Mapping[str, Any]:
    for index, path in enumerate(value.get("ignore", ())):
        try:
            compile_glob(path)
        except PathError as error:
            raise contract.error(("compare", "ignore", index), str(error), found=path) from None
    return value


def _wire(value: Mapping[str, Any], document: Document) -> Wire:
    at: Path = ("wire",)

    def path(key: str) -> Getter | None:
        if key not in value:
            return None
        try:
            return compile_path(value[key])
        except PathError as error:
            raise document.error((*at, key), str(error), found=value[key]) from None

    form = value.get("format", "json")
    if value.get("unwrap", "array") != "array":
        raise document.error((*at, "unwrap"), "only batches are unwrapped", found=value["unwrap"], wanted="array")
    if "type" in value:
        try:
            compile_value_path(value["type"])
        except PathError as error:
            raise document.error((*at, "type"), str(error), found=value["type"]) from None
    race = parse_duration(value["race"]) if "race" in value else 0
    return Wire(
        form,
        value.get("type", "type" if form == "cloudevents" else None),
        path("id"),
        "unwrap" in value,
        value.get("subprotocol"),
        value.get("unknown", "warning"),
        race,
        any("schema" in event and event.get("on") == "connect" for event in document.value["events"].values()),
    )


def _events(contract: Contract, value: Mapping[str, Any]) -> None:
    for name, spec in value.items():
        at: Path = ("events", name)
        union, rest = spec.get("any_of"), spec.get("except")
        if (union is not None) + (rest is not None) > 1 or (
            (union is not None or rest is not None) and {"type", "where", "on", "schema"} & spec.keys()
        ):
            raise contract.error(
                at, "an event is a union, the rest of one, or has a type and tests of its own; not several"
            )
        on = spec.get("on", "message")
        types = as_list(spec["type"]) if "type" in spec else None
        if "schema" in spec and on not in ("message", "connect"):
            raise contract.error((*at, "schema"), "only messages and handshakes have a schema", found=f"on: {on}")
        if on != "message" and types is not None:
            raise contract.error((*at, "type"), f"only messages have a type, and {name} is on: {on}")
        if types is not None and contract.wire.type is None:
            raise contract.error(
                (*at, "type"), "the contract does not say where a message's type stands", fix="set wire.type"
            )
        if on == "message" and types is None and contract.wire.type is not None and union is None and rest is None:
            types = (name,)
        contract.events[name] = EventDef(
            name,
            DIRECTIONS[spec.get("dir", "s2c")],
            on,
            types,
            compile_predicate(spec["where"], contract.document, (*at, "where")) if "where" in spec else None,
            tuple(union) if union is not None else None,
            tuple(rest) if rest is not None else None,
            spec.get("schema"),
            contract.document.line(*at),
            spec.get("deprecated"),
        )
    for name, event in contract.events.items():
        for field_name, members in (("any_of", event.any_of), ("except", event.unless)):
            for index, member in enumerate(members or ()):
                if member not in contract.events:
                    place = ("events", name, field_name, index)
                    raise contract.error(place, "no such event", found=member, fix=nearest(member, contract.events))
    done: set[str] = set()
    for name in contract.events:
        _no_circle(contract, name, (), done)


def _no_circle(contract: Contract, name: str, trail: tuple[str, ...], done: set[str]) -> None:
    """A union that is part of itself says nothing; of two rests of each other, the first one asked would win."""
    if name in trail:
        raise contract.error(("events", name), "events in a circle", found=" -> ".join([*trail, name]))
    if name in done:
        return
    event = contract.events[name]
    for member in (*(event.any_of or ()), *(event.unless or ())):
        _no_circle(contract, member, (*trail, name), done)
    done.add(name)


def _keys(contract: Contract, value: Mapping[str, Any]) -> None:
    by_event: dict[str, dict[str, Getter]] = {}
    without = {event for event, spec in contract.document.value["events"].items() if spec.get("keys") == {}}
    for event, spec in contract.document.value["events"].items():
        for key, path in spec.get("keys", {}).items():
            at: Path = ("events", event, "keys", key)
            if key not in value:
                raise contract.error(at, "no such key", found=key, fix=nearest(key, value) or "declare it under `keys`")
            by_event.setdefault(key, {})[event] = contract.getters(path, at)
    for name, given in value.items():
        at = ("keys", name)
        if name in (*SESSION_WORDS, "user", "client", "recording"):
            raise contract.error(at, f"`{name}` is a word of the language, not a name for a key")
        spec = {"path": given} if isinstance(given, str) else given
        inside = frozenset(contract.names(spec["in"], (*at, "in"))) if "in" in spec else None
        if inside is not None and (extra := sorted(by_event.get(name, {}).keys() - inside)):
            raise contract.error(
                ("events", extra[0], "keys", name), f"the key {name} is read `in` other events only", found=extra[0]
            )
        fallback = contract.getters(spec["fallback"], (*at, "fallback")) if "fallback" in spec else None
        contract.keys[name] = Key(
            name,
            contract.getters(spec["path"], (*at, "path")),
            spec.get("missing", "violation"),
            as_list(spec.get("type")),
            fallback,
            by_event.get(name, {}),
            as_list(spec["path"]),
            inside,
            frozenset(without),
        )


def _spans(contract: Contract, value: Mapping[str, Any]) -> None:
    for name, spec in value.items():
        at: Path = ("spans", name)
        for word in as_list(spec.get("per")):
            if word not in SESSION_WORDS:
                raise contract.error((*at, "per"), "a span is per connection, or has a key", found=word)
        keys = contract.key_names(spec.get("key"), (*at, "key"))
        if keys and "per" in spec:
            raise contract.error((*at, "per"), "a span has a key or is per connection, not both")
        if len(keys) > 1:
            raise contract.error((*at, "key"), "a span has one key in this release", found=", ".join(keys))
        suspend = spec.get("on_drop", "end") == "suspend"
        if suspend and not keys:
            raise contract.error((*at, "on_drop"), "only a span with a key can be resumed on another connection")
        contract.spans[name] = Span(
            name,
            frozenset(contract.names(spec["open"], (*at, "open"))),
            keys,
            {exit: frozenset(contract.names(names, (*at, "exits", exit))) for exit, names in spec["exits"].items()},
            suspend,
            contract.time(spec["grace"], (*at, "grace")) if "grace" in spec else None,
            contract.document.line(*at),
            bool(spec.get("one_at_a_time")),
        )


def _invariants(contract: Contract, value: Mapping[str, Any]) -> None:
    for name, spec in value.items():
        at: Path = ("invariants", name)
        if spec.get("enabled") is False:
            contract.disabled.append(name)
            continue
        made = _spec(contract, name, spec, at)
        contract.invariants[name] = sliced(contract, made) if made.kind == "ratio" else made
    for name, made in contract.invariants.items():
        if made.kind == "coverage":
            contract.invariants[name] = demanding(contract, made)
    judged = {spec.scope for spec in contract.invariants.values() if spec.kind == "exits"}
    for span in contract.spans.values():
        if span.one_at_a_time and span.name not in judged:
            raise contract.error(
                ("spans", span.name, "one_at_a_time"), "no invariant judges it", found=span.name,
                fix=f"add one: {{kind: exits, scope: {span.name}}}",
            )  # fmt: skip
    if not contract.invariants:
        raise contract.error(("invariants",), "every invariant is disabled: nothing would be judged")


def _tiers(contract: Contract, value: Mapping[str, Any]) -> None:
    of = value.get("unit", "run")
    for name, tier in value.items():
        if name == "unit":
            continue
        at: Path = ("tiers", name)
        options = {"kind": "ratio", "of": of, "min": tier["pass_rate"], "min_activations": 0}
        options |= {word: tier[word] for word in ("when", "min_units") if word in tier}
        if not tier["when"]:
            raise contract.error((*at, "when"), "a tier is for some recordings", wanted="tag, users or release")
        contract.tiers[name] = sliced(contract, _spec(contract, f"tier-{name}", options, at))


def _segment(contract: Contract, scope: Mapping[str, Any], at: Path) -> Segment | None:
    words = scope.keys() - {"span"}
    if not words:
        return None
    if words not in ({"before"}, {"after"}, {"after", "until"}, {"between"}):
        raise contract.error(
            at, "no such scope", found=", ".join(sorted(words)),
            wanted="before, after, after with until, or between, and perhaps a span",
        )  # fmt: skip

    def names(value: Any, *place: str | int) -> frozenset[str]:
        return frozenset(contract.names(value, (*at, *place)))

    if "between" in words:
        begin, end = scope["between"]
        return Segment(names(begin, "between", 0), names(end, "between", 1), True)
    return Segment(
        names(scope.get("after"), "after"), names(scope.get("before", scope.get("until")), *(words - {"after"})), False
    )


def _spec(contract: Contract, name: str, spec: Mapping[str, Any], at: Path) -> Spec:
    scope, segment = spec.get("scope"), None
    if isinstance(scope, dict):
        segment = _segment(contract, scope, (*at, "scope"))
        scope = scope.get("span")
    if scope is not None:
        contract.span(scope, (*at, "scope"))
    per = tuple("connection" if word == "session" else word for word in as_list(spec.get("per")))
    for word in per:
        if word not in ("connection", "user", "client", "recording"):
            contract.key_names(word, (*at, "per"))
    if {"client", "connection"} <= set(per):
        raise contract.error((*at, "per"), "a connection is of one client: leave `client` out")
    if "recording" in per and len(per) > 1:
        raise contract.error((*at, "per"), "`recording` stands alone")
    if scope is not None and {"recording", "connection", "user", "client"} & set(per):
        raise contract.error((*at, "per"), "inside a span only keys slice further", found=", ".join(per))
    if "recording" in per and "claim" in spec.get("when", {}):
        raise contract.error((*at, "when", "claim"), "a recording has many users, and `claim` is of one")
    return Spec(
        name,
        spec["kind"],
        per,
        scope,
        segment,
        compile_predicate(spec["where"], contract.document, (*at, "where")) if "where" in spec else None,
        compile_when(contract, spec.get("when", {}), scope, (*at, "when")),
        spec.get("severity", "error"),
        spec.get("gate", "rate"),
        spec.get("at_end", {}),
        spec.get("min_activations", 1),
        tuple(spec.get("req", ())),
        spec.get("impact"),
        contract.document.line(*at),
        spec,
        at,
    )


__all__ = ["CAUSES", "Contract", "Span", "Spec", "Wire", "duration", "read_contract"]
