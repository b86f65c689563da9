"""The story of a failure: step by step, one lane a connection, the switches that matter marked.  Pure; lines out."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from goldentape.display import show
from verifier.fuzz.failure import Kind
from verifier.fuzz.message import OR_ERROR, read
from verifier.fuzz.schedule import APP
from verifier.fuzz.seen import Moment, Run, What

if TYPE_CHECKING:
    from verifier.fuzz.found import Found

_SHARED = (
    "Look for something that both users' code can reach (a variable of a module, an attribute of a shared object,"
    " a cache, a buffer) and that is written before an await and read after it."
)
HINTS: Final = {
    Kind.LEAK: _SHARED,
    Kind.MIXED: _SHARED,
    Kind.DIFFERENT: "Look for state that both users' code changes: looked at before an await, and relied on after it.",
    Kind.LOST: "Look for what the event was waiting for or sent through: something of that name may have been replaced,"
    " removed or taken by the other one.",
    Kind.DUPLICATED: "Look for something that two tasks find undone, do, and only then mark as done.",
    Kind.ORDER: "Look for two ways by which these events are sent, of which one can be slower than the other.",
    Kind.DEADLOCK: "Look for what should have sent it: a task that was cancelled, a connection that was replaced or"
    " removed; and for locks taken in different orders, places not given back, something awaited that nobody sets.",
}
"""Where to begin to look, for people who have not seen such a failure before."""
_LEFT = 12
"""Columns before the first lane: number and time."""


def story(found: Found, width: int = 120) -> list[str]:
    """Return the story as lines, at most `width` columns wide; recorded text is made harmless."""
    return list(_lines(found, max(width, 60)))


def _lines(found: Found, width: int) -> Iterator[str]:
    failure, run = found.failure, found.run
    yield from _wrapped(f"{failure.kind.upper()}  {show(failure.sentence, 600)}", width, "  ")
    yield f"      minimal: {_minimal(found)}"
    yield ""
    yield from _lanes(found, width)
    yield ""
    for error in run.errors:
        if failure.kind in (Kind.EXCEPTION, Kind.CLOSED):
            yield from (f"  | {show(line, width - 4)}" for line in error.traceback.strip().splitlines()[-6:])
            yield ""
            break
    if found.also:
        yield from _wrapped("also wrong in this run: " + "; ".join(_brief(f) for f in found.also), width, "  ")
    yield from _wrapped(f"needs: {found.needs}", width, "  ")
    if found.alone:
        yield "also when nobody else is there: no concurrency is needed"
        if not any(moment.what is What.MESSAGE and moment.dir == "s2c" for moment in run.moments):
            yield "and nothing was answered: if your clients send something else, say so with --message (or --script)"
    same, times = found.replays
    yield f"replays identically {same}/{times}     fingerprint {failure.fingerprint}"
    if failure.kind in (Kind.LEAK, Kind.MIXED) and not found.schedule:
        path = failure.detail.partition(".")[2] or "PATH"
        yield from _wrapped(
            f"It happens though nobody is interrupted. If users are meant to share this: --shared {show(path, 80)}",
            width,
            "  ",
        )
    if found.schedule and failure.kind in HINTS:
        yield from _wrapped(HINTS[failure.kind], width, "  ")


def _brief(failure: object) -> str:
    kind, detail = getattr(failure, "kind", ""), getattr(failure, "detail", "")
    return f"{kind} {show(str(detail), 80)}".strip()


def _minimal(found: Found) -> str:
    certificate = found.certificate
    if certificate is None:
        return "not asked for"
    size = len(found.schedule)
    if certificate.minimal == "certified":
        if not size:
            return "certified, it needs no switch at all"
        fewer = "no switch" if size == 1 else f"fewer than {size} switches"
        return f"certified, no schedule with {fewer} fails (all {certificate.tried:,} that differ were tried)"
    known = f"all with at most {certificate.complete} were tried" if certificate.complete >= 0 else "none was ruled out"
    return f"smallest known, {size} switches ({known}, {certificate.tried:,} schedules; --certify gives it more time)"


def _lanes(found: Found, width: int) -> Iterator[str]:
    run = found.run
    names = [name for name in run.by_session if name != APP]
    lane = max(18, min(56, (width - _LEFT) // max(1, len(names))))
    yield f"{'':>{_LEFT}}" + "".join(f"{show(name, lane - 2):<{lane}}" for name in names).rstrip()
    marks = {n: _mark(found) for n in found.failure.moments}
    breaks = _switches(run)
    before = -1
    for n, moment in enumerate(run.moments):
        if moment.what is What.END:
            break
        for step in sorted(step for step in breaks if before < step <= moment.step):
            yield _switch(breaks[step], width)
        before = moment.step
        at = names.index(moment.session) if moment.session in names else 0
        told = said(moment)
        if n in marks:
            told = f"{told}  <--"
        lines = textwrap.wrap(told, lane - 2) or [""]
        head = f"{n + 1:>4} {_time(moment.at):>6} "
        for row, text in enumerate(lines):
            yield f"{head if not row else '':<{_LEFT}}{'':<{lane * at}}{text}".rstrip()
        if n in marks:
            yield f"{'':<{_LEFT}}{'^' * min(width - _LEFT, 60)} {marks[n]}"
    if str(run.ended) != "done":
        owed = "; ".join(f"{o.session} {show(o.text.replace(OR_ERROR, ''), 200)}" for o in run.open)
        yield f"{'':<{_LEFT}}and then nothing more: {owed}"


def _mark(found: Found) -> str:
    return f"here: {found.failure.kind}"


def _switch(change: tuple[str, str], width: int) -> str:
    line = f"   ~~~~ switch: {change[0]} is interrupted here, {change[1]} goes on "
    return line.ljust(min(width, 100), "~")


def _switches(run: Run) -> dict[int, tuple[str, str]]:
    """Return the steps at which a session is interrupted that has more to do, with who and who goes on."""
    last_of = {step.session: n for n, step in enumerate(run.steps)}
    shown = {moment.step for moment in run.moments}
    end = max(shown, default=0)
    found: dict[int, tuple[str, str]] = {}
    for n in range(1, min(len(run.steps), end + 1)):
        before, now = run.steps[n - 1].session, run.steps[n].session
        if before != now and last_of[before] > n and APP not in (before, now) and _chosen(run, n):
            found[n] = before, now
    return found


def _chosen(run: Run, n: int) -> bool:
    """Return whether a step was taken because the schedule says so."""
    slices = run.slice_of_step
    return n < len(slices) and (slices[n] >= 0 or slices[n - 1] >= 0) and run.steps[n].choices > 1


def said(moment: Moment) -> str:
    """Return a moment in words: `sends user_message: Tell me about ...`, `receives agent_started`."""
    payload = moment.payload if isinstance(moment.payload, str) else moment.payload.decode("utf-8", "replace")
    reason = f" ({show(payload, 80)})" if payload else ""
    match moment.what:
        case What.CONNECT:
            return "connects"
        case What.ACCEPT:
            return "is accepted"
        case What.REJECT:
            return f"is refused ({moment.code})" if moment.code else "is refused"
        case What.MESSAGE:
            verb = "sends" if moment.dir == "c2s" else "receives"
            return f"{verb} {_content(moment)}"
        case What.CLOSE:
            if moment.dir == "c2s":
                return f"closes ({moment.code})"
            return f"is closed by the server: {moment.code}{reason}"
        case What.DROP:
            return "vanishes, without a close frame"
        case What.LOST:
            return "loses the connection: the server ends it without a word"
        case What.SLOW:
            return "reads slowly from here on"
        case What.FAST:
            return "reads at once again"
    return str(moment.what)


_DULL = frozenset({"type", "event", "timestamp", "time", "ts", "event_id", "seq", "agent_name", "user_id"})


def _content(moment: Moment) -> str:
    message = read(moment.payload)
    if len(message.values) == 1 and not message.values[0][0]:
        return f'"{show(str(message.values[0][1]), 120)}"'
    telling = [
        f"{path.rpartition('.')[2]}={value}" for path, value in message.values
        if path.rpartition(".")[2] not in _DULL and isinstance(value, str | int | float) and value != ""
        and not path.rpartition(".")[2].endswith("_id")
    ]  # fmt: skip
    return show(f"{message.name} {', '.join(telling)}".strip(), 160)


def _time(at: int) -> str:
    ms = at / 1_000_000
    return f"{ms:.0f}ms" if ms < 10_000 else f"{ms / 1000:.0f}s"


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent=indent) or [""]
