"""Canary isolation: what a user has said must not turn up at another user, in whatever form.  Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

from verifier.fuzz.canary import word_of
from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.message import read
from verifier.fuzz.seen import Run, What
from verifier.taint.decode import views

DECODERS = frozenset({"json", "unicode", "url", "html", "base64", "hex"})
BUDGET = (1 << 16, 256)
"""Characters and texts that are decoded of one message."""
PIECE = 64
"""Texts up to this many characters are also looked at together with those before them: an answer comes in pieces."""

QUIET = 20_000
"""Sessions without a find that are remembered."""
KEPT, SHORT = 4096, 4096
"""Messages whose canaries are remembered, and how many characters such a message has at most."""


class Canaries:
    """The canaries of a workload, ready to be looked for."""

    def __init__(
        self,
        canaries: Mapping[str, str],
        user_of: Mapping[str, str],
        shared: Callable[[str], bool] = lambda path: False,
    ) -> None:
        self._shared = shared
        self._user_of = user_of
        self._owner = {form.lower(): user for token, user in canaries.items() for form in (token, word_of(token))}
        self._token = {form.lower(): token for token in canaries for form in (token, word_of(token))}
        plain = "|".join(re.escape(form) for form in sorted(self._owner, key=len, reverse=True))
        self._plain = re.compile(plain, re.IGNORECASE) if plain else None
        hidden = {part for form in self._owner for part in _hidden(form)}
        hidden |= {part for token in canaries for form in (token, word_of(token)) for part in _hidden(form)}
        self._hidden = re.compile("|".join(map(re.escape, sorted(hidden)))) if hidden else None
        self._known: dict[str | bytes, list[tuple[str, str, str, str]]] = {}
        """What was found in messages: most come again under the next schedule."""
        self._quiet: set[bytes] = set()
        """Sessions, and what each was told, in which there was nothing: most come again but for the time of day."""

    def failures(self, run: Run) -> Iterator[Failure]:
        """Yield each canary that somebody else was shown, once for each event, path and pair of users."""
        if self._plain is None:
            return
        sessions = run.shown.values()
        if self._quiet.issuperset(sessions):
            return
        found = list(self._in(run))
        if not found and len(self._quiet) < QUIET:
            self._quiet.update(sessions)
        yield from found

    def _in(self, run: Run) -> Iterator[Failure]:
        told: set[tuple[str, str, str]] = set()
        for n, moment in enumerate(run.moments):
            if moment.dir != "s2c" or moment.what not in (What.MESSAGE, What.CLOSE, What.ACCEPT):
                continue
            user = self._user_of.get(moment.session, moment.session)
            for token, owner, path, how in self._found(moment.payload):
                if owner == user or (user, owner, path) in told:
                    continue
                told.add((user, owner, path))
                event = read(moment.payload).name if moment.what is What.MESSAGE else str(moment.what)
                where = f"{event}.{path}" if path else event
                yield Failure(
                    Kind.LEAK, user, owner, where,
                    f"{user} receives what {owner} has sent ({token}) in {where}{how}", (n,),
                )  # fmt: skip
        if not told:
            yield from self._in_pieces(run)

    def _in_pieces(self, run: Run) -> Iterator[Failure]:
        """Yield canaries that came to somebody else in pieces, over several messages."""
        assert self._plain is not None
        texts: dict[tuple[str, str, str], tuple[list[str], int]] = {}
        for n, moment in enumerate(run.moments):
            if moment.dir != "s2c" or moment.what is not What.MESSAGE:
                continue
            message = read(moment.payload)
            for path, value in message.values:
                if isinstance(value, str) and value and len(value) <= PIECE and not self._shared(path):
                    pieces, _ = texts.get((moment.session, message.name, path), ([], 0))
                    pieces.append(value)
                    texts[moment.session, message.name, path] = pieces, n
        for (session, event, path), (pieces, n) in texts.items():
            if len(pieces) < 2:
                continue
            user = self._user_of.get(session, session)
            found = {form[0].lower() for form in self._plain.finditer("".join(pieces))}
            for owner in sorted({self._owner[form] for form in found} - {user}):
                where = f"{event}.{path}" if path else event
                said = f"{user} receives what {owner} has sent, in pieces, in {where}"
                yield Failure(Kind.LEAK, user, owner, where, said, (n,))

    def of(self, payload: str | bytes) -> set[str]:
        """Return the canaries in a message."""
        return {token for token, _, _, _ in self._found(payload)}

    def _found(self, payload: str | bytes) -> list[tuple[str, str, str, str]]:
        """Return the canaries in a message: token, owner, path, and how it was hidden."""
        found = self._known.get(payload)
        if found is None:
            found = self._look(payload)
            if len(self._known) < KEPT and len(payload) <= SHORT:
                self._known[payload] = found
        return found

    def _look(self, payload: str | bytes) -> list[tuple[str, str, str, str]]:
        assert self._plain is not None
        text = payload if isinstance(payload, str) else payload.decode("utf-8", "replace")
        looks = self._plain.search(text) or (self._hidden is not None and self._hidden.search(text))
        if not looks and "\\" not in text and isinstance(payload, str):
            return []
        return list(self._closely(payload))

    def _closely(self, payload: str | bytes) -> Iterator[tuple[str, str, str, str]]:
        assert self._plain is not None
        for path, value in read(payload).values:
            if not isinstance(value, str) or self._shared(path):
                continue
            for chain, view in views(value, DECODERS, list(BUDGET)):
                for found in self._plain.finditer(view):
                    form = found[0].lower()
                    how = f", hidden as {' in '.join(chain)}" if chain else ""
                    yield self._token[form], self._owner[form], path, how


@lru_cache(4096)
def _hidden(form: str) -> frozenset[str]:
    """Return pieces of a text that are in it in base64 or hex, wherever it begins."""
    raw = form.encode("utf-8", "surrogatepass")
    pieces = {raw.hex(), raw.hex().upper()}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + raw).decode()
        first = (0, 2, 3)[shift]
        last = len(coded.rstrip("=")) - (1 if len(raw + b"\0" * shift) % 3 else 0)
        pieces.add(coded[first:last])
    return frozenset(pieces)
