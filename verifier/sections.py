"""The sections of a contract that say what there is: `wire`, `events`, `keys` and `spans`.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from verifier.declared import Span, Wire
from verifier.durations import parse_duration
from verifier.events import EventDef
from verifier.keys import Key
from verifier.load import Document, Path, nearest
from verifier.paths import Getter, PathError, as_list, compile_path, compile_value_path
from verifier.predicate import compile_predicate
from verifier.record import C2S, S2C

if TYPE_CHECKING:
    from verifier.contract import Contract

SESSION_WORDS = ("connection", "session")
DIRECTIONS: Mapping[str, int | None] = {"s2c": S2C, "c2s": C2S, "any": None}


def wire(value: Mapping[str, Any], document: Document) -> Wire:
    """Return how the contract says that messages are written."""
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


def add_events(contract: Contract, value: Mapping[str, Any]) -> None:
    """Add the events of the section `events`, all of which are defined and none by itself."""
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


def add_keys(contract: Contract, value: Mapping[str, Any]) -> None:
    """Add the keys, with where each is read in which event."""
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


def add_spans(contract: Contract, value: Mapping[str, Any]) -> None:
    """Add the spans."""
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
