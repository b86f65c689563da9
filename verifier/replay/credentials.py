"""Fresh credentials for a replay: what stands for the secrets that a tape has placeholders of.

A token is asked for once for each secret of the tape, so who used one token on two connections does so again.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from goldentape.errors import InputError
from verifier.mapping import spell, spoken
from verifier.script import Recording, Script, Step, Use
from verifier.unmistakable import identity

LIFETIME = 3600
"""Seconds that a minted token is valid."""
_TOKEN_NAMES = re.compile(r"(auth|token|jwt|bearer|ticket|credential|protocol)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose token, and what kind of one."""

    user: str
    claim: str
    """The claim that names the user."""
    credential: str
    """As on the tape: `valid`, `expired`, `bad_signature` or `malformed`."""


Minter = Callable[[Wanted], str]
"""Gives a token."""


def hs256(key: str, claims: Mapping[str, Any]) -> Minter:
    """Return a minter of JWTs signed with a test key, each as good or bad as the one on the tape."""

    def mint(wanted: Wanted) -> str:
        if wanted.credential == "malformed":
            return "not-a-token"
        now = int(time.time())
        expires = now - 60 if wanted.credential == "expired" else now + LIFETIME
        body = {
            wanted.claim: wanted.user,
            "iat": min(now, expires - 1),
            "exp": expires,
            "jti": uuid.uuid4().hex,
            **claims,
        }
        return jwt.encode(body, key + "?" if wanted.credential == "bad_signature" else key, "HS256")

    return mint


@dataclass(slots=True)
class Credentials:
    """What `--map`s and minters say in place of recorded values."""

    recording: Recording
    minter: Minter | None = None
    _minted: dict[tuple[str, str], str] = field(default_factory=dict)
    _fresh: dict[tuple[str, Any], str] = field(default_factory=dict)

    def tell(self, script: Script, step: Step, use: Use) -> Any:
        """Return what a value that no server said is live; raise InputError where nobody knows."""
        rule = use.rule
        if rule is None:
            return self._mint(script, step, use)
        if rule.kind == "value":
            return rule.word
        if rule.kind == "env":
            if rule.word not in os.environ:
                raise InputError(f"--map {rule.text}: there is no such variable", found=rule.word)
            return os.environ[rule.word]
        if rule.kind == "fresh":
            return self._fresh.setdefault((script.actor, use.value), str(uuid.uuid4()))
        return use.value

    def _mint(self, script: Script, step: Step, use: Use) -> str:
        where = spell(step.document, use.place)
        names = spoken(step.document, use.place)
        looks = use.value.startswith("[r:jwt:") or _TOKEN_NAMES.search(str(names[-1] if names else "")) is not None
        if self.minter is None or not looks:
            raise InputError(
                f"{script.actor} says a secret that the tape has no more than a placeholder of, at {where} of "
                + ("a handshake" if step.seq == 0 else f"event #{step.seq} ({step.document.name})"),
                fix=f"add --map '{_selector(step, where)}=env:NAME'"
                + (", --token-command or --jwt-key-file" if looks else ""),
            )
        key = (script.actor, identity(use.value))
        if key not in self._minted:
            self._minted[key] = self.minter(self._wanted(script, step))
        return self._minted[key]

    def _wanted(self, script: Script, step: Step) -> Wanted:
        connection = self.recording.connections[step.connection]
        user, rule, credential = script.actor, "", connection.credential
        for found in connection.identities:
            if step.seq == 0 or abs(found.seq - step.seq) <= 1:
                user, rule, credential = found.user, found.rule, found.credential
                break
        return Wanted(user, rule.rpartition(":")[2] if rule.startswith("jwt:") else "sub", credential)

    def check(self) -> None:
        """Ask for everything once, before the first connection; raise InputError for what nobody knows."""
        for script in self.recording.scripts:
            for step in script.steps:
                for use in step.uses:
                    if use.rule is not None and use.rule.kind == "server" and not use.sources:
                        raise InputError(
                            f"--map {use.rule.text}: the server had not said that when {script.actor} needed it",
                            found="nothing",
                        )
                    if not use.known or (use.rule is not None and use.rule.kind == "env"):
                        self.tell(script, step, use)


def _selector(step: Step, where: str) -> str:
    return where if where.startswith("@") else f"{step.document.name}:{where}"


__all__ = ["Credentials", "Minter", "Wanted", "hs256"]
