"""Contracts as callers of the library name them: by name, by file, or read already."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from verifier.contract import Contract


Contracts: TypeAlias = "str | Contract | Collection[str | Contract] | None"


def contracts_of(
    contract: Contracts, parameters: Mapping[str, str] | None = None, *, allow_code: bool = False
) -> tuple[tuple[str, ...], tuple[Contract, ...]]:
    """Return contracts by the names that they have in a repro file, and ready to judge by.

    `parameters`: of those that are named; `allow_code`: they may bring Python files of their own.
    """
    if contract is None:
        return (), ()
    several = [contract] if isinstance(contract, str) or not isinstance(contract, Collection) else list(contract)
    read: dict[str, Contract] = {}
    if wanted := [c for c in several if isinstance(c, str)]:
        # Where contracts are found is the command line's business; a library that names one asks it.
        finding: Any = importlib.import_module("goldentape.commands.finding")
        read = dict(
            zip(wanted, finding.read_contracts(wanted, dict(parameters or {}), allow_code=allow_code), strict=True)
        )
    names = tuple(c if isinstance(c, str) else c.file for c in several)
    return names, tuple(read[c] if isinstance(c, str) else c for c in several)
