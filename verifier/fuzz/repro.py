"""The repro file: one failure as JSON that replays in another process, years later.  Touches no file but that.

`schemas/repro.schema.json` describes it.  Beside the steps of each slice it keeps an anchor: what its session had seen
or done last when the slice ended.  Where the app has changed and the steps lead elsewhere, the anchors are followed.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from goldentape.display import show
from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz import withheld
from verifier.fuzz.anchors import Anchor
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.schedule import APP, Schedule
from verifier.fuzz.settings import Settings
from verifier.fuzz.whereabouts import found_again
from verifier.fuzz.workload import Workload
from verifier.load import nearest

if TYPE_CHECKING:
    from verifier.fuzz.found import Found

VERSION: Final = 1
LARGEST: Final = 16 << 20
_PACKAGES = ("goldentape", "starlette", "fastapi", "anyio", "hypothesis")


@dataclass(frozen=True)
class Repro:
    """A repro file, read."""

    settings: Settings
    workload: Workload
    schedule: Schedule
    anchors: tuple[Anchor, ...]
    failure: Failure
    digest: str
    """SHA-256 of the log of the run, as hex."""
    contracts: tuple[str, ...]
    """As they were named; files by their path."""
    shared: tuple[str, ...]
    versions: dict[str, str]
    parameters: dict[str, str]
    """Of the contracts: what `--set` gave."""
    path: Path | None = None


def against(path: Path) -> str:
    """Return what a repro file plays against: `live` (a server), `tape` (orders of a recording), or empty, an app.

    What cannot be read is of no kind: reading it as the file of an app says what is wrong.
    """
    try:
        if path.stat().st_size > LARGEST:
            return ""
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    kind = value.get("against") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""


FIELDS: Final = (
    "goldentape_repro", "failure", "needs", "minimal", "app", "workload", "schedule", "anchors", "contracts",
    "parameters", "shared", "log", "versions", "story",
)  # fmt: skip
_PARTS: Final = {
    "failure": ("kind", "victim", "owner", "detail", "sentence", "fingerprint"),
    "log": ("sha256", "moments", "ended"),
}
_ANCHOR: Final[dict[str, type]] = {"slice": int, "session": str, "nth": int, "kind": str}


def repro(found: Found, *, parameters: Mapping[str, str] | None = None, excerpts: bool = True) -> dict[str, Any]:
    """Return a failure as a repro file has it; without `excerpts` its story has no values of messages.

    `parameters`: what its contracts were told.
    """
    told = found if excerpts else withheld.found(found)
    failure = told.failure
    return {
        "goldentape_repro": VERSION,
        "failure": {
            "kind": str(failure.kind), "victim": failure.victim, "owner": failure.owner, "detail": failure.detail,
            "sentence": failure.sentence, "fingerprint": failure.fingerprint,
        },
        "needs": found.needs,
        "minimal": found.minimal,
        "app": found.settings.to_json(),
        "workload": found.workload.to_json(),
        "schedule": found.schedule.to_json(),
        "anchors": [
            {"slice": a.slice, "session": a.session, "nth": a.nth, "kind": a.kind}
            for a in found.anchors
        ],
        "contracts": list(found.contracts),
        **({"parameters": dict(parameters)} if parameters else {}),
        "shared": list(found.shared),
        "log": {"sha256": found.run.digest(), "moments": len(found.run.moments), "ended": str(found.run.ended)},
        "versions": versions(),
        "story": told.narrative().splitlines(),
    }  # fmt: skip


def versions() -> dict[str, str]:
    """Return the versions that matter for a run to come out the same."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def save(found: Found, path: Path, *, parameters: Mapping[str, str] | None = None, excerpts: bool = True) -> Path:
    """Write the repro file of a failure; a directory gets `KIND-FINGERPRINT.json`.  Raises `EnvironmentFault`."""
    if path.is_dir() or path.suffix != ".json":
        path = path / f"{found.failure.kind}-{found.failure.fingerprint}.json"
    text = json.dumps(repro(found, parameters=parameters, excerpts=excerpts), indent=1, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # What users say is in it: for the owner's eyes, as a tape is.
        path.touch(0o600)
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise EnvironmentFault(f"cannot be written: {error.strerror}", where=path) from error
    return path


def load(path: Path, environment: dict[str, str] | None = None) -> Repro:
    """Read a repro file; raises `InputError` with the place of what is wrong."""
    try:
        if path.stat().st_size > LARGEST:
            raise InputError("is no repro file", where=path, found=f"more than {LARGEST} bytes")
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("there is no such file", where=path) from None
    except OSError as error:
        raise InputError(error.strerror or "cannot be read", where=path) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON: {error}", where=path, wanted="a repro file of `goldentape fuzz`") from None
    try:
        return found_again(read(value, environment or {}, path))
    except InputError as error:
        raise InputError(f"is no repro file: {error}", where=path) from None


def read(value: Any, environment: dict[str, str], path: Path | None = None) -> Repro:
    """Read the value of a repro file; raises `InputError`."""
    if not isinstance(value, dict) or "goldentape_repro" not in value:
        raise InputError("it has no `goldentape_repro`", wanted="a file that `goldentape fuzz` has written")
    if value["goldentape_repro"] != VERSION:
        raise InputError(
            "it is of another version", found=value["goldentape_repro"], wanted=str(VERSION), fix="upgrade goldentape"
        )
    _demand_known(value, "", FIELDS)
    for name, known in _PARTS.items():
        _demand_known(_part(value, name, dict), f"{name}.", known)
    failure = _part(value, "failure", dict)
    words = {name: failure.get(name, "") for name in ("kind", "victim", "owner", "detail", "sentence")}
    for name, word in words.items():
        if not isinstance(word, str):
            raise InputError(f"`failure.{name}` is not a text", found=type(word).__name__)
    if words["kind"] not in tuple(Kind):
        raise InputError("`failure` does not say what went wrong", found=words["kind"], wanted=", ".join(Kind))
    log = _part(value, "log", dict)
    if not isinstance(log.get("sha256"), str):
        raise InputError("`log.sha256` is missing")
    parameters = _part(value, "parameters", dict)
    if not all(isinstance(word, str) for word in parameters.values()):
        raise InputError("`parameters` holds texts")
    workload = Workload.from_json(value.get("workload"), environment)
    schedule = Schedule.from_json(value.get("schedule"))
    names = [APP, *(session.name for session in workload.sessions)]
    for n, slice_ in enumerate(schedule):
        if slice_.session not in names:
            raise InputError(
                f"schedule[{n}] names a session that is not there",
                found=slice_.session,
                wanted=", ".join(show(name, 40) for name in names),
            )
    return Repro(
        settings=Settings.from_json(value.get("app")),
        workload=workload,
        schedule=schedule,
        anchors=tuple(_anchor(item, n) for n, item in enumerate(_part(value, "anchors", list))),
        failure=Failure(Kind(words.pop("kind")), **words),
        digest=log["sha256"],
        contracts=_texts(value, "contracts"),
        shared=_texts(value, "shared"),
        versions={str(k): str(v) for k, v in _part(value, "versions", dict).items()},
        parameters=parameters,
        path=path,
    )


def _part(value: dict[str, Any], name: str, type_: type) -> Any:
    part = value.get(name, type_())
    if not isinstance(part, type_):
        raise InputError(f"`{name}` is no {'list' if type_ is list else 'object'}", found=type(part).__name__)
    return part


def _demand_known(value: dict[str, Any], where: str, known: Collection[str]) -> None:
    for name in value:
        if name not in known:
            raise InputError(
                f"it has `{where}{show(str(name), 80)}`, which is unknown",
                wanted=", ".join(known),
                fix=nearest(str(name), known),
            )


def _texts(value: dict[str, Any], name: str) -> tuple[str, ...]:
    part = _part(value, name, list)
    if not all(isinstance(text, str) for text in part):
        raise InputError(f"`{name}` holds texts")
    return tuple(part)


def _anchor(item: Any, n: int) -> Anchor:
    if not isinstance(item, dict) or any(not isinstance(item.get(name), type_) for name, type_ in _ANCHOR.items()):
        raise InputError(f"anchors[{n}] is no anchor", wanted='{"slice": 0, "session": "alice", "nth": 3, "kind": ""}')
    _demand_known(item, f"anchors[{n}].", _ANCHOR)
    return Anchor(item["slice"], item["session"], item["nth"], item["kind"])
