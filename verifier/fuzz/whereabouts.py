"""Where the app and the contracts of a repro file are: from here as then, else around the file itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from verifier.fuzz.repro import Repro


def found_again(saved: Repro) -> Repro:
    """Return a repro whose app and contracts are looked for above its file, where they are not where they were then.

    A file in `.goldentape/` of a project so replays from anywhere.  What is nowhere is left as it was saved: whoever
    loads it says so.
    """
    directory = Path(saved.settings.app_dir or ".")
    if saved.path is None or directory.is_absolute():
        return saved
    module = saved.settings.app.partition(":")[0]
    here = saved.path.resolve().parent
    if _has(directory, module):
        return replace(saved, contracts=_contracts(saved, Path()))
    for home in (here, *here.parents):
        if _has(home / directory, module):
            settings = saved.settings.in_directory(str(home / directory))
            return replace(saved, settings=settings, contracts=_contracts(saved, home))
    return saved


def _has(directory: Path, module: str) -> bool:
    """Return whether a module's file, or its package, is in a directory."""
    *above, name = module.split(".")
    if not name:
        return False
    parent = directory.joinpath(*above)
    return (parent / f"{name}.py").is_file() or (parent / name / "__init__.py").is_file()


def _contracts(saved: Repro, home: Path) -> tuple[str, ...]:
    return tuple(str(home / name) if not Path(name).exists() and (home / name).is_file() else name
                 for name in saved.contracts)  # fmt: skip
