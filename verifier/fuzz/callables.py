"""What an attribute of a module is: an ASGI app, a factory of one, or neither; told apart as uvicorn does."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Sequence
from typing import Any

from goldentape.errors import InputError
from verifier.fuzz.asgi import App
from verifier.fuzz.escape import Escaped, short

_OURS = __file__.rpartition("/")[0]


def asgi_app(found: Any, *, factory: bool, where: str) -> App:
    """Return the ASGI 3 app: what a factory makes, or what was found; an ASGI 2 app is wrapped.

    Raises `InputError` for what is neither, and where the factory fails.
    """
    app = _by_factory(found, where) if factory or _is_factory(found) else found
    if not callable(app):
        raise InputError("the app cannot be called", where=where, found=type(app).__name__)
    wanted = _required(app)
    if hasattr(app, "wsgi_app") or wanted[:1] == ["environ"]:
        raise InputError(
            "it is a WSGI app, which has no WebSockets", where=where, wanted="an ASGI app (FastAPI, Starlette, Quart)"
        )
    if inspect.isfunction(app) and (len(wanted) not in (1, 3) or (len(wanted) == 1 and wanted != ["scope"])):
        raise InputError(
            f"it is a function that wants {', '.join(wanted)}" if wanted else "it is a function that wants nothing",
            where=where, wanted="an ASGI app: a callable that takes scope, receive, send",
            fix="write a factory that takes nothing (def make(): return create_app(...)), and name that",
        )  # fmt: skip
    made: App = app if _is_asgi3(app) else _wrapped(app)
    return made


def _by_factory(factory: Any, where: str) -> Any:
    if not callable(factory):
        raise InputError("--factory: it is no function", where=where, found=type(factory).__name__)
    wanted = _required(factory)
    if wanted and not inspect.isclass(factory):
        raise InputError(
            f"the factory wants {', '.join(wanted)}", where=where, wanted="one that takes nothing",
            fix="write one (def make(): return create_app(...)), and name that",
        )  # fmt: skip
    try:
        return factory()
    except Escaped:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"the factory fails: {told_of(error)}", where=where, found=place_of(error)) from None


def told_of(error: BaseException) -> str:
    """Return what an exception says, with its type, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def place_of(error: BaseException) -> str:
    """Return where in the app's code an exception came from: `shop.py:41`."""
    frames = traceback.extract_tb(error.__traceback__)
    last = next(
        (
            f
            for f in reversed(frames)
            if "importlib" not in f.filename and not f.filename.startswith(("<frozen ", _OURS))
        ),
        None,
    )
    return f"{short(last.filename)}:{last.lineno}" if last is not None else type(error).__name__


def _required(app: Any) -> Sequence[str]:
    """Return the names of the arguments that must be given; none where that cannot be told."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def _is_factory(found: Any) -> bool:
    """Return whether an app is a function that wants no arguments: uvicorn calls it then."""
    if not inspect.isfunction(found) or inspect.iscoroutinefunction(found):
        return False
    wanted = inspect.signature(found).parameters.values()
    return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in wanted)


def _is_asgi3(app: Any) -> bool:
    """Return whether an app takes scope, receive and send at once, as uvicorn finds out."""
    if inspect.isclass(app):
        return hasattr(app, "__await__")
    if inspect.isfunction(app):
        return inspect.iscoroutinefunction(app) or len(inspect.signature(app).parameters) == 3
    call = getattr(app, "__call__", None)  # noqa: B004 - what it is, not whether it is
    return call is None or inspect.iscoroutinefunction(call) or not inspect.ismethod(call)


def _wrapped(app: Any) -> App:
    async def asgi3(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return asgi3
