"""The repro file of a live failure: what to play against a running server, and how often it failed.  Pure but its file.

It is a repro file as `verifier/fuzz/repro.py` has it, with `against: live`: `target` and `plan` instead of `app` and
`schedule`.  No secret is in it, and no command: who replays it says how the server is started.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, log, log1p
from pathlib import Path
from typing import Any

from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.live.caught import Caught
from verifier.fuzz.live.plan import Plan, from_json, to_json
from verifier.fuzz.live.telling import rate_as_json, story
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.repro import LARGEST, VERSION, versions
from verifier.fuzz.workload import Workload

LIVE = "live"
SURE = 0.05
"""FIXED is said where plays that all hold would come about by chance less often than this."""
MOST = 100
"""Plays of a replay, at most, where nobody says how many."""


@dataclass(frozen=True)
class LiveRepro:
    """A repro file of a live failure, read."""

    target: str
    workload: Workload
    plan: Plan
    history: tuple[tuple[Workload, Plan], ...]
    failure: Failure
    rate: Rate
    contracts: tuple[str, ...]
    parameters: Mapping[str, str]
    """Of the contracts: what `--set` gave."""
    shared: tuple[str, ...]
    twins: bool = False
    """It shows only against plays of the very same names."""

    @property
    def enough(self) -> int:
        """How many plays it takes until it can be told that it is fixed, were it as rare as its rate allows."""
        low = max(self.rate.interval[0], 1 / MOST)
        return min(MOST, max(2, ceil(log(SURE) / log1p(-low)))) if low < 1 else 2


def repro(
    caught: Caught, target: str, contracts: Sequence[str], parameters: Mapping[str, str], shared: Sequence[str]
) -> dict[str, Any]:
    """Return a failure as its file has it."""
    failure = caught.failure
    return {
        "goldentape_repro": VERSION,
        "against": LIVE,
        "failure": {
            "kind": str(failure.kind), "victim": failure.victim, "owner": failure.owner, "detail": failure.detail,
            "sentence": failure.sentence, "fingerprint": failure.fingerprint,
        },
        "target": target,
        "workload": caught.workload.to_json(),
        "plan": to_json(caught.plan),
        "history": [{"workload": one.workload.to_json(), "plan": to_json(one.plan)} for one in caught.history],
        "depends_on_history": caught.depends_on_history,
        "same_names": caught.twins,
        "rate": rate_as_json(caught.confirmed),
        "contracts": list(contracts),
        **({"parameters": dict(parameters)} if parameters else {}),
        "shared": list(shared),
        "versions": versions(),
        "story": list(story(caught)),
    }  # fmt: skip


def save(
    caught: Caught, folder: Path, target: str, contracts: Sequence[str] = (),
    parameters: Mapping[str, str] | None = None, shared: Sequence[str] = (),
) -> Path:  # fmt: skip
    """Write the file of a failure into a directory; raises EnvironmentFault.

    Contracts that are files are named from that directory, so that they are found again from anywhere.
    """
    path = folder / f"live-{caught.failure.kind}-{caught.failure.fingerprint}.json"
    named = [os.path.relpath(name, folder) if Path(name).is_file() else name for name in contracts]
    text = json.dumps(repro(caught, target, named, parameters or {}, shared), indent=1, ensure_ascii=False) + "\n"
    write_private(path, text.encode("utf-8", "backslashreplace"))
    return path


def write_private(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, for its owner's eyes: what users said is in it.  Raises EnvironmentFault."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            new.write_bytes(data)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot be written: {error.strerror}", where=path) from None


def load(path: Path, environment: dict[str, str]) -> LiveRepro:
    """Read the file; `environment` has the secrets that are not in it.  Raises InputError."""
    try:
        found = _read(json.loads(path.read_text(encoding="utf-8")), environment)
    except OSError as error:
        raise InputError(error.strerror or "cannot be read", where=path) from None
    except (InputError, ValueError, RecursionError) as error:
        what = "cannot be played" if str(error).startswith("the secret of") else "is no repro file of a live failure"
        raise InputError(f"{what}: {error}", where=path) from None
    beside = (path.parent / name for name in found.contracts)
    named = tuple(str(file) if file.is_file() else name for name, file in zip(found.contracts, beside, strict=True))
    return replace(found, contracts=named)


def _read(value: Any, environment: dict[str, str]) -> LiveRepro:
    if not isinstance(value, dict) or value.get("against") != LIVE or value.get("goldentape_repro") != VERSION:
        raise InputError("another kind or version", wanted=f'"against": "{LIVE}", "goldentape_repro": {VERSION}')
    failure, rate = value.get("failure"), value.get("rate")
    if not isinstance(failure, dict) or failure.get("kind") not in tuple(Kind):
        raise InputError("`failure` does not say what went wrong", wanted=", ".join(Kind))
    words = {name: failure.get(name, "") for name in ("victim", "owner", "detail", "sentence")}
    if not all(isinstance(word, str) for word in words.values()):
        raise InputError("`failure` holds texts")
    if not isinstance(rate, dict) or not all(type(rate.get(name)) is int for name in ("failed", "of")):
        raise InputError("`rate` does not say how often it failed", wanted='{"failed": 7, "of": 10}')
    if not 0 <= rate["failed"] <= rate["of"] <= LARGEST:
        raise InputError("`rate` is none", found=f"{rate['failed']} of {rate['of']}", wanted="7 of 10")
    target, history = value.get("target"), value.get("history", [])
    if not isinstance(target, str) or not isinstance(history, list) or not all(isinstance(h, dict) for h in history):
        raise InputError("`target` is the URL of the server, and `history` a list")
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict) or not all(isinstance(one, str) for one in parameters.values()):
        raise InputError("`parameters` holds texts")
    return LiveRepro(
        target=target,
        workload=Workload.from_json(value.get("workload"), environment),
        plan=from_json(value.get("plan")),
        history=tuple(
            (Workload.from_json(one.get("workload"), environment), from_json(one.get("plan")))
            for one in history
        ),
        failure=Failure(Kind(failure["kind"]), **words),
        rate=Rate(rate["failed"], rate["of"]),
        contracts=_texts(value, "contracts"),
        parameters=parameters,
        shared=_texts(value, "shared"),
        twins=value.get("same_names") is True,
    )  # fmt: skip


def _texts(value: dict[str, Any], name: str) -> tuple[str, ...]:
    found = value.get(name, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InputError(f"`{name}` holds texts")
    return tuple(found)
