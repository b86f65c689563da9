"""Documents that refer to each other by `$ref`, inside one folder.  Pure: reading is handed in, nothing is fetched.

A reference is a file below the folder and a JSON pointer; what it finds keeps its place, for errors to point to.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from verifier.load import ContractError, Document, Path, load, nearest
from verifier.schemas import DRAFTS, FORMATS, LISTS, MAPPINGS, ONES

Read = Callable[[str], bytes]
"""The bytes of a file below the folder.  Raises InputError where it must not or cannot be read."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")
_BESIDE = {"$ref", "title", "description", "$comment", "examples", "default", "deprecated", "readOnly", "writeOnly",
           "$schema"}  # fmt: skip
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a document."""

    library: Library
    file: str
    """Below the library's folder."""
    path: Path

    @property
    def document(self) -> Document:
        """The document in which it stands."""
        return self.library.documents[self.file]

    @property
    def value(self) -> Any:
        """What stands there."""
        value = self.document.value
        for step in self.path:
            value = value[step]
        return value

    def child(self, *steps: str | int) -> Place:
        """Return a node inside."""
        return Place(self.library, self.file, (*self.path, *steps))

    def same(self, other: Place) -> bool:
        """Return whether both are the same node."""
        return self.file == other.file and self.path == other.path

    def error(self, what: str, **facts: Any) -> ContractError:
        """Return an error that points here."""
        return self.document.error(self.path, what, **facts)

    def followed(self) -> Place:
        """Return what a reference that stands here means; the place itself where there is none."""
        place, seen = self, [self]
        while isinstance(place.value, dict) and isinstance(ref := place.value.get("$ref"), str):
            place = self.library.find(ref, place.child("$ref"))
            if any(place.same(other) for other in seen):
                raise self.error("references in a circle", found=ref)
            seen.append(place)
        return place


class Library:
    """The documents of one folder, read when they are first referred to."""

    def __init__(self, folder: str, read: Read) -> None:
        self.documents: dict[str, Document] = {}
        self._read = read
        self._folder = folder
        """As messages show it."""
        self.texts: list[bytes] = []
        """What was read, for the digest of the whole."""
        self.referred: set[str] = set()
        """Files that another file refers to."""

    def open(self, file: str) -> Place:
        """Return a document of the folder, as a whole."""
        if file not in self.documents:
            data = self._read(file)
            self.texts.append(data)
            self.documents[file] = load_any(data, posixpath.join(self._folder, file))
        return Place(self, file, ())

    def find(self, ref: str, at: Place) -> Place:
        """Return the place that a reference at `at` names."""
        if _SCHEME.match(ref):
            raise at.error("remote references are disabled", found=ref, fix="copy what it names into the folder")
        file, _, pointer = ref.partition("#")
        if file.startswith("/"):
            raise at.error("a reference leaves the folder of the document", found=ref)
        name = at.file
        if file:
            name = posixpath.normpath(posixpath.join(posixpath.dirname(at.file), unquote(file)))
            if name == ".." or name.startswith("../"):
                raise at.error("a reference leaves the folder of the document", found=ref)
        try:
            place = self.open(name)
        except ContractError as error:
            if error.where is not None:
                raise
            raise at.error(error.what, found=ref, fix=error.fix) from None
        if name != at.file:
            self.referred.add(name)
        return self._pointed(place, pointer, ref, at)

    def _pointed(self, place: Place, pointer: str, ref: str, at: Place) -> Place:
        if pointer and not pointer.startswith("/"):
            raise at.error("a reference ends in a JSON pointer", found=ref, wanted="#/a/b")
        for part in unquote(pointer).split("/")[1:]:
            value = place.value
            step: str | int = part.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict) and step in value:
                place = place.child(step)
            elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
                place = place.child(int(part))
            else:
                known = [str(key) for key in value] if isinstance(value, dict) else []
                raise at.error("the reference names nothing", found=ref, fix=nearest(str(step), known))
        return place


