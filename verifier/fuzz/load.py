"""The app under test: found as uvicorn finds it (`module:attribute`), and made afresh for each run.

Fresh state, by `isolate`: `reexec` executes the app's own modules again, from their compiled code, into new module
objects (libraries stay as they are); `factory` only calls the factory again; `fork` also runs each run in a child.
"""

from __future__ import annotations

import difflib
import dis
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from goldentape.display import show
from goldentape.errors import InputError
from verifier.fuzz import identity
from verifier.fuzz.asgi import App
from verifier.fuzz.callables import asgi_app, place_of, told_of
from verifier.fuzz.escape import Escaped
from verifier.fuzz.waits import substituted

ISOLATE = ("reexec", "factory", "fork")
_NEVER = ("verifier", "recorder", "goldentape")
"""Our own packages: only the app's own package among them is executed again."""


class Target:
    """An app that can be made afresh, as often as needed."""

    def __init__(
        self, reference: str | App, *, app_dir: str | Path = ".", factory: bool = False, isolate: str = "reexec"
    ):
        """Import the app; raises `InputError` with one line that says what is wrong where."""
        if isolate not in ISOLATE:
            raise InputError("no such isolation", found=isolate, wanted=", ".join(ISOLATE))
        self.reference = reference
        self.factory = factory
        self.isolate = isolate
        self.app_dir = Path(app_dir).resolve()
        self.uncontrolled: list[str] = []
        self.warm = False
        """It has been run once in this process."""
        self._codes: list[tuple[ModuleType, CodeType]] = []
        self._plain: CodeType | None = None
        """The code of the app, where it is a function that needs nothing around it."""
        self._by_import = False
        self._attribute = ""
        self._module = ""
        if not isinstance(reference, str):
            if isolate == "reexec" and not factory:
                self.uncontrolled.append("the app was handed over as an object: its state is kept from run to run")
            return
        self._module, _, self._attribute = reference.partition(":")
        if not self._module or not self._attribute:
            raise InputError(
                "not a reference to an app", found=reference, wanted="module:attribute, as uvicorn has it",
                fix=f"perhaps {_dotted(self._module)}:app" if self._module and " " not in reference else None,
            )  # fmt: skip
        if _dotted(self._module) != self._module:
            raise InputError(
                "an app is named by its module, not by its file", found=reference, wanted="module:attribute",
                fix=f"perhaps {_dotted(self._module)}:{self._attribute}",
            )  # fmt: skip
        if not self.app_dir.is_dir():
            raise InputError("no such directory", where="--app-dir", found=str(app_dir))
        if str(self.app_dir) not in sys.path:
            sys.path.insert(0, str(self.app_dir))
        before = set(sys.modules)
        module = self._import(before)
        self._get(module)
        if isolate == "reexec":
            self._codes = self._own(module, before)
        self._notice()

    @contextmanager
    def fresh(self) -> Iterator[App]:
        """Give an app as nobody has used it yet; inside a run, with its patches on."""
        if not isinstance(self.reference, str):
            yield self._made(self.reference)
            return
        if not self._codes:
            yield self._made(self._get(sys.modules[self._module]))
            return
        identity.own.update(module.__name__ for module, _ in self._codes)
        before = set(sys.modules)
        originals = {module.__name__: module for module, _ in self._codes}
        holders = {
            name: sys.modules[parent] for name in originals if (parent := name.rpartition(".")[0]) in sys.modules
        }
        try:
            if not self._by_import:
                try:
                    self._execute()
                except (ImportError, AttributeError, NameError):
                    self._by_import = True  # modules that import each other need the order that only `import` knows
            if self._by_import:
                for name in originals:
                    sys.modules.pop(name, None)
                importlib.import_module(self._module)
        except (Exception, SystemExit) as error:
            self._restore(originals, holders, before)
            if isinstance(error, Escaped):
                raise
            raise InputError(
                f"its modules cannot be executed twice: {told_of(error)}",
                where=str(self.reference),
                found=place_of(error),
                fix="use --isolate fork, or --factory with --isolate factory",
            ) from None
        try:
            yield self._made(self._get(sys.modules[self._module]))
        finally:
            self._restore(originals, holders, before)

    def _restore(self, originals: dict[str, ModuleType], holders: dict[str, ModuleType], before: set[str]) -> None:
        identity.own.clear()
        if len(sys.modules) != len(before):  # imported by the app while it ran: from now on it is made afresh as well
            late = self._own(sys.modules[self._module], before)
            self._codes += [(module, code) for module, code in late if module.__name__ not in before]
            for name in [name for name in sys.modules if name not in before]:
                if any(module.__name__ == name for module, _ in late):
                    del sys.modules[name]
        for name, module in originals.items():
            sys.modules[name] = module
        for name, holder in holders.items():
            setattr(holder, name.rpartition(".")[2], originals[name])

    def _execute(self) -> None:
        """Execute the app's modules into new module objects, each after those it imports."""
        new = [_blank(module) for module, _ in self._codes]
        for module in new:
            sys.modules[module.__name__] = module
        for module in new:
            parent, _, child = module.__name__.rpartition(".")
            if parent in sys.modules:
                setattr(sys.modules[parent], child, module)
        for module, (_, code) in zip(new, self._codes, strict=True):
            exec(code, module.__dict__)

    def _made(self, found: Any) -> App:
        """Return the ASGI 3 app: what the factory makes, or what was found; an ASGI 2 app is wrapped."""
        code = found.__code__ if isinstance(found, FunctionType) else None
        if code is None or code is not self._plain:
            app = asgi_app(found, factory=self.factory, where=str(self.reference))
            self._plain = code if app is found else None
            return app
        return found  # type: ignore[no-any-return]

    def _import(self, before: set[str]) -> ModuleType:
        try:
            with substituted():
                return importlib.import_module(self._module)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if self._module == missing or self._module.startswith(f"{missing}."):
                raise InputError(
                    f"no module {missing}", where=str(self.reference), wanted=self._near(missing), fix=self._advice()
                ) from None
            raise InputError(
                f"its import needs {missing}, which is not installed here",
                where=str(self.reference),
                found=place_of(error),
            ) from None
        except SystemExit as error:
            raise InputError(
                f"its import ends the program: {told_of(error)}", where=str(self.reference), found=place_of(error)
            ) from None
        except Exception as error:
            raise InputError(
                f"its import fails: {told_of(error)}", where=str(self.reference), found=place_of(error),
                fix=_mended(error),
            ) from None  # fmt: skip

    def _near(self, missing: str) -> str | None:
        head = self.app_dir.joinpath(*missing.split(".")[:-1])
        there = sorted(p.stem for p in head.glob("*") if p.suffix == ".py" or (p.is_dir() and p.name.isidentifier()))
        near = difflib.get_close_matches(missing.rpartition(".")[2], there, 1)
        return f"perhaps {near[0]}" if near else None

    def _advice(self) -> str:
        return f"modules are looked for in {self.app_dir} and on sys.path; say --app-dir DIR for another directory"

    def _get(self, module: ModuleType) -> Any:
        found: Any = module
        for name in self._attribute.split("."):
            if not hasattr(found, name):
                there = [n for n in dir(found) if not n.startswith("_")]
                near = difflib.get_close_matches(name, there, 1) or [n for n in there if n.startswith(name)]
                raise InputError(
                    f"{self._module} has no `{name}`",
                    where=str(self.reference),
                    wanted=f"perhaps `{near[0]}`" if near else None,
                )
            found = getattr(found, name)
        return found

    def _own(self, app: ModuleType, before: set[str]) -> list[tuple[ModuleType, CodeType]]:
        """Return the app's own modules with their code, in the order in which they must be executed."""
        package = self._module.rpartition(".")[0]
        top = package.partition(".")[0]
        found: list[tuple[ModuleType, CodeType]] = []
        reached = imported_by(self._module, self.app_dir)
        # `import` moves a module to the end of sys.modules when it is done: after all that it imports.
        for name, module in list(sys.modules.items()):
            origin = getattr(getattr(module, "__spec__", None), "origin", None) or getattr(module, "__file__", None)
            if module is None or not origin or not str(origin).endswith(".py"):
                continue
            ours = name.partition(".")[0] in _NEVER
            inside = name == self._module or bool(package and (name == package or name.startswith(f"{package}.")))
            known = name in before and name not in reached and not (top and name.partition(".")[0] == top)
            mine = inside or (not ours and not known and _near(Path(origin), self.app_dir))
            if mine and name not in ("__main__", "__mp_main__"):
                code = _code(module)
                if code is not None:
                    found.append((module, code))
        return found

    def _notice(self) -> None:
        import asyncio

        policy = type(getattr(asyncio.events, "_event_loop_policy", None))
        if policy.__module__.startswith("uvloop"):
            self.uncontrolled.append("the app installs uvloop at import: runs use the scheduler's own loop instead")


