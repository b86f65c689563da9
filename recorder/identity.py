"""Who the user of a connection is: a table of pure rules, tried in order.  No I/O: the time is handed in.

    jwt:header:NAME:CLAIM   jwt:query:NAME:CLAIM   jwt:cookie:NAME:CLAIM   jwt:subprotocol:CLAIM
    jwt:message:PATH:CLAIM  header:NAME   query:NAME   cookie:NAME   message:PATH   path:REGEX

Only declared rules name a user: unknown stays unknown, and nobody is merged by address.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote

import msgpack
import orjson

from goldentape import path
from goldentape.errors import InputError
from recorder.credential import ABSENT, MALFORMED, NONE, Credential, judge
from recorder.sensitive import JWT, KUBERNETES_BEARER, SCHEME

CONNECTION = "connection"
"""The rule's name where no rule named anybody."""
MAX_NAME = 256
"""Characters of a user's name; a longer value is no name."""
MAX_MESSAGE = 1 << 20
"""Messages beyond this many bytes are not searched for a name."""


class Request(Protocol):
    """A handshake's request head, as far as identity reads it."""

    @property
    def method(self) -> str:
        """GET."""

    @property
    def target(self) -> str:
        """Path and query, as sent."""

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """Names and values in order, as sent."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the rules say about a connection from here on."""

    user: str | None
    """None: a user of its own."""
    rule: str
    """The rule that named the user, in its own spelling; `connection` where none did."""
    credential: str
    """none, malformed, expired, bad_signature or valid."""
    expires: int | None
    """Unix seconds."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Of the credential, as far as somebody asked to keep them."""


# Places of a request: each yields the values that are there, in the order they were sent.


def _header(request: Request, name: str) -> Iterator[str]:
    wanted = name.lower()
    return (value.strip() for header, value in request.headers if header.lower() == wanted)


def _query(request: Request, name: str) -> Iterator[str]:
    query = request.target.partition("?")[2]
    return (value for key, value in parse_qsl(query, keep_blank_values=True, max_num_fields=1000) if key == name)


def _cookies(request: Request) -> Iterator[tuple[str, str]]:
    for value in _header(request, "cookie"):
        for pair in value.split(";"):
            name, equals, content = pair.strip().partition("=")
            if equals:
                yield name, unquote(content.strip('"'))


def _cookie(request: Request, name: str) -> Iterator[str]:
    return (value for key, value in _cookies(request) if key == name)


def _subprotocol(request: Request, name: str = "") -> Iterator[str]:
    """The bearer tokens that clients hide in Sec-WebSocket-Protocol, decoded where Kubernetes' way is used."""
    for value in _header(request, "sec-websocket-protocol"):
        for item in value.split(","):
            item = item.strip()
            if item.startswith(KUBERNETES_BEARER):
                rest = item.removeprefix(KUBERNETES_BEARER)
                try:
                    yield base64.urlsafe_b64decode(rest + "=" * (-len(rest) % 4)).decode("latin-1")
                except (binascii.Error, ValueError):
                    yield rest
            elif found := JWT.search(item.encode("latin-1", "replace")):
                yield found[0].decode()


PLACES: Mapping[str, Callable[[Request, str], Iterator[str]]] = {
    "header": _header,
    "query": _query,
    "cookie": _cookie,
    "subprotocol": _subprotocol,
}


def _bearer(value: str) -> str:
    """Return the token of `Bearer TOKEN`, or the value itself."""
    scheme = SCHEME.match(value.encode("latin-1", "replace"))
    return value[scheme.end() :].strip() if scheme else value


def _claim(claims: Mapping[str, Any], name: str) -> str | None:
    """Return the claim called `name`, or at the path `name`."""
    value = claims.get(name)
    if value is None and "." in name:
        value = claims
        for step in name.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
    return _name(value)


