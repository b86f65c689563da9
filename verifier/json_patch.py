"""RFC 6902: a JSON Patch applied to a value, in place.  Pure; no hostile patch makes the value grow without end."""

from __future__ import annotations

from typing import Any, Final

from verifier.equality import equal

LARGEST: Final = 100_000
"""Values and 64-character pieces of text in a document that is followed."""
DEEPEST: Final = 200


class PatchError(ValueError):
    """The patch does not apply; the document may be half changed."""


class TooLarge(ValueError):
    """The document is too large or too deep to be followed."""


class Document:
    """A value that patches change."""

    def __init__(self, value: Any) -> None:
        self._weight = 0
        self.value = self._copied(value, ())

    def apply(self, patch: Any) -> None:
        """Apply all operations of a patch.  Raises PatchError, TooLarge."""
        if not isinstance(patch, list):
            raise PatchError("a patch is a list of operations")
        for number, operation in enumerate(patch):
            try:
                self._operate(operation)
            except PatchError as error:
                raise PatchError(f"operation {number}: {error}") from None

    def _operate(self, operation: Any) -> None:
        if not isinstance(operation, dict) or not isinstance(operation.get("op"), str):
            raise PatchError("an operation is an object with `op`")
        op, path = operation["op"], _pointer(operation, "path")
        if op in ("add", "replace", "test") and "value" not in operation:
            raise PatchError(f"`{op}` has no `value`")
        if op == "add":
            self._add(path, self._copied(operation["value"], path))
        elif op == "remove":
            self._remove(path)
        elif op == "replace":
            self._find(path)
            self._put(path, self._copied(operation["value"], path))
        elif op == "test":
            if not equal(self._find(path), operation["value"]):
                raise PatchError(f"`test` at {_shown(path)}: another value stands there")
        elif op in ("move", "copy"):
            source = _pointer(operation, "from")
            if op == "copy":
                self._add(path, self._copied(self._find(source), path))
            elif len(source) < len(path) and path[: len(source)] == source:
                raise PatchError("a value cannot be moved into itself")
            else:
                value = self._copied(self._find(source), path)
                if source != path:
                    self._remove(source)
                    self._add(path, value)
        else:
            raise PatchError("no such operation")

    # -- places

    def _find(self, path: tuple[str, ...]) -> Any:
        value = self.value
        for depth, part in enumerate(path):
            if type(value) is dict and part in value:
                value = value[part]
            elif type(value) is list:
                value = value[_index(part, len(value) - 1, path)]
            else:
                raise PatchError(f"nothing stands at {_shown(path[: depth + 1])}")
        return value

    def _put(self, path: tuple[str, ...], value: Any) -> None:
        if not path:
            self.value = value
            return
        parent = self._find(path[:-1])
        if type(parent) is list:
            parent[_index(path[-1], len(parent) - 1, path)] = value
        else:
            parent[path[-1]] = value

    def _add(self, path: tuple[str, ...], value: Any) -> None:
        parent = self._find(path[:-1]) if path else None
        if type(parent) is list:
            parent.insert(len(parent) if path[-1] == "-" else _index(path[-1], len(parent), path), value)
        elif not path or type(parent) is dict:
            self._put(path, value)
        else:
            raise PatchError(f"nothing can stand at {_shown(path)}")

    def _remove(self, path: tuple[str, ...]) -> None:
        if not path:
            raise PatchError("the root cannot be removed")
        self._find(path)
        parent = self._find(path[:-1])
        del parent[_index(path[-1], len(parent) - 1, path) if type(parent) is list else path[-1]]

    # -- size

    def _copied(self, value: Any, path: tuple[str, ...]) -> Any:
        """Return a copy of its own to stand at a path, or refuse it when all would be too much."""
        self._weight += _weight(value)
        if self._weight > LARGEST:
            # What was removed or replaced since does not count any more.
            self._weight = _weight(value) + _weight(getattr(self, "value", None))
            if self._weight > LARGEST:
                raise TooLarge
        return _copy(value, len(path))


def _pointer(operation: dict[str, Any], name: str) -> tuple[str, ...]:
    text = operation.get(name)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise PatchError(f"`{name}` is no JSON pointer")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:])


def _index(part: str, last: int, path: tuple[str, ...]) -> int:
    plain = part.isascii() and part.isdigit() and (part == "0" or part[0] != "0") and len(part) < 10
    if not plain or int(part) > last:
        raise PatchError(f"nothing stands at {_shown(path)}")
    return int(part)


def _shown(path: tuple[str, ...]) -> str:
    return "/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path) if path else "the root"


def _weight(value: Any) -> int:
    """Return about how large a value is; of what is too large, only that it is."""
    weight, rest = 0, [value]
    while rest and weight <= LARGEST:
        value = rest.pop()
        weight += 1
        if type(value) is str:
            weight += len(value) // 64
        elif type(value) is dict:
            weight += sum(len(key) // 64 for key in value)
            rest += value.values()
        elif type(value) is list:
            rest += value
    return weight


def _copy(value: Any, depth: int) -> Any:
    if depth > DEEPEST:
        raise TooLarge
    if type(value) is dict:
        return {key: _copy(item, depth + 1) for key, item in value.items()}
    if type(value) is list:
        return [_copy(item, depth + 1) for item in value]
    return value


def difference(one: Any, other: Any) -> str | None:
    """Return a JSON pointer to the first place where two values differ, or None."""
    rest: list[tuple[tuple[str, ...], Any, Any]] = [((), one, other)]
    while rest:
        path, a, b = rest.pop()
        if type(a) is dict and type(b) is dict:
            for key in dict.fromkeys([*a, *b]):
                if key not in a or key not in b:
                    return _shown((*path, key))
                rest.append(((*path, key), a[key], b[key]))
        elif type(a) is list and type(b) is list:
            if len(a) != len(b):
                return _shown((*path, str(min(len(a), len(b)))))
            rest += [((*path, str(n)), x, y) for n, (x, y) in enumerate(zip(a, b, strict=True))]
        elif not equal(a, b):
            return _shown(path)
    return None


__all__ = ["Document", "PatchError", "TooLarge", "difference"]
