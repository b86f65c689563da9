"""
python: an invariant of your own, written in Python.

Why: what tables cannot say, such as whether the costs of all tools add up to the total of the run.

    broken   alice < tool_completed usd=2   alice < agent_completed usd=3
    holds    alice < tool_completed usd=2   alice < agent_completed usd=2

Options: `use` is `module:Class` (or `module:function`), of an installed entry point of the group
`goldentape.invariants` or of a file `module.py` beside the contract or named under `plugins`; a file is run only
with `--allow-code`.  `params` are its own, valid against its `params_schema`.  `per`, `scope` and `events` stand in
for what the class says.
An exception in it is the verdict `error`, with the event.  [How to write one](python-invariants.md).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from goldentape import plugin
from goldentape.display import show
from verifier.endings import Ending
from verifier.paths import MISSING, Getter, as_list, compile_path
from verifier.plugins import site, told
from verifier.record import Record
from verifier.rule import Stateless
from verifier.slices import Proof, Slice, excerpt, proof

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec
    from verifier.rule import Rule

MOST = 1000
"""Violations that one call may give back."""
REASONS = 50
"""Distinct reasons of an invariant for which something was inconclusive."""
FIELDS = 4
"""Fields of an event that are shown: the first that the invariant asked for."""


class Seen:
    """An event that the invariant has asked the `ref` of."""

    __slots__ = ("asked", "record")

    def __init__(self, record: Record, asked: dict[str, Any]) -> None:
        self.record = record
        self.asked = asked


class State:
    """The state of a slice: the invariant's own, and the events that it remembers."""

    __slots__ = ("broken", "own", "seen")

    def __init__(self) -> None:
        self.own: Any = None
        self.seen: dict[str, Seen] = {}
        self.broken = False
        """It has raised: what it would say from here on is worth nothing."""


