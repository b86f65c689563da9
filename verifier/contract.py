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
from verifier.declared import Segment, Span, Spec, Wire
from verifier.demands import add_invariants, add_tiers
from verifier.durations import parse_duration
from verifier.events import BUILT_IN, EventDef
from verifier.globs import compile_glob
from verifier.keys import Key
from verifier.load import ContractError, Document, Path, load, nearest
from verifier.params import declared, substitute
from verifier.paths import Getter, PathError, as_list, compile_path, first_of
from verifier.principal import NOBODY, Principal, compile_principal
from verifier.sections import add_events, add_keys, add_spans, wire
from verifier.shape import check_shape
from verifier.waivers import Waiver, compile_waivers

CLOUDEVENTS_CLOCK = {"path": "time"}


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
        wire=wire(value.get("wire", {}), document),
        schemas=value.get("schemas", {}),
        params=declared(document),
    )
    contract.clock = compile_clock(
        contract, value.get("clock", CLOUDEVENTS_CLOCK if contract.wire.format == "cloudevents" else None)
    )
    add_events(contract, value["events"])
    add_keys(contract, value.get("keys", {}))
    add_spans(contract, value.get("spans", {}))
    add_invariants(contract, value["invariants"])
    add_tiers(contract, value.get("tiers", {}))
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


__all__ = ["Contract", "Segment", "Span", "Spec", "Wire", "build", "read_contract"]
