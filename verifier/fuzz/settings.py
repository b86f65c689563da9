"""How an app is run: which one, how it is made afresh each time, what may be reordered.  A value, JSON in and out."""

from __future__ import annotations

import sys
import sysconfig
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final

from goldentape.errors import InputError

_STDLIB = sysconfig.get_paths()["stdlib"]
EXPLORE: Final = ("arrival", "ready")
LONGEST: Final = 86_400.0
"""Seconds that a window may have."""
ISOLATE: Final = ("reexec", "factory", "fork")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which app, and how it is run."""

    app: str
    """`module:attribute`; of an object that was handed in, its name for people."""
    factory: bool = False
    """The attribute is a function that makes the app."""
    app_dir: str = ""
    """Where the module is looked for first; empty: where Python looks anyway."""
    explore: str = "arrival"
    """`arrival`: what asyncio can do; `ready`: callbacks of different users in any order, too."""
    window: float = 1.0
    """Seconds: latencies that are due this close together may end in any order."""
    isolate: str = "reexec"
    """How the app is made afresh for each run."""

    def in_directory(self, app_dir: str) -> Settings:
        """Return the same with the module looked for elsewhere."""
        return replace(self, app_dir=app_dir)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Settings:
        """Read what `to_json` wrote; raises `InputError`."""
        if not isinstance(value, dict) or not isinstance(value.get("app"), str):
            raise InputError("not the settings of a run", wanted='{"app": "module:attribute", ...}')
        known = {field.name: field for field in fields(cls)}
        for name, part in value.items():
            wanted = {"factory": bool, "window": int | float}.get(name, str)
            if name not in known or not isinstance(part, wanted):
                raise InputError("not a setting of a run", found=f"app.{name}: {part!r}", wanted=", ".join(known))
        window = value.get("window", 1.0)
        if isinstance(window, bool) or not 0 < window < LONGEST:
            raise InputError("`app.window` is a number of seconds", found=window, wanted=f"less than {LONGEST:.0f}")
        if value.get("explore", "arrival") not in EXPLORE or value.get("isolate", "reexec") not in ISOLATE:
            raise InputError("no such way to run an app", wanted=f"explore {EXPLORE}, isolate {ISOLATE}")
        return cls(**value)


def named(app: Any) -> str:
    """Return what to call an app that was handed in as an object: where it is found again, else what it is."""
    own = getattr(app, "__module__", None)
    modules = [own, *(name for name, module in sys.modules.items() if not _is_library(module))]
    for name in modules:
        for attribute, value in list(vars(sys.modules.get(name or "", None) or object).items()):
            if value is app and name != "__main__":
                return f"{name}:{attribute}"
    kind = app if hasattr(app, "__qualname__") else type(app)
    return f"an object ({kind.__module__}.{kind.__qualname__})"


def _is_library(module: Any) -> bool:
    file = getattr(module, "__file__", None) or ""
    return not file or "site-packages" in file or "dist-packages" in file or file.startswith(_STDLIB)
