"""Contracts as users name them on the command line: a file, or the name of a shipped one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from goldentape.commands.asyncapi import is_asyncapi, merge_asyncapi, read_asyncapi
from goldentape.commands.folder import Folder
from goldentape.errors import EnvironmentFault, InputError
from verifier.contract import Contract, build
from verifier.include import with_includes
from verifier.lint import demand
from verifier.load import MAX_BYTES, Document, load, nearest
from verifier.params import declared, demand_known
from verifier.plugins import bring_code
from verifier.references import Library
from verifier.schema_folder import SchemaFolder

FILES = (".yaml", ".yml", ".json")


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
    if (shipped := _shipped(name)) is not None:
        return shipped, f"{name.removesuffix('.yaml')}.yaml"
    guess = nearest(name, _names())
    raise InputError(
        "there is no such file and no such contract", where=name,
        fix=guess or f"shipped are: {', '.join(_names())}",
    )  # fmt: skip


def _names() -> list[str]:
    home = files("goldentape.schemas").joinpath("contracts")
    return sorted(p.name.removesuffix(".yaml") for p in home.iterdir() if p.name.endswith(".yaml"))


def _shipped(name: str) -> bytes | None:
    bare = name.removesuffix(".yaml")  # as verdicts and repro files call it
    if bare not in _names():
        return None
    return files("goldentape.schemas").joinpath("contracts", f"{bare}.yaml").read_bytes()


def find_document(name: str, perspective: str | None = None) -> tuple[Document, bytes]:
    """Return a contract with what it includes and with AsyncAPI's messages, and the bytes of all its files."""
    data, called = find_contract(name)
    path = Path(name)
    if is_asyncapi(data):
        return read_asyncapi(path, perspective)
    document = load(data, called)
    data = with_includes(document, data, str(path.resolve()) if path.is_file() else None, _included)
    return document, data + merge_asyncapi(document, perspective)


def _included(word: str, includer: str | None, called: str) -> tuple[str, bytes, str, Document]:
    """Read what an `include` names: a file, told from the one that includes it, or a shipped contract."""
    if "/" not in word and not word.endswith(FILES):
        if (shipped := _shipped(word)) is None:
            raise ValueError("there is no such shipped contract")
        return f"shipped:{word}", shipped, f"{word}.yaml", load(shipped, f"{word}.yaml")
    if "://" in word or Path(word).is_absolute():
        raise ValueError("a file that is included is named from the file that includes it; nothing is fetched")
    if includer is None or includer.startswith("shipped:"):
        raise ValueError("a shipped contract includes shipped ones")
    home = Path(includer).parent
    wanted = Path(os.path.normpath(home / word))
    real = wanted.resolve()
    if real != wanted and not real.is_relative_to(home):
        raise ValueError("is a symbolic link to somewhere else; refusing to follow it")
    if not real.is_file():
        raise ValueError("there is no such file")
    if real.stat().st_size > MAX_BYTES:
        raise ValueError(f"is larger than {MAX_BYTES} bytes")
    data, name = real.read_bytes(), os.path.normpath(Path(called).parent / word)
    return str(real), data, name, load(data, name)


def _schema_folder(path: Path) -> SchemaFolder:
    if not path.is_dir():
        raise InputError("there is no such directory", where=path, wanted="a directory of JSON Schemas")
    folder = Folder(path)
    found = folder.files(FILES)
    if not found:
        raise InputError("no schema is in the directory", where=path, wanted=" or ".join(f"*{end}" for end in FILES))
    return SchemaFolder(Library(path.as_posix(), folder.read), found)


def read_contracts(
    names: Sequence[str], settings: dict[str, str], *, allow_code: bool = False, perspective: str | None = None,
    schemas: Path | None = None,
) -> list[Contract]:  # fmt: skip
    """Return the contracts, ready to judge by.  A setting must be a parameter of one of them at least.

    `allow_code`: run the Python files that their invariants use.  `perspective`: whose AsyncAPI documents are.
    `schemas`: a folder of JSON Schemas for their events.
    """
    found = [find_document(name, perspective) for name in names]
    if schemas is not None:
        folder = _schema_folder(schemas)
        found = [(document, data + folder.bind(document)) for document, data in found]
        folder.demand_used()
    documents = [document for document, _ in found]
    known = [name for document in documents for name in declared(document)]
    demand_known(settings, known, f"{documents[0].name} has" if len(documents) == 1 else "the contracts have")
    contracts = [build(document, data, settings) for document, data in found]
    for contract in contracts:
        bring_code(contract, allow_code=allow_code)
        demand(contract)
    return contracts
