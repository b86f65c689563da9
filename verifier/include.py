"""`include`: other contracts' sections, merged by id, each part with the place it has in its own file.  Pure.

What includes wins over what is included, and a later include over an earlier one.  Of what both have, the fields are
put together; an invariant that is changed must be of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from verifier.load import ContractError, Document, Path

BY_ID = ("params", "keys", "schemas", "events", "spans", "invariants", "tiers")
WHOLE = ("params", "schemas")
"""Sections in which an id has one value: the winner's, whole."""
LISTS = ("waivers", "plugins")
FIELDS = ("wire", "principal", "clock", "compare")
"""Sections that say one thing each, field by field."""
OWN = ("goldentape", "contract", "include")
MOST = 64

Read = Callable[[str, str | None, str], tuple[str, bytes, str, Document]]
"""(what `include` says, identity and name of the including file) to (identity, bytes, name, document)."""


def with_includes(document: Document, data: bytes, identity: str | None, read: Read) -> bytes:
    """Merge into a document what it includes; return the bytes of all files.  Raises ContractError."""
    count = [0]
    return _merge(document, data, identity, read, [(identity, document.name)], count)


def _merge(
    document: Document, data: bytes, identity: str | None, read: Read, trail: list[tuple[str | None, str]],
    count: list[int],
) -> bytes:  # fmt: skip
    wanted = document.value.get("include")
    if wanted is None:
        return data
    if not isinstance(wanted, list) or not all(isinstance(word, str) and word for word in wanted):
        raise document.error(("include",), "`include` is a list of files and names of shipped contracts")
    merged = _Merged()
    for index, word in enumerate(wanted):
        at: Path = ("include", index)
        count[0] += 1
        if count[0] > MOST:
            raise document.error(at, f"more than {MOST} files are included")
        try:
            found, more, name, child = read(word, identity, document.name)
        except ContractError:
            raise
        except (OSError, ValueError) as error:
            raise document.error(at, str(error), found=word) from None
        if any(found == known for known, _ in trail):
            circle = [name for _, name in trail] + [name]
            raise document.error(at, "files include each other", found=" -> ".join(circle))
        _demand_contract(child)
        data += _merge(child, more, found, read, [*trail, (found, name)], count)
        merged.take(child, child)
    merged.take(document, None)
    own = {key: value for key, value in document.value.items() if key in OWN}
    document.value = own | merged.value
    document.elsewhere.update(merged.origin)
    return data


def _demand_contract(child: Document) -> None:
    version = child.value.get("goldentape")
    if type(version) is not int or version != 1:
        raise child.error(
            ("goldentape",), "what is included is a contract of language version 1", found=version,
            wanted="goldentape: 1",
        )  # fmt: skip


class _Merged:
    """Sections put together, and where each part stands."""

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self.origin: dict[Path, tuple[Document, Path]] = {}

    def take(self, document: Document, source: Document | None) -> None:
        """Put a document's sections over what is there; `source`: it is another file than the one that is made."""
        for section, given in document.value.items():
            if section in OWN:
                continue
            at: Path = (section,)
            if section in LISTS and isinstance(given, list):
                known = self.value.setdefault(section, [])
                for index, item in enumerate(given):
                    self._note((section, len(known)), source, (section, index))
                    known.append(item)
            elif (
                section in (*BY_ID, *FIELDS)
                and isinstance(given, dict)
                and isinstance(self.value.get(section, {}), dict)
            ):
                known = self.value.setdefault(section, {})
                for name, item in given.items():
                    self._put(document, known, (section, name), item, source)
            else:
                self.value[section] = given
                self._note(at, source, at)

    def _put(self, document: Document, known: dict[str, Any], at: Path, item: Any, source: Document | None) -> None:
        section, name = at
        before = known.get(str(name))
        if section == "invariants" and isinstance(before, dict) and isinstance(item, dict):
            self._same_kind(document, at, before, item)
        if section not in BY_ID or section in WHOLE or not (isinstance(before, dict) and isinstance(item, dict)):
            known[str(name)] = item
            self._note(at, source, at)
            return
        home, place = self.origin.get(at, (None, at))
        if home is not None:
            for field in before:
                self.origin.setdefault((*at, field), (home, (*place, field)))
        known[str(name)] = before | item
        self._note(at, source, at)
        for field in item:
            self._note((*at, field), source, (*at, field))

    def _same_kind(self, document: Document, at: Path, before: dict[str, Any], item: dict[str, Any]) -> None:
        kind, wanted = item.get("kind"), before.get("kind")
        if kind != wanted:
            raise document.error(
                (*at, "kind"), "an included invariant is changed, and not into another kind", found=kind,
                wanted=f"kind: {wanted}", fix="give the invariant a name of its own",
            )  # fmt: skip

    def _note(self, at: Path, source: Document | None, place: Path) -> None:
        if source is None:
            self.origin.pop(at, None)
        else:
            self.origin[at] = (source, place)


__all__ = ["with_includes"]
