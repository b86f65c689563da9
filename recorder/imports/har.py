"""HAR files of browsers and proxies: entries one by one, messages one by one, never the file as a whole.

| who wrote it | what is its own |
| --- | --- |
| Chrome | seconds; keys in the order of the alphabet; opcode -1 for an error; cookies left out unless asked for |
| Playwright | milliseconds, -1 without timing; status -1 without an answer; messages perhaps in a file beside it |
| mitmproxy | seconds; http:// URLs; `time` is the handshake's alone |
| HTTP Toolkit | seconds; `_webSocketClose` with code and reason, but not whose |
| gori | seconds; CONNECT and 200 over HTTP/2; empty methods; `encoding: base64` at a message |
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import ijson
from ijson.common import ObjectBuilder

from goldentape.display import show
from goldentape.errors import InputError
from recorder.imports.heads import origin_of, request_head, response_head, target_of
from recorder.imports.staging import Head, Staging

SECOND = 1_000_000_000
DEPTH, NODES = 200, 1_000_000
"""How deep a part of an entry may be nested, and how many values it may have, messages apart."""
_PARTS = frozenset(
    {"startedDateTime", "time", "timings", "request", "response", "_resourceType", "_webSocketClose", "_goldentape"}
)
_MESSAGES = "_webSocketMessages"
_DIRECTIONS = {"send": 0, "receive": 1}
_OPCODES = {1, 2, 8, 9, 10}
_BOM = b"\xef\xbb\xbf"
_APART = re.compile(r"[0-9A-Za-z_-]{1,80}\.jsonl")
LACKS = {
    "closes": "who closed a connection, and with what code",
    "control": "pings and pongs",
    "credentials": "credentials that the tool left out of the headers",
}
"""What no HAR carries, whoever wrote it."""
Events = Iterator[tuple[str, Any]]


class Wrong(Exception):
    """What is not as a HAR has it; `read` says where."""


class HarReader:
    """Reads one HAR file into a staging."""

    def __init__(self, path: Path, staging: Staging, tick: Callable[[int], None]) -> None:
        self._path = path
        self._staging = staging
        self._told = staging.told
        self._tick = tick
        self._entry = 0
        self._message: int | None = None
        self._number = 0
        self.upstreams: dict[str, None] = {}

    def read(self) -> None:
        """Read it all.  Raises InputError, with the place, for what is no HAR, or a broken one."""
        self._told.source = "HAR"
        self._told.lacks.update(LACKS)
        try:
            with self._path.open("rb") as file:
                if file.read(3) != _BOM:
                    file.seek(0)
                self._top(ijson.basic_parse(file))
        except ijson.IncompleteJSONError as fault:
            if "premature EOF" in str(fault) or "Incomplete" in str(fault):
                raise self._error("ends in the middle of its JSON: it was cut off") from None
            raise self._error(f"is no JSON ({_first(fault)})") from None
        except ijson.JSONError as fault:
            raise self._error(f"is no JSON ({_first(fault)})") from None
        except Wrong as fault:
            raise self._error(str(fault)) from None
        except RecursionError:
            raise self._error("is nested too deeply") from None
        if not self.upstreams:
            raise InputError(
                "has no WebSocket in it", where=self._path, found=f"{self._entry} entries",
                fix="record with the tool's WebSocket messages",
            )  # fmt: skip

    def _error(self, what: str) -> InputError:
        place = ""
        if self._entry:
            place = f"entry {self._entry}" + ("" if self._message is None else f", message {self._message}") + ": "
        return InputError(f"{place}{what}", where=self._path)

    # -- the frame around the entries

    def _top(self, events: Events) -> None:
        if next(events, ("", None))[0] != "start_map":
            raise Wrong("is no HAR: it is no JSON object")
        found = False
        for key in _keys(events):
            if key == "log":
                found = self._log(events) or found
            else:
                _skip(events)
        if not found:
            raise Wrong("is no HAR: it has no log.entries")

    def _log(self, events: Events) -> bool:
        if next(events)[0] != "start_map":
            raise Wrong("is no HAR: its log is no object")
        found = False
        for key in _keys(events):
            if key == "entries":
                found = True
                self._entries(events)
            elif key == "creator":
                creator = _build(events)
                if isinstance(creator, dict):
                    self._told.creator = f"{creator.get('name', '')} {creator.get('version', '')}".strip()[:200]
            else:
                _skip(events)
        return found

    def _entries(self, events: Events) -> None:
        if next(events)[0] != "start_array":
            raise Wrong("is no HAR: its log.entries are no list")
        for event, _ in events:
            if event == "end_array":
                self._entry, self._message = max(self._entry, 0), None
                return
            self._entry += 1
            self._message = None
            if event != "start_map":
                raise Wrong("is no object")
            self._read_entry(events)

    def _read_entry(self, events: Events) -> None:
        self._number += 1
        number, parts, messages = self._number, {}, None
        for key in _keys(events):
            if key == _MESSAGES:
                messages = (messages or 0) + self._messages(events, number)
            elif key in _PARTS:
                parts[key] = _build(events)
            else:
                _skip(events)
        self._message = None
        request = _object(parts, "request")
        url = request.get("url", "")
        if not isinstance(url, str):
            raise Wrong(f"its URL is no text, but {_kind(url)}")
        resource = parts.get("_resourceType")
        if messages is None and resource != "websocket" and not _upgrades(url, request):
            self._told.odd["requests that are no WebSocket were left out"] += 1
            return
        try:
            origin, target = origin_of(url), target_of(url)
        except ValueError:
            raise Wrong("its URL is none") from None
        self.upstreams[origin] = None
        if not messages:
            messages = self._apart(_object(parts, "response"), number)
        self._connection(number, parts, target, messages)

    # -- one connection

    def _connection(self, number: int, parts: dict[str, Any], target: str, messages: int) -> None:
        request, response = _object(parts, "request"), _object(parts, "response")
        started = _moment(parts.get("startedDateTime"))
        opened = started
        if opened is None:
            self._no_times()
            opened = 0
        status = _integer(response.get("status"), "its status")
        head: bytes | None = None
        headers = _headers(response.get("headers"))
        reason = response.get("statusText")
        reason = reason if isinstance(reason, str) else ""
        if status == 101 or messages:
            if status not in (101, None):
                self._told.odd["handshakes with another status than 101 had messages, and count as accepted"] += 1
            head = response_head(101, reason or "Switching Protocols", headers)
        elif status is not None and 100 <= status <= 999:
            head = response_head(status, reason, headers)
        total = _milliseconds(parts.get("time"))
        timings = _object(parts, "timings")
        waited = sum(_milliseconds(timings.get(name)) or 0 for name in ("blocked", "dns", "connect", "send", "wait"))
        close = parts.get("_webSocketClose")
        own = parts.get("_goldentape") if isinstance(parts.get("_goldentape"), dict) else {}
        assert isinstance(own, dict)
        body = _object(response, "content").get("text")
        found = Head(
            request=request_head(target, _with_cookies(request)), response=head, opened=opened,
            accepted=opened + waited, closed=None if total is None else opened + total,
            body=body.encode("utf-8", "replace")[: 64 << 10] if isinstance(body, str) and status != 101 else b"",
            user=_own_user(own),
        )  # fmt: skip
        if isinstance(close, dict):
            found.code = _integer(close.get("code"), "its close code")
            found.reason = close["reason"] if isinstance(close.get("reason"), str) else ""
            at = _unix(close.get("timestamp"))
            found.closed = at if at is not None else found.closed
        _own_close(own, found)
        self._staging.connection(number, found)

    def _no_times(self) -> None:
        self._told.lacks["times"] = "when messages were sent"

    # -- messages

    def _messages(self, events: Events, number: int) -> int:
        event, value = next(events)
        if event == "null":
            return 0
        if event != "start_array":
            raise Wrong(f"its {_MESSAGES} are no list, but {_kind(value) if event != 'start_map' else 'an object'}")
        count = 0
        for event, value in events:
            if event == "end_array":
                return count
            count += 1
            self._message = count
            if event != "start_map":
                raise Wrong(f"is no object, but {_kind(value) if event != 'start_array' else 'a list'}")
            self._take(_build(events, ("start_map", None)), number)
        return count

    def _take(self, message: dict[str, Any], number: int) -> None:
        self._tick(1)
        kind, data = message.get("type"), message.get("data")
        if data is None:
            data = ""
        if not isinstance(data, str):
            raise Wrong(f"its data are no text, but {_kind(data)}")
        opcode = _integer(message.get("opcode"), "its opcode")
        if opcode == -1 or kind == "error":
            self._told.odd["errors of the tool, which are no messages, were left out"] += 1
            return
        if not isinstance(kind, str) or kind not in _DIRECTIONS:
            raise Wrong(f"its type is neither send nor receive, found {show(str(kind), 40)}")
        if opcode is None:
            opcode = 1
        if opcode not in _OPCODES:
            raise Wrong(f"its opcode is none of 1, 2, 8, 9, 10, found {opcode}")
        t = _unix(message.get("time"))
        if t is None:
            self._no_times()
        self._staging.message(number, t, _DIRECTIONS[kind], opcode, self._payload(message, data, opcode))

    def _payload(self, message: dict[str, Any], data: str, opcode: int) -> bytes:
        own = message.get("_goldentape")
        encoding = message.get("encoding") or (own.get("encoding") if isinstance(own, dict) else None)
        if encoding == "base64" or opcode != 1:
            try:
                return base64.b64decode(data, validate=True)
            except (binascii.Error, ValueError):
                if encoding == "base64":
                    raise Wrong("its data are no base64") from None
                self._told.odd["binary messages were no base64, and are taken as text"] += 1
        return data.encode("utf-8", "surrogatepass")

    def _apart(self, response: dict[str, Any], number: int) -> int:
        """Read messages that are in a file beside the HAR (Playwright, `content: "attach"`)."""
        name = _object(response, "content").get("_file")
        if not isinstance(name, str) or not name.endswith(".jsonl"):
            return 0
        beside = self._path.parent / name
        if not _APART.fullmatch(name) or beside.is_symlink() or not beside.is_file():
            raise Wrong(f"its messages are in {show(name, 100)}, which is not beside it")
        count = 0
        with beside.open("rb") as file:
            for line in file:
                if not line.strip():
                    continue
                count += 1
                self._message = count
                try:
                    value = json.loads(line, parse_float=Decimal)
                except (ValueError, RecursionError):
                    raise Wrong(f"is no JSON, in {name}") from None
                if not isinstance(value, dict):
                    raise Wrong(f"is no object, in {name}")
                self._take(value, number)
        self._message = None
        return count


def _own_user(own: dict[str, Any]) -> str | None:
    """Who our own export says the user is; nobody, where only the connection was known."""
    user = own.get("user")
    return user if isinstance(user, str) and user and not user.startswith("connection:") else None


def _own_close(own: dict[str, Any], head: Head) -> None:
    """What our own export has of the end: the control frames."""
    for frame in own["control"] if isinstance(own.get("control"), list) else ():
        if isinstance(frame, dict) and frame.get("opcode") == 8 and frame.get("type") in _DIRECTIONS:
            try:
                payload = base64.b64decode(str(frame.get("data")), validate=True)
            except ValueError:
                continue
            if len(payload) >= 2 and head.closer is None:
                head.closer, head.code = _DIRECTIONS[frame["type"]], int.from_bytes(payload[:2], "big")
                head.reason = payload[2:].decode("utf-8", "replace")


# -- JSON


def _keys(events: Events) -> Iterator[str]:
    """Yield the keys of an object that has begun, each before its value, which must be read before the next."""
    for event, value in events:
        if event == "end_map":
            return
        yield value


def _skip(events: Events) -> None:
    depth = 0
    for event, _ in events:
        if event in ("start_map", "start_array"):
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
        if depth == 0:
            return


def _build(events: Events, begun: tuple[str, Any] | None = None) -> Any:
    """Return the next value; `begun`: its first event, which has been read already."""
    builder = ObjectBuilder()
    depth = 0
    if begun is not None:
        builder.event(*begun)
        depth = 1
    for nodes, (event, value) in enumerate(events):
        builder.event(event, value)
        if event in ("start_map", "start_array"):
            depth += 1
        elif event in ("end_map", "end_array"):
            depth -= 1
        if depth > DEPTH or nodes > NODES:
            raise Wrong("is nested too deeply" if depth > DEPTH else "is too large to be an entry of a HAR")
        if depth == 0:
            break
    return builder.value


def _object(parts: dict[str, Any], name: str) -> dict[str, Any]:
    value = parts.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Wrong(f"its {name} is no object, but {_kind(value)}")
    return value


def _with_cookies(request: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a request's headers; its cookies, where a tool has them in a list of their own only."""
    headers = list(_headers(request.get("headers")))
    cookies = request.get("cookies")
    if isinstance(cookies, list) and cookies and not any(name.lower() == "cookie" for name, _ in headers):
        pairs = [f"{one.get('name')}={one.get('value')}" for one in cookies if isinstance(one, dict)]
        headers.append(("Cookie", "; ".join(pairs)))
    return headers


