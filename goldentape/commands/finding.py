"""Contracts as users name them on the command line: a file, or the name of a shipped one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from goldentape.errors import EnvironmentFault, InputError
from verifier.contract import Contract, build
from verifier.lint import demand
from verifier.load import load, nearest
from verifier.params import declared, demand_known
from verifier.plugins import bring_code


def find_contract(name: str) -> tuple[bytes, str]:
    """Return the bytes of a contract and what to call it: a path, or the name of a shipped one."""
    path = Path(name)
    if path.is_dir():
        raise InputError("is a directory", where=name, wanted="a contract")
    if path.is_file():
        try:
            return path.read_bytes(), name
        except OSError as error:
            raise EnvironmentFault(error.strerror or "cannot be read", where=name) from error
    shipped = {p.name.removesuffix(".yaml"): p for p in files("goldentape.schemas").joinpath("contracts").iterdir()}
    if name in shipped:
        return shipped[name].read_bytes(), f"{name}.yaml"
    guess = nearest(name, shipped)
    raise InputError(
        "there is no such file and no such contract", where=name,
        fix=guess or f"shipped are: {', '.join(sorted(shipped))}",
    )  # fmt: skip


def read_contracts(names: Sequence[str], settings: dict[str, str], *, allow_code: bool = False) -> list[Contract]:
    """Return the contracts, ready to judge by.  A setting must be a parameter of one of them at least.

    `allow_code`: run the Python files that their invariants use.
    """
    texts = [find_contract(name) for name in names]
    documents = [load(*text) for text in texts]
    known = [name for document in documents for name in declared(document)]
    demand_known(settings, known, f"{documents[0].name} has" if len(documents) == 1 else "the contracts have")
    contracts = [build(document, data, settings) for document, (data, _) in zip(documents, texts, strict=True)]
    for contract in contracts:
        bring_code(contract, allow_code=allow_code)
        demand(contract)
    return contracts
