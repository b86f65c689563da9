"""`when`: for which recordings, users and endings an invariant is meant; for the rest it is not applicable.  Pure."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from goldentape.display import show
from goldentape.event import Connection
from verifier.load import Path, nearest
from verifier.paths import MISSING, PathError, ValueGetter, as_list, compile_value_path
from verifier.predicate import Test, compile_test

if TYPE_CHECKING:
    from verifier.contract import Contract
    from verifier.record import Session

RELEASE: Final = "release"
"""The tag that names the server's release."""

_TERM = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*([^\s<>=!,]+)\s*")
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_VERSION = re.compile(
    r"v?(\d+(?:\.\d+)*)(?:[-._]?(dev|alpha|a|beta|b|preview|pre|rc|c)[-._]?(\d*))?(?:\+[\w.-]*)?",
    re.IGNORECASE | re.ASCII,
)
_BEFORE = {"dev": 0, "a": 1, "alpha": 1, "b": 2, "beta": 2}
Version = tuple[tuple[int, ...], int, int]


@dataclass(frozen=True, slots=True)
class When:
    """The conditions of one invariant."""

    exit: frozenset[str] | None = None
    """Instances of the span that ended so."""
    users: Test | None = None
    tags: tuple[tuple[str, Test], ...] = ()
    release: tuple[tuple[str, Version], ...] = ()
    claims: tuple[tuple[str, ValueGetter, Test], ...] = ()
    """(name, where in the claims, test)"""

    @property
    def asks_recording(self) -> bool:
        """Whether it asks anything of the recording."""
        return self.users is not None or bool(self.tags) or bool(self.release)


ALWAYS: Final = When()


@dataclass(slots=True)
class Occasion:
    """What recordings were.  Those of parts can be added."""

    tags: set[tuple[tuple[str, str], ...]] = field(default_factory=set)
    """Of each run of the recorder."""
    peak: int = 0
    """Most users that were connected at once."""
    rules: set[tuple[str, ...]] = field(default_factory=set)
    """By which each run of the recorder named users."""
    lacks: frozenset[str] = frozenset()
    """What some run could not tell, because it is an import."""

    def add(self, other: Occasion) -> None:
        """Add what another part was."""
        self.tags |= other.tags
        self.lacks |= other.lacks
        self.rules |= other.rules
        self.peak = max(self.peak, other.peak)


def compile_when(contract: Contract, when: Mapping[str, Any], scope: str | None, at: Path) -> When:
    """Return the conditions that a contract names."""
    document = contract.document
    exit = None
    if "exit" in when:
        if scope is None:
            raise contract.error(at, "`when: exit` wants a span as scope")
        exit = frozenset(as_list(when["exit"]))
        for name in exit:
            known = contract.spans[scope].exits
            if name not in known:
                fix = nearest(name, known)
                raise contract.error((*at, "exit"), f"the span {scope} has no such exit", found=name, fix=fix)
    claims = []
    for name, spec in when.get("claim", {}).items():
        try:
            claims.append((name, compile_value_path(name), compile_test(spec, document, (*at, "claim", name))))
        except PathError as error:
            raise contract.error((*at, "claim", name), str(error), found=name) from None
    return When(
        exit,
        compile_test(when["users"], document, (*at, "users")) if "users" in when else None,
        tuple((name, compile_test(spec, document, (*at, "tag", name))) for name, spec in when.get("tag", {}).items()),
        _releases(contract, when["release"], (*at, "release")) if "release" in when else (),
        tuple(claims),
    )


def _releases(contract: Contract, text: str, at: Path) -> tuple[tuple[str, Version], ...]:
    found = []
    for part in text.split(","):
        match = _TERM.fullmatch(part)
        bound = version(match[2]) if match is not None else None
        if match is None or bound is None:
            raise contract.error(at, "not a range of releases", found=text, wanted=">=2.3, or >=2.3, <3")
        found.append((match[1], bound))
    return tuple(found)


def version(text: str) -> Version | None:
    """Return what versions are compared by, or None: 2.3 is 2.3.0, and 2.3rc1 comes before it."""
    match = _VERSION.fullmatch(text.strip())
    if match is None or len(text) > 100:
        return None
    numbers = [int(part) for part in match[1].split(".")]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    word = match[2]
    return tuple(numbers), 9 if word is None else _BEFORE.get(word.lower(), 3), int(match[3] or 0)


def meant(when: When, session: Session) -> bool | str:
    """Return whether an invariant is meant for the user of a connection; a text: why nobody can tell."""
    for name, get, test in when.claims:
        claim = name.lstrip("/").partition(".")[0].partition("/")[0].partition("[")[0]
        if claim not in session.kept and session.named_by_token:
            return f"the recording does not keep the claim {claim} (record --claim {claim})"
        if not test(get(session.claims)):
            return False
    return True


def inapplicable(when: When, occasion: Occasion) -> str | None:
    """Return why an invariant is not meant for a recording, or None: it is, or that cannot be told."""
    if not when.asks_recording:
        return None
    verdicts = [_said(when, dict(tags)) for tags in occasion.tags or {()}]
    if all(said is False for said, _ in verdicts):
        return verdicts[0][1]
    if when.users is not None and not when.users(occasion.peak):
        return f"users: at most {occasion.peak} were connected at once"
    return None


def untold(when: When, occasion: Occasion) -> str | None:
    """Return why nobody can tell whether an invariant is meant for a recording, or None."""
    if not when.asks_recording:
        return None
    verdicts = [_said(when, dict(tags)) for tags in occasion.tags or {()}]
    unclear = next((why for said, why in verdicts if said is None), None)
    if unclear is not None:
        return unclear
    if len({said for said, _ in verdicts}) > 1:
        return "the runs of the recorder have tags of their own: `when` holds for some of them only"
    return None


def _said(when: When, tags: Mapping[str, str]) -> tuple[bool | None, str]:
    """Return whether it holds for a run of the recorder (None: nobody knows), and why it does not."""
    for name, test in when.tags:
        value = tags.get(name, MISSING)
        if not test(value):
            return False, f"tag {name}: the recording has " + ("none" if value is MISSING else show(str(value), 60))
    if when.release:
        text = tags.get(RELEASE)
        if text is None:
            return False, "release: the recording has no tag `release`"
        found = version(text)
        if found is None:
            return None, f"the release {show(text, 60)} cannot be compared"
        if not all(_COMPARE[sign](found, bound) for sign, bound in when.release):
            return False, f"release: it is {show(text, 60)}"
    return True, ""


def most_at_once(connections: Iterable[tuple[int, Connection]]) -> int:
    """Return how many users were connected at once, at most.  Two tabs are one user."""
    edges = []
    for _, connection in connections:
        if connection.accepted is not None:
            edges.append((connection.accepted, 1, connection.user))
            if connection.closed is not None:
                edges.append((max(connection.closed, connection.accepted + 1), 0, connection.user))
    peak, tabs = 0, dict[str, int]()
    for _, opens, user in sorted(edges):  # who leaves at the time another comes was not there with them
        tabs[user] = tabs.get(user, 0) + (1 if opens else -1)
        if tabs[user] <= 0:
            del tabs[user]
        peak = max(peak, len(tabs))
    return peak
