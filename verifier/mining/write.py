"""A mined contract as text: commented, so that a reader can judge what a machine has only seen.  Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from goldentape.display import show
from verifier.dump import dump
from verifier.mining.mine import Mined
from verifier.mining.skeleton import whole
from verifier.mining.trial import NEARLY, RECORDINGS, SUPPORT, USERS, Tried
from verifier.verdict import plural

WIDTH = 118


def text(mined: Mined, sources: str) -> str:
    """Return the contract's text.  `sources`: the recordings, for people."""
    groups = merged(mined.kept)
    value = whole(mined.base, [one.candidate for group in groups for one in group])
    names = _names(groups)
    value["invariants"] = {name: _spec(group) for name, group in zip(names, groups, strict=True)}
    comments = {name: _about(group) for name, group in zip(names, groups, strict=True)}
    lines = []
    inside = False
    for line in dump(value).splitlines():
        if not line.startswith(" "):
            inside = line == "invariants:"
        found = re.match(r"  ([a-z][a-z0-9-]*):", line) if inside else None
        if found is not None:
            lines += [f"  # {part}" for part in comments[found[1]]]
        lines.append(line)
    return "\n".join([*_head(mined, sources), *lines, *_foot(mined)]) + "\n"


def merged(kept: tuple[Tried, ...]) -> list[list[Tried]]:
    """Join what differs in one list only (`each`, `keys`, `events`): one invariant of several."""
    groups: dict[Any, list[Tried]] = {}
    for one in kept:
        c = one.candidate
        rest = {name: value for name, value in c.options.items() if name != c.merges}
        groups.setdefault((c.merges, repr(rest)) if c.merges else c.name, []).append(one)
    return list(groups.values())


def _names(groups: list[list[Tried]]) -> list[str]:
    """Return a name for each group: what the names of its members begin with."""
    names: list[str] = []
    for group in groups:
        words = [one.candidate.name.split("-") for one in group]
        common = list(takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False)))
        name = "-".join(column[0] for column in common) or group[0].candidate.name
        names.append(name if name not in names else group[0].candidate.name)
    return names


def _spec(group: list[Tried]) -> dict[str, Any]:
    first = group[0].candidate
    spec = dict(first.options)
    if first.merges:
        spec[first.merges] = [value for one in group for value in one.candidate.options[first.merges]]
    weakest = min(group, key=lambda one: one.support)
    spec["severity"] = "warning"
    spec["mined"] = {
        "support": weakest.support, "of": weakest.candidate.of, "users": min(one.users for one in group),
        "recordings": min(len(one.recordings) for one in group),
    }  # fmt: skip
    return spec


def _about(group: list[Tried]) -> list[str]:
    return [show(one.candidate.about, WIDTH) for one in group[:4]] + (
        [f"and {len(group) - 4} more like these"] if len(group) > 4 else []
    )


def _head(mined: Mined, sources: str) -> Iterator[str]:
    yield "# yaml-language-server: $schema=contract.schema.json"
    said = [
        f"Mined from {mined.recordings} recordings ({show(sources, 200)}):",
        f"{mined.messages:,} messages of {mined.users} users."
        f"  {plural(mined.apart, 'recording was', 'recordings were')} held out to try it on.",
        f"{mined.tried} candidates were tried, and {len(mined.kept)} kept: they hold on every recording, are grounded"
        f" (at least {SUPPORT} slices, {RECORDINGS} recordings, {USERS} users) and find a fault that no other finds."
        f"  {mined.followers} others followed from them, {mined.uninformative} found nothing of their own.",
    ]
    if mined.cut:
        said.append("There was more than could be listened to: later messages were only tried, and suggested nothing.")
    if mined.late_new is None:
        said.append("Too few recordings to say whether more of them would add or break something.")
    elif mined.late_new or mined.late_broken:
        late = f"added {mined.late_new} and broke {mined.late_broken}"
        said.append(f"The last fifth of the recordings still {late}: record more.")
    else:
        said.append("The last fifth of the recordings added nothing and broke nothing.")
    said.append(
        "What was seen is not what is meant: read each, take out `severity: warning` where it must hold, delete chance."
    )
    for paragraph in said:
        yield from (f"# {line}" for line in textwrap.wrap(paragraph, WIDTH))


def _foot(mined: Mined) -> Iterator[str]:
    if mined.nearly:
        yield ""
        yield f"# Nearly: a bug, or noise?  These hold in at least {NEARLY:.0%} of what was judged, and not always."
        for one in mined.nearly:
            share = 1 - one.violated / one.judged
            yield "#"
            yield f"# {one.candidate.name}: {show(one.candidate.about, WIDTH)}"
            yield f"#   in {one.judged - one.violated:,} of {one.judged:,} ({share:.1%}); not at"
            yield from (f"#   {show(exception, WIDTH)}" for exception in one.exceptions)
    if mined.protocol:
        span = next(iter(mined.base.get("spans", {})), "")
        yield ""
        yield "# A suggestion, learnt from what was seen (k-tails, k = 2); it forbids whatever was not seen:"
        yield f'#   {span}-order: {{kind: protocol, scope: {span}, pattern: "{mined.protocol}"}}'
