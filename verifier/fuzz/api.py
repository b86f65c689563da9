"""The fuzzer as a library: `fuzz_app` and what it is told.  The command line and the pytest fixture stand on it."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import hypothesis
from hypothesis.database import ExampleDatabase
from hypothesis.errors import HypothesisWarning

from goldentape.errors import InputError
from verifier.fuzz.asgi import App
from verifier.fuzz.contracts import Contracts, contracts_of
from verifier.fuzz.crowd import MESSAGE, crowd
from verifier.fuzz.doors import path_of, paths_of
from verifier.fuzz.failure import Failure
from verifier.fuzz.found import Report
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.offline.repro import TAPE
from verifier.fuzz.offline.repro import load as load_tape
from verifier.fuzz.passport import Passport
from verifier.fuzz.plans import mixtures
from verifier.fuzz.policy import demand_policy
from verifier.fuzz.prepare import prepared
from verifier.fuzz.replay import Replayed, replayed
from verifier.fuzz.repro import against, load
from verifier.fuzz.search import LAZY, Budget, Search
from verifier.fuzz.settings import Settings, named
from verifier.fuzz.workload import Workload
from verifier.load import nearest

if TYPE_CHECKING:
    from verifier.fuzz.offline.replaying import ReplayedTape

SCHEDULES = 2000
"""Schedules of a search where nobody says how many."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be searched, and how: the arguments of `fuzz_app`."""

    app: str | App
    users: int = 3
    messages: int = 2
    workload: Workload | None = None
    path: str = ""
    message: str = ""
    first: str = ""
    done: str = ""
    passports: Collection[Passport | str] = ()
    secret: str = ""
    faults: Collection[str] | None = None
    schedules: int | None = None
    seconds: float | None = None
    seed: int | None = None
    policy: str = "mix"
    explore: str = "arrival"
    window: float = 1.0
    certify: float = 5.0
    isolate: str = "reexec"
    factory: bool = False
    app_dir: str | Path = ""
    contract: Contracts = None
    shared: Collection[str] = ()
    failures: int = 5
    settings: hypothesis.settings | None = None
    """Hypothesis' settings, whose `database` and `derandomize` hold; None: those of the loaded profile."""
    say: Callable[[int, float], None] = lambda schedules, seconds: None
    warn: Callable[[Failure, int], None] = lambda failure, schedule: None


def job_of(app: str | App, options: Mapping[str, Any], who: str) -> Job:
    """Return what is to be searched; raises `TypeError`, said as if by `who`, for an option that there is not."""
    known = [field.name for field in fields(Job) if field.name not in ("app", "say", "warn")]
    for name in options:
        if name not in Job.__dataclass_fields__:
            near = nearest(name, known) or f"it takes {', '.join(known)}"
            raise TypeError(f"{who}() has no option `{name}`: {near}")
    return Job(app=app, **options)


def fuzz_app(app: str | App, **options: Any) -> Report:
    """Search for schedules of concurrent users under which an ASGI app goes wrong.

    `app`: `module:attribute`, or the app itself.  `users` users send `messages` messages each; or `workload` says who
    does what.  `path`: of the WebSocket, default: the app's route; `{user}` stands for the user's name. `message`:
    what a client sends, with places `{content}`, `{user}`, `{id}`, `{n}`.  `done`: the event that ends an answer;
    default: found out.  `first`: what it sends before, to log in (`{token}`).  `passports`: how users say who they
    are (`jwt:header:Authorization`, `plain:query:user_id`), `secret`: the key of JWTs.  `faults`: of drop, reconnect,
    slow and tabs; None: the usual mixtures.  `contract`: what must hold, by name, by file, or read already.
    `shared`: paths that users share on purpose.  `schedules`, `seconds`: the budget; `failures`: so many different
    ones end the search.  `seed`: the same search each time; without one, `settings` (Hypothesis' profile) say whether
    it is chance, and where what failed is kept.  `explore`, `window`, `isolate`, `factory`, `app_dir`: see
    `Settings`.

    Raises `InputError` for what cannot be run, with what to do about it, and `TypeError` for another option.
    """
    return prepare(job_of(app, options, "fuzz_app")).run()


