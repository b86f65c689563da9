"""Where an app takes WebSockets: the path of its route, found by looking at its routes.  Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

DEFAULT: Final = "/ws"
_PARAMETER = re.compile(r"\{([^}:]+)(?::[^}]*)?\}")
_DEEP = 12


def path_of(app: Any) -> str:
    """Return the path to connect to: that of the one WebSocket route, else `/ws`; parameters are the user's name."""
    paths = list(dict.fromkeys(_paths(_with_routes(app), "", 0)))
    if DEFAULT in paths or not paths:
        return DEFAULT
    return _PARAMETER.sub("{user}", paths[0])


def paths_of(app: Any) -> list[str] | None:
    """Return the paths of all WebSocket routes; None where the app, or a part of it, does not show its routes."""
    inside = _with_routes(app)
    if not _is_open(inside, 0):
        return None
    return list(dict.fromkeys(_paths(inside, "", 0)))


def _is_open(app: Any, depth: int) -> bool:
    """Return whether all routes of an app can be seen."""
    routes = getattr(app, "routes", None)
    if routes is None or depth >= _DEEP:
        return False
    mounted = [route.app for route in routes if type(route).__name__ in ("Mount", "Host")]
    return all(_is_open(_with_routes(inner), depth + 1) or _is_files(inner) for inner in mounted)


def _is_files(app: Any) -> bool:
    return type(app).__name__ == "StaticFiles"


def _with_routes(app: Any) -> Any:
    """Return what is inside of middleware and has routes."""
    for _ in range(_DEEP):
        if getattr(app, "routes", None) is not None or not hasattr(app, "app"):
            break
        app = app.app
    return app


def _paths(app: Any, before: str, depth: int) -> Iterator[str]:
    for route in getattr(app, "routes", None) or ():
        path = str(getattr(route, "path", ""))
        if "websocket" in type(route).__name__.lower():
            yield before + path
        elif depth < _DEEP and (included := getattr(route, "original_router", None)) is not None:
            # FastAPI's include_router, since it is lazy: the router stands beside what it was included with.
            prefix = getattr(getattr(route, "include_context", None), "prefix", "")
            yield from _paths(included, f"{before}{prefix}", depth + 1)
        elif depth < _DEEP and (inner := getattr(route, "app", None)) is not None:
            yield from _paths(_with_routes(inner), before + path, depth + 1)
