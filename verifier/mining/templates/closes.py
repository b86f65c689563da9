"""Closes: the server closes connections with the codes that were seen, and with no other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from verifier.mining.candidate import Candidate
from verifier.mining.model import ALMOST, Model

FINE = (1000, 1001)
CLOSES = "closes-as-usual"


def propose(model: Model) -> Iterator[Candidate]:
    """Yield the codes with which the server may close."""
    usual = usual_codes(model)
    yield Candidate(
        name=CLOSES,
        options={"kind": "never", "event": "odd_close"},
        about=f"the server closes connections with {', '.join(map(str, usual))} only",
        triggers=frozenset(), of=sum(r.connections for r in model.recordings),
        events={"odd_close": {"on": "close", "where": {"@close.by": "server", "@close.code": {"not": {"in": usual}}}}},
    )  # fmt: skip


def usual_codes(model: Model) -> list[int]:
    """Return the codes with which the server closes more than once in a while."""
    codes = Counter(code for r in model.recordings for _, by, code in r.closes if by == "server")
    total = sum(r.connections for r in model.recordings)
    # One that came once or twice in good recordings is worth a question.
    return sorted({*FINE, *(code for code, n in codes.items() if n > (1 - ALMOST) * total)})
