"""How the server refuses and ends connections, compared.  Pure."""

from __future__ import annotations

from collections import Counter

from verifier.diff.certainty import ALPHA, ALPHA_RULE
from verifier.diff.finding import CHANGED, GONE, IGNORE, INFO, NEW, Finding
from verifier.diff.policy import Policy
from verifier.diff.sides import Rate, Side, noise_of
from verifier.diff.stats import holm

PLAIN = ("closed by the server with 1000", "closed by the server with 1001", "closed by the server with 1005")
"""Ends that are no fault."""


def compare_endings(a: Side, b: Side, policy: Policy) -> list[Finding]:
    """Return ends of connections that come more or less often."""
    counted = [sum((part.ends for part in side.parts), Counter[str]()) for side in (a, b)]
    totals = [sum(part.attempts for part in side.parts) for side in (a, b)]
    level = policy.level("closing")
    if level == IGNORE or not all(totals):
        return []
    rates = {}
    for what in sorted(counted[0].keys() | counted[1].keys()):
        noise = noise_of([(part.ends[what], part.attempts) for part in a.parts])
        rates[what] = Rate(((counted[0][what], totals[0], counted[1][what], totals[1]),), 1.0, noise)
    ps = holm({what: rate.test() for what, rate in rates.items()})
    found = []
    for what, rate in rates.items():
        (xa, na), (xb, nb) = rate.a, rate.b
        rose = xb * na > xa * nb
        p = min(1.0, rate.p()[1]) if xa == 0 and rose else ps[what]
        if p > (ALPHA_RULE if xa == 0 or xb == 0 else ALPHA) or not rate.stands_out:
            continue
        mark = NEW if xa == 0 else GONE if xb == 0 else CHANGED
        bad = rose and what not in PLAIN
        found.append(
            Finding(
                kind="closing", mark=mark, level=level if bad else INFO,
                title=f"connections {what}: {xb:,} of {nb:,}, before {xa:,} of {na:,}",
                why=(f"by chance: p = {p:.1g}",), paths=(what,), p=p, weight=min(1.0, 0.4 + xb / max(1, nb)),
                figures={"baseline": [xa, na], "candidate": [xb, nb], "p": p},
            )
        )  # fmt: skip
    return found
