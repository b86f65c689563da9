"""How a user says who they are: tokens in headers, queries, cookies, subprotocols or messages, one a user.  Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import Any

from goldentape.errors import InputError

PLACES = ("header", "query", "cookie", "subprotocol", "message")
TOKEN = "{token}"
"""What a message says where the token goes; filled when it is sent, so that no token stands in a script or a file."""
ISSUED = 1_700_000_000
"""`iat` of the tokens: before the virtual clock begins."""
EXPIRES = 4_102_444_800
"""`exp` of the tokens: 2100-01-01, so that a saved run replays in years."""


@dataclass(frozen=True, slots=True)
class Passport:
    """One place where each session says who its user is.

    `jwt:header:Authorization` puts `Bearer <JWT>`, `jwt:query:token` a JWT in the query, `plain:query:user_id` the
    user's name, `plain:header:X-User`, `jwt:cookie:access_token`, `jwt:subprotocol:bearer` offers two subprotocols,
    `bearer` and the token.  `jwt:message:auth.token`: where a message says `{token}`; the path is for who records it.
    """

    kind: str
    """`jwt` (HS256, `sub` is the user) or `plain` (the user's name)."""
    place: str
    name: str
    secret: str = field(default="", repr=False)
    """The key that signs; with `env` it is not written into files."""
    env: str = ""
    """Name of the environment variable that the secret came from, or empty."""

    @classmethod
    def parse(cls, text: str, secret: str = "", env: str = "") -> Passport:
        """Read `KIND:PLACE:NAME`; raises `InputError`."""
        kind, _, rest = text.partition(":")
        place, _, name = rest.partition(":")
        if kind not in ("jwt", "plain") or place not in PLACES or not name:
            raise InputError(
                "not a way to say who a user is",
                found=text,
                wanted="KIND:PLACE:NAME with KIND jwt or plain, PLACE header, query, cookie, subprotocol or message",
                fix="for instance jwt:header:Authorization, jwt:query:token or plain:query:user_id",
            )
        if kind == "jwt":
            import_module("jwt")  # here, since `token` may be called in the middle of a run
        if kind == "jwt" and not secret:
            raise InputError(
                "a JWT needs a secret to sign with", where=text, fix="give the key that the app checks with"
            )
        return cls(kind, place, name, secret, env)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Tell Hypothesis how to print it: without the secret."""
        printer.text(repr(self))

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}:{self.name}"

    def value(self, user: str, claims: str) -> str:
        """Return what stands in the place for a user; `claims` is a JSON object of further claims."""
        return user if self.kind == "plain" else token(user, claims, self.secret)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, without a secret that came from the environment."""
        secret = {"secret_env": self.env} if self.env else {"secret": self.secret} if self.secret else {}
        return {"as": str(self), **secret}

    @classmethod
    def from_json(cls, value: Any, secrets: Mapping[str, str]) -> Passport:
        """Read what `to_json` wrote; `secrets` is the environment.  Raises `InputError`."""
        if not isinstance(value, dict) or not isinstance(value.get("as"), str):
            raise InputError("not a way to say who a user is", found=value, wanted='{"as": "jwt:query:token", ...}')
        env = value.get("secret_env", "")
        if env and env not in secrets:
            raise InputError(f"the secret of {value['as']} is not there", wanted=f"it in the environment as {env}")
        return cls.parse(value["as"], secrets[env] if env else value.get("secret", ""), env)


@lru_cache(4096)
def token(user: str, claims: str, secret: str) -> str:
    """Return a JWT (HS256) whose `sub` is the user; equal arguments give equal tokens."""
    import jwt  # much to load, and many users say plainly who they are

    payload = {"sub": user, "iat": ISSUED, "exp": EXPIRES, **json.loads(claims or "{}")}
    return jwt.encode(payload, secret, algorithm="HS256")
