"""What an answer is called when its own name says nothing: after what it answers, `result of cart.add`.  Pure.

All answers of JSON-RPC are a `result`.  What each result of one method says, those of another need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from verifier.script import SAY, SEND, Recording, Step

NAMELESS = frozenset(("result", "response", "reply", "answer", "ack", "object"))
"""Names of messages that are of as many kinds as there are requests."""


def called(recording: Recording) -> Mapping[int, str]:
    """Return what to call those answers that say the id of a request of their connection, by their index."""
    found: dict[int, str] = {}
    for script in recording.scripts:
        asked: dict[tuple[int, Any], str] = {}
        for item in script.items():
            id = _id(item.document.value)
            if id is None:
                continue
            if isinstance(item, Step):
                if item.kind == SEND:
                    asked[item.connection, id] = item.document.name
            elif item.kind == SAY and item.document.name.lower() in NAMELESS and (item.connection, id) in asked:
                found[item.index] = f"{item.document.name} of {asked[item.connection, id]}"
    return found


def _id(value: Any) -> str | int | None:
    id = value.get("id") if isinstance(value, dict) else None
    return id if isinstance(id, (str, int)) and not isinstance(id, bool) else None
