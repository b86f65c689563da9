"""What the cells of a tape's rows say: checked, for the tape may be hostile, and as values.  Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from goldentape.errors import CorruptTape
from goldentape.event import Connection, Ending, Identity

CONNECTION_COLUMNS = """SELECT id, name, epoch, user, client, target, key, request, status, reason, response, body,
    subprotocol, extensions, credential, credential_expires, opened, accepted, closed, close_code,
    close_reason, closed_by, ending FROM connection"""
"""What is read of a connection."""


class Cells:
    """Reads the cells of one tape; whatever is not what it must be raises CorruptTape, which names the tape."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def connection(
        self, row: tuple[Any, ...], name_of_user: Callable[[int], str], identities: tuple[Identity, ...]
    ) -> Connection:
        """Return a connection, from its columns in the order of `CONNECTION_COLUMNS`."""
        (_, name, epoch, user, client, target, key, request, status, reason, response, body, subprotocol, extensions,
         credential, expires, opened, accepted, closed, code, close_reason, closed_by, ending) = row  # fmt: skip
        self.demand_integers(epoch, opened, *(0 if v is None else v for v in (status, accepted, closed, code, expires)))
        if not isinstance(body, (bytes, type(None))):
            raise CorruptTape("has a body that is no bytes", where=self._path)
        try:
            how = Ending(text(ending))
        except ValueError:
            raise CorruptTape("has a connection with an ending that does not exist", where=self._path) from None
        return Connection(
            id=text(name), user=name_of_user(user), epoch=epoch, client=text(client), target=text(target),
            key=text_or_none(key), request=self._headers(request), status=status, reason=text_or_none(reason),
            response=self._headers(response), body=body, subprotocol=text_or_none(subprotocol),
            extensions=text_or_none(extensions), credential=text(credential), credential_expires=expires,
            opened=opened, accepted=accepted, closed=closed, close_code=code,
            close_reason=text_or_none(close_reason), closed_by=text_or_none(closed_by), ending=how,
            identities=identities,
        )  # fmt: skip

    def demand_integers(self, *values: object) -> None:
        """Raise CorruptTape where something is no number: a spoilt record may hold anything, whatever its columns."""
        for value in values:
            if type(value) is not int:
                raise CorruptTape("has something else where a number must be", where=self._path)

    def _headers(self, text: bytes) -> tuple[tuple[str, str], ...]:
        try:
            return tuple((str(name), str(value)) for name, value in self.json(text, list))
        except (TypeError, ValueError):
            raise CorruptTape("has headers that are not pairs", where=self._path) from None

    def json(self, text: bytes, kind: type) -> Any:
        """Return the value of a JSON column, which is of a type."""
        try:
            value = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            value = None
        if not isinstance(value, kind):
            raise CorruptTape("has a JSON column that is not what it must be", where=self._path)
        return value


def text(value: Any) -> str:
    """Return a text as it was written."""
    # A tape that was not made by us may hold anything; what reads it escapes it (`display.show`).
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def text_or_none(value: Any) -> str | None:
    """Return a text, or None where there is none."""
    return None if value is None else text(value)


def plain(value: Any) -> Any:
    """Return a value of `meta`, text as str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
