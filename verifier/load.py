"""A contract's text into plain values, with the line and column of every node.  Pure: text in, values out.

YAML 1.2 (`on`, `no` and `12:30:45` stay strings), read from ruamel.yaml's events, so that the guards
(tags, aliases, depth, size, duplicates) hold before anything is built.  JSON is read too.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from goldentape.display import show
from goldentape.errors import InputError

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 100
MAX_DIGITS = 300

Path = tuple[str | int, ...]


class ContractError(InputError):
    """A contract that cannot be used; names the file, the line and what was found."""

    path: Path | None = None
    """Where in the contract, if it could be read so far."""


@dataclass(slots=True)
class Document:
    """The values of one contract file, and where each of them stands."""

    name: str
    """The file as messages show it."""
    value: Any
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Path to (line, column) of the key, or of the item of a list; counted from 1."""
    elsewhere: dict[Path, tuple[Document, Path]] = field(default_factory=dict)
    """Parts that stand in another file: their path here, and where they stand there."""
    text: str = ""
    """As it was written."""

    @property
    def schemas(self) -> dict[str, Any]:
        """The JSON Schemas to refer to, as far as there are some."""
        found = self.value.get("schemas") if isinstance(self.value, dict) else None
        return found if isinstance(found, dict) else {}

    def origin(self, path: Iterable[str | int]) -> tuple[Document, Path]:
        """Return the file in which the node at `path` stands, and its path there."""
        at = tuple(path)
        for cut in range(len(at), 0, -1):
            found = self.elsewhere.get(at[:cut])
            if found is not None:
                return found[0].origin((*found[1], *at[cut:]))
        return self, at

    def place(self, path: Iterable[str | int]) -> tuple[int, int]:
        """Return the line and column of the node at `path`, or of its nearest parent, in its file."""
        document, at = self.origin(path)
        while at and at not in document.places:
            at = at[:-1]
        return document.places.get(at, (1, 1))

    def line(self, *path: str | int) -> int:
        """Return the line of the node at `path`."""
        return self.place(path)[0]

    def file(self, *path: str | int) -> str:
        """Return the file of the node at `path`, as messages show it."""
        return self.origin(path)[0].name

    def excerpt(self, *path: str | int) -> list[str]:
        """Return the lines in which the node at `path` stands, as they were written, without their common indent."""
        document, path = self.origin(path)
        if path not in document.places:
            return []
        begin = document.places[path][0]
        others = [line for at, (line, _) in document.places.items() if at[: len(path)] != path and line > begin]
        lines = document.text.splitlines()[begin - 1 : min(others) - 1 if others else None]
        while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip().startswith("#")):
            lines.pop()
        return textwrap.dedent("\n".join(lines)).splitlines()

    def error(self, at: Iterable[str | int], what: str, **facts: Any) -> ContractError:
        """Return an error that points at the node at a path."""
        path = tuple(at)
        line, column = self.place(path)
        error = ContractError(what, where=f"{self.file(*path)}:{line}:{column}", **facts)
        error.path = path
        return error


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return `did you mean ...?` for a misspelt word, or None."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else None


