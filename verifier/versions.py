"""Two versions of a contract: what each change does to what passed, and the version that it asks for.  Pure.

Major: what passed can newly fail.  Minor: it cannot (loosened, removed, a new warning).  Patch: words only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldentape.display import show
from verifier.contract import Contract
from verifier.resolve import resolved
from verifier.schema_strength import OTHER, SAME, STRONGER, WEAKER, Moves, flipped, moved
from verifier.strength import compared, protocol_moved
from verifier.uses import named_events, used_events, used_keys, used_schemas, used_spans

NOTHING, PATCH, MINOR, MAJOR = range(4)
STEPS = ("nothing", "patch", "minor", "major")

STRENGTHENED, WEAKENED, CHANGED, ADDED, REMOVED, REWORDED = (
    "strengthened", "weakened", "changed", "added", "removed", "reworded"
)  # fmt: skip

WORDS = ("contract", "goldentape")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that differs between two contracts."""

    section: str
    """invariants, events, keys, spans, schemas; else the section as a whole."""
    name: str
    how: str
    """strengthened, weakened, changed, added, removed, reworded."""
    details: tuple[str, ...]
    needs: int
    """NOTHING, PATCH, MINOR or MAJOR."""
    file: str
    line: int
    affects: tuple[str, ...] = ()
    """Invariants whose own words are the same, and which this changes."""


def changes(before: Contract, after: Contract) -> list[Change]:
    """Return what differs, invariants first, in the order of the newer text."""
    old, new = resolved(before), resolved(after)
    found = list(_invariants(before, after, old["invariants"], new["invariants"]))
    for section, look in (("events", _event), ("keys", _plain), ("spans", _plain), ("schemas", _schema)):
        for name in dict.fromkeys([*new.get(section, {}), *old.get(section, {})]):
            was, now = (value.get(section, {}).get(name) for value in (old, new))
            if json.dumps(was, sort_keys=True) != json.dumps(now, sort_keys=True):
                found.append(look(before, after, section, name, was, now))
    for section in dict.fromkeys([*new, *old]):
        if section not in ("invariants", "events", "keys", "spans", "schemas", *WORDS):
            was, now = old.get(section), new.get(section)
            if was != now:
                found.append(_section(before, after, section, was, now))
    words = {key: (old["contract"].get(key), new["contract"].get(key)) for key in ("title", "description")}
    if any(was != now for was, now in words.values()):
        details = tuple(key for key, (was, now) in words.items() if was != now)
        found.append(_change(before, after, "contract", "", REWORDED, details, PATCH))
    return found


def asked(found: list[Change]) -> int:
    """Return the step of the version that the changes ask for."""
    return max((change.needs for change in found), default=NOTHING)


def enough(before: str, after: str, step: int) -> bool:
    """Return whether a version is far enough from the one before; of 0.x.y, x tells what newly fails."""
    old, new = _numbers(before), _numbers(after)
    if new < old:
        return False
    if step == NOTHING or new[0] > old[0]:
        return True
    if old[0] == 0:
        return new[1] > old[1] or (step < MAJOR and new > old)
    return step < MAJOR and (new[1] > old[1] or (step == PATCH and new > old))


def wanted(before: str, step: int) -> str:
    """Return the least version that says what a change does."""
    major, minor, patch = _numbers(before)
    if step == NOTHING:
        return before
    if major == 0:
        return f"0.{minor + 1}.0" if step == MAJOR else f"0.{minor}.{patch + 1}"
    return {PATCH: f"{major}.{minor}.{patch + 1}", MINOR: f"{major}.{minor + 1}.0", MAJOR: f"{major + 1}.0.0"}[step]


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = (int(part) for part in version.split("."))
    return major, minor, patch


def _how(moves: Moves) -> str:
    if OTHER in moves or len(moves) > 1:
        return CHANGED
    return STRENGTHENED if STRONGER in moves else WEAKENED if WEAKER in moves else REWORDED


