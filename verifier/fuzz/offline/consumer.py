"""A consumer under test: a function that reads the merged stream of all users and has an end state.

It gets a list of plain dicts in the order of one interleaving, and returns what it made of them:

    {"user": "alice", "connection": 1, "dir": "s2c", "what": "message", "value": {...}, "text": "..."}

`what` is open, message, close or end.  Its end state must not depend on an order that the recording leaves open.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from verifier.fuzz.offline.recorded import Kind, Recorded
from verifier.record import S2C

Consumer = Callable[[list[dict[str, Any]]], Any]
_WHAT = {Kind.OPEN: "open", Kind.END: "end", Kind.LINE: "message", Kind.MARK: "mark"}


class Consuming:
    """Runs a consumer over interleavings; its end state over the recorded order is what the others are held to."""

    def __init__(self, consumer: Consumer, recorded: Recorded, values: Mapping[int, Any]) -> None:
        self._consumer = consumer
        self._items = [_item(recorded, n, values.get(n)) for n in range(len(recorded.steps))]
        self._recorded = range(len(self._items))
        self.expected, _ = self._state(self._recorded)
        """What it makes of the recorded order."""

    def told(self, order: Sequence[int] | None = None) -> str:
        """Return the end state over an interleaving, or over the recorded order, in words."""
        return self._state(self._recorded if order is None else order)[1]

    def _state(self, order: Sequence[int]) -> tuple[str, str]:
        """Return the end state, as it compares and as Python shows it; or how the consumer failed."""
        # What a consumer does to the messages that it gets must not reach its next run.
        stream = [copy.deepcopy(self._items[step]) for step in order]
        try:
            found = self._consumer(stream)
            return repr(plainly(found)), repr(found)
        except Exception as error:
            failed = f"none: it raised {type(error).__name__}: {error}"
            return failed, failed

    def differs(self, order: Sequence[int]) -> bool:
        """Return whether the end state is another than over the recorded order."""
        return self._state(order)[0] != self.expected


def plainly(value: Any) -> Any:
    """Return a value in which the order of a dict's or set's members does not show."""
    if isinstance(value, Mapping):
        return ("dict", sorted(((repr(plainly(k)), plainly(v)) for k, v in value.items()), key=lambda kv: kv[0]))
    if isinstance(value, (set, frozenset)):
        return ("set", sorted(repr(plainly(one)) for one in value))
    if isinstance(value, (list, tuple)):
        return [plainly(one) for one in value]
    return value


def _item(recorded: Recorded, n: int, value: Any) -> dict[str, Any]:
    step, line = recorded.steps[n], recorded.line(n)
    item: dict[str, Any] = {"user": step.user, "connection": step.connection, "what": _WHAT[step.kind]}
    if line is not None:
        item["dir"] = "s2c" if line.dir == S2C else "c2s"
        item["what"] = "close" if line.opcode == 8 else "message"
        item["value"] = value
        text = line.payload
        item["text"] = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    elif step.mark is not None:
        item["mark"] = step.mark.kind
        item["value"] = step.mark.data
    return item
