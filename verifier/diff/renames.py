"""Events that have another name in the candidate: gone here, new there, and alike in all but the name.  Pure."""

from __future__ import annotations

from difflib import SequenceMatcher

from verifier.diff.certainty import ALPHA_RULE
from verifier.diff.sides import Side
from verifier.diff.stats import mid_p
from verifier.diff.tally import Node, walk

ALIKE = 0.5
"""Share of their fields that two events have in common, at least."""
OFTEN = 0.4
"""How often the one comes, against the other."""


def renames(a: Side, b: Side) -> dict[str, str]:
    """Return the candidate's names of events that the baseline calls otherwise: new name to old name."""
    gone = [name for name in a.events if name not in b.events]
    new = [name for name in b.events if name not in a.events]
    runs = max(1, sum(a.runs.values())), max(1, sum(b.runs.values()))
    found = []
    for old in gone:
        for name in new:
            often = a.events[old] / runs[0], b.events[name] / runs[1]
            ratio = min(often) / max(often)
            same = mid_p(
                [(a.running[old], max(runs[0], a.running[old]), b.running[name], max(runs[1], b.running[name]))]
            )
            if 2 * min(same) > ALPHA_RULE:
                ratio = max(ratio, OFTEN)  # they are so few that chance makes such a difference
            shape = alike(a.fields[old], b.fields[name])
            if shape >= ALIKE and ratio >= OFTEN:
                words = SequenceMatcher(None, old, name, autojunk=False).ratio()
                found.append((0.5 * shape + 0.3 * ratio + 0.2 * words, old, name))
    known: dict[str, str] = {}
    for _, old, name in sorted(found, key=lambda one: (-one[0], one[1], one[2])):
        if name not in known and old not in known.values():
            known[name] = old
    return known


def alike(a: Node, b: Node) -> float:
    """Return what share of their fields two events have in common, the often ones counting more."""
    ours, theirs = _fields(a), _fields(b)
    names = ours.keys() | theirs.keys()
    if not names:
        return 1.0
    both = sum(min(ours.get(name, 0.0), theirs.get(name, 0.0)) for name in names)
    return both / sum(max(ours.get(name, 0.0), theirs.get(name, 0.0)) for name in names)


def _fields(root: Node) -> dict[tuple[str | int, ...], float]:
    return {node.steps: min(1.0, node.n / max(1, root.n)) for node in walk(root) if node.steps}
