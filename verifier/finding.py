"""Everything that is wrong or odd in a contract, each with its place.

`verify` refuses a contract at the first error.  Here what is wrong is taken out, and the rest looked at further, so
that one reading tells all.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from goldentape.display import show
from verifier.contract import Contract, build
from verifier.lint import demand
from verifier.load import ContractError, Document, Path
from verifier.oddities import ODDITIES
from verifier.oddity import Oddity
from verifier.plugins import bring_code
from verifier.unbreakable import unbroken
from verifier.uses import used_params

ERROR, WARNING, INFO = "error", "warning", "info"
MAX_ERRORS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong or odd in a contract."""

    file: str
    line: int
    column: int
    level: str
    """error, warning, info."""
    rule: str
    """What kind of finding it is, in a word or two."""
    message: str
    fix: str | None = None

    def __str__(self) -> str:
        hint = f" ({self.fix})" if self.fix is not None else ""
        return f"{show(self.file, 500)}:{self.line}:{self.column}: {self.level}: {self.message}{hint}"


def lint(
    document: Document,
    data: bytes,
    settings: Mapping[str, str],
    *,
    require_impact: bool = False,
    allow_code: bool = False,
) -> list[Finding]:
    """Return what is wrong or odd in a contract that `load` could read, in the order of its text.

    Raises ContractError where it is none at all, or one of another version of the language.
    """
    version = document.value.get("goldentape")
    if type(version) is not int or version != 1:
        build(copy.deepcopy(document), data, settings)
    found = []
    contract, errors = _without_errors(document, data, settings, allow_code)
    for error in errors:
        found.append(_told(document, error))
    if contract is not None:
        odd: Iterable[Oddity] = [one for look in ODDITIES for one in look(contract)]
        if errors:
            # What was taken out used names: what seems unused may not be.  And what stands in for it is not theirs.
            wrong = {error.path[:2] for error in errors if error.path is not None}
            odd = [one for one in odd if not one.rule.startswith("unused") and one.at[:2] not in wrong]
        else:
            # What stands in another's document is not there for this contract alone.
            odd = [one for one in odd if not one.rule.startswith("unused") or document.origin(one.at)[0] is document]
            odd = [*odd, *_unused_params(document)]
            told = {one.at[:2] for one in odd if one.level != INFO}
            odd += [one for one in unbroken(contract) if one.at[:2] not in told]
        if require_impact:
            odd = [*odd, *_without_impact(contract)]
        found += [_finding(document, one.at, one.level, one.rule, one.message, one.fix) for one in odd]
    return sorted(dict.fromkeys(found), key=lambda f: (f.file != document.name, f.file, f.line, f.column))


def _without_errors(
    document: Document, data: bytes, settings: Mapping[str, str], allow_code: bool
) -> tuple[Contract | None, list[ContractError]]:
    """Return what is left of the contract without what is wrong in it, and what was wrong."""
    errors: list[ContractError] = []
    value = copy.deepcopy(document.value)
    while len(errors) < MAX_ERRORS:
        tried = Document(document.name, copy.deepcopy(value), document.places, document.elsewhere)
        try:
            contract = build(tried, data, settings)
            bring_code(contract, allow_code=allow_code)
            demand(contract)
            return contract, errors
        except ContractError as error:
            if errors and not value.get("invariants"):
                break  # all of them were wrong, and that is told
            errors.append(error)
            if error.path is None or not _take_out(value, error.path):
                break
    return None, errors


def _take_out(value: dict[str, Any], path: Path) -> bool:
    """Take what is wrong out of the contract, or put something harmless in its place; an invariant goes as a whole."""
    at = path[: {"invariants": 2, "schemas": 2}.get(str(path[0] if path else ""), 3)]
    while len(at) > 1:
        *way, last = at
        inner: Any = value
        for step in way:
            inner = inner.get(step) if isinstance(inner, dict) else None
        if isinstance(inner, dict) and last in inner:
            harmless = _harmless(value, at)
            if harmless is None:
                del inner[last]
            elif inner[last] == harmless:
                return False
            else:
                inner[last] = harmless
            return True
        at = at[:-1]
    return False


def _harmless(value: dict[str, Any], at: Path) -> Any:
    """Return what may stand where something must stand."""
    event = next(iter(value["events"]), "x") if isinstance(value.get("events"), dict) else "x"
    if len(at) == 2:
        return {
            "events": {}, "keys": "x", "schemas": True, "spans": {"open": event, "exits": {"x": event}},
        }.get(str(at[0]), {"id": "x", "version": "0.0.0"}.get(str(at[1])) if at[0] == "contract" else None)  # fmt: skip
    return {("spans", "open"): event, ("spans", "exits"): {"x": event}, ("keys", "path"): "x"}.get(
        (str(at[0]), str(at[2]))
    )


def _told(document: Document, error: ContractError) -> Finding:
    found = f", found {show(str(error.found))}" if error.found is not None else ""
    wanted = f", wanted {error.wanted}" if error.wanted is not None else ""
    return _finding(document, error.path or (), ERROR, "error", f"{error.what}{found}{wanted}", error.fix)


def _finding(document: Document, at: Path, level: str, rule: str, message: str, fix: str | None) -> Finding:
    line, column = document.place(at)
    return Finding(file=document.file(*at), line=line, column=column, level=level, rule=rule, message=message, fix=fix)


def duplicate(error: ContractError) -> Finding:
    """Return the finding of an error behind which nothing can be read: a key that comes twice, an include."""
    name, *place = str(error.where).rsplit(":", 2)
    line, column = map(int, place)
    message = error.what if error.found is None else f"{error.what}, found {show(str(error.found))}"
    return Finding(file=name, line=line, column=column, level=ERROR, rule="error", message=message, fix=error.fix)


def _unused_params(document: Document) -> Iterator[Oddity]:
    used = used_params({key: part for key, part in document.value.items() if key != "params"})
    for name in document.value.get("params", {}):
        if name not in used:
            yield Oddity(("params", name), "unused-param", WARNING, f"nothing names the parameter {name}", "remove it")


def _without_impact(contract: Contract) -> Iterator[Oddity]:
    for spec in contract.invariants.values():
        if spec.impact is None or not spec.impact.strip():
            yield Oddity(
                spec.at, "no-impact", ERROR, f"{spec.name} does not say what a violation means for users",
                "add `impact`",
            )  # fmt: skip


__all__ = ["ERROR", "INFO", "WARNING", "Finding", "duplicate", "lint"]