_NEEDS: Mapping[str, int] = {
    STRENGTHENED: MAJOR, CHANGED: MAJOR, ADDED: MAJOR, WEAKENED: MINOR, REMOVED: MINOR, REWORDED: PATCH
}  # fmt: skip


def _invariants(before: Contract, after: Contract, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys([*new, *old]):
        was, now = before.invariants.get(name), after.invariants.get(name)
        fails = now is not None and now.severity == "error"
        if was is None or now is None:
            if was is now:
                continue  # disabled in both
            how = ADDED if was is None else REMOVED
            disabled = name in (old if was is None else new)
            told: tuple[str, ...] = (f"{'no longer' if was is None else 'now'} disabled",) if disabled else ()
            needs = MAJOR if how == ADDED and fails else MINOR
            yield _change(before, after, "invariants", name, how, told, needs)
            continue
        moves: Moves = SAME
        details: tuple[str, ...] = ()
        if was.kind != now.kind:
            moves, details = frozenset({OTHER}), (f"kind: {was.kind} -> {now.kind}",)
        else:
            for option, move, first, second in compared(old[name], new[name], now.kind):
                step = protocol_moved((before, was), (after, now)) if option in ("pattern", "alphabet") else move
                moves |= step
                details += (_detail(option, first, second, step),)
        if details:
            how = _how(moves)
            yield _change(
                before, after, "invariants", name, how, details, _NEEDS[how] if fails else min(_NEEDS[how], MINOR)
            )


def _detail(option: str, before: Any, after: Any, moves: Moves) -> str:
    word = {STRENGTHENED: " (stronger)", WEAKENED: " (weaker)"}.get(_how(moves), "")
    return f"{option}: {_written(before)} -> {_written(after)}{word}"


def _written(value: Any) -> str:
    if value is None:
        return "nothing"
    return show(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), 60)


def _event(before: Contract, after: Contract, section: str, name: str, was: Any, now: Any) -> Change:
    users = _users(before, after, name)
    # A message that is no event any more becomes an unknown one, and the other way round.
    strict = after.wire.unknown == "violation"
    matters = strict or _fails(after, users)
    if was is None:
        listens = any(s.kind == "protocol" and s.options.get("alphabet") == "all" for s in after.invariants.values())
        needs = MAJOR if listens or _fails(after, users) else MINOR
        return _change(before, after, section, name, ADDED, (), needs, users)
    if now is None:
        return _change(before, after, section, name, REMOVED, (), MAJOR if strict else MINOR, users)
    moves: Moves = SAME
    details = []
    for option in dict.fromkeys([*was, *now]):
        first, second = was.get(option), now.get(option)
        if first == second and type(first) is type(second):
            continue
        if option == "schema":
            closed = any(s.kind == "schema" and s.options.get("closed") for s in after.invariants.values())
            step = moved(True if first is None else first, True if second is None else second, closed=closed)
        else:
            step = SAME if option in ("title", "deprecated") else frozenset({OTHER})
        moves |= step
        details.append(_detail(option, first, second, step))
    how = _how(moves)
    needs = _NEEDS[how] if matters or how == REWORDED else MINOR
    return _change(before, after, section, name, how, tuple(details), needs, users)


def _plain(before: Contract, after: Contract, section: str, name: str, was: Any, now: Any) -> Change:
    if section == "keys":
        used = name in used_keys(before) and name in used_keys(after)
        users = tuple(s.name for s in after.invariants.values() if name in _keys_of(after, s.name))
    else:
        keys = used_keys(after)
        used = name in used_spans(before, used_keys(before)) and name in used_spans(after, keys)
        users = tuple(s.name for s in after.invariants.values() if s.scope == name)
    how = ADDED if was is None else REMOVED if now is None else CHANGED
    details = (
        tuple(_detail(o, was.get(o), now.get(o), SAME) for o in {**was, **now} if was.get(o) != now.get(o))
        if how == CHANGED
        else ()
    )
    users = tuple(user for user in users if user in before.invariants)
    matters = used and how == CHANGED and (section == "spans" or not users or _fails(after, users))
    return _change(before, after, section, name, how, details, MAJOR if matters else MINOR, users)


