"""The script of a session: what its client does, one action after the other.  Pure values, JSON in and out."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from goldentape.errors import InputError


@dataclass(frozen=True, slots=True)
class Send:
    """Send one message."""

    payload: str | bytes
    """The message as it goes over the wire: `str` as text, `bytes` as binary."""
    canary: str = ""
    """The canary planted in it (see `canary.py`), or empty."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Go on only when the server has sent this session a message for which all that is given holds.

    With a canary: any message of the connection so far will do.  Without: one that came after the message which ended
    the `Wait` before.  A session that is closed while it waits is over; the rest of its script is left out.
    """

    canary: str = ""
    """The answer to the message that carries this canary: a message with the canary in it, or one that shares a
    correlation id (`run_id`, `message_id`, ...) with such a message or with what was sent."""
    type: str = ""
    """Its event name, as `goldentape.naming` reads it (`agent_completed`).  `a|b` takes either."""

    def __str__(self) -> str:
        kind = f" {self.type}" if self.type else ""
        return f'the{kind or " answer"} to "{self.canary}"' if self.canary else f"{self.type or 'a message'}"


@dataclass(frozen=True, slots=True)
class Close:
    """Close with a close frame."""

    code: int = 1000
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Drop:
    """Vanish: the TCP connection is reset, no close frame.  A fault."""


@dataclass(frozen=True, slots=True)
class Slow:
    """Read slowly from here on: each `send` of the server waits until the client reads, a step of its own.  A fault."""


@dataclass(frozen=True, slots=True)
class Fast:
    """Read at once again: what waits is read, and nothing waits from here on."""


Action: TypeAlias = Send | Wait | Close | Drop | Slow | Fast

FAULTS: tuple[type[Action], ...] = (Drop, Slow)
"""The actions that are faults."""

PLAIN: dict[str, type[Drop] | type[Slow] | type[Fast]] = {"drop": Drop, "slow": Slow, "fast": Fast}


def action_to_json(action: Action) -> dict[str, Any]:
    """Return an action as JSON: `{"do": "send", "text": "...", "canary": "..."}`."""
    match action:
        case Send(payload, canary):
            body = {"text": payload} if isinstance(payload, str) else {"b64": base64.b64encode(payload).decode()}
            return {"do": "send", **body, **({"canary": canary} if canary else {})}
        case Wait(canary, type_):
            return {"do": "wait", **({"canary": canary} if canary else {}), **({"type": type_} if type_ else {})}
        case Close(code, reason):
            return {"do": "close", "code": code, **({"reason": reason} if reason else {})}
        case _:
            return {"do": type(action).__name__.lower()}


def action_from_json(value: Any, where: str) -> Action:
    """Read an action; raises `InputError`.  `json` instead of `text` is written compactly."""
    if not isinstance(value, dict) or not isinstance(value.get("do"), str):
        raise InputError("not an action", where=where, found=value, wanted='{"do": "send", "text": "..."}')
    do, rest = value["do"], {key: part for key, part in value.items() if key != "do"}
    allowed = {"send": ("text", "json", "b64", "canary"), "wait": ("canary", "type"), "close": ("code", "reason")}
    if do not in allowed and do not in PLAIN:
        raise InputError("no such action", where=where, found=do, wanted="send, wait, close, drop, slow or fast")
    odd = [key for key in rest if key not in allowed.get(do, ())]
    if odd:
        wanted = ", ".join(allowed.get(do, ())) or "nothing else"
        raise InputError(f"`{do}` has no `{odd[0]}`", where=where, wanted=wanted)
    if do in PLAIN:
        return PLAIN[do]()
    if do == "wait":
        return Wait(_text(rest, "canary", where), _text(rest, "type", where))
    if do == "close":
        code = rest.get("code", 1000)
        if not isinstance(code, int) or not 1000 <= code <= 4999:
            raise InputError("not a close code", where=where, found=code, wanted="1000 to 4999")
        return Close(code, _text(rest, "reason", where))
    return Send(_payload(rest, where), _text(rest, "canary", where))


def _payload(rest: dict[str, Any], where: str) -> str | bytes:
    given = [key for key in ("text", "json", "b64") if key in rest]
    if len(given) != 1:
        raise InputError("a message has one content", where=where, found=given or "none", wanted="text, json or b64")
    if given == ["json"]:
        return json.dumps(rest["json"], ensure_ascii=False, separators=(",", ":"))
    text = _text(rest, given[0], where)
    if given == ["text"]:
        return text
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InputError(f"not base64 ({error})", where=where) from None


def _text(rest: dict[str, Any], key: str, where: str) -> str:
    value = rest.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"`{key}` is not a text", where=where, found=value)
    return value
