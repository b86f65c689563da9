"""A live search for people: each failure with its rate and its story, what was tried, and what that leaves open.

Every text that came over the wire goes out through `show`.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from goldentape.display import home_and_here, show
from verifier.fuzz.failure import Kind
from verifier.fuzz.lanes import LEFT, wrapped
from verifier.fuzz.lanes import lanes as drawn
from verifier.fuzz.live.caught import Caught, Hunted
from verifier.fuzz.live.plan import to_json
from verifier.fuzz.live.wilson import Rate
from verifier.fuzz.message import OR_ERROR
from verifier.fuzz.script import Drop, Slow
from verifier.fuzz.seen import What
from verifier.fuzz.story import HINTS, marks_of
from verifier.fuzz.workload import Workload
from verifier.verdict import plural

OPEN = (
    "not explored: other timings inside the server than those that came by themselves, other workers, other machines",
    "a quiet run is no proof: it says that these tries held, for these users and messages",
)


def told(
    hunted: Hunted, saved: Sequence[Path | None], *, url: str, restarts: int, plays: int, width: int = 110
) -> Iterator[str]:
    """Yield the report; the last line is its sum.  `saved`: where each failure's file is."""
    for n, (caught, path) in enumerate(zip(hunted.caught, saved, strict=True), 1):
        if len(hunted.caught) > 1:
            yield f"--- {n} of {len(hunted.caught)} " + "-" * 60
        yield from story(caught, width)
        if path is not None:
            where = home_and_here(path)
            yield f"repro: {show(where, 300)}    (goldentape fuzz replay {show(where, 300)})"
        yield ""
    times = sorted(hunted.seconds)
    pace = f", {1000 * sum(times) / len(times):.0f} ms a try" if times else ""
    yield (
        f"looked at {show(url, 200)}: {plural(hunted.tries, 'try', 'tries')}{pace}, "
        f"{plural(hunted.serial, 'play')} with nobody interrupted, {plural(plays, 'play')} in all, "
        f"{plural(restarts, 'restart')}"
    )
    for doubt in hunted.doubts:
        yield f"  open: {show(doubt, 400)}"
    for note in (
        *([hunted.waiting] if hunted.waiting else []),
        *([hunted.ended] if hunted.ended else []),
        *hunted.notes,
    ):
        yield f"  note: {show(note, 400)}"
    for line in OPEN if not hunted.caught else OPEN[:1]:
        yield f"  {line}"
    yield summary(hunted)


def summary(hunted: Hunted) -> str:
    """Return the last line."""
    confirmed = len(hunted.confirmed)
    seen = len(hunted.caught) - confirmed
    return (
        f"tries {hunted.tries}, violations {confirmed}"
        + (f", seen but not confirmed {seen}" if seen else "")
        + (", interrupted" if hunted.interrupted else "")
    )


def story(caught: Caught, width: int = 110) -> Iterator[str]:
    """Yield what happened, one lane a connection, and how often."""
    failure = caught.failure
    head = f"{failure.kind.upper()}  {show(failure.sentence, 600)}"
    yield from textwrap.wrap(head, width, subsequent_indent="  ")
    yield f"      {rate(caught)}"
    yield ""
    yield from lanes(caught, width)
    yield ""
    also = [f for f in caught.shown.failures if f.fingerprint != failure.fingerprint]
    if also:
        text = "also wrong in this play: " + "; ".join(f"{f.kind} {show(f.detail, 80)}".strip() for f in also)
        yield from textwrap.wrap(text, width, subsequent_indent="  ")
    hurried = "; perhaps less: the time to make it smaller was used up" if caught.hurried else ""
    yield f"needs: {needs(caught)}{hurried}"
    if caught.history or caught.depends_on_history:
        yield from textwrap.wrap(history(caught), width, subsequent_indent="  ")
    if caught.alone:
        yield (
            "also when nobody interrupts anybody: no concurrency is needed" if not caught.first
            else "its victim meets it without any other user, too"
        )  # fmt: skip
    elif caught.control.of:
        yield f"alone its victim meets it in {caught.control.failed} of {plural(caught.control.of, 'play')}"
    if caught.plan:
        yield f"turns: {', '.join(map(str, caught.plan))}; then everybody goes on, one after the other"
    yield f"fingerprint {failure.fingerprint}"
    if caught.first and failure.kind in HINTS:
        yield from textwrap.wrap(HINTS[failure.kind], width, subsequent_indent="  ")


