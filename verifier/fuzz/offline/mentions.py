"""What messages mention that tells them from others: ids, texts, names of users.  Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

_ID_NAME: Final = re.compile(r"(?:^|[_\-.])(?:id|ids|uuid|guid)$|[a-z](?:Id|Ids|ID|Uuid|Guid)$")
_TOKEN: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-f]{16,}|[A-Z0-9]{20,}")
_COUNTER: Final = re.compile(r"[A-Za-z_.:#-]{0,8}\d{1,6}")
"""What two clients make up alike, each for itself: 1, op-2, msg_3."""
_STAMP: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]|[\d.:,+-]*$|\w+://")
"""Times and numbers, and addresses: what many say alike."""
TELLING: Final = 2
"""Characters of a text that can tell where it came from."""
HIGH: Final = 100
"""Numbers from which on two are hardly equal by chance."""
LEAVES: Final = 2_000
"""Values of one message that are looked at."""


def is_token(value: Any) -> bool:
    """Return whether a value looks like nothing that two could make up alike: a UUID, a long number in hex."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def is_counter(value: Any) -> bool:
    """Return whether a value is what two clients make up alike: `1`, `op-2`."""
    return isinstance(value, str) and _COUNTER.fullmatch(value) is not None


def ids_of(value: Any, known: Sequence[Any] = ()) -> set[Any]:
    """Return the ids that a message mentions: under names such as run_id, or values that look like nothing else.

    `known`: those that the contract's keys read from it.
    """
    found = {one for one in known if _can_be_id(one)}
    found.update(
        here for name, here in _leaves(value)
        if _can_be_id(here) and (_ID_NAME.search(name) or (isinstance(here, str) and _TOKEN.fullmatch(here)))
    )  # fmt: skip
    return found


def texts_of(value: Any) -> set[str | int | float]:
    """Return the texts and numbers of a message, without what tells nothing: stamps, addresses, what is short."""
    return {here for _, here in _leaves(value) if _tells(here)}


def _tells(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) >= TELLING and not _STAMP.match(value)
    return isinstance(value, (int, float)) and not isinstance(value, bool) and (abs(value) >= HIGH or value % 1 != 0)


def users_in(value: Any, users: Collection[str]) -> set[str]:
    """Return the users whom a message names in one of its values."""
    return {here for _, here in _leaves(value) if isinstance(here, str) and here in users}


def _leaves(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of what stands in a message, as far as it is looked at."""
    todo: list[tuple[str, Any]] = [("", value)]
    left = LEAVES
    while todo and left:
        name, here = todo.pop()
        left -= 1
        if isinstance(here, dict):
            todo += here.items()
        elif isinstance(here, list):
            todo += [(name, item) for item in here]
        else:
            yield name if isinstance(name, str) else "", here  # members of MessagePack may be called by numbers


def _can_be_id(value: Any) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= 200
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1_000_000
