"""Redaction before the disk: heads and payloads in, the same without secrets out.  Pure.

What is clean stays as it is, byte for byte.  A secret becomes a placeholder, so that equality can still be judged
(`pseudonym.py`).  Where redaction itself fails, nothing of the payload is kept but a digest: it fails closed.

    heads        heads.py: by place, and remembered: a handshake's secret in a later payload is a leak
    payloads     sieve.py throws out the clean ones; documents.py edits the others
    values       sensitive.py says what a secret is, scrub.py finds it in text
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from goldentape import path
from goldentape.errors import InputError
from goldentape.event import Flag
from recorder.documents import Documents
from recorder.heads import Header, Heads
from recorder.known_secrets import KnownSecrets
from recorder.pseudonym import Pseudonyms, load_key
from recorder.scrub import Scrubbed, Scrubber
from recorder.sieve import Sieve

__all__ = ["Redacted", "Redactor", "load_key"]

_TEXT, _CLOSE = 1, 8
_STATE = 1


class Redacted(NamedTuple):
    """A payload that had to be changed."""

    payload: bytes
    flags: Flag
    """REDACTED, and SAW_SECRET where a handshake's secret was in it."""
    saw: tuple[str, ...] = ()
    """The connections whose secrets were in it."""


class Redactor:
    """Everything that redaction knows in one recording."""

    def __init__(
        self, key: bytes, paths: Sequence[str], patterns: Sequence[str], known_subprotocols: Sequence[str]
    ) -> None:
        self._pseudonyms = Pseudonyms(key)
        self._known = KnownSecrets(self._pseudonyms)
        compiled = [_path(p) for p in paths]
        self._patterns = [_pattern(p) for p in patterns]
        self._sieve = Sieve(self._known, compiled)
        scrubber = Scrubber(self._pseudonyms, self._known, self._patterns, self._sieve.texts)
        self._heads = Heads(scrubber, self._address, known_subprotocols)
        self._documents = Documents(self._pseudonyms, scrubber, compiled, self._patterns, self._texts)
        self.failed = 0
        """Payloads of which only a digest was kept, because redaction failed."""

    @property
    def fingerprint(self) -> str:
        """Names the key without telling anything about it."""
        return self._pseudonyms.fingerprint

    # Heads

    def request(
        self, target: str, headers: Sequence[Header], connection: str, negotiated: str | None
    ) -> tuple[str, list[Header]]:
        """Redact a request's target and headers, and remember the secrets as those of `connection`."""
        remember = self._remember(connection)
        # All are remembered before any is replaced, so a token in the query is known in the Referer too.
        self._heads.request(headers, negotiated, remember)
        return self._heads.target(target, remember), self._heads.request(headers, negotiated, remember)

    def response(self, headers: Sequence[Header], connection: str = "") -> list[Header]:
        """Redact a response's headers; the cookies it sets are remembered."""
        return self._heads.response(headers, self._remember(connection))

    def user(self, name: str) -> str:
        """Return the name a user gets in the tape.

        The digest of a secret, where the identity rule took one for a name (`cookie:session`).  Any other name
        stands in the tape anyway, so it is no secret in a payload either.
        """
        raw = name.encode("utf-8", "surrogatepass")
        known = self._known.get(self._pseudonyms.digest(raw))
        if known is not None and known.certain:
            return f"[r:{known.label}:{known.digest}]"
        self._known.publish(raw)
        return self.text(name)

    def client(self, address: str) -> str:
        """Return the digest of a client's address; the port does not count."""
        return self._address(address)[:16]

    def _address(self, address: str) -> str:
        host = address.strip().strip('"')
        bracketed = re.fullmatch(r"\[([^\]]*)\](?::\d+)?", host)
        if bracketed:
            host = bracketed[1]
        elif host.count(":") == 1:
            host = host.partition(":")[0]
        try:
            host = str(ipaddress.ip_address(host))
        except ValueError:
            # "::1:50000" is an address and a port, joined by somebody who did not think of IPv6; or a name.
            host = host.lower()
        return self._pseudonyms.digest(host.encode("utf-8", "surrogatepass"))

    def _remember(self, connection: str) -> Callable[[bytes, bool], None]:
        return lambda value, certain: self._known.remember(value, connection, certain)

    # Payloads

    def payloads(self, batch: Sequence[tuple[int, bytes]]) -> list[Redacted | None]:
        """Redact messages and control frames, given as (opcode, payload); None stands for: unchanged."""
        result: list[Redacted | None] = [None] * len(batch)
        texts = [payload for opcode, payload in batch if opcode == _TEXT]
        if len(texts) == len(batch):
            for i in self._suspects(texts, False):
                result[i] = self._one(_TEXT, texts[i])
            return result
        for binary in (False, True):
            indices = [i for i, (opcode, _) in enumerate(batch) if (opcode != _TEXT) is binary]
            for i in self._suspects([batch[i][1] for i in indices], binary):
                result[indices[i]] = self._one(*batch[indices[i]])
        return result

    def _suspects(self, payloads: list[bytes], binary: bool) -> Sequence[int]:
        suspects = self._sieve.suspects(payloads, binary)
        if not self._patterns:
            return suspects
        also = [i for i, p in enumerate(payloads) if b"\\" in p or any(pattern.search(p) for pattern in self._patterns)]
        return sorted({*suspects, *also})

    def _texts(self, texts: Sequence[bytes]) -> Sequence[int]:
        return range(len(texts)) if self._patterns else self._sieve.texts(texts)

    def _one(self, opcode: int, payload: bytes) -> Redacted | None:
        code = payload[:2] if opcode == _CLOSE else b""
        body = payload[len(code) :]
        try:
            clean = self._documents.redact(body, binary=opcode != _TEXT)
        except Exception:
            # Whatever went wrong, the payload must not reach the disk.
            self.failed += 1
            clean = Scrubbed(b'"' + self._pseudonyms.placeholder("failed", body) + b'"')
        if clean.text == body:
            return None
        return Redacted(code + clean.text, Flag.REDACTED | (Flag.SAW_SECRET if clean.saw else Flag(0)), clean.saw)

    def body(self, body: bytes) -> bytes:
        """Redact the body of a refusal."""
        changed = self._one(_TEXT, body)
        return body if changed is None else changed.payload

    def text(self, text: str) -> str:
        """Redact a close reason, or another short text."""
        raw = text.encode("utf-8", "surrogatepass")
        changed = self._one(_TEXT, raw)
        return text if changed is None else changed.payload.decode("utf-8", "replace")

    # Checkpoints

    def state(self) -> dict[str, Any]:
        """Return what was learnt so far as plain values; fragments of secrets are in it, so it stays in the spool."""
        return {"version": _STATE, "key": self.fingerprint, "known": self._known.state(), "failed": self.failed}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` returned; raises InputError when it is another key's."""
        if state.get("version") != _STATE or state.get("key") != self.fingerprint:
            raise InputError("this state of redaction was made with another key or release")
        self._known.restore(state["known"])
        self.failed = state["failed"]


def _path(text: str) -> path.Path:
    try:
        return path.parse(text)
    except InputError as fault:
        raise InputError("not a path", where="--redact", found=text, wanted=fault.wanted) from None


def _pattern(text: str) -> re.Pattern[bytes]:
    """Compile a user's pattern (bad input 26); one that can take for ever is refused."""
    try:
        # Bytes that are one character of UTF-8 must not be cut: what is not ASCII is matched as a whole.
        compiled = re.compile(text.encode())
    except (re.error, RecursionError, OverflowError) as fault:
        what = f"the regular expression does not compile ({fault})"
        raise InputError(what, where="--redact-pattern", found=text) from None
    if compiled.match(b""):
        raise InputError("the pattern matches the empty text", where="--redact-pattern", found=text)
    if _nested(text):
        what = "a quantifier inside a quantifier can take for ever"
        raise InputError(what, where="--redact-pattern", found=text, fix="write it without nesting")
    return compiled


def _nested(text: str) -> bool:
    """Whether an open-ended repetition stands inside another."""
    from re import _constants as sre  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]

    def walk(node: Any, inside: bool) -> bool:
        if isinstance(node, parser.SubPattern | list):
            return any(walk(item, inside) for item in node)
        if not isinstance(node, tuple):
            return False
        if node and node[0] in (sre.MAX_REPEAT, sre.MIN_REPEAT):
            _, most, body = node[1]
            endless = most is sre.MAXREPEAT or most > 1000
            return (inside and endless) or walk(body, inside or endless)
        return any(walk(item, inside) for item in node)

    return walk(parser.parse(text), False)
