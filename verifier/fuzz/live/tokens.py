"""Tokens for the users of one try, from a command of yours: it is given a user's name and prints a token."""

from __future__ import annotations

import asyncio
import os
import shlex
from dataclasses import replace

from goldentape.display import show
from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz.live.fresh import Fresh
from verifier.fuzz.passport import PLACES, TOKEN, Passport
from verifier.fuzz.script import Send
from verifier.fuzz.workload import Session

PATIENCE = 20.0
"""Seconds that the command has."""
LONGEST = 16_384


class TokenMaker:
    """Asks the command for each new user.  `{user}` in it stands for the name; without it the name is appended."""

    def __init__(self, command: str, place: str) -> None:
        """Take the command, and where its tokens go: `header:Authorization`, `query:token`; raises InputError."""
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise InputError(f"--token-command: {error}", found=command) from None
        if not self._arguments:
            raise InputError("--token-command is empty")
        if not any("{user}" in word for word in self._arguments):
            self._arguments.append("{user}")
        self._place, _, self._name = place.partition(":")
        if self._place not in PLACES or not self._name:
            raise InputError(
                "no place for a token",
                found=place,
                wanted="header:NAME, query:NAME, cookie:NAME, subprotocol:NAME or message:PATH",
            )

    async def given(self, fresh: Fresh) -> Fresh:
        """Return the workload with a token for each of its users."""
        names = [user.name for user in fresh.workload.users]
        tokens = dict(zip(names, await asyncio.gather(*map(self._token, names)), strict=True))
        sessions = []
        for session in fresh.workload.sessions:
            token = tokens[session.user]
            if self._place == "query":
                session = replace(session, query=(*session.query, (self._name, token)))
            elif self._place == "message":
                session = _telling(session, token)
            elif self._place == "subprotocol":
                session = replace(session, subprotocols=(*session.subprotocols, self._name, token))
            else:
                bearer = self._place == "header" and self._name.lower() == "authorization" and " " not in token
                value = f"Bearer {token}" if bearer else token
                name, value = ("cookie", f"{self._name}={token}") if self._place == "cookie" else (self._name, value)
                session = replace(session, headers=(*session.headers, (name, value)))
            sessions.append(session)
        return Fresh(replace(fresh.workload, sessions=tuple(sessions)), fresh.back, tokens)

    @property
    def passport(self) -> Passport:
        """What tells the recorder where the tokens are."""
        return Passport("jwt", self._place, self._name, "unknown")

    async def _token(self, user: str) -> str:
        arguments = [word.replace("{user}", user) for word in self._arguments]
        try:
            process = await asyncio.create_subprocess_exec(
                *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, env={**os.environ, "GOLDENTAPE_USER": user},
            )  # fmt: skip
        except OSError as error:
            raise InputError("--token-command cannot be started", found=arguments[0], wanted=error.strerror) from None
        try:
            out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        except BaseException:
            process.kill()
            await process.wait()
            raise
        token = out.decode("utf-8", "replace").strip()
        if process.returncode:
            last = err.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise EnvironmentFault(f"--token-command ended with {process.returncode}: {show(''.join(last), 200)}")
        if not token or len(token) > LONGEST or not token.isprintable() or len(token.splitlines()) != 1:
            raise InputError("--token-command printed no token", wanted="one line")
        return token


def _telling(session: Session, token: str) -> Session:
    """Return a session whose messages have a token where they say `{token}`."""
    script = tuple(
        replace(action, payload=action.payload.replace(TOKEN, token))
        if isinstance(action, Send) and isinstance(action.payload, str)
        else action
        for action in session.script
    )
    return replace(session, script=script)
