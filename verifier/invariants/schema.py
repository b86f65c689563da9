"""
schema: events match their JSON Schemas.

Why: a field that is missing, or a number where text was, breaks a client that nobody tested with this message.

    broken   alice < {type: agent_started}
    holds    alice < {type: agent_started, agent_name: triage}

Options: `events` (default: every event with a `schema`), `formats` (asserted unless false), `closed` (no property
that the schema does not name).  JSON Schema 2020-12, or draft-07 by `$schema`; references stay inside the contract.
The schema of an event that is `on: connect` is of `{"query": {...}, "headers": {...}}`, what the client said in its
handshake; a client that says what it should not is the client's fault, and warns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goldentape.display import show
from goldentape.event import Flag
from verifier.equality import write
from verifier.handshakes import handshake
from verifier.record import CONNECT, MESSAGE, Record
from verifier.rule import Stateless
from verifier.schemas import CompiledSchema, TooDeep, check_schema, draft, resolve
from verifier.slices import EXCERPT, Proof, Slice

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

    from verifier.contract import Contract, Spec

_REDACTED = int(Flag.REDACTED)


class Schema(Stateless):
    """See the module."""

    sliced = False

    def __init__(self, spec: Spec, contract: Contract) -> None:
        options, at = spec.options, spec.at
        if spec.scope is not None or spec.per:
            raise contract.error(at, "`schema` looks at each event alone: it has neither `scope` nor `per`")
        if "events" in options:
            names = contract.names(options["events"], (*at, "events"))
            for index, name in enumerate(names):
                if name not in contract.events or contract.events[name].schema is None:
                    raise contract.error((*at, "events", index), "the event has no schema", found=name)
        else:
            names = tuple(event.name for event in contract.events.values() if event.schema is not None)
        if not names:
            raise contract.error(at, "no event has a schema: nothing would be judged", fix="give events a `schema`")
        for name, schema in contract.schemas.items():
            check_schema(contract, schema, ("schemas", name), draft(contract, schema, ("schemas", name))[0])
        formats, closed = options.get("formats", True), options.get("closed", False)
        self.schemas = {
            name: CompiledSchema(
                contract, contract.events[name].schema, ("events", name, "schema"), formats=formats, closed=closed
            )
            for name in names
        }
        self.wants = frozenset(names)
        self.where = spec.where
        self._resolve: Callable[[str], Any] = lambda ref: resolve(contract, ref, at)

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Validate."""
        if record.kind not in (MESSAGE, CONNECT) or (self.where is not None and not self.where(record)):
            return
        for name in names:
            schema = self.schemas[name]
            slice.judged()
            value = record.value
            if record.kind == CONNECT and record.session is not None:
                session = record.session
                value = handshake(session.target, session.request, schema.schema, self._resolve)
            if schema.accepts is not None and schema.accepts(value):
                continue
            try:
                errors = sorted(schema.errors(value), key=_order)
            except TooDeep:
                slice.error(f"{name} nests too deeply for its schema")
                continue
            if errors:
                self._report(slice, record, name, errors)

    def _report(self, slice: Slice, record: Record, name: str, errors: list[ValidationError]) -> None:
        if (record.flags & _REDACTED or record.kind == CONNECT) and all("[r:" in write(e.instance) for e in errors):
            slice.unknown("what the schema asks for is redacted in the tape")
            return
        error = _deepest(errors[0])
        path = pointer(error)
        message = show(_sentence(error), 200)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        value = write(error.instance)
        slice.violated(
            [
                Proof(
                    record,
                    "offender",
                    name,
                    "",
                    ((path, value if len(value) <= EXCERPT else value[: EXCERPT - 1] + "…"),),
                )
            ],
            why=f"{name} at {record.label} is not valid at {path}: {message}{more}",
            expected=f"{error.validator}: {show(write(error.validator_value), 80)}",
            fault="client" if record.kind == CONNECT else None,
            paths=(generic(error), str(error.validator)),
        )


def _order(error: ValidationError) -> tuple[int, str, str]:
    return len(error.absolute_path), pointer(error), str(error.validator)


def _deepest(error: ValidationError) -> ValidationError:
    """Follow `allOf` and references to the sentence that says something."""
    while error.context and error.validator == "allOf":
        error = sorted(error.context, key=_order)[0]
    return error


def _sentence(error: ValidationError) -> str:
    """Return what is wrong; of alternatives, what is wrong with the nearest one, not the whole value again."""
    if error.validator not in ("oneOf", "anyOf"):
        return error.message
    parts: Any = error.validator_value
    if not error.context:
        return f"valid against more than one of {len(parts)} schemas, and only one may be"
    groups: dict[int, list[ValidationError]] = {}
    for inner in error.context:
        groups.setdefault(int(inner.schema_path[0]), []).append(inner)
    nearest = min(groups, key=lambda at: (len(groups[at]), at))
    inner = _deepest(sorted(groups[nearest], key=_order)[0])
    part = parts[nearest]
    name = part["$ref"] if isinstance(part, dict) and "$ref" in part else f"number {nearest + 1}"
    return f"valid against none of {len(parts)} schemas; of the nearest, {name}, at {pointer(inner)}: {inner.message}"


def pointer(error: Any) -> str:
    """Return where in the message, as a JSON pointer; `/` is the whole."""
    return "/" + "/".join(str(part) for part in error.absolute_path)


def generic(error: Any) -> str:
    """Return where in the message, without the places in lists."""
    return "/" + "/".join("*" if isinstance(part, int) else str(part) for part in error.absolute_path)