def rate(caught: Caught) -> str:
    """Return how often it failed, honestly."""
    if not caught.is_confirmed:
        if not caught.found.of and not caught.confirmed.of:
            return "seen, not confirmed: the search ended before it could be repeated"
        if caught.tape is None and caught.found.failed:
            return f"seen, not confirmed: the search ended when it had come again in {caught.found} plays"
        again = Rate(caught.found.failed + caught.confirmed.failed, caught.found.of + caught.confirmed.of)
        return f"seen, not confirmed: it came again in {again} plays"
    before = f"; {caught.before.failed} of {caught.before.of} before it was made small" if caught.before.of else ""
    return f"confirmed on the tape: {caught.confirmed} of the plays fail{before}; first seen at try {caught.first}"


def history(caught: Caught) -> str:
    """Return what else it takes."""
    if caught.history:
        kinds = Counter(one.workload for one in caught.history)
        listed = "; ".join(f"{plural(n, 'play')} of {_who(workload)}" for workload, n in list(kinds.items())[:3])
        more = f"; {len(kinds) - 3} other kinds" if len(kinds) > 3 else ""
        return (
            f"depends on history: on a fresh server it comes only after {plural(len(caught.history), 'other play')}"
            f" ({listed}{more}), which the repro file has"
        )
    if caught.broken:
        return "depends on history: by then the server answers nobody any more, and fails until it is restarted"
    return "depends on history: once it has happened, the server fails until it is restarted"


def _who(workload: Workload) -> str:
    """Return who takes part, and what they say and do, in words."""
    users, sessions, messages = len(workload.users), len(workload.sessions), workload.messages
    parts = [plural(users, "user")]
    if sessions != users:
        parts.append(plural(sessions, "connection"))
    parts.append(plural(messages, "message"))
    actions = [action for session in workload.sessions for action in session.script]
    for fault, name in ((Drop, "drop"), (Slow, "slow reader")):
        if many := sum(isinstance(action, fault) for action in actions):
            parts.append(plural(many, name))
    return ", ".join(parts)


def needs(caught: Caught) -> str:
    """Return what it takes, in words."""
    parts = [_who(caught.workload)]
    parts.append(plural(len(caught.plan), "switch", "switches") if caught.plan else "no switch")
    waits = sum(turn.delay for turn in caught.plan)
    if waits:
        parts.append(f"{waits} ms of waiting in between")
    return ", ".join(parts)


def lanes(caught: Caught, width: int) -> Iterator[str]:
    """Yield the moments of a play, a column a connection; those that show the failure are marked."""
    run = caught.shown.run
    end = next((n for n, moment in enumerate(run.moments) if moment.what is What.END), len(run.moments))
    titles = {moment.session: moment.session for moment in run.moments}
    if not titles:
        return
    yield from drawn(run.moments[:end], titles, width, marks_of(caught.failure, caught.workload), {})
    if caught.failure.kind is Kind.DEADLOCK:
        for owed in run.open:
            waits = caught.shown.fresh.told(owed.text.replace(OR_ERROR, ""))
            text = f"and then nothing: {show(owed.session, 40)} {show(waits, 200)}"
            yield from (f"{'':{LEFT}}{line}" for line in wrapped(text, width - LEFT, "  "))


def as_json(hunted: Hunted, saved: Sequence[Path | None]) -> dict[str, Any]:
    """Return the report in JSON's types."""
    return {
        "tries": hunted.tries, "violations": len(hunted.confirmed), "interrupted": hunted.interrupted,
        "unconfirmed": len(hunted.caught) - len(hunted.confirmed),
        "ms_a_try": round(1000 * sum(hunted.seconds) / len(hunted.seconds)) if hunted.seconds else None,
        "ended": hunted.ended, "notes": [hunted.waiting, *hunted.notes, *hunted.doubts],
        "failures": [
            {**_failure(one), "repro": None if path is None else str(path)}
            for one, path in zip(hunted.caught, saved, strict=True)
        ],
    }  # fmt: skip


def _failure(caught: Caught) -> dict[str, Any]:
    failure = caught.failure
    return {
        "kind": str(failure.kind), "victim": failure.victim, "owner": failure.owner, "detail": failure.detail,
        "sentence": failure.sentence, "fingerprint": failure.fingerprint, "confirmed": caught.is_confirmed,
        "rate": rate_as_json(caught.confirmed), "rate_before_shrinking": rate_as_json(caught.before),
        "first_try": caught.first, "connections": len(caught.workload.sessions), "messages": caught.workload.messages,
        "turns": to_json(caught.plan), "depends_on_history": caught.depends_on_history,
        "history": len(caught.history), "alone": caught.alone, "rate_alone": rate_as_json(caught.control),
        "shrink_plays": caught.shrink_plays,
        "story": list(story(caught)),
    }  # fmt: skip


def rate_as_json(one: Rate) -> dict[str, Any]:
    """Return a rate with its interval."""
    low, high = one.interval
    return {"failed": one.failed, "of": one.of, "low": round(low, 3), "high": round(high, 3)}
