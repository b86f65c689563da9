"""`principal`: who the user of a connection is, as the contract has it; the recorder is who finds out.  Pure.

A tape that was recorded by other rules names other users, and what compares users says little then: that is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from goldentape.display import show
from verifier.load import Path
from verifier.verdict import listed

if TYPE_CHECKING:
    from verifier.contract import Contract

PLACES = ("header", "query", "cookie")


@dataclass(frozen=True, slots=True)
class Principal:
    """How a user is named, and by which events a credential is renewed."""

    rules: tuple[str, ...] = ()
    """As `goldentape record --identify` spells them."""
    refreshed_by: tuple[str, ...] = ()
    """Events that carry a new credential."""


NOBODY: Final = Principal()


def compile_principal(contract: Contract, value: Mapping[str, Any] | None) -> Principal:
    """Return what a contract says of its users.  Raises ContractError."""
    if value is None:
        return NOBODY
    at: Path = ("principal",)
    rules = tuple(_spelled(contract, rule, (*at, "from", index)) for index, rule in enumerate(value["from"]))
    events: list[str] = []
    for index, rule in enumerate(value.get("refreshed_by", ())):
        place = (*at, "refreshed_by", index)
        if "event" not in rule:
            raise contract.error(place, "`event` is missing", fix="name the message that carries the new credential")
        events += contract.names(rule["event"], (*place, "event"))
        _spelled(contract, rule, place)
    return Principal(rules, tuple(dict.fromkeys(events)))


def _spelled(contract: Contract, rule: Mapping[str, Any], at: Path) -> str:
    """Return a rule as the recorder's command line has it."""
    jwt = rule.get("jwt")
    if jwt is not None:
        [(place, name)] = jwt.items()
        claim = rule.get("user", "sub")
        if place == "subprotocol":
            return f"jwt:subprotocol:{claim}"
        return f"jwt:{'message' if place == 'path' else place}:{name}:{claim}"
    for place in PLACES:
        if place in rule:
            return f"{place}:{rule[place]}"
    if "path" in rule:
        return f"message:{rule['path']}"
    raise contract.error(at, "names no place", wanted="jwt, header, query, or path", fix="such as {query: user_id}")


def strangers(principal: Principal, recorded: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield what to say of recordings whose users were named by other rules."""
    for rules in sorted(recorded):
        missing = [rule for rule in principal.rules if rule not in rules]
        if rules and missing:
            yield (
                f"users were named by {show(listed(rules, 'and'), 200)}, and the contract names them by"
                f" {listed(missing, 'and')}, too: record with --identify"
            )


__all__ = ["NOBODY", "Principal", "compile_principal", "strangers"]
