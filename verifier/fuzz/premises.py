"""What is found out of an app before it is searched: what its users share, and whether one may have two connections."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from verifier.fuzz.baselines import in_turns
from verifier.fuzz.message import shared_by
from verifier.fuzz.plans import with_faults
from verifier.fuzz.play import Player
from verifier.fuzz.rooms import rooms_in
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.seen import Ended, Run
from verifier.fuzz.workload import Workload


@dataclass(frozen=True, slots=True)
class Rooms:
    """What everybody is told of everybody though nobody is interrupted."""

    shared: tuple[str, ...] = ()
    """Paths that are taken as shared."""
    doubts: tuple[str, ...] = ()
    """What somebody has to decide: a room, or a leak to all?"""
    notes: tuple[str, ...] = ()


def rooms_of(player: Player, workload: Workload, shared: Collection[str]) -> Rooms:
    """Return what is to be taken as shared beside the paths that are named already, and what is to be said of it."""
    if len(workload.users) < 2:
        return Rooms()
    return rooms_seen(player.play(workload, in_turns(player.play(workload, SERIAL))), workload, shared)


def rooms_seen(turns: Run, workload: Workload, shared: Collection[str]) -> Rooms:
    """Return the same, of a run in which the users take turns."""
    is_shared = shared_by(tuple(shared))
    said, named = (
        tuple(glob for glob in globs if not is_shared(glob.replace("[*]", "[0]")))
        for globs in rooms_in(turns, workload)
    )
    doubt = (
        f"everybody gets what everybody says, also when nobody is interrupted, in {_listed(said)}: a room, or a"
        f" leak to all?  Taken as shared here; if it is meant so, say {_options(said)}"
    )
    note = f"users are told who else is there, in {_listed(named)}: taken as shared"
    return Rooms((*said, *named), (doubt,) if said else (), (note,) if named else ())


def takes_tabs(player: Player, workload: Workload) -> bool:
    """Return whether a user can have two connections, if they are used in turns and nobody else is there."""
    first = workload.users[0].name
    alone = player.play(workload.only(first), SERIAL)
    if alone.ended is not Ended.DONE or alone.errors:
        return True  # it does not even take one: that is told as what it is
    tabs = with_faults(workload, ("tabs",)).only(first)
    serial = player.play(tabs, SERIAL)
    runs = [serial, player.play(tabs, in_turns(serial))]
    return all(run.ended is Ended.DONE and not run.errors for run in runs)


def _listed(globs: Collection[str]) -> str:
    return ", ".join("the text" if glob == "**" else glob for glob in globs)


def _options(globs: Collection[str]) -> str:
    return " ".join(f"--shared '{glob}'" for glob in globs)
