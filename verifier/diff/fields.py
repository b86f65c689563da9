"""Fields that are gone, new, or of another type; and through `values` those that say something else.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

from verifier.diff.causes import findings, moved, outermost
from verifier.diff.certainty import ALPHA, ALPHA_RULE
from verifier.diff.change import Change, Test, Where, any_place, field_place, grouped, rate_among
from verifier.diff.finding import Finding
from verifier.diff.names import Steps
from verifier.diff.policy import Policy
from verifier.diff.sides import Rate, Side, noise_of
from verifier.diff.stats import design_effect, holm
from verifier.diff.tally import Node, Place
from verifier.diff.values import LEAST, SHARE, Moved, compare_values, moved_numbers, shift_of


def compare_fields(a: Side, b: Side, policy: Policy, named: frozenset[Steps]) -> list[Finding]:
    """Return what became of the fields of the events that both sides have.  `named`: places that name events."""
    tests: dict[tuple[str, ...], Test] = {}
    shifts: list[Moved] = []
    for event in sorted(a.fields.keys() & b.fields.keys()):
        ours, theirs = a.fields[event], b.fields[event]
        if min(ours.n, theirs.n) < LEAST:
            continue
        parts = [part.fields[a.called(event)] for part in a.parts if a.called(event) in part.fields]
        most = (a.running[event], b.running[event])
        _gather(Where(event, most, policy, named), ours, theirs, parts, tests, shifts)
    ps = holm({key: test.rate.test() for key, test in tests.items()})
    changes = []
    for key, test in tests.items():
        if ps[key] <= test.alpha and test.rate.stands_out:
            change = test.make(ps[key])
            if change is not None:
                changes.append(change)
    changes = outermost(changes)
    retyped = {(change.event, change.steps) for change in changes if change.what == "type"}
    changes += moved_numbers(shifts, retyped)
    return list(findings(moved(changes, a, b), policy, a, b))


def _gather(
    where: Where, ours: Node, theirs: Node, parts: Sequence[Node], tests: dict[tuple[str, ...], Test],
    shifts: list[Moved],
) -> None:  # fmt: skip
    """Add the tests of a place and of all below it."""
    if ours.steps and where.policy.ignores(field_place(ours.steps)):
        return
    _types(where, ours, theirs, parts, tests)
    if ours.steps not in where.named:
        compare_values(where, ours, theirs, parts, tests)
        shift = shift_of(ours, theirs, parts)
        if shift is not None:
            shifts.append((where.event, ours, theirs, shift))
    objects = ours.total("object"), theirs.total("object")
    for key in dict.fromkeys([*ours.children, *theirs.children]):
        mine, other = (
            ours.children.get(key, Node((*ours.steps, key))),
            theirs.children.get(key, Node((*ours.steps, key))),
        )
        below = [part.children.get(key, Node((*ours.steps, key))) for part in parts]
        if key != "[]" and min(objects) >= LEAST and not where.policy.ignores(field_place((*ours.steps, key))):
            _presence(where, mine, other, (ours, theirs), list(zip(below, parts, strict=True)), tests)
        if mine.n >= LEAST and other.n >= LEAST:
            _gather(where, mine, other, below, tests, shifts)


def _presence(
    where: Where, ours: Node, theirs: Node, outer: tuple[Node, Node], parts: Sequence[tuple[Node, Node]],
    tests: dict[tuple[str, ...], Test],
) -> None:  # fmt: skip
    totals = outer[0].total("object"), outer[1].total("object")
    pairs = (ours, outer[0]), (theirs, outer[1])
    rate = rate_among(
        (ours.n, totals[0]), (theirs.n, totals[1]), where.most,
        max(design_effect(grouped(node, None, whole, "object")) for node, whole in pairs),
        noise_of([(inner.n, whole.total("object")) for inner, whole in parts]),
    )  # fmt: skip
    if ours.n == theirs.n == 0:
        return

    def make(p: float) -> Change | None:
        before, after = rate.shares
        what = "gone" if theirs.n == 0 else "new" if ours.n == 0 else "rarer" if after < before else "more"
        if what in ("rarer", "more") and not rate.without_exception and abs(after - before) < SHARE:
            return None
        says = (f"{100 * before:.3g} %", f"{100 * after:.3g} %")
        if what in ("gone", "new"):
            node = ours if what == "gone" else theirs
            says = ("/".join(sorted(node.types)), "")
        places = (any_place(ours) or any_place(outer[0]), any_place(theirs) or any_place(outer[1]))
        figures = {
            "baseline": [ours.n, totals[0]], "candidate": [theirs.n, totals[1]], "p": p, "rose": after > before
        }  # fmt: skip
        return Change(where.event, ours.steps, what, p, abs(after - before), says, places, figures)

    alpha = ALPHA_RULE if rate.without_exception else ALPHA
    tests[where.event, "presence", *map(str, ours.steps)] = Test(rate, make, alpha)


def _types(where: Where, ours: Node, theirs: Node, parts: Sequence[Node], tests: dict[tuple[str, ...], Test]) -> None:
    """Add a test for each type that one of the sides has more of; whole numbers may stand among others."""
    for kind in sorted(ours.types | theirs.types):
        if kind == "integer" and "number" in ours.types:
            continue
        if kind == "number" and "integer" in ours.types and "number" in ours.types:
            continue
        xa, xb = ours.total(kind), theirs.total(kind)
        if kind == "number" and "number" in ours.types:
            xa, xb = xa + ours.total("integer"), xb + theirs.total("integer")
        rate = rate_among(
            (xa, ours.n), (xb, theirs.n), where.most,
            max(design_effect(grouped(ours, kind, ours, None)), design_effect(grouped(theirs, kind, theirs, None))),
            noise_of([(part.total(kind), part.n) for part in parts]),
        )  # fmt: skip

        def make(p: float, kind: str = kind, rate: Rate = rate) -> Change | None:
            before, after = rate.shares
            if not rate.without_exception and abs(after - before) < SHARE:
                return None
            says = (_types_of(ours), _types_of(theirs))
            if says[0] == says[1]:
                says = (f"{kind} in {100 * before:.3g} %", f"{kind} in {100 * after:.3g} %")
            places = (_example(ours, theirs), _example(theirs, ours))
            figures = {"baseline": _counted(ours), "candidate": _counted(theirs), "p": p}
            return Change(where.event, ours.steps, "type", p, abs(after - before), says, places, figures)

        alpha = ALPHA_RULE if rate.without_exception else ALPHA
        tests[where.event, "type", kind, *map(str, ours.steps)] = Test(rate, make, alpha)


def _types_of(node: Node) -> str:
    return " or ".join(sorted(node.types, key=lambda kind: -node.total(kind)))


def _counted(node: Node) -> dict[str, int]:
    return {kind: node.total(kind) for kind in sorted(node.types)}


def _example(node: Node, other: Node) -> Place | None:
    """Return an example of a type that the other side has not, or of any."""
    for kind in sorted(node.types - other.types):
        if kind in node.places:
            return node.places[kind]
    return any_place(node)
