"""Differences of single fields joined by their causes, and told.  Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from goldentape.display import show
from verifier.diff.certainty import chance
from verifier.diff.change import Change, dotted
from verifier.diff.finding import CHANGED, GONE, IGNORE, INFO, NEW, WARNING, Finding
from verifier.diff.names import Steps
from verifier.diff.policy import Policy
from verifier.diff.sides import Side
from verifier.diff.tally import Node


def outermost(changes: list[Change]) -> list[Change]:
    """Keep of changes at one place the strongest, and none below a place that is gone, new, or of another type."""
    best: dict[tuple[str, Steps], Change] = {}
    order = ("gone", "new", "type", "rarer", "more", "values")
    for change in changes:
        key = (change.event, change.steps)
        known = best.get(key)
        rank = (order.index(change.what), -change.size)
        if known is None or rank < (order.index(known.what), -known.size):
            best[key] = change
    heads = {key for key, change in best.items() if change.what in ("gone", "new", "type", "rarer", "more")}
    return [
        change for (event, steps), change in best.items()
        if not any((event, steps[:n]) in heads for n in range(len(steps)))
    ]  # fmt: skip


def moved(changes: list[Change], a: Side, b: Side) -> list[Change]:
    """Join a field that is gone and one that is new in its stead, of the same types: it was renamed."""
    found = list(changes)
    for old in [change for change in changes if change.what == "gone"]:
        for new in [change for change in changes if change.what == "new"]:
            if old.event == new.event and old.steps[:-1] == new.steps[:-1] and old in found and new in found:
                first, second = _node(a.fields[old.event], old.steps), _node(b.fields[new.event], new.steps)
                shares = [
                    _share_of(root, node)
                    for root, node in ((a.fields[old.event], first), (b.fields[new.event], second))
                ]
                if first.types == second.types and min(shares) >= 0.5 * max(shares) and _alike_children(first, second):
                    found.remove(old)
                    found.remove(new)
                    says = (dotted(old.steps), dotted(new.steps))
                    found.append(Change(old.event, old.steps, "renamed", max(old.p, new.p), old.size, says,
                                        (old.places[0], new.places[1]), {"from": says[0], "to": says[1]}))  # fmt: skip
    return found


def _node(root: Node, steps: Steps) -> Node:
    for step in steps:
        root = root.children[str(step)]
    return root


def _share_of(root: Node, node: Node) -> float:
    return node.n / max(1, root.n)


def _alike_children(a: Node, b: Node) -> bool:
    names = a.children.keys() | b.children.keys()
    return not names or len(a.children.keys() & b.children.keys()) >= 0.5 * len(names)


def findings(changes: list[Change], policy: Policy, a: Side, b: Side) -> Iterator[Finding]:
    """Yield one finding for all changes that read alike, in whichever events."""
    grouped: dict[tuple[object, ...], list[Change]] = defaultdict(list)
    for change in changes:
        says = change.says if change.what in ("type", "renamed", "gone", "new") else ()
        grouped[change.what, change.steps, says if change.what != "values" else change.steps].append(change)
    del b
    for (what, *_), group in grouped.items():
        group.sort(key=lambda change: (-change.size, change.p, change.event))
        first = group[0]
        events = [change.event for change in group]
        path = show(dotted(first.steps) or "the message itself", 80)
        where = f"in {show(events[0], 50)}" if len(events) == 1 else f"in {len(events)} events"
        level, mark, title = _told(str(what), first, path, where, policy)
        if level == IGNORE:
            continue
        also = () if len(events) == 1 else (f"events: {', '.join(show(event, 40) for event in events[:8])}"
                                            + (f" and {len(events) - 8} more" if len(events) > 8 else ""),)  # fmt: skip
        weight = min(1.0, 0.3 + 0.5 * first.size + 0.2 * min(1.0, a.running[events[0]] / max(1, sum(a.runs.values()))))
        yield Finding(
            kind=str(what) if what in ("type", "values", "numbers") else "field",
            mark=mark, level=level, title=title, why=(chance(first.p),), also=also, events=tuple(sorted(events)),
            paths=(dotted(first.steps),), p=first.p, weight=weight, places=first.places, figures=first.figures,
        )  # fmt: skip


def _told(what: str, change: Change, path: str, where: str, policy: Policy) -> tuple[str, str, str]:
    before, after = (show(text, 90) for text in change.says)
    if what == "renamed":
        return policy.level("lost_field"), CHANGED, f"field renamed: {before} is now {after}, {where}"
    if what == "gone":
        return policy.level("lost_field"), GONE, f"field gone: {path} ({before}), {where}"
    if what == "new":
        return policy.level("new_field"), NEW, f"new field: {path} ({before}), {where}"
    if what == "rarer":
        return (
            policy.level("lost_field"),
            CHANGED,
            f"field missing at times: {path}, there in {after} and before in {before}, {where}",
        )
    if what == "more":
        return INFO, CHANGED, f"field there more often: {path}, in {after} and before in {before}, {where}"
    if what == "type":
        return policy.level("type"), CHANGED, f"type changed: {path} is {after}, before {before}, {where}"
    if what == "values":
        return policy.level("values"), CHANGED, f"values changed: {path} is {after}; before {before}, {where}"
    level = policy.level("values")
    return level if level == IGNORE else WARNING, CHANGED, f"{path} is {after} in the middle, before {before}, {where}"