def _name(value: Any) -> str | None:
    """Return `value` as a user's name, None where it cannot be one."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    # JSON can spell half a character ("\ud800"), which no text can hold: no tape either.
    return text if 0 < len(text) <= MAX_NAME and text.encode("utf-8", "ignore").decode() == text else None


def _plain(value: Any, depth: int = 0) -> Any:
    """Return a claim as far as a contract can ask of it: small, and JSON."""
    if isinstance(value, str):
        return value[:MAX_NAME].encode("utf-8", "ignore").decode()
    if isinstance(value, Mapping) and depth < 3:
        return {str(_plain(str(name))): _plain(inner, depth + 1) for name, inner in list(value.items())[:32]}
    if isinstance(value, list) and depth < 3:
        return [_plain(inner, depth + 1) for inner in value[:32]]
    return value if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 1 << 53) else None


# Rules


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule: where to look, and what the value found there is."""

    text: str
    place: str
    """header, query, cookie, subprotocol, message or path."""
    name: str
    claim: str | None
    """The value is a JWT, and this claim of it is the user; None: the value is the user's name."""
    only_jwt: bool = False
    """What does not even look like a JWT is nothing, instead of a malformed credential (the default rules)."""
    path: path.Path | None = None
    regex: re.Pattern[str] | None = None

    def values(self, request: Request) -> Iterator[str]:
        """Yield what the request has in this rule's place."""
        if self.regex is not None:
            found = self.regex.search(unquote(request.target.partition("?")[0]))
            if found is not None:
                named = found.groupdict().get("user")
                groups = (named,) if named is not None else found.groups() or (found[0],)
                yield from (g for g in groups[:1] if g)
        elif self.place == "cookie" and not self.name:
            yield from (value for _, value in _cookies(request))
        elif self.place != "message":
            yield from PLACES[self.place](request, self.name)


_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_WANTED = (
    "jwt:header|query|cookie:NAME:CLAIM, jwt:subprotocol:CLAIM, jwt:message:PATH:CLAIM, header:NAME, query:NAME, "
    "cookie:NAME, message:PATH or path:REGEX"
)


def parse_rule(text: str) -> Rule:
    """Compile one rule; raises InputError that says what is wrong with it (bad input 24)."""

    def wrong(what: str) -> InputError:
        return InputError(what, where="--identify", found=text, wanted=_WANTED)

    jwt, _, rest = text.partition(":")
    is_jwt = jwt == "jwt"
    place, colon, rest = (rest if is_jwt else text).partition(":")
    name, claim = rest, None
    if is_jwt and place == "subprotocol":
        name, claim = "", rest.rpartition(":")[2] if rest.startswith(("*:", "bearer:")) else rest
    elif is_jwt:
        name, second, claim = rest.partition(":")
        if not second or not name:
            raise wrong("a jwt rule names a place and a claim")
    if place not in (*PLACES, "message", "path") or (place == "path" and is_jwt) or not colon:
        raise wrong("not an identity rule")
    if place == "subprotocol" and not is_jwt:
        raise wrong("a subprotocol names no user, only a token in it does")
    if (is_jwt and not claim) or (not is_jwt and not name):
        raise wrong("the rule ends too early")
    if place in ("header", "cookie") and not _TOKEN.fullmatch(name):
        raise wrong(f"no {place} can have this name")
    if place == "message":
        return Rule(text, place, name, claim, path=path.parse(name))
    if place == "path":
        try:
            return Rule(text, place, name, None, regex=re.compile(name))
        except (re.error, RecursionError) as fault:
            raise wrong(f"the regular expression does not compile ({fault})") from None
    return Rule(text, place, name, claim)


DEFAULT_RULES = (
    Rule("jwt:header:Authorization:sub", "header", "Authorization", "sub"),
    Rule("jwt:query:token:sub", "query", "token", "sub"),
    Rule("jwt:query:access_token:sub", "query", "access_token", "sub"),
    Rule("jwt:query:jwt:sub", "query", "jwt", "sub"),
    Rule("jwt:cookie:*:sub", "cookie", "", "sub", only_jwt=True),
    Rule("jwt:subprotocol:sub", "subprotocol", "", "sub", only_jwt=True),
    Rule("query:user_id", "query", "user_id", None),
)
_BASIC = re.compile(r"(?i)(?:basic|digest|negotiate|ntlm)\s")