def prepare(job: Job) -> Search:
    """Load an app, learn how it answers, and return the search."""
    mixtures(job.faults)
    kind, _ = demand_policy(job.policy)
    if kind == LAZY and job.isolate == "fork":
        raise InputError("lazy slices are drawn in this process", found="--isolate fork", fix="use reexec or factory")
    app = job.app
    settings = Settings(
        app=app if isinstance(app, str) else named(app), factory=job.factory, app_dir=str(job.app_dir),
        explore=job.explore, window=job.window, isolate=job.isolate,
    )  # fmt: skip
    player = InProcess(settings, None if isinstance(app, str) else app)
    passports = [p if isinstance(p, Passport) else Passport.parse(p, job.secret) for p in job.passports]
    workload = job.workload or usual(
        player, job.users, job.messages, job.path, job.message, job.done, passports, job.first
    )
    with player.target.fresh() as made:
        routes = paths_of(made)
        workload = workload.at(path_of(made))
    workload, waits = prepared(player, workload, routes)
    names, contracts = contracts_of(job.contract)
    database, forgotten = _database(job.settings)
    search = Search(
        player, settings, workload, contracts=contracts, names=names, faults=job.faults, shared=tuple(job.shared),
        policy=job.policy, seed=job.seed,
        budget=Budget(
            schedules=SCHEDULES if job.schedules is None and job.seconds is None else job.schedules,
            seconds=job.seconds, failures=job.failures, certify=job.certify,
        ),
        database=database, derandomize=(job.settings or hypothesis.settings()).derandomize,
        key=_key(settings, workload), say=job.say, warn=job.warn,
    )  # fmt: skip
    for note in (forgotten, waits, _elsewhere(job, workload, routes), *player.target.uncontrolled):
        if note:
            search.notes[note] += 1
    return search


def _database(settings: hypothesis.settings | None) -> tuple[ExampleDatabase | None, str]:
    """Return Hypothesis' example database, and a note where it is lost with this process."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", HypothesisWarning)
        database = (settings or hypothesis.settings()).database
    lost = any(issubclass(one.category, HypothesisWarning) for one in told)
    return database, "what failed is forgotten: .hypothesis cannot be written here" if lost else ""


def _elsewhere(job: Job, workload: Workload, routes: list[str] | None) -> str:
    """Return a note where the app has WebSocket routes that nobody asked for, and nobody tries."""
    if job.path or job.workload is not None or not routes or len(routes) < 2:
        return ""
    return f"its WebSocket routes are {', '.join(routes)}: {workload.sessions[0].path} is tried (--path for another)"


def _key(settings: Settings, workload: Workload) -> bytes:
    """Return what failures are remembered by: the app and who does what, without the keys of tokens."""
    what = json.dumps([settings.explore, replace(workload, passports=()).to_json()])
    return f"goldentape {settings.app} {hashlib.sha256(what.encode()).hexdigest()}".encode()


def usual(
    player: InProcess,
    users: int,
    messages: int,
    path: str,
    message: str,
    done: str,
    passports: Collection[Passport],
    first: str = "",
) -> Workload:
    """Return the workload of users about whom nothing else is said; finds the path out where none is given."""
    if not path:
        with player.target.fresh() as made:
            path = path_of(made)
    if not path.startswith("/"):
        raise InputError("a path begins with /", where="--path", found=path, fix=f"perhaps /{path}")
    path, _, query = path.partition("?")
    workload = crowd(
        users, messages, path=path, message=message or MESSAGE, first=first, done=done, passports=tuple(passports)
    )
    pairs = tuple(parse_qsl(query, keep_blank_values=True))
    return replace(workload, sessions=tuple(replace(session, query=pairs) for session in workload.sessions))


def replay(
    path: str | Path, times: int = 1, environment: Mapping[str, str] | None = None, *, allow_code: bool = False,
    app: str | App | None = None,
) -> Replayed | ReplayedTape:  # fmt: skip
    """Replay the failure of a repro file; `.check()` raises an `AssertionError` while it still happens.

    The app and contracts are looked for where they were, seen from here; else around the file.  `environment` has the
    keys of tokens, which are not in the file; default: that of the process.  `allow_code`: its contracts may bring
    Python files of their own.  `app`: the object itself, where the file's was handed over as one.  Raises `InputError`
    for a file that is none, or an app that is gone.
    """
    if against(Path(path)) == TAPE:
        # Where tapes and contracts are found is the command line's business.
        again: Any = importlib.import_module("goldentape.commands.fuzz.tape_again")
        judged: ReplayedTape = again.judged_again(load_tape(Path(path)), allow_code=allow_code)
        return judged
    return replay_app(path, times, environment, allow_code=allow_code, app=app)


def replay_app(
    path: str | Path, times: int = 1, environment: Mapping[str, str] | None = None, *, allow_code: bool = False,
    app: str | App | None = None,
) -> Replayed:  # fmt: skip
    """Replay the failure of an app; see `replay`."""
    saved = load(Path(path), dict(os.environ if environment is None else environment))
    _, read = contracts_of(saved.contracts, saved.parameters, allow_code=allow_code)
    return replayed(InProcess(saved.settings, None if isinstance(app, str) else app), saved, read, times)