def _upgrades(url: str, request: dict[str, Any]) -> bool:
    """Whether a request asked for a WebSocket: by its scheme, or by its headers."""
    if url.lower().startswith(("ws:", "wss:")):
        return True
    return any(n.lower() == "upgrade" and v.lower() == "websocket" for n, v in _headers(request.get("headers")))


def _headers(value: Any) -> Iterator[tuple[str, str]]:
    if value is None:
        return
    if not isinstance(value, list):
        raise Wrong(f"its headers are no list, but {_kind(value)}")
    for pair in value:
        if not isinstance(pair, dict) or not isinstance(pair.get("name"), str):
            raise Wrong("its headers are not pairs of name and value")
        yield pair["name"], str(pair.get("value", ""))


def _integer(value: Any, what: str) -> int | None:
    """Return a number as one that can be counted with; None where there is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Wrong(f"{what} is no number, but {_kind(value)}")
    if not -(1 << 31) <= value <= 1 << 31 or value != int(value):
        raise Wrong(f"{what} is out of range, found {show(str(value), 30)}")
    return int(value)


def _unix(value: Any) -> int | None:
    """Return a time in Unix ns; None where there is none.  Its unit is told by how large it is."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        if value is not None:
            raise Wrong(f"its time is no number, but {_kind(value)}")
        return None
    number = Decimal(str(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or number <= 0 or number.adjusted() > 19:
        return None
    # 1e11 s is the year 5138, and 1e11 ms the year 1973; likewise for microseconds and nanoseconds.
    for power, unit in ((11, SECOND), (14, 1_000_000), (17, 1_000), (20, 1)):
        if number.adjusted() < power:
            return int(number * unit)
    return None


def _milliseconds(value: Any) -> int | None:
    """Return a duration of HAR, which is in milliseconds, in ns; None for -1, which says that there is none."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if not number.is_finite() or number < 0 or number > 10**12:
        return None
    return int(number * 1_000_000)


def _moment(value: Any) -> int | None:
    """Return an ISO 8601 time as Unix ns."""
    if not isinstance(value, str):
        if value is not None:
            raise Wrong(f"its startedDateTime is no text, but {_kind(value)}")
        return None
    try:
        # Python reads six digits of a second at most.
        found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", value.strip()))
    except ValueError:
        return None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    span = found - datetime(1970, 1, 1, tzinfo=UTC)
    ns = (span.days * 86_400 + span.seconds) * SECOND + span.microseconds * 1000
    return ns if ns > 0 else None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return f"a text ({show(value, 30)})"
    return (
        "a list" if isinstance(value, list) else "an object" if isinstance(value, dict) else f"{show(str(value), 30)}"
    )


def _first(fault: Exception) -> str:
    return show(str(fault).splitlines()[0] if str(fault) else type(fault).__name__, 120)
