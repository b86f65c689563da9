"""Who does what, from a file: a script, or a tape; and how users say who they are."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from goldentape.commands.target import mapped_path
from goldentape.errors import InputError
from verifier.fuzz.passport import Passport
from verifier.fuzz.script_file import workload_of
from verifier.fuzz.workload import Workload
from verifier.load import load

LARGEST = 100_000
"""Events of a tape that are read."""


def workload_from(
    script: Path | None, tape: Path | None, passports: tuple[Passport, ...], first: str = ""
) -> Workload | None:
    """Return the workload of a script or a tape; None where neither was named.  Raises `InputError`.

    `first`: what `--first` says, which a script says by itself.
    """
    if first and (script is not None or tape is not None):
        raise InputError(
            "--first is for users of whom no script or tape says what they do",
            fix="make it the first `send` of the script",
        )
    if script is not None and tape is not None:
        raise InputError("--script and --from both say who does what", fix="leave one of them out")
    if script is not None:
        return _of_script(script, passports)
    return None if tape is None else _of_tape(tape, passports)


def at_path(workload: Workload, path: str) -> Workload:
    """Return a workload at the path of a URL: where all its sessions have one path, that one, else before theirs."""
    paths = mapped_path(path.rstrip("/"), [session.path for session in workload.sessions])
    sessions = tuple(replace(session, path=paths(session.path)) for session in workload.sessions)
    return replace(workload, sessions=sessions)


def _of_script(script: Path, passports: tuple[Passport, ...]) -> Workload:
    try:
        data = script.read_bytes()
    except OSError as error:
        raise InputError(error.strerror or "cannot be read", where=script) from None
    return workload_of(load(data, str(script), what="script"), passports, os.environ)


def _of_tape(path: Path, passports: tuple[Passport, ...]) -> Workload:
    from goldentape.commands.opening import opened  # much to load, and few need it
    from verifier.fuzz.from_tape import workload_of_tape

    with opened(path) as tape:
        connections = list(tape.connections())
        events = [event for _, event in zip(range(LARGEST), tape.events(), strict=False)]
    try:
        return workload_of_tape(connections, events, passports)
    except InputError as error:
        raise InputError(str(error), where=path) from None


def passports_of(passports: tuple[str, ...], env: str | None, who: str) -> tuple[Passport, ...]:
    """Return how users say who they are; `who` checks the tokens that are signed by the key.  Raises `InputError`."""
    secret = ""
    if env is not None:
        secret = os.environ.get(env, "")
        if not secret:
            # What does not look like a variable may be the key itself.
            named = env if re.fullmatch(r"[A-Z][A-Z0-9_]*", env) else None
            raise InputError(
                "--jwt-secret: there is no such environment variable", found=named,
                fix=f"name one that has the key that the {who} checks tokens by: {named or 'KEY'}=... goldentape ...",
            )  # fmt: skip
    wanted = passports or (("jwt:header:Authorization", "jwt:query:token") if secret else ())
    return tuple(Passport.parse(text, secret, env or "") for text in wanted)