def load_any(data: bytes, name: str) -> Document:
    """Read YAML or JSON that is not ours: JSON by its own rules, with tabs, and dates as texts."""
    if not name.endswith(".json"):
        return load(data, name, plain_dates=True)
    try:
        value = json.loads(data, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ContractError(f"not JSON: {error.msg}", where=f"{name}:{error.lineno}:{error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise ContractError(f"not JSON: {str(error) or 'nested too deeply'}", where=f"{name}:1:1") from None
    # A tab stands only between things in JSON, and nowhere in YAML.
    document = load(data.replace(b"\t", b" "), name, plain_dates=True)
    document.value = value
    return document


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


class Schemas:
    """JSON Schemas taken out of documents: what they refer to is named, and they refer to the names."""

    def __init__(self, draft: str, taken: set[str], *, foreign: bool) -> None:
        self._draft = draft
        self._foreign = foreign
        """Words and formats of AsyncAPI that judge nothing are left out."""
        self._taken = taken
        """Names that are not free."""
        self.made: dict[str, Any] = {}
        self.origins: dict[Path, tuple[Document, Path]] = {}
        self._names: dict[tuple[str, Path], str] = {}

    def take(self, place: Place) -> Any:
        """Return the schema at a place, with the draft that it is of."""
        made = self._copy(place)
        return {"$schema": self._draft, **made} if isinstance(made, dict) else made

    def reference(self, place: Place) -> str:
        """Return a reference to the schema at a place, which has a name from now on."""
        return f"#/schemas/{self._named(place).replace('~', '~0').replace('/', '~1')}"

    def _named(self, place: Place) -> str:
        slot = (place.file, place.path)
        name = self._names.get(slot)
        if name is None:
            stem = str(place.path[-1]) if place.path else posixpath.basename(place.file).partition(".")[0]
            stem = re.sub(r"[^\w.-]", "_", stem)
            name, number = stem, 2
            while name in self._taken:
                name, number = f"{stem}-{number}", number + 1
            self._taken.add(name)
            self._names[slot] = name
            self.made[name] = True  # it may refer to itself
            self.origins["schemas", name] = (place.document, place.path)
            self.made[name] = self.take(place)
        return name

    def _copy(self, place: Place) -> Any:
        value = place.value
        if not isinstance(value, dict):
            return value
        draft = str(value.get("$schema", self._draft)).rstrip("#")
        if draft != self._draft.rstrip("#") and draft in DRAFTS:
            raise place.child("$schema").error("schemas of two drafts refer to each other", found=value["$schema"])
        if isinstance(value.get("$ref"), str):
            beside = [word for word in value if word not in _BESIDE and not word.startswith("x-")]
            if self._draft == DRAFT_7 and beside:
                raise place.child(beside[0]).error(
                    "draft-07 ignores what stands beside `$ref`", found=beside[0], fix="put both into `allOf`"
                )
        made: dict[str, Any] = {}
        for word, inner in value.items():
            at = place.child(word)
            if word == "$ref" and isinstance(inner, str):
                made[word] = self.reference(place.library.find(inner, at))
            elif word in MAPPINGS and isinstance(inner, dict):
                made[word] = {key: self._copy(at.child(key)) for key in inner}
            elif word in LISTS and isinstance(inner, list):
                made[word] = [self._copy(at.child(index)) for index in range(len(inner))]
            elif word in ONES:
                made[word] = self._copy(at)
            elif self._foreign and (word in ("discriminator", "externalDocs") or self._only_told(word, inner, at)):
                continue
            else:
                made[word] = inner
        return made

    def _only_told(self, word: str, value: Any, at: Place) -> bool:
        """Return whether a format is one that AsyncAPI leaves to whoever reads it."""
        if word != "format" or not isinstance(value, str) or value in FORMATS:
            return False
        fix = nearest(value, FORMATS)
        if fix is not None:
            raise at.error("unknown format", found=value, fix=fix)
        return True


__all__ = ["DRAFT_7", "Library", "Place", "Read", "Schemas"]