class Python(Stateless):
    """See the module."""

    lasting = False

    def __init__(self, spec: Spec, contract: Contract) -> None:
        self._use = spec.options["use"]
        at = (*spec.at, "use")
        if self._use not in contract.code:
            raise contract.error(at, "its code is not loaded", found=self._use, fix="add --allow-code if you trust it")
        code = contract.code[self._use]
        events = as_list(spec.options["events"]) if "events" in spec.options else tuple(getattr(code, "events", ()))
        place = (*spec.at, "events") if "events" in spec.options else at
        self.wants = frozenset(contract.names(tuple(events), place))
        if not self.wants:
            raise contract.error(place, f"{self._use} listens to no event", fix="name some under `events`")
        self.across = "recording" in spec.per
        self._where = spec.where
        self._params = _params(spec, contract, getattr(code, "params_schema", {}))
        self._code = code
        self._paths: dict[str, Getter] = {}
        self._errors: dict[str, tuple[int, tuple[int, int], str]] = {}
        """What went wrong, by its kind: how often, where first, and what was said there."""
        self._reasons: set[str] = set()

    # -- errors

    def _failed(self, slice: Slice, kind: str, said: str, t: int, record: Record | None) -> None:
        """Count an error under the event at which it came first; the slice is judged no more."""
        if isinstance(slice.state, State):
            slice.state.broken = True
        place = (t, (record.seq or 0) if record is not None else 0)
        label = f"{record.names[0] if record.names else record.kind} at {record.label}" if record else "the end"
        self._count({kind: (1, place, f"{said}, first by {label}")})

    def _count(self, errors: Mapping[str, tuple[int, tuple[int, int], str]]) -> None:
        for kind, (count, place, said) in errors.items():
            known = self._errors.get(kind, (0, place, said))
            self._errors[kind] = (known[0] + count, *min(known[1:], (place, said)))

    def part(self) -> Any:
        """Return the errors."""
        return dict(self._errors)

    def absorb(self, part: Any) -> None:
        """Add the errors of another part."""
        self._count(part)

    def close(self, slice: Slice) -> None:
        """Report what went wrong."""
        for count, _, said in self._errors.values():
            slice.tally.errors[f"{self._use} {said}"] += count

    # -- what the invariant is given

    def _context(self, slice: Slice) -> plugin.Context:
        labels = {"user": slice.user} if slice.user is not None and slice.session is None else {}
        labels.update(slice.labels())
        return plugin.Context(
            params=self._params, user=slice.user, slice=MappingProxyType(labels),
            doubter=lambda why: self._doubt(slice, str(why)),
        )  # fmt: skip

    def _doubt(self, slice: Slice, why: str) -> None:
        why = show(why, 200)
        if len(self._reasons) >= REASONS and why not in self._reasons:
            why = "other reasons of its own"
        self._reasons.add(why)
        slice.unknown(why)

    def _event(self, record: Record, names: tuple[str, ...], seen: dict[str, Seen]) -> plugin.Event:
        asked: dict[str, Any] = {}

        def get(path: str, default: Any) -> Any:
            getter = self._paths.get(path)
            if getter is None:
                getter = self._paths[path] = compile_path(path)
            value = getter(record)
            if value is MISSING:
                return default
            if type(value) in (dict, list):
                return copy.deepcopy(value)
            if len(asked) < FIELDS:
                asked[path] = value
            return value

        def name() -> str:
            ref = record.label if record.seq is not None else f"({record.kind} at {record.t} ns)"
            if ref not in seen:
                seen[ref] = Seen(record.slim(), asked)
            return ref

        direction = None if record.dir is None else ("c2s", "s2c")[record.dir]
        connection = record.session.id if record.session is not None else None
        return plugin.Event(
            name=names[0], names=names, t=record.t, user=record.user, connection=connection, direction=direction,
            getter=get, namer=name,
        )  # fmt: skip

    # -- what it gives back

    def _take(
        self, slice: Slice, call: Callable[[], Any], seen: dict[str, Seen], record: Record | None, ending: Ending | None
    ) -> None:
        """Call the invariant, and report what it gives back."""
        t = record.t if record is not None else ending.t if ending is not None else 0
        try:
            found = call()
            violations = [] if found is None else _all(found)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._failed(slice, site(error), f"raised {told(error)}", t, record)
            return
        for violation in violations:
            wrong = self._report(slice, violation, seen, record, ending)
            if wrong is not None:
                self._failed(slice, wrong[:30], wrong, t, record)
                return

    def _report(
        self, slice: Slice, found: Any, seen: dict[str, Seen], record: Record | None, ending: Ending | None
    ) -> str | None:
        """Report a violation; return what is wrong with it as one, or None."""
        if not isinstance(found, plugin.Violation) or not isinstance(found.why, str) or not found.why:
            return f"yielded {show(repr(found), 60)}, which is no Violation"
        if isinstance(found.witness, (str, plugin.Event)):
            return "yielded a Violation whose witness is no list"
        witness = []
        for one in found.witness:
            known = _known(one, seen)
            if known is None:
                return f"yielded a Violation whose witness has {show(repr(one), 60)}, which is no event of the slice"
            witness.append(known)
        because = _known(found.because, seen) if found.because is not None else None
        if found.because is not None and because is None:
            return "yielded a Violation whose `because` is no event of the slice"
        if found.fault not in (None, "server", "client"):
            return f"yielded a Violation with the fault {show(repr(found.fault), 60)}"
        proofs = [self._proof(one, "offender" if one is witness[-1] else "seen") for one in witness]
        if ending is not None and ending.record is not None:
            proofs.append(proof(ending.record, "exit", note=f"the end: {ending}"))
        elif not proofs and slice.instance is not None:
            proofs.append(proof(slice.instance.opened, "opened", note="begins here"))
        if not proofs:
            return "yielded a Violation without a witness"
        why, expected = found.why, str(found.expected)
        if ending is not None and not found.proven:
            slice.owed(
                ending, proofs, since=slice.began, why=why, expected=expected, fault=found.fault or "server"
            )  # fmt: skip
            return None
        slice.violated(
            proofs, why=why, expected=expected, fault=found.fault, ending=ending,
            because=because.record if because is not None else None, needs_past=self.sliced and not found.proven,
        )  # fmt: skip
        return None

    def _proof(self, seen: Seen, role: str) -> Proof:
        names = [name for name in seen.record.names if name in self.wants]
        fields = tuple((path, excerpt(value)) for path, value in seen.asked.items())
        made = proof(seen.record, role, names)
        return Proof(made.record, made.role, made.event, made.note, fields)