def load(data: bytes, name: str, *, plain_dates: bool = False, what: str = "contract") -> Document:
    """Read a contract, or `what` it is else.  Raises ContractError with file:line:column.

    `plain_dates`: a date that is not quoted is a text, as the documents of others have them.
    """
    if len(data) > MAX_BYTES:
        raise ContractError(
            f"the {what} is too large", where=f"{name}:1:1", found=f"{len(data)} bytes", wanted=f"at most {MAX_BYTES}"
        )
    for mark, encoding in ((b"\xef\xbb\xbf", "a byte order mark"), (b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16")):
        if data.startswith(mark):
            raise ContractError(f"a {what} is UTF-8 without a byte order mark", where=f"{name}:1:1", found=encoding)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode("utf-8"), error.start)
        raise ContractError(
            f"a {what} is UTF-8", where=f"{name}:{line}:{column}", found=f"byte {data[error.start]:#04x}"
        ) from None
    if "\0" in text:
        line, column = _place(text, text.index("\0"))
        raise ContractError(f"a {what} is UTF-8 text", where=f"{name}:{line}:{column}", found="NUL")
    return _Builder(name, plain_dates, what).build(text)


def _place(text: str, at: int) -> tuple[int, int]:
    """Return the line and column of a character."""
    before = text[:at]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


class _Builder:
    """Values from the parser's events, with their places."""

    def __init__(self, name: str, plain_dates: bool, what: str) -> None:
        self.what = what
        self.document = Document(name, None)
        self.plain_dates = plain_dates

    def fail(self, mark: Any, what: str, **facts: Any) -> ContractError:
        line, column = (1, 1) if mark is None else (mark.line + 1, mark.column + 1)
        return ContractError(what, where=f"{self.document.name}:{line}:{column}", **facts)

    def build(self, text: str) -> Document:
        self.document.text = text
        try:
            self.events = iter(YAML(typ="rt", pure=True).parse(text))
            documents = 0
            for event in self.events:
                kind = type(event).__name__
                if kind == "DocumentStartEvent":
                    documents += 1
                    if documents > 1:
                        raise self.fail(event.start_mark, "a contract is one YAML document", found="a second one")
                    self.document.value = self.node(next(self.events), (), 0)
        except MarkedYAMLError as error:
            problem = " ".join(str(part) for part in (error.context, error.problem) if part)
            raise self.fail(error.problem_mark or error.context_mark, f"not YAML: {show(problem)}") from None
        except ReaderError as error:
            line, column = _place(text, error.position)
            found = f"{error.character!r}" if isinstance(error.character, str) else f"U+{error.character:04X}"
            raise ContractError(
                "a character that YAML does not allow", where=f"{self.document.name}:{line}:{column}", found=found
            ) from None
        except (YAMLError, ValueError) as error:
            raise self.fail(None, f"not YAML: {show(str(error))}") from None
        if not isinstance(self.document.value, dict):
            raise self.fail(None, f"a {self.what} is a mapping", found=_name(self.document.value))
        return self.document

    def node(self, event: Any, path: Path, depth: int) -> Any:
        kind = type(event).__name__
        mark = event.start_mark
        self.document.places.setdefault(path, (mark.line + 1, mark.column + 1))
        if depth > MAX_DEPTH:
            raise self.fail(mark, f"nested deeper than {MAX_DEPTH} levels")
        if kind == "AliasEvent":
            raise self.fail(mark, "aliases are not read", found=f"*{event.anchor}", fix="write the value out")
        if event.anchor is not None:
            raise self.fail(
                mark, "anchors are not read", found=f"&{event.anchor}", fix="write the value out where it is used"
            )
        tag = str(event.tag) if getattr(event, "tag", None) is not None else ""
        if tag:
            raise self.fail(mark, "tags are not read: a contract is plain data", found=tag)
        if kind == "ScalarEvent":
            return self.scalar(event)
        if kind == "SequenceStartEvent":
            items: list[Any] = []
            while type(item := next(self.events)).__name__ != "SequenceEndEvent":
                items.append(self.node(item, (*path, len(items)), depth + 1))
            return items
        found: dict[str, Any] = {}
        while type(key_event := next(self.events)).__name__ != "MappingEndEvent":
            at = key_event.start_mark
            if type(key_event).__name__ != "ScalarEvent":
                raise self.fail(at, "a key is a word, not a list or a mapping")
            if getattr(key_event, "tag", None) is not None or key_event.anchor is not None:
                raise self.fail(at, "a key has neither tag nor anchor")
            key = str(key_event.value)
            if key == "<<" and not key_event.style:
                raise self.fail(at, "merge keys are not read", fix="write the values out")
            if key in found:
                line = self.document.places[(*path, key)][0]
                twice = self.fail(at, "a key comes twice", found=key, fix=f"the first is in line {line}")
                twice.path = (*path, key)
                raise twice
            self.document.places[(*path, key)] = (at.line + 1, at.column + 1)
            found[key] = self.node(next(self.events), (*path, key), depth + 1)
        return found

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.style:  # quoted or a block: a string
            return text
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text in ("true", "True", "TRUE"):
            return True
        if text in ("false", "False", "FALSE"):
            return False
        if len(text) > MAX_DIGITS and (_INTEGER.fullmatch(text) or _HEX.fullmatch(text) or _FLOAT.fullmatch(text)):
            raise self.fail(event.start_mark, f"a number of more than {MAX_DIGITS} digits")
        if _INTEGER.fullmatch(text):
            return int(text)
        if _HEX.fullmatch(text):
            return int(text[2:], 16 if text[1] == "x" else 8)
        if _FLOAT.fullmatch(text):
            value = float(text)
            if value in (float("inf"), float("-inf")):
                raise self.fail(event.start_mark, "a number too large", found=text)
            return value
        if text.lower() in (".inf", "-.inf", "+.inf", ".nan"):
            raise self.fail(event.start_mark, "JSON has no such number", found=text)
        if _DATE.fullmatch(text) and not self.plain_dates:
            raise self.fail(event.start_mark, "dates are not read", found=text, fix="quote it")
        return text


_INTEGER = re.compile(r"[-+]?[0-9]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([Tt ].*)?")


def _name(value: Any) -> str:
    return {dict: "a mapping", list: "a list", str: "a string", type(None): "nothing"}.get(
        type(value), type(value).__name__
    )
