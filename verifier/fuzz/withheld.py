"""What the fuzzer finds, told without what messages say: events, users and rules by their names, no values.  Pure.

As `verify --no-excerpts` does, the sentence of a contract's rule stays, and names of events and paths do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from verifier.fuzz.failure import Failure, Kind
from verifier.fuzz.message import read
from verifier.fuzz.seen import AppError, Moment, Run, What
from verifier.fuzz.standing import Standing

if TYPE_CHECKING:
    from verifier.fuzz.found import Found, Report
    from verifier.fuzz.live.caught import Caught, Hunted
    from verifier.fuzz.live.replaying import ReplayedLive
    from verifier.fuzz.offline.report import TapeReport
    from verifier.fuzz.replay import Replayed

_SENTENCES: Final[Mapping[Kind, Callable[[Failure], str]]] = {
    Kind.EXCEPTION: lambda f: f.detail + (f" ({f.victim}'s connection)" if f.victim else ""),
    Kind.MIXED: lambda f: f"{f.victim} receives what is {f.owner}'s in {f.detail}",
    Kind.DUPLICATED: lambda f: f"{f.victim} gets more of {f.detail} than alone",
    Kind.DIFFERENT: lambda f: f"{f.victim} receives in {f.detail} what never comes when {f.victim} is alone",
    Kind.CLOSED: lambda f: f"the server ends {f.victim}'s connection, which it does not alone: {f.detail}",
    Kind.PROTOCOL: lambda f: f"the app breaks the ASGI protocol: {f.detail}",
}
"""What is said of a failure whose own sentence quotes values; of the other kinds it quotes none."""


def failure(one: Failure) -> Failure:
    """Return a failure whose sentence has no value of a message; its fingerprint is the same."""
    sentence = _SENTENCES.get(one.kind)
    return one if sentence is None else replace(one, sentence=sentence(one))


def run(one: Run) -> Run:
    """Return a run whose messages have nothing but a name, whose closes have no reason, and exceptions no text."""
    return replace(one, moments=tuple(map(_moment, one.moments)), errors=tuple(map(_error, one.errors)))


def _moment(moment: Moment) -> Moment:
    if moment.what is What.MESSAGE:
        return moment._replace(payload=json.dumps({"type": read(moment.payload).name}))
    return moment._replace(payload="") if moment.what in (What.CLOSE, What.REJECT) else moment


def _error(error: AppError) -> AppError:
    places = [line for line in error.traceback.splitlines() if line.startswith('  File "')]
    return replace(error, message="", traceback="\n".join([*places, error.type]))


def found(one: Found) -> Found:
    """Return a find of `fuzz app` without values.  Its run is for telling: it does not replay."""
    return replace(
        one,
        failure=failure(one.failure),
        run=run(one.run),
        also=tuple(map(failure, one.also)),
        elsewhere=tuple(map(failure, one.elsewhere)),
        standing=_standing(one.standing),
    )


def _standing(one: Standing) -> Standing:
    """Return where the code stood, with the types of exceptions only."""
    return replace(one, handled={n: (told.partition(":")[0], sites) for n, (told, sites) in one.handled.items()})


def report(one: Report) -> Report:
    """Return what a search of an app has found, without values."""
    # What did not come again is told as `why: sentence`.
    unconfirmed = tuple(text.partition(": ")[0] for text in one.unconfirmed)
    return replace(one, failures=tuple(map(found, one.failures)), unconfirmed=unconfirmed)


def caught(one: Caught) -> Caught:
    """Return a find of `fuzz live` without values."""
    shown = one.shown
    shown = replace(
        shown, played=replace(shown.played, run=run(shown.run)), failures=tuple(map(failure, shown.failures))
    )
    return replace(one, failure=failure(one.failure), shown=shown)


def hunted(one: Hunted) -> Hunted:
    """Return what a search of a running server has found, without values."""
    return replace(one, caught=list(map(caught, one.caught)))


def replayed(one: Replayed) -> Replayed:
    """Return what has become of a failure of an app, without values."""
    told = None if one.found is None else found(one.found)
    return replace(
        one, how=_in_text(one.how, one.failures), failures=tuple(map(failure, one.failures)), found=told,
        run=run(one.run),
    )  # fmt: skip


def replayed_live(one: ReplayedLive) -> ReplayedLive:
    """Return what has become of a failure of a running server, without values."""
    return replace(one, how=_in_text(one.how, one.failures), failures=tuple(map(failure, one.failures)))


def _in_text(text: str, failures: tuple[Failure, ...]) -> str:
    """Return a text with the sentences of these failures exchanged for those without values."""
    for one in failures:
        text = text.replace(one.sentence, failure(one).sentence)
    return text


def tape(one: TapeReport) -> TapeReport:
    """Return what other orders of a tape would show, without the end states of a consumer."""
    possible = [
        p if p.violation is not None else replace(p, why="its end state depends on the order") for p in one.possible
    ]
    return replace(one, possible=possible)
