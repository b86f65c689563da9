"""What a credential is worth: none, malformed, expired, bad_signature or valid.  Pure; the credential is never kept.

Without a key, `valid` means: a well-formed JWT that has not expired.  With a key, its signature holds too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

NONE, MALFORMED, EXPIRED, BAD_SIGNATURE, VALID = "none", "malformed", "expired", "bad_signature", "valid"

_SYMMETRIC = ("HS256", "HS384", "HS512")
_ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA")


@dataclass(frozen=True, slots=True)
class Credential:
    """The judgement on one credential, and the claims that identity may read; not the credential itself."""

    kind: str
    """none, malformed, expired, bad_signature or valid."""
    expires: int | None = None
    """`exp`, Unix seconds."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Of a malformed one: nothing."""


ABSENT = Credential(NONE)


def judge(token: str, key: bytes | None, now: float) -> Credential:
    """Judge `token` as a JWT at Unix time `now`.

    A token outside the time it is good for (`exp` past, `nbf` to come) is `expired`; a signature that does not
    hold weighs more than that.  Claims of a forged token are reported: they are what the connection claims to be.
    """
    try:
        whole = jwt.decode_complete(token, options={"verify_signature": False})
        claims = whole["payload"]
        expires = _seconds(claims.get("exp"))
        begins = _seconds(claims.get("nbf"))
    except (PyJWTError, ValueError, TypeError, RecursionError):
        return Credential(MALFORMED)
    if key is not None and not _signed(token, whole["header"], key):
        return Credential(BAD_SIGNATURE, expires, claims)
    late = expires is not None and now >= expires
    early = begins is not None and now < begins
    return Credential(EXPIRED if late or early else VALID, expires, claims)


def _seconds(value: Any) -> int | None:
    """Return a NumericDate as whole seconds; raises ValueError where it is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1 << 53:
        raise ValueError("not a NumericDate")
    return int(value)


def _signed(token: str, header: Mapping[str, Any], key: bytes) -> bool:
    # The key decides which algorithms are possible, never the token: else a public key would pass as an HMAC secret.
    try:
        options = {"verify_signature": True, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        options |= {"verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False}
        if key.lstrip().startswith(b"{"):
            document = json.loads(key)
            for one in document.get("keys", [document]):
                if one.get("kid") in (None, header.get("kid")) or "kid" not in header:
                    jwk = jwt.PyJWK(one, algorithm=one.get("alg") or header["alg"])
                    allowed = _SYMMETRIC if one.get("kty") == "oct" else _ASYMMETRIC
                    if header["alg"] in allowed and _holds(token, jwk.key, (header["alg"],), options):
                        return True
            return False
        if key.lstrip().startswith(b"-----BEGIN"):
            return _holds(token, key, _ASYMMETRIC, options)
        return _holds(token, key, _SYMMETRIC, options) or _holds(token, key.rstrip(b"\r\n"), _SYMMETRIC, options)
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError):
        return False


def _holds(token: str, key: Any, algorithms: tuple[str, ...], options: Any) -> bool:
    try:
        jwt.decode(token, key, algorithms=list(algorithms), options=options)
    except (PyJWTError, ValueError, TypeError):
        return False
    return True