def _keys_of(contract: Contract, name: str) -> set[str]:
    spec = contract.invariants[name]
    words: set[str] = set()
    for option in ("key", "keys", "per"):
        value = spec.options.get(option)
        words |= {value} if isinstance(value, str) else set(value or ())
    if spec.scope is not None:
        words |= set(contract.spans[spec.scope].keys)
    return words


def _schema(before: Contract, after: Contract, section: str, name: str, was: Any, now: Any) -> Change:
    used = name in used_schemas(before) and name in used_schemas(after)
    if was is None or now is None:
        return _change(before, after, section, name, ADDED if was is None else REMOVED, (), MINOR)
    moves = moved(was, now)
    how = _how(moves)
    needs = PATCH if how == REWORDED else MINOR if not used else _NEEDS[how]
    return _change(before, after, section, name, how, (), needs)


_LOOSER: Mapping[str, Moves] = {"waivers": frozenset({WEAKER})}


def _section(before: Contract, after: Contract, section: str, was: Any, now: Any) -> Change:
    if section == "wire":
        ranks = ("ignore", "warning", "violation")
        moves: Moves = SAME
        details = []
        for option in dict.fromkeys([*(was or {}), *(now or {})]):
            first, second = (was or {}).get(option), (now or {}).get(option)
            if first == second:
                continue
            step: Moves = frozenset({OTHER})
            if option == "unknown":
                step = frozenset({STRONGER if ranks.index(second) > ranks.index(first) else WEAKER})
            moves |= step
            details.append(_detail(option, first, second, step))
        only_warns = moves == {STRONGER} and now["unknown"] == "warning"
        how = _how(moves)
        return _change(before, after, section, "", how, tuple(details), MINOR if only_warns else _NEEDS[how])
    if was is None or now is None:
        appears = _LOOSER.get(section, frozenset({OTHER}))
        needs = _NEEDS[_how(appears if was is None else flipped(appears))]
        return _change(before, after, section, "", ADDED if was is None else REMOVED, (), needs)
    return _change(before, after, section, "", CHANGED, (), MAJOR)


def _fails(contract: Contract, names: tuple[str, ...]) -> bool:
    return any(contract.invariants[name].severity == "error" for name in names)


def _users(before: Contract, after: Contract, event: str) -> tuple[str, ...]:
    """Return the invariants of both contracts that an event concerns, through unions and spans too."""
    found = []
    for name, spec in after.invariants.items():
        if name not in before.invariants:
            continue
        names = {word for _, word in named_events(spec)}
        if spec.kind == "schema":
            names |= {e.name for e in after.events.values() if e.schema is not None}
        if spec.scope is not None:
            span = after.spans[spec.scope]
            names |= span.open | {word for words in span.exits.values() for word in words}
        while True:
            members = {m for n in names if n in after.events for m in (after.events[n].any_of or ())}
            members |= {m for n in names if n in after.events for m in (after.events[n].unless or ())}
            if members <= names:
                break
            names |= members
        if event in names:
            found.append(name)
    return tuple(found) if event in used_events(after) | used_events(before) else ()


def _change(
    before: Contract, after: Contract, section: str, name: str, how: str, details: tuple[str, ...], needs: int,
    affects: tuple[str, ...] = (),
) -> Change:  # fmt: skip
    at = (section, name) if name else (section,)
    contract = before if how == REMOVED else after
    return Change(
        section=section, name=name, how=how, details=details, needs=needs, file=contract.document.file(*at),
        line=contract.document.line(*at), affects=affects,
    )  # fmt: skip


__all__ = [
    "ADDED", "CHANGED", "MAJOR", "MINOR", "NOTHING", "PATCH", "REMOVED", "REWORDED", "STEPS", "STRENGTHENED",
    "WEAKENED", "Change", "asked", "changes", "enough", "wanted",
]  # fmt: skip
