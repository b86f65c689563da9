"""What earlier plays left behind: the fewest of them found after which a failure comes on a fresh server, too."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from verifier.fuzz.failure import Kind
from verifier.fuzz.live.repeating import Repeated
from verifier.fuzz.live.stage import Try
from verifier.fuzz.script import FAULTS, Drop
from verifier.fuzz.seen import Ended
from verifier.fuzz.workload import Workload

AMPLE: Final = 10
"""So often one play is played: of what each leaves behind a little, enough is there then."""
PLACES: Final = 40
"""So often one user who vanishes comes back, at most, until nobody is answered any more: pools are seldom larger."""
LEAVING: Final = 3
"""So many of those who vanish are tried."""
KINDS: Final = 6
"""So many plays are tried by themselves, with what vanishes and stalls first."""
ROUNDS: Final = 3
"""So often all of them are played, one after the other."""
BACK: Final = 24
"""How often parts of them are left out."""
SHARE: Final = 3
"""This part of the time that is left may be used, at most; the rest is for confirming."""


@dataclass
class Past:
    """The plays before one that failed, and does not fail on a fresh server."""

    repeated: Repeated
    one: Try
    plays: Sequence[Try]
    tell: Callable[[str], None]
    _until: float = field(init=False)

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.repeated.stage.time_left / SHARE

    async def fewest(self) -> tuple[Try, ...]:
        """Return the fewest plays found after which it comes; empty: after none that was tried."""
        if not self.repeated.stage.can_restart or not self.plays:
            return ()
        self.tell(f"not on a fresh server: trying the {len(self.plays)} plays before it")
        return await self._of_who_vanishes() or await self._of_one_kind() or await self._of_all()

    async def _fails(self, plays: Sequence[Try], times: int = 1) -> bool:
        """Return whether it comes each time after these plays."""
        after = replace(self.repeated, history=tuple(plays))
        for _ in range(times):
            if time.monotonic() > self._until or not await after.fails(self.one.workload, self.one.plan):
                return False
        return True

    async def _of_who_vanishes(self) -> tuple[Try, ...]:
        """Return plays of one user who vanishes, as many as it takes until nobody is answered."""
        if self.repeated.failure.kind is not Kind.DEADLOCK:
            return ()
        for workload in self._vanishing():
            plays = await self._until_silent(workload)
            # Who looked whether anybody is answered may have vanished as well, and the last of them may count or not.
            for many in (len(plays) - 1, len(plays), 2 * len(plays)):
                if many > 0 and await self._fails(plays[:1] * many, 2):
                    return tuple(plays[:1] * many)
        return ()

    def _vanishing(self) -> list[Workload]:
        """Return the workloads of one user each in which a client vanishes, short ones first."""
        found: dict[Workload, None] = {}
        for play in (*self.plays, self.one):
            for user in play.workload.users:
                solo = play.workload.only(user.name)
                if any(isinstance(action, Drop) for session in solo.sessions for action in session.script):
                    found[solo] = None
        return sorted(found, key=lambda solo: (len(solo.sessions), solo.messages))[:LEAVING]

    async def _until_silent(self, workload: Workload) -> list[Try]:
        """Play a workload, first on a fresh server, until somebody waits in vain; empty: nobody ever does."""
        stage, pace = self.repeated.stage, self.repeated.pace()
        asking = self.one.workload.only(self.repeated.failure.victim)
        recovers, stage.recovers = stage.recovers, True
        plays: list[Try] = []
        try:
            while len(plays) < PLACES and time.monotonic() < self._until:
                plays.append(await stage.play(workload, (), pace=pace, clean=not plays))
                # Who vanishes and does not come back waits for nothing: another has to look.
                last = plays[-1] if len(workload.sessions) > 1 else await stage.play(asking, (), pace=pace)
                if last.run.ended is Ended.DEADLOCK:
                    return plays
        finally:
            stage.recovers = recovers
        return []

    async def _of_one_kind(self) -> tuple[Try, ...]:
        """Return one play, so many times over as it takes: what leaks a little each time comes to an end so."""
        kinds = {play.workload: play for play in (*self.plays, self.one)}
        found = sorted(kinds.values(), key=lambda play: (-_faults(play), -play.workload.messages))
        for play in found[:KINDS]:
            if await self._fails([play] * AMPLE, 2):
                many = AMPLE
                for fewer in (AMPLE // 2, AMPLE // 4, 1):
                    if not await self._fails([play] * fewer, 2):
                        break
                    many = fewer
                return (play,) * many
        return ()

    async def _of_all(self) -> tuple[Try, ...]:
        """Return some of all: they are halved while a half will do, then parts of them are left out."""
        earlier: list[Try] = []
        for _ in range(ROUNDS):
            earlier += self.plays
            if await self._fails(earlier):
                break
        else:
            return ()
        left = BACK
        size = len(earlier) // 2
        while size and left > 0 and time.monotonic() < self._until:
            for at in range(0, len(earlier), size):
                part = earlier[:at] + earlier[at + size :]
                left -= 1
                if part and left >= 0 and await self._fails(part):
                    earlier = part
                    break
            else:
                size //= 2
            size = min(size, len(earlier) // 2)
        return tuple(earlier)


def _faults(play: Try) -> int:
    return sum(isinstance(action, FAULTS) for session in play.workload.sessions for action in session.script)
