"""The code of invariants of kind `python`: found, and loaded.  The one place where a contract can make code run.

An installed entry point of the group `goldentape.invariants` is trusted, for somebody installed it.  A file is run only
where the user allowed it: a contract in a pull request must not run code by itself.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path as FilePath
from types import ModuleType
from typing import Any

from goldentape.display import show
from verifier.contract import Contract, Spec
from verifier.load import Path, nearest
from verifier.paths import as_list
from verifier.sections import SESSION_WORDS

GROUP = "goldentape.invariants"
OURS = FilePath(__file__).parent


def bring_code(contract: Contract, *, allow_code: bool = False, beside: Sequence[FilePath] = ()) -> None:
    """Load what the contract's invariants `use`, and slice them as their classes say where the contract does not.

    `beside`: directories to look for modules in, after the contract's own.  Raises ContractError.
    """
    for name, spec in list(contract.invariants.items()):
        if spec.kind != "python":
            continue
        use = spec.options["use"]
        at = (*spec.at, "use")
        if use not in contract.code:
            contract.code[use] = _load(contract, use, at, allow_code, beside)
        contract.invariants[name] = _sliced(contract, spec, contract.code[use])


def _load(contract: Contract, use: str, at: Path, allow_code: bool, beside: Sequence[FilePath]) -> Any:
    installed = list(entry_points(group=GROUP))
    for point in installed:
        if use in (point.name, point.value):
            return _entered(contract, point, at)
    module, colon, attribute = use.partition(":")
    if not colon:
        raise contract.error(
            at, f"no installed entry point of `{GROUP}` has this name", found=use,
            fix=nearest(use, [point.name for point in installed]) or "for code in a file, use: module:Class",
        )  # fmt: skip
    file = next((file for file in _files(contract, module, at, beside) if file.is_file()), None)
    if file is None:
        raise contract.error(
            at, f"there is neither an installed entry point of `{GROUP}` nor a file {module.replace('.', '/')}.py",
            found=use, fix=nearest(use, [point.value for point in installed]) or "name its file under `plugins`",
        )  # fmt: skip
    if not allow_code:
        raise contract.error(
            at, f"names code in {show(str(file), 400)}, which is not run", found=use,
            fix="add --allow-code if you trust it",
        )  # fmt: skip
    found: Any = _run(contract, file, at)
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [name for name in vars(found) if not name.startswith("_")] if hasattr(found, "__dict__") else []
            raise contract.error(at, f"{show(str(file), 400)} has no such name", found=part, fix=nearest(part, known))
        found = getattr(found, part)
    return found


def _files(contract: Contract, module: str, at: Path, beside: Sequence[FilePath]) -> Iterator[FilePath]:
    home = FilePath(contract.document.file(*at)).parent
    for index, name in enumerate(contract.document.value.get("plugins", ())):
        if FilePath(name).stem == module:
            file = FilePath(contract.document.file("plugins", index)).parent / name
            if not file.is_file():
                raise contract.error(("plugins", index), "no such file", found=name)
            yield file
    for directory in (home, *beside):
        yield directory / f"{module.replace('.', '/')}.py"


def _entered(contract: Contract, point: EntryPoint, at: Path) -> Any:
    try:
        return point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise contract.error(at, f"cannot be loaded: {told(error)}", found=f"{point.name} = {point.value}") from None


def _run(contract: Contract, file: FilePath, at: Path) -> ModuleType:
    """Run a file as a module.  Nothing is written beside it, and its directory is on no path."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise contract.error(at, f"{show(str(file), 400)} cannot be read: {error.strerror}") from None
    digest = hashlib.sha256(bytes(file.absolute()) + b"\0" + data).hexdigest()
    name = f"goldentape_plugin_{digest[:12]}"
    module = sys.modules.get(name)
    if module is not None:
        return module
    module = ModuleType(name)
    module.__file__ = str(file)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(data, str(file), "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise contract.error(at, f"{show(str(file), 400)} cannot be loaded: {told(error)}") from None
    return module


def _sliced(contract: Contract, spec: Spec, code: Any) -> Spec:
    """Return the invariant, sliced as its class says, where the contract does not."""
    if not isinstance(code, type) or spec.per or spec.scope is not None:
        return spec
    at = (*spec.at, "use")
    per = getattr(code, "per", ())
    words = as_list(per) if isinstance(per, str) else tuple(per)
    if len(words) == 1 and words[0] in contract.spans:
        return replace(spec, scope=words[0])
    for word in words:
        if word not in (*SESSION_WORDS, "user", "recording") and word not in contract.keys:
            raise contract.error(
                at, "is per something that the contract does not have", found=word,
                fix=nearest(str(word), [*contract.spans, *contract.keys, "connection", "user", "recording"])
                or "say `per` or `scope` in the contract",
            )  # fmt: skip
    if "recording" in words and len(words) > 1:
        raise contract.error(at, "is per: recording and more; `recording` stands alone")
    return replace(spec, per=tuple("connection" if word == "session" else word for word in words))


def told(error: BaseException) -> str:
    """Return an exception as one line for people: what, and where in its file."""
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}{': ' if said else ''}{show(said, 200)}{_place(error)}"


def site(error: BaseException) -> str:
    """Return what errors of one cause have in common: type and line, without what it says of the one event."""
    return f"{type(error).__name__}{_place(error)}"


def _place(error: BaseException) -> str:
    """Return ` (checks.py:12)`: the deepest line that is not the verifier's own."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f" ({show(FilePath(error.filename).name)}:{error.lineno})"
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = FilePath(trace.tb_frame.f_code.co_filename)
        if not file.is_relative_to(OURS) and file.parent.name != "goldentape":
            place = f" ({show(file.name)}:{trace.tb_lineno})"
        trace = trace.tb_next
    return place


__all__ = ["GROUP", "bring_code", "site", "told"]
