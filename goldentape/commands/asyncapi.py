"""AsyncAPI documents on disk: as contracts of their own, or read into a contract that names one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import click

from goldentape.commands.folder import Folder
from verifier.asyncapi import CLIENT, SERVER, Api, read
from verifier.asyncapi_contract import Made
from verifier.load import Document
from verifier.paths import as_list
from verifier.references import Library
from verifier.shape import demand_section

perspective_option = click.option(
    "--perspective", type=click.Choice([SERVER, CLIENT]), help="Whose an AsyncAPI document is. Default: the server's."
)  # fmt: skip

_ASYNCAPI = re.compile(rb"""^[{\s]*["']?asyncapi["']?\s*:\s*["']?\d""", re.MULTILINE)
_CONTRACT = re.compile(rb"""^[{\s]*["']?goldentape["']?\s*:""", re.MULTILINE)


def is_asyncapi(data: bytes) -> bool:
    """Return whether a file is an AsyncAPI document, and no contract."""
    return _ASYNCAPI.search(data) is not None and _CONTRACT.search(data) is None


def read_asyncapi(path: Path, perspective: str | None) -> tuple[Document, bytes]:
    """Return the contract that a document is, and the bytes of all its files."""
    api, library = _read(path, perspective or SERVER, ())
    return _made(api).document(str(path)), b"".join(library.texts)


def merge_asyncapi(document: Document, perspective: str | None) -> bytes:
    """Read the AsyncAPI document that a contract names into it; return the bytes that it was read from."""
    if "asyncapi" not in document.value:
        return b""
    demand_section(document, "asyncapi")
    given = document.value["asyncapi"]
    path = Path(document.file("asyncapi")).parent / given["file"]
    if not path.is_file():
        raise document.error(("asyncapi", "file"), "there is no such file", found=given["file"])
    api, library = _read(
        path, perspective or given.get("perspective", SERVER), as_list(given.get("channels"))
    )  # fmt: skip
    wire = document.value.get("wire")
    type_path = wire.get("type") if isinstance(wire, dict) else None
    _made(api, replies=given.get("replies", "error"), taken=document.schemas, type_path=type_path).merge(document)
    del document.value["asyncapi"]
    return b"".join(library.texts)


def _read(path: Path, perspective: str, channels: tuple[str, ...]) -> tuple[Api, Library]:
    library = Library(path.parent.as_posix() if path.parent != Path() else "", Folder(path.parent).read)
    return read(library.open(path.name), perspective=perspective, channels=channels), library


def _made(api: Api, *, replies: str = "error", taken: Iterable[str] = (), type_path: str | None = None) -> Made:
    try:
        return Made(api, replies=replies, taken=taken, type_path=type_path)
    except RecursionError:
        raise api.root.error("nested too deeply to be understood") from None