def _blank(module: ModuleType) -> ModuleType:
    new = ModuleType(module.__name__)
    for name in ("__file__", "__path__", "__spec__", "__loader__", "__package__", "__cached__"):
        if name in module.__dict__:
            setattr(new, name, module.__dict__[name])
    new.__dict__["id"] = identity.ident  # what an app calls `id` would be an address, another one in each process
    return new


def _code(module: ModuleType) -> CodeType | None:
    loader: Any = getattr(module.__spec__, "loader", None)
    get: Callable[[str], CodeType | None] | None = getattr(loader, "get_code", None)
    try:
        return get(module.__name__) if get is not None else None
    except (ImportError, SyntaxError, OSError):
        return None


def _dotted(name: str) -> str:
    """Return a module's name where somebody wrote its file: `shop/main.py` is `shop.main`."""
    return name.removeprefix("./").removesuffix(".py").strip("/").replace("/", ".")


def _near(file: Path, directory: Path) -> bool:
    """Return whether a file is below a directory, and not installed there."""
    return file.is_relative_to(directory) and not {"site-packages", "dist-packages"} & {*file.parts}


def imported_by(name: str, below: Path) -> set[str]:
    """Return the loaded modules that a module imports, and what those below a directory import, and so on."""
    found, asked = set[str](), [name]
    while asked:
        name = asked.pop()
        if name in found or name not in sys.modules:
            continue
        found.add(name)
        origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None) or ""
        if not origin.endswith(".py") or not _near(Path(origin), below):
            continue
        code = _code(sys.modules[name])
        package = name if hasattr(sys.modules[name], "__path__") else name.rpartition(".")[0]
        for level, module, names in _imports(code) if code is not None else ():
            base = ".".join(package.split(".")[: len(package.split(".")) - level + 1]) if level else ""
            whole = ".".join(part for part in (base, module) if part)
            asked += [whole, *(f"{whole}.{imported}" for imported in names)]
    return found


def _imports(code: CodeType) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield every import in a module's code: how many packages up, the module, and the names taken from it."""
    loaded: list[Any] = [0, None]
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_CONST", "LOAD_SMALL_INT"):
            loaded.append(instruction.argval)
        elif instruction.opname == "IMPORT_NAME":
            yield loaded[-2], str(instruction.argval), loaded[-1] or ()
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _imports(inner)


def _mended(error: Exception) -> str | None:
    """Return what may help where an import fails."""
    if isinstance(error, ImportError) and "relative import" in str(error):
        return "name it by its package, from the directory above: PACKAGE.MODULE:APP"
    raised = traceback.extract_tb(error.__traceback__)[-1].filename
    if isinstance(error, KeyError) and raised in ("<frozen os>", os.__file__):
        return f"set the environment variable {show(str(error.args[0]), 100)}"
    return None
