"""What in a contract can be judged by, and yet is hardly meant.  Pure; each look is a function of the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from verifier.contract import Contract
from verifier.durations import parse_duration
from verifier.impossible import impossible
from verifier.load import Path
from verifier.oddity import Oddity
from verifier.paths import as_list
from verifier.satisfiable import protocols
from verifier.uses import used_events, used_keys, used_schemas, used_spans
from verifier.verdict import listed


def unused_names(contract: Contract) -> Iterator[Oddity]:
    """Names that nothing names."""
    used = used_events(contract)
    # Who says what an unknown message is may list messages only for them to be known, and told of.
    unknown = contract.document.value.get("wire", {}).get("unknown")
    for name, event in contract.events.items():
        if name in used:
            continue
        plain = event.on == "message" and event.any_of is None and event.unless is None
        if plain and (unknown in ("warning", "violation") or (unknown == "ignore" and event.where is None)):
            message = f"no invariant names the event {name}: it is only told whether such messages came"
            yield Oddity(("events", name), "unused-event", "info", message)
        else:
            yield _unused("events", name, f"nothing names the event {name}", used)
    keys = used_keys(contract)
    for name in contract.keys:
        if name not in keys:
            yield _unused("keys", name, f"nothing is sliced, paired or owned by the key {name}", keys)
    spans = used_spans(contract, keys)
    for name in contract.spans:
        if name not in spans:
            yield _unused("spans", name, f"no invariant is judged inside the span {name}", spans)
    schemas = used_schemas(contract)
    for name in contract.schemas:
        if name not in schemas:
            yield _unused("schemas", name, f"nothing refers to the schema {name}", schemas)


def _unused(section: str, name: str, message: str, used: set[str]) -> Oddity:
    return Oddity((section, name), f"unused-{section.removesuffix('s')}", "warning", message, "use it, or remove it")


def not_judged(contract: Contract) -> Iterator[Oddity]:
    """What looks as if it were judged."""
    judged: set[str] = set()
    for spec in contract.invariants.values():
        if spec.kind == "schema":
            judged |= set(as_list(spec.options["events"]) if "events" in spec.options else contract.events)
    for event in contract.events.values():
        if event.schema is not None and event.name not in judged:
            message = f"no invariant of the kind `schema` judges the schema of {event.name}"
            yield Oddity(("events", event.name, "schema"), "schema-not-judged", "warning", message, "add one")
    for name in contract.disabled:
        yield Oddity(("invariants", name), "disabled", "info", f"{name} is disabled: it is not judged")


def weights(contract: Contract) -> Iterator[Oddity]:
    """Severities, gates and endings that do nothing."""
    for spec in contract.invariants.values():
        if spec.severity != "error" and spec.gate == "always":
            message = f"{spec.name} never fails, as a {spec.severity} it only tells: `gate: always` does nothing"
            yield Oddity(
                (*spec.at, "gate"), "gate-of-warning", "warning", message, "make it an error, or drop the gate"
            )
        if spec.at_end and spec.kind in ("never", "always", "owner", "schema", "unique", "monotone", "taint"):
            message = f"nothing is owed at the end where `{spec.kind}` judges: `at_end` does nothing"
            yield Oddity((*spec.at, "at_end"), "needless-at-end", "warning", message, "remove it")


def bounds(contract: Contract) -> Iterator[Oddity]:
    """Bounds that another bound makes needless."""
    names = ("p50", "p90", "p95", "p99", "p999", "max")
    for spec in contract.invariants.values():
        if spec.kind == "latency":
            given = [(name, parse_duration(str(spec.options[name]))) for name in names if name in spec.options]
            for (low, below), (high, above) in pairwise(given):
                if below > above:
                    message = (
                        f"{low} may be {spec.options[low]} and {high} only {spec.options[high]}: {low} bounds nothing"
                    )
                    yield Oddity((*spec.at, low), "needless-bound", "warning", message, f"set {low} below {high}")
        elif spec.kind == "responds" and spec.options.get("mode") != "adjacent":
            both = set(as_list(spec.options["trigger"])) & set(as_list(spec.options["answer"]))
            if both:
                message = f"{listed(sorted(both), 'and')} both asks and answers"
                yield Oddity((*spec.at, "answer"), "own-answer", "warning", message)


def predicates(contract: Contract) -> Iterator[Oddity]:
    """Tests that no value passes."""
    for name, event in contract.events.items():
        where = contract.document.value["events"][name].get("where")
        for at, why in impossible(where, ("events", name, "where")):
            yield Oddity(at, "impossible-test", "warning", f"no message is {name}: {why}")
        if event.types is not None and not event.types:
            yield Oddity(("events", name, "type"), "impossible-test", "warning", f"no message is {name}: no type")
    for spec in contract.invariants.values():
        for at, why in impossible(spec.options.get("where"), (*spec.at, "where")):
            yield Oddity(at, "impossible-test", "warning", f"{spec.name} judges nothing: {why}")


def twins(contract: Contract) -> Iterator[Oddity]:
    """Events of the same definition."""
    seen: dict[str, str] = {}
    for name, event in contract.events.items():
        spec = contract.document.value["events"][name]
        facts = (event.dir, event.on, event.types, repr(spec.get("where")), event.any_of, event.unless)
        first = seen.setdefault(repr(facts), name)
        if first != name:
            message = f"{name} and {first} are the same messages"
            yield Oddity(("events", name), "same-event", "warning", message, "tell them apart by `type` or `where`")


def exits(contract: Contract) -> Iterator[Oddity]:
    """Exits of a span that no instance can take."""
    for span in contract.spans.values():
        seen: dict[str, str] = {}
        for exit, names in span.exits.items():
            at: Path = ("spans", span.name, "exits", exit)
            for name in sorted(names):
                if name in seen:
                    message = f"{name} ends a {span.name} as `{seen[name]}` already, never as `{exit}`"
                    yield Oddity(at, "needless-exit", "warning", message)
                elif name in span.open:
                    message = f"{name} both opens and ends a {span.name}"
                    yield Oddity(at, "needless-exit", "warning", message)
                seen.setdefault(name, exit)


ODDITIES: tuple[Callable[[Contract], Iterator[Oddity]], ...] = (
    unused_names, not_judged, weights, bounds, predicates, twins, exits, protocols,
)  # fmt: skip

__all__ = ["ODDITIES"]
