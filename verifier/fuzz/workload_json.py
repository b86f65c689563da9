"""Workloads as JSON: written by `Workload.to_json`, read back with one clear line for each mistake.  Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from goldentape.errors import InputError
from verifier.fuzz.passport import Passport
from verifier.fuzz.script import action_from_json, action_to_json
from verifier.fuzz.workload import After, Pairs, Session, User, Workload

FIELDS = ("users", "sessions", "passports")
SESSION_FIELDS = ("name", "user", "path", "query", "headers", "subprotocols", "after", "script")


def workload_to_json(workload: Workload) -> dict[str, Any]:
    """Return a workload as a JSON object: `users`, `sessions`, `passports`."""
    return {
        "users": [
            {"name": user.name, **({"claims": json.loads(user.claims)} if user.claims else {})}
            for user in workload.users
        ],
        "passports": [passport.to_json() for passport in workload.passports],
        "sessions": [_session_to_json(session) for session in workload.sessions],
    }


def _session_to_json(session: Session) -> dict[str, Any]:
    found: dict[str, Any] = {"name": session.name, "user": session.user, "path": session.path}
    if session.query:
        found["query"] = [list(pair) for pair in session.query]
    if session.headers:
        found["headers"] = [list(pair) for pair in session.headers]
    if session.subprotocols:
        found["subprotocols"] = list(session.subprotocols)
    if session.after is not None:
        found["after"] = {"session": session.after.session, "done": session.after.done}
    found["script"] = [action_to_json(action) for action in session.script]
    return found


def workload_from_json(value: Any, secrets: Mapping[str, str]) -> Workload:
    """Read a workload; raises `InputError` with the place of the mistake."""
    if not isinstance(value, dict):
        raise InputError("a workload is an object", found=type(value).__name__, wanted="users and sessions")
    odd = next((key for key in value if key not in FIELDS), None)
    if odd is not None:
        raise InputError(f"a workload has no `{odd}`", wanted=", ".join(FIELDS))
    return Workload(
        users=tuple(_user(item, f"users[{n}]") for n, item in enumerate(_list(value, "users", "workload"))),
        sessions=tuple(_session(item, f"sessions[{n}]") for n, item in enumerate(_list(value, "sessions", "workload"))),
        passports=tuple(Passport.from_json(item, secrets) for item in _list(value, "passports", "workload")),
    )


def _user(item: Any, where: str) -> User:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise InputError("not a user", where=where, found=item, wanted='{"name": "alice"}')
    odd = next((key for key in item if key not in ("name", "claims")), None)
    if odd is not None:
        raise InputError(f"a user has no `{odd}`", where=where, wanted="name, claims")
    claims = item.get("claims")
    if claims is not None and not isinstance(claims, dict):
        raise InputError("claims are an object", where=where, found=claims)
    return User(item["name"], json.dumps(claims) if claims else "")


def _session(item: Any, where: str) -> Session:
    if not isinstance(item, dict) or not isinstance(item.get("name"), str) or not isinstance(item.get("user"), str):
        raise InputError("not a session", where=where, wanted='{"name": "alice", "user": "alice", "script": [...]}')
    odd = next((key for key in item if key not in SESSION_FIELDS), None)
    if odd is not None:
        raise InputError(f"a session has no `{odd}`", where=where, wanted=", ".join(SESSION_FIELDS))
    path = item.get("path", "/ws")
    if not isinstance(path, str):
        raise InputError("`path` is not a text", where=where, found=path)
    subprotocols = _list(item, "subprotocols", where)
    if not all(isinstance(name, str) for name in subprotocols):
        raise InputError("`subprotocols` are texts", where=where, found=subprotocols)
    return Session(
        name=item["name"],
        user=item["user"],
        path=path,
        query=_pairs(item, "query", where),
        headers=_pairs(item, "headers", where),
        subprotocols=tuple(subprotocols),
        after=_after(item.get("after"), where),
        script=tuple(
            action_from_json(part, f"{where}.script[{n}]") for n, part in enumerate(_list(item, "script", where))
        ),
    )


def _after(value: Any, where: str) -> After | None:
    if value is None:
        return None
    done = value.get("done") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(value.get("session"), str) or not isinstance(done, int | None):
        raise InputError(
            "not a beginning", where=f"{where}.after", found=value, wanted='{"session": "alice", "done": 2}'
        )
    return After(value["session"], done)


def _pairs(item: dict[str, Any], key: str, where: str) -> Pairs:
    pairs = _list(item, key, where)
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise InputError(f"`{key}` holds pairs of texts", where=where, found=pair, wanted='["name", "value"]')
    return tuple((name, text) for name, text in pairs)


def _list(item: dict[str, Any], key: str, where: str) -> list[Any]:
    value = item.get(key, [])
    if not isinstance(value, list):
        raise InputError(f"`{key}` is a list", where=where, found=type(value).__name__)
    return value
