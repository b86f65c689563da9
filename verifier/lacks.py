"""What the source of an imported recording could not tell, and which invariants are left open by that.  Pure.

A recorder sees everything that passes; a HAR has no close codes, perhaps no times, perhaps headers without
credentials.  What was not told is no violation, and proves nothing either.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from goldentape.event import Epoch
from verifier.uses import named_events
from verifier.verdict import Tally

if TYPE_CHECKING:
    from verifier.contract import Contract, Spec

TIMES: Final = "times"
CLOSES: Final = "closes"
CREDENTIALS: Final = "credentials"
WORDS: Mapping[str, str] = {
    TIMES: "the recording was imported from a source that does not say when messages were sent",
    CLOSES: "the recording was imported from a source that does not say who closed a connection, and with what code",
    CREDENTIALS: "the recording was imported from a source that may have left credentials out",
}
_TIMED = frozenset({"latency", "gap", "rate", "expiry"})
_TOLD_CREDENTIALS = frozenset({"admission", "expiry"})
_TEXTS = frozenset({"title", "req", "impact", "tags", "kind"})
_DURATION = re.compile(r"\d+(?:\.\d+)?\s*(?:ns|us|ms|s|m|min|h|d)")


def lacks_of(epoch: Epoch) -> frozenset[str]:
    """Return what a recorder's run could not tell, because it is an import."""
    told = epoch.options.get("import")
    lacks = told.get("lacks") if isinstance(told, dict) else None
    return frozenset(word for word in lacks if isinstance(word, str)) if isinstance(lacks, list) else frozenset()


def open_questions(contract: Contract, spec: Spec, lacks: Iterable[str]) -> list[str]:
    """Return which of `lacks` an invariant depends on."""
    if spec.name not in contract.invariants:
        return []
    return [word for word in sorted(lacks) if word in _DEPENDS and _DEPENDS[word](contract, spec)]


def left_open(tally: Tally, lacking: Iterable[str]) -> Tally:
    """Return a tally without what was found by looking at what is not there, and with the reason."""
    words = list(lacking)
    if TIMES in words or CREDENTIALS in words:
        return Tally(activations=tally.activations, unknown=Counter({WORDS[word]: 1 for word in words}))
    found = Tally()
    found.merge(tally)
    found.unknown.update({WORDS[word]: 1 for word in words})
    return found


def _timed(contract: Contract, spec: Spec) -> bool:
    return spec.kind in _TIMED or any(_has_duration(v) for name, v in spec.options.items() if name not in _TEXTS)


def _has_duration(value: Any) -> bool:
    if isinstance(value, str):
        return _DURATION.fullmatch(value) is not None
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_has_duration(one) for one in inner)


def _closing(contract: Contract, spec: Spec) -> bool:
    closes = {event.name for event in contract.events.values() if event.on in ("close", "loss")} | {"$close"}
    while unions := {
        event.name for event in contract.events.values() if closes.intersection(event.any_of or ())
    } - closes:  # fmt: skip
        closes |= unions
    return any(name in closes for _, name in named_events(spec))


def _credentials(contract: Contract, spec: Spec) -> bool:
    return spec.kind in _TOLD_CREDENTIALS


_DEPENDS = {TIMES: _timed, CLOSES: _closing, CREDENTIALS: _credentials}


__all__ = ["CLOSES", "CREDENTIALS", "TIMES", "WORDS", "lacks_of", "left_open", "open_questions"]
