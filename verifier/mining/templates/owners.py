"""Owners: the field that names the user names the user of the connection, and an id is shown to one user only."""

from __future__ import annotations

from collections.abc import Iterator

from verifier.mining.candidate import Candidate, slug
from verifier.mining.model import Model


def propose(model: Model) -> Iterator[Candidate]:
    """Yield envelopes and owned keys."""
    for path in model.user_paths:
        carrying = [e for e in model.events.values() if e.dir == 1 and path in e.fields]
        yield Candidate(
            name=slug("own", path),
            options={"kind": "owner", "mode": "envelope", "event": "$s2c", "path": path, "missing": "ignore"},
            about=f"{path} of what the server says is the user of the connection",
            triggers=frozenset(e.name for e in carrying), of=sum(e.count for e in carrying),
        )  # fmt: skip
    for key in model.owned:
        carrying = [e for e in model.events.values() if e.dir == 1 and model.keys[key] in e.fields]
        yield Candidate(
            name=slug("one-owner", key),
            options={"kind": "owner", "mode": "key", "keys": [key]},
            about=f"a {key} that was shown to one user is shown to no other",
            triggers=frozenset(e.name for e in carrying), of=sum(e.count for e in carrying), merges="keys",
        )  # fmt: skip
