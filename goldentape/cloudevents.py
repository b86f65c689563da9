"""CloudEvents 1.0 in the JSON event format, one event a message: JSON in, the event out.  Pure.

The value is the event as it stands: its type at `type`, its payload at `data`.  Bytes in `data_base64` become
`data: {"$bytes": "00ff"}`, as binary values of other formats do.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from goldentape.codec import Payload, Problem, decode_json

REQUIRED = ("id", "source", "type")
"""Attributes that are there and not empty, beside `specversion`."""


def decode_cloudevents(payload: Payload) -> tuple[Any, Problem | None]:
    """Decode one event, or a batch of them: where the contract unwraps batches, each is an event of its own."""
    value, problem = decode_json(payload)
    if problem is not None and problem.kind == "undecodable":
        return value, problem
    for event in value if isinstance(value, list) else [value]:
        wrong = _wrong(event)
        if wrong is not None:
            return None, Problem("undecodable", f"no CloudEvent: {wrong}")
    return value, problem


def _wrong(event: Any) -> str | None:
    """Return what keeps a value from being an event; bytes in it become readable for paths."""
    if not isinstance(event, dict):
        return "it is no object"
    if event.get("specversion") != "1.0":
        return "its `specversion` is not 1.0"
    for name in REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            return f"its `{name}` is no text, or empty"
    if "data_base64" in event:
        if "data" in event:
            return "it has both `data` and `data_base64`"
        try:
            event["data"] = {"$bytes": base64.b64decode(event.pop("data_base64"), validate=True).hex()}
        except (TypeError, ValueError, binascii.Error):
            return "its `data_base64` is not base64"
    return None