class Identifier:
    """The rules of one recording, compiled."""

    def __init__(
        self, rules: Sequence[str], jwt_key: bytes | None, now: Callable[[], float], keep: Sequence[str] = ()
    ) -> None:
        self.rules = tuple(parse_rule(text) for text in rules) or DEFAULT_RULES
        self._key = jwt_key
        self._now = now
        self._keep = tuple(keep)
        self._of_handshake = tuple(r for r in self.rules if r.place != "message")
        self._of_messages = tuple(r for r in self.rules if r.path is not None)
        self.wants_messages = bool(self._of_messages)
        """Whether some rule looks into the client's messages, also after the first that named a user."""
        # None: a path without a literal name, so every message has to be parsed.
        self._names = tuple(_needles(r.path) for r in self._of_messages if r.path is not None)

    def handshake(self, request: Request) -> Found:
        """Apply the rules to a request; without a hit the user is None and the rule `connection`."""
        best = ABSENT
        for rule in self._of_handshake:
            for value in rule.values(request):
                user, credential = self._apply(rule, value)
                if user is not None:
                    kept = credential if credential.kind != NONE else best
                    return self._found(user, rule.text, kept)
                best = credential if best.kind == NONE else best
        return self._found(None, CONNECTION, best)

    def message(self, payload: bytes, opcode: int) -> Found | None:
        """Apply the rules to a data message of the client; None where none of them finds a name or a JWT."""
        hit = [r for r, needles in zip(self._of_messages, self._names, strict=True) if _may_have(payload, needles)]
        if not hit or len(payload) > MAX_MESSAGE:
            return None
        best: Credential | None = None
        for document in _documents(payload, opcode):
            for rule in hit:
                value = rule.path.find(document) if rule.path is not None else None
                if value is None:
                    continue
                user, credential = self._apply(rule, value)
                if user is not None:
                    return self._found(user, rule.text, credential)
                if best is None and credential.kind != NONE:
                    best = credential
        return None if best is None else self._found(None, CONNECTION, best)

    def _found(self, user: str | None, rule: str, credential: Credential) -> Found:
        claims = {name: _plain(credential.claims[name]) for name in self._keep if name in credential.claims}
        return Found(user, rule, credential.kind, credential.expires, claims)

    def _apply(self, rule: Rule, value: Any) -> tuple[str | None, Credential]:
        if rule.claim is None:
            return _name(value), ABSENT
        if not isinstance(value, str) or not value or _BASIC.match(value):
            return None, ABSENT
        token = _bearer(value)
        if rule.only_jwt and not JWT.fullmatch(token.encode("latin-1", "replace")):
            return None, ABSENT
        credential = judge(token, self._key, self._now())
        return (None if credential.kind == MALFORMED else _claim(credential.claims, rule.claim)), credential


def _needles(of: path.Path) -> tuple[bytes, ...]:
    name = of.last_name
    if name is None:
        return ()
    plain = name.encode("utf-8", "surrogatepass")
    escaped = orjson.dumps(name)[1:-1] if plain.isascii() else name.encode("ascii", "backslashreplace")
    return tuple({plain, escaped, b"\\u"} if not plain.isascii() else {plain, escaped})


def _may_have(payload: bytes, needles: Iterable[bytes]) -> bool:
    return not needles or any(n in payload for n in needles)


_PREFIX = re.compile(rb"[0-9a]{1,8}(?:-)?(?:/[^,\[{]{0,64},)?[0-9]{0,10}(?=[\[{])")
"""What Socket.IO, Engine.IO and SockJS put before their JSON."""


def _documents(payload: bytes, opcode: int) -> Iterator[Any]:
    """Yield the document of a message, or, where it is none, nothing."""
    try:
        yield orjson.loads(payload)
        return
    except orjson.JSONDecodeError:
        pass
    if prefix := _PREFIX.match(payload):
        try:
            yield orjson.loads(payload[prefix.end() :])
            return
        except orjson.JSONDecodeError:
            pass
    if opcode == 2:
        try:
            yield msgpack.unpackb(payload, strict_map_key=False)
        except (ValueError, msgpack.exceptions.UnpackException, RecursionError, TypeError):
            return
