"""The fuzzer as a library: `fuzz_app` and what it is told.  The command line and the pytest fixture stand on it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import hypothesis
from hypothesis.database import ExampleDatabase

from verifier.contract import Contract
from verifier.fuzz.asgi import App
from verifier.fuzz.crowd import MESSAGE, crowd
from verifier.fuzz.doors import path_of
from verifier.fuzz.found import Report
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.passport import Passport
from verifier.fuzz.plans import mixtures
from verifier.fuzz.policy import policy as policy_of
from verifier.fuzz.prepare import prepared
from verifier.fuzz.replay import Replayed, replayed
from verifier.fuzz.repro import load
from verifier.fuzz.search import Budget, Search
from verifier.fuzz.settings import Settings
from verifier.fuzz.workload import Workload

SCHEDULES = 2000
"""Schedules of a search where nobody says how many."""
Contracts = str | Contract | Collection[str | Contract] | None


def fuzz_app(
    app: str | App,
    *,
    users: int = 3,
    messages: int = 2,
    workload: Workload | None = None,
    path: str = "",
    message: str = "",
    done: str = "",
    passports: Collection[Passport | str] = (),
    secret: str = "",
    faults: Collection[str] | None = None,
    schedules: int | None = None,
    seconds: float | None = None,
    seed: int | None = None,
    policy: str = "mix",
    explore: str = "arrival",
    window: float = 1.0,
    certify: float = 5.0,
    isolate: str = "reexec",
    factory: bool = False,
    app_dir: str | Path = "",
    contract: Contracts = None,
    shared: Collection[str] = (),
    failures: int = 5,
    database: ExampleDatabase | None = None,
    say: Callable[[int, float], None] = lambda schedules, seconds: None,
) -> Report:
    """Search for schedules of concurrent users under which an ASGI app goes wrong.

    `app`: `module:attribute`, or the app itself.  `users` users send `messages` messages each; or `workload` says
    who does what.  `path`: of the WebSocket, default: the app's route; `{user}` stands for the user's name.
    `message`: what a client sends, with places `{content}`, `{user}`, `{id}`, `{n}`.  `done`: the event that ends an
    answer; default: found out.  `passports`: how users say who they are (`jwt:header:Authorization`,
    `plain:query:user_id`), `secret`: the key of JWTs.  `faults`: of drop, reconnect, slow and tabs; None: the usual
    mixtures.  `contract`: what must hold, by name, by file, or read already.  `shared`: paths that users share on
    purpose.  `seed`: the same search each time.

    Raises `InputError` for what cannot be run, with what to do about it.
    """
    mixtures(faults)
    policy_of(policy, 0, 0)
    settings = Settings(
        app=app if isinstance(app, str) else _named(app), factory=factory, app_dir=str(app_dir), explore=explore,
        window=window, isolate=isolate,
    )  # fmt: skip
    player = InProcess(settings, None if isinstance(app, str) else app)
    if workload is None:
        workload = usual(player, users, messages, path, message, done, [_passport(p, secret) for p in passports])
    workload, waits = prepared(player, workload)
    named, read = _contracts(contract)
    search = Search(
        player, settings, workload, contracts=read, faults=faults, shared=tuple(shared), policy=policy, seed=seed,
        budget=Budget(
            schedules=SCHEDULES if schedules is None and seconds is None else schedules, seconds=seconds,
            failures=failures, certify=certify,
        ),
        database=hypothesis.settings().database if database is None else database,
        key=f"goldentape {settings.app} {explore} {workload.to_json()}".encode(), say=say,
    )  # fmt: skip
    report = search.run()
    found = tuple(replace(one, contracts=named, shared=tuple(shared)) for one in report.failures)
    notes = (waits, *report.notes) if waits else report.notes
    return replace(report, failures=found, notes=tuple(dict.fromkeys((*notes, *player.target.uncontrolled))))


def usual(
    player: InProcess, users: int, messages: int, path: str, message: str, done: str, passports: Collection[Passport]
) -> Workload:
    """Return the workload of users about whom nothing else is said; finds the path out where none is given."""
    if not path:
        with player.target.fresh() as made:
            path = path_of(made)
    path, _, query = path.partition("?")
    workload = crowd(users, messages, path=path, message=message or MESSAGE, done=done, passports=tuple(passports))
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    return replace(workload, sessions=tuple(replace(session, query=pairs) for session in workload.sessions))


def replay(path: str | Path, times: int = 1, environment: Mapping[str, str] | None = None) -> Replayed:
    """Replay the failure of a repro file; `.check()` raises `ScheduleFailure` while it still happens."""
    saved = load(Path(path), dict(os.environ if environment is None else environment))
    _, read = _contracts(saved.contracts)
    return replayed(InProcess(saved.settings), saved, read, times)


def _passport(passport: Passport | str, secret: str) -> Passport:
    return passport if isinstance(passport, Passport) else Passport.parse(passport, secret)


def _contracts(contract: Contracts) -> tuple[tuple[str, ...], tuple[Contract, ...]]:
    """Return contracts by the names they have in a repro file, and ready to judge by."""
    if contract is None:
        return (), ()
    several = [contract] if isinstance(contract, str | Contract) else list(contract)
    names = [c if isinstance(c, str) else c.file for c in several]
    wanted = [c for c in several if isinstance(c, str)]
    if wanted:
        # Where contracts are found is the command line's business; a library that names one asks it.
        reading: Any = importlib.import_module("goldentape.commands.finding")
        read = dict(zip(wanted, reading.read_contracts(wanted, {}), strict=True))
    return tuple(names), tuple(read[c] if isinstance(c, str) else c for c in several)


def _named(app: Any) -> str:
    return f"{getattr(app, '__module__', '')}:{getattr(app, '__qualname__', type(app).__name__)}"
