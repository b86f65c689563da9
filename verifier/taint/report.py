"""Findings told: each message with something of another's once, with what proves most.  Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable

from verifier.slices import Proof, Slice, masked
from verifier.taint.judge import Finding, Sighting, strongest
from verifier.taint.leaves import shape, written
from verifier.taint.replay import event_of
from verifier.taint.tables import CANARY, LEAF, RUN, TOKEN, Stamp

_WHAT = {CANARY: "a canary", TOKEN: "an id, a key, an address or a number", LEAF: "a value", RUN: "words"}


def report(slice: Slice, findings: Iterable[Finding], anonymous: Container[str]) -> None:
    """Add violations, suppressions and what could not be told to a slice; `anonymous`: users whom no rule named."""
    leaks: dict[tuple[Stamp, Stamp], list[Finding]] = defaultdict(list)
    excused: dict[tuple[Stamp, Stamp, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.excuse:
            excused[finding.origin, finding.sighting.at, finding.excuse].append(finding)
        else:
            leaks[finding.origin, finding.sighting.at].append(finding)
    for (origin, at, excuse), found in excused.items():
        if (origin, at) not in leaks:
            slice.tally.suppressed[excuse] += 1
            slice.tally.suppressions.append(_said(strongest(found), excuse))
    for same in leaks.values():
        _leak(slice, strongest(same), len(same), anonymous)


def _said(finding: Finding, excuse: str) -> str:
    s = finding.sighting
    return (
        f"{excuse}: {_shown(s)} of {finding.owner} from #{finding.origin >> 1},"
        f" shown to {s.user} at {s.record.label} in {written(s.place)}"
    )


def _leak(slice: Slice, finding: Finding, several: int, anonymous: Container[str]) -> None:
    s, found = finding.sighting, finding.found
    assert found is not None
    session = s.record.session
    if finding.owner in anonymous or s.user in anonymous or session is None or not session.known:
        slice.unknown("no identity rule named the user of the connection")
        return
    if s.family not in (CANARY, TOKEN) and session.headless:
        slice.unknown("the begin of the connection is not in the recording")
        return
    slice.user = s.user
    value = _shown(s)
    said = "sent by" if finding.origin & 1 else "shown to"
    origin = Proof(
        found.record, "origin", event_of(found.record), f"{said} {finding.owner}", ((written(found.place), value),)
    )
    how = [f"inside {' in '.join(reversed(s.chain))}"] if s.chain else []
    how.append(f"at character {s.offset}")
    if s.parts:
        how.append(f"split over {len(s.parts)} messages")
    note = f"shown to {s.user}, {', '.join(how)}"
    fields = ((written(s.place), value),)
    pieces = [Proof(r, "foreign", event_of(r), "a piece of it", ((written(p), "…"),)) for r, p, _ in s.parts[:-1]]
    where = f" in {written(found.place)}" if finding.origin & 1 or found.place else ""
    slice.violated(
        [origin, *pieces, Proof(s.record, "foreign", s.event, note, fields)],
        why=(
            f"{_WHAT[s.family]} of {finding.owner} ({value}, {said} them at {found.record.label}{where})"
            f" was shown to {s.user} at {s.record.label} in {written(s.place)}, {', '.join(how)}"
            + (f"; {several} such values in all" if several > 1 and s.family != RUN else "")
        ),
        expected=f"nothing of {finding.owner}'s in what {s.user} is shown",
        fault="server",
        paths=(written(shape(s.place)),),
        since=None if s.family in (CANARY, TOKEN) else 0,
    )


def _shown(s: Sighting) -> str:
    """Return a value so that the report does not spread it."""
    return masked(str(s.key) if s.family in (CANARY, TOKEN) else s.raw)