class OfSlices(Python):
    """A class: one instance judges all slices."""

    def __init__(self, spec: Spec, contract: Contract) -> None:
        super().__init__(spec, contract)
        try:
            self._own = self._code()
            self._start, self._step, self._end = self._own.start, self._own.step, self._own.end
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise contract.error((*spec.at, "use"), f"{self._use} is no invariant: {told(error)}") from None

    def start(self, slice: Slice) -> State:
        """Let the invariant make its state."""
        state = State()
        try:
            state.own = self._start(self._context(slice))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._failed(slice, site(error), f"raised {told(error)}", slice.began, None)
            state.broken = True
        return state

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Hand the invariant an event."""
        state: State = slice.state
        if state.broken or (self._where is not None and not self._where(record)):
            return
        event = self._event(record, names, state.seen)
        self._take(slice, lambda: self._step(state.own, event, self._context(slice)), state.seen, record, None)

    def end(self, slice: Slice, ending: Ending) -> None:
        """Tell the invariant that its slice is over."""
        state: State = slice.state
        if state.broken:
            return
        over = plugin.Ending(cause=ending.cause, t=ending.t, exit=ending.exit)
        self._take(slice, lambda: self._end(state.own, over, self._context(slice)), state.seen, None, ending)
        if not state.broken:
            slice.judged()


class OfEvents(Python):
    """A function: each event by itself."""

    sliced = False
    stateless = True

    def step(self, slice: Slice, record: Record, names: tuple[str, ...]) -> None:
        """Ask the function about an event."""
        if self._where is not None and not self._where(record):
            return
        slice.judged()
        seen: dict[str, Seen] = {}
        event = self._event(record, names, seen)
        self._take(slice, lambda: self._code(event, self._context(slice)), seen, record, None)


def python(spec: Spec, contract: Contract) -> Rule:
    """Return the rule for a class or for a function."""
    code = contract.code.get(spec.options["use"])
    if code is not None and not callable(code):
        raise contract.error((*spec.at, "use"), "is neither a class nor a function", found=spec.options["use"])
    if code is None or isinstance(code, type):
        return OfSlices(spec, contract)
    if spec.per or spec.scope is not None:
        raise contract.error(
            (*spec.at, "scope" if spec.scope is not None else "per"), "a function judges each event by itself",
            fix="write a class",
        )  # fmt: skip
    return OfEvents(spec, contract)


def _all(found: Any) -> list[Any]:
    if isinstance(found, plugin.Violation):
        return [found]
    if not isinstance(found, Iterable) or isinstance(found, (str, bytes, Mapping)):
        raise TypeError(f"gave back a {type(found).__name__}, wanted violations")
    violations = []
    for one in found:
        violations.append(one)
        if len(violations) > MOST:
            raise ValueError(f"more than {MOST} violations at once")
    return violations


def _known(one: Any, seen: Mapping[str, Seen]) -> Seen | None:
    ref = one.ref if isinstance(one, plugin.Event) else one
    return seen.get(ref) if isinstance(ref, str) else None


def _params(spec: Spec, contract: Contract, schema: Any) -> Mapping[str, Any]:
    params = spec.options.get("params", {})
    at = (*spec.at, "params") if "params" in spec.options else (*spec.at, "use")
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise contract.error((*spec.at, "use"), f"its params_schema is no schema: {show(error.message, 200)}") from None
    wrong = best_match(Draft202012Validator(schema).iter_errors(params))
    if wrong is not None:
        raise contract.error((*at, *wrong.absolute_path), f"does not fit its params_schema: {show(wrong.message, 200)}")
    return MappingProxyType(copy.deepcopy(params))
