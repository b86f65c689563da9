"""The story of a failure: step by step, one lane a connection, the switches that matter marked.  Pure; lines out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from goldentape.display import show
from verifier.fuzz.failure import FROZEN, Failure, Kind
from verifier.fuzz.lanes import LEFT, Mark, lanes, wrapped
from verifier.fuzz.message import OR_ERROR
from verifier.fuzz.schedule import APP
from verifier.fuzz.seen import Moment, Run, What
from verifier.fuzz.standing import Sites

if TYPE_CHECKING:
    from verifier.fuzz.found import Found
    from verifier.fuzz.workload import Workload


WIDTH: Final = 120
"""Columns of a story, where nobody says how many."""
_SHARED = (
    "Look for something that both users' code can reach (a variable of a module, an attribute of a shared object,"
    " a cache, a buffer) and that is written before an await and read after it."
)
_FROZEN: Final = {
    Kind.DEADLOCK: "A lock of threading that is held over an await stops everybody as soon as a second task wants it,"
    " for the task that has it cannot go on. Use asyncio.Lock with `async with`, or give it back before each await.",
    Kind.LIVELOCK: "A loop that waits for another task must await in each turn: until it does, the other cannot run."
    " Wait for an asyncio.Event or a future instead.",
}
HINTS: Final = {
    Kind.LEAK: _SHARED,
    Kind.MIXED: _SHARED,
    Kind.DIFFERENT: "Look for state that both users' code changes: looked at before an await, and relied on after it.",
    Kind.LOST: "Look for what the event was waiting for or sent through: something of that name may have been replaced,"
    " removed or taken by the other one, or dropped where there was no room.",
    Kind.DUPLICATED: "Look for something that two tasks find undone, do, and only then mark as done; for a second"
    " attempt while the first goes on; for two subscriptions of one user.",
    Kind.ORDER: "Look for two ways by which these events are sent, of which one can be slower than the other.",
    Kind.CLOSED: "Look for what changed while the code waited: a collection that somebody else adds to or removes from,"
    " an entry that is gone.",
    Kind.DEADLOCK: "Look for what should have sent it: a task that was cancelled, a connection that was replaced or"
    " removed; and for locks taken in different orders, places not given back, something awaited that nobody sets.",
}
"""Where to begin to look, for people who have not seen such a failure before."""
_HERE: Final = {
    Kind.LEAK: "{owner} sent this, and {victim} got it",
    Kind.MIXED: "this is {owner}'s, and {victim} got it",
    Kind.DIFFERENT: "{victim} never gets this alone",
    Kind.LOST: "the last that {victim} gets",
    Kind.DUPLICATED: "{victim} gets this too often",
    Kind.ORDER: "{victim} gets this too early",
    Kind.CLOSED: "{victim} is thrown out",
    Kind.CONTRACT: "{detail}",
}


def story(found: Found, width: int = WIDTH) -> list[str]:
    """Return the story as lines, at most `width` columns wide (60 at least); recorded text is made harmless."""
    return list(_lines(found, max(width, 60)))


def of_run(run: Run, width: int = WIDTH) -> list[str]:
    """Return what happened in a run of which nothing is wrong, as lines."""
    titles = {name: name for name in run.by_session if name != APP}
    return [*lanes(_moments(run), titles, max(width, 60), {}, {}), ""]


def _moments(run: Run) -> tuple[Moment, ...]:
    """Return what happened before everybody was sent home."""
    end = next((n for n, moment in enumerate(run.moments) if moment.what is What.END), len(run.moments))
    return run.moments[:end]


def _lines(found: Found, width: int) -> Iterator[str]:
    failure, run = found.failure, found.run
    yield from wrapped(f"{failure.kind.upper()}  {show(failure.sentence, 600)}", width, "  ")
    yield from wrapped(f"      minimal: {_minimal(found)}", width, "        ")
    yield ""
    yield from _lanes(found, width)
    yield ""
    for error in run.errors:
        if failure.kind in (Kind.EXCEPTION, Kind.CLOSED):
            yield from (f"  | {show(line, width - 4)}" for line in error.traceback.strip().splitlines()[-6:])
            yield ""
            break
    yield from (line for text in _canaries(found) for line in wrapped(text, width, "  "))
    if found.also:
        yield from wrapped("also wrong in this run: " + "; ".join(_brief(f) for f in found.also), width, "  ")
    if found.elsewhere:
        told = "; ".join(_brief(f) for f in found.elsewhere)
        yield from wrapped(f"in other schedules, most likely of the same cause: {told}", width, "  ")
    yield from wrapped(f"needs: {found.needs}", width, "  ")
    if found.alone:
        yield "also when nobody else is there: no concurrency is needed"
        if not any(moment.what is What.MESSAGE and moment.dir == "s2c" for moment in run.moments):
            yield from wrapped(
                "and nothing was answered: if your clients send something else, say so with --message (or --script)",
                width,
                "  ",
            )
    same, times = found.replays
    yield f"replays identically {same}/{times}     fingerprint {failure.fingerprint}"
    if failure.kind in (Kind.LEAK, Kind.MIXED) and not found.schedule:
        path = failure.detail.partition(".")[2] or "PATH"
        yield from wrapped(
            f"It happens though nobody is interrupted. If users are meant to share this: --shared {show(path, 80)}",
            width,
            "  ",
        )
    hint = _FROZEN.get(failure.kind, "") if failure.detail == FROZEN else HINTS.get(failure.kind, "")
    if found.schedule and hint:
        yield from wrapped(hint, width, "  ")


def _brief(failure: Failure) -> str:
    return f"{failure.kind} {show(failure.detail, 80)}".strip()


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
    return (
        f"smallest known, {size} switches ({known}, {certificate.tried:,} schedules in"
        f" {certificate.budget:g} s; --certify gives it more time)"
    )


def _canaries(found: Found) -> Iterator[str]:
    """Yield what the marks in the messages are that the failure speaks of."""
    failure = found.failure
    users = {session.name: session.user for session in found.workload.sessions}
    for token in found.workload.canaries():
        if token not in failure.sentence:
            continue
        for n, moment in enumerate(found.run.moments):
            if moment.dir == "c2s" and isinstance(moment.payload, str) and token in moment.payload:
                user = users.get(moment.session, moment.session)
                yield f"{token} was put into what {show(user, 40)} sends ({n + 1}), to be known wherever it turns up."
                break


def _lanes(found: Found, width: int) -> Iterator[str]:
    run = found.run
    users = {session.name: session.user for session in found.workload.sessions}
    titles = {
        name: name if users.get(name, name) == name else f"{name} ({users[name]}'s, too)"
        for name in run.by_session if name != APP
    }  # fmt: skip
    moments = _moments(run)
    yield from lanes(moments, titles, width, _marks(found, width), _switches(found, moments, width))
    if str(run.ended) != "done":
        for owed in run.open:
            told = f"and then nothing more: {show(owed.session, 40)} {show(owed.text.replace(OR_ERROR, ''), 200)}"
            yield from (f"{'':<{LEFT}}{line}" for line in wrapped(told, width - LEFT, "  "))
            yield from _stands(
                f"{show(owed.session, 40)}'s code stands at", found.standing.end.get(owed.session, ()), width
            )


def _marks(found: Found, width: int) -> dict[int, Mark]:
    failure, standing = found.failure, found.standing
    marks = marks_of(failure, found.workload)
    if failure.kind is Kind.LOST or not failure.moments:  # there nothing is wrong with what is marked
        return marks
    n = failure.moments[-1]
    what, raised = standing.handled.get(n, ("", ()))
    below = [
        *_stands("sent at", standing.sent.get(n, ())[:2], width),
        *_stands(f"because of {show(what, 160)}, raised at", raised, width),
        *_stands("after its code had waited at", standing.waited.get(n, ()), width),
    ]
    return {**marks, n: replace(marks[n], below=tuple(below))}


def marks_of(failure: Failure, workload: Workload) -> dict[int, Mark]:
    """Return where a failure shows, by the moment's place: what is said there, and which value of it is wrong."""
    who = {"owner": show(failure.owner, 40), "victim": show(failure.victim, 40), "detail": show(failure.detail, 80)}
    here = f"here: {failure.kind}" + (f", {_HERE[failure.kind].format(**who)}" if failure.kind in _HERE else "")
    path = failure.detail.partition(".")[2]
    token = next((token for token in workload.canaries() if token in failure.sentence), "")
    return {n: Mark(here, (), path, token) for n in failure.moments}


