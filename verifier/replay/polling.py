"""The begin of a Socket.IO session that a WebSocket later takes over: three HTTP requests, of which no tape has more.

GET  .../?EIO=4&transport=polling            -> 0{"sid":"..."}
POST .../?EIO=4&transport=polling&sid=...    40
GET  .../?EIO=4&transport=polling&sid=...    -> 40{"sid":"..."}
"""

from __future__ import annotations

import http.client
from collections.abc import Sequence
from urllib.parse import urlencode

from goldentape.codec import decode_json
from goldentape.errors import EnvironmentFault
from verifier.document import Document
from verifier.script import OPEN, Recording

_PASSED = ("cookie", "authorization", "origin", "user-agent")
PATIENCE = 10.0
"""Seconds for each of the answers."""
SEPARATOR = "\x1e"


def polled(document: Document) -> int | None:
    """Return where in the query of a handshake the `sid` is that polling had given; None where it was not."""
    names = [name for name, _ in document.value["query"]]
    takes_over = ["EIO", "4"] in document.value["query"] and "sid" in names
    return names.index("sid") if takes_over else None


def forget_sids(recording: Recording) -> None:
    """What polling had given is asked for anew: it is no value that a client has to know."""
    for script in recording.scripts:
        for step in script.steps:
            number = polled(step.document) if step.kind == OPEN else None
            if number is not None:
                step.uses = tuple(use for use in step.uses if use.place != ("query", number, 1))


def new_sid(host: str, port: int, path: str, query: Sequence[Sequence[str]], headers: Sequence[tuple[str, str]]) -> str:
    """Begin a session by polling, connect to its default namespace, and return its id.  Blocks.

    Raises EnvironmentFault where the server begins none.
    """
    kept = [(name, text) for name, text in query if name not in ("sid", "transport", "t")]
    target = f"{path}?{urlencode([*kept, ('transport', 'polling')])}"
    passed = {name: text for name, text in headers if name.lower() in _PASSED}
    opened = _ask(host, port, "GET", target, passed, None)
    value, _ = decode_json(opened.split(SEPARATOR)[0][1:]) if opened.startswith("0") else (None, None)
    sid = value.get("sid") if isinstance(value, dict) else None
    if not isinstance(sid, str):
        raise EnvironmentFault("the target begins no Socket.IO session by polling", found=opened)
    target += f"&{urlencode({'sid': sid})}"
    _ask(host, port, "POST", target, {**passed, "Content-Type": "text/plain;charset=UTF-8"}, "40")
    _ask(host, port, "GET", target, passed, None)
    return sid


def _ask(host: str, port: int, method: str, target: str, headers: dict[str, str], body: str | None) -> str:
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    try:
        connection.request(method, target, body, headers)
        return connection.getresponse().read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise EnvironmentFault(f"the target does not answer Socket.IO's polling: {error}") from None
    finally:
        connection.close()


__all__ = ["forget_sids", "new_sid", "polled"]