def _switches(found: Found, moments: tuple[Moment, ...], width: int) -> dict[int, list[str]]:
    """Return by moment the lines that stand before it: who is interrupted there, at which line, and who goes on."""
    run, standing = found.run, found.standing
    last_of = {step.session: n for n, step in enumerate(run.steps)}
    end = max((moment.step for moment in run.moments), default=0)
    waiting = {owed.session for owed in run.open}
    lines: dict[int, list[str]] = {}
    for n in range(1, min(len(run.steps), end + 1)):
        before, now = run.steps[n - 1].session, run.steps[n].session
        if before == now or APP in (before, now) or not _chosen(found, n):
            continue
        place = next((place for place, moment in enumerate(moments) if moment.step >= n), len(moments))
        names = show(before, 40), show(now, 40)
        if last_of[before] > n:
            # Nobody looked whether it could have gone on (`standing`): then it is taken to have been able to.
            could = not standing.left or n in standing.stopped
            text = f"switch: {names[0]} {'is interrupted here' if could else 'has to wait here'}, {names[1]} goes on"
            told = [
                *_line(f"   ~~~~ {text} ", "~", width),
                *_stands(f"{names[0]}'s code stands at", standing.left.get(n, ()), width),
            ]
        else:
            done = "can only wait from here on" if before in waiting else "has done all"
            told = _line(f"   ---- {names[0]} {done}, {names[1]} goes on ", "-", width)
        lines[place] = [*lines.get(place, []), *told]
    return lines


def _line(text: str, fill: str, width: int) -> list[str]:
    """Return a line from side to side, with a text in it."""
    if len(text) <= width:
        return [text.ljust(min(width, 100), fill)]
    return wrapped(text, width, "        ")


def _stands(begin: str, sites: Sites, width: int) -> Iterator[str]:
    """Yield where code stands, the innermost call first."""
    for n, site in enumerate(sites):
        text = f"{'called at' if n else begin} {show(str(site), 160)}"
        yield from (f"{'':<{LEFT - 4}}{line}" for line in wrapped(text, width - LEFT + 4, "    "))


def _chosen(found: Found, n: int) -> bool:
    """Return whether a step was taken because the schedule says so."""
    run = found.run
    slices = run.slice_of_step
    return n < len(slices) and (slices[n] >= 0 or slices[n - 1] >= 0) and run.steps[n].choices > 1
