"""The sequencer: plays the sessions of a workload over real connections, turn by turn.  It can not deadlock.

A session whose client must wait is given a moment (`quiet`) in a turn, and `patience` in the serial end; then whoever
comes next goes on.  So each client does only what its user can do after what was seen, and no order that is asked for
keeps the play from its end.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from goldentape.errors import EnvironmentFault
from verifier.fuzz.answers import filled
from verifier.fuzz.live.line import Line, dial
from verifier.fuzz.live.pace import Pace
from verifier.fuzz.live.plan import Plan, schedule
from verifier.fuzz.live.seat import Seat
from verifier.fuzz.script import Wait
from verifier.fuzz.seen import Ended, Moment, Owed, Run, What
from verifier.fuzz.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the lines go: the recorder, which passes everything on to the server."""

    host: str
    port: int
    path: str = ""
    """Of the server's URL, where sessions say no path of their own."""
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Played:
    """One play of a workload."""

    run: Run
    """What the clients saw and did; times are real."""
    turn_of: tuple[int, ...] = field(repr=False)
    """For each moment the turn in which it happened; -1: at the serial end."""
    seconds: float
    keys: Mapping[str, str]
    """Session to the key of its handshake: by it the tape knows the connection."""


class Sequencer:
    """One play."""

    def __init__(
        self, workload: Workload, plan: Plan, address: Address, pace: Pace,
        enough: Callable[[Moment], bool] | None = None,
    ) -> None:  # fmt: skip
        """`enough`: tells of what the server does whether nothing more needs to be seen."""
        self._workload = workload
        self._enough = enough
        self._seen_enough = False
        self._gap = 0.0
        self._plan = plan
        self._address = address
        self._pace = pace
        self._moments: list[Moment] = []
        self._turns: list[int] = []
        self._turn = -1
        self._steps = 0
        self._begin = time.monotonic_ns()
        self._seats = {s.name: Seat(s, self._note, self._dial, self._filled) for s in workload.sessions}
        self._came = 0.0
        self._waited = 0.0

    async def play(self) -> Played:
        """Play to the end.  Raises EnvironmentFault where nobody listens."""
        begin = time.monotonic()
        try:
            for number, turn in enumerate(self._plan):
                seat = self._seats.get(turn.session)
                if seat is None:
                    continue
                if self._seen_enough:
                    break
                if turn.delay:
                    await asyncio.sleep(turn.delay / 1000)
                self._turn = number
                await self._go(seat, turn.steps)
            self._turn = -1
            owed = await self._to_the_end()
        finally:
            for seat in self._seats.values():
                if seat.line is not None:
                    seat.line.hang_up()
        run = Run(
            moments=tuple(self._moments), schedule=schedule(self._plan), choices=(), names=tuple(self._seats),
            decisions=len(self._plan), ended=Ended.DEADLOCK if owed else Ended.DONE, open=tuple(owed),
            at=time.monotonic_ns() - self._begin,
        )  # fmt: skip
        keys = {name: seat.line.key for name, seat in self._seats.items() if seat.line is not None}
        return Played(run, tuple(self._turns), time.monotonic() - begin, keys)

    # -- turns

    async def _go(self, seat: Seat, steps: int) -> None:
        taken = 0
        while (not steps or taken < steps) and self._may_begin(seat) and not self._seen_enough:
            if not seat.inbox and seat.waits and not await self._soon(seat):
                return
            await self._step(seat)
            taken += 1

    async def _step(self, seat: Seat) -> None:
        self._steps += 1
        seat.since = asyncio.get_running_loop().time()
        if seat.inbox:
            # It has waited since that came, also while somebody else was waited for.
            seat.since = seat.came
            seat.take()
        elif not seat.waits:
            await seat.act()

    async def _soon(self, seat: Seat) -> bool:
        """Wait a moment until something comes to a session; the moments of a play are counted."""
        if seat.done or self._waited >= self._pace.waiting:
            return False
        begin = time.monotonic()
        came = await self._something(seat, self._pace.quiet)
        self._waited += time.monotonic() - begin
        return came

    async def _something(self, seat: Seat, patience: float) -> bool:
        """Wait until something comes to a session; False: nothing did."""
        if seat.client.over and not seat.inbox:
            return False
        if seat.slow and seat.line is not None:
            seat.line.slow(False)  # a slow reader reads, when there is nothing else to do
        try:
            async with asyncio.timeout(patience):
                await seat.arrived.wait()
        except TimeoutError:
            return False
        finally:
            if seat.slow and seat.line is not None:
                seat.line.slow(True)
        return bool(seat.inbox)

    def _may_begin(self, seat: Seat) -> bool:
        after = seat.client.session.after
        if seat.dialled or after is None:
            return True
        other = self._seats[after.session].client
        return other.over or (after.done is not None and other.accepted and other.place >= after.done)

    # -- the serial end

    async def _to_the_end(self) -> list[Owed]:
        """Let everybody go on, one after the other; who waits in vain is passed over, and looked at again."""
        await self._go_on()
        while await self._late():
            await self._go_on()
        if self._seen_enough:
            await self._leave(unsaid=True)
            return []
        await self._linger()
        owed = [one for seat in self._seats.values() if (one := self._owed(seat)) is not None]
        await self._leave()
        return owed

    async def _late(self) -> bool:
        """Wait until something comes to those who still wait for it; False: nothing did."""
        loop = asyncio.get_running_loop()
        owed = [seat for seat in self._seats.values() if self._owed(seat) is not None]
        until = max((seat.since for seat in owed), default=0.0) + self._pace.sure
        lines = [seat.line for seat in owed if seat.slow and seat.line is not None]
        for line in lines:
            line.slow(False)  # who does not read is sent nothing
        try:
            while owed and loop.time() < until and not self._seen_enough:
                if any(seat.inbox for seat in owed):
                    return True
                await asyncio.sleep(0.005)
            return False
        finally:
            for line in lines:
                line.slow(True)

    async def _go_on(self) -> None:
        moved = not self._seen_enough
        while moved:
            moved = False
            for seat in self._seats.values():
                while self._may_begin(seat) and not seat.done and not self._seen_enough:
                    if seat.leaves and not seat.inbox and not self._followers(seat):
                        break
                    if not seat.inbox and seat.waits and not await self._something(seat, self._patience(seat)):
                        break
                    if seat.vanishes and not seat.inbox:
                        # In the middle of an answer more is left undone; turns let clients vanish at once, too.
                        await self._something(seat, self._pace.quiet)
                    await self._step(seat)
                    moved = True

    def _patience(self, seat: Seat) -> float:
        """Return how long to wait for a session: its time runs from its last step, whoever was waited for meanwhile."""
        waited = asyncio.get_running_loop().time() - seat.since
        return max(self._pace.patience - waited, self._pace.linger)

    def _followers(self, seat: Seat) -> bool:
        """Return whether a session begins only when this one is over."""
        return any(
            (after := other.client.session.after) is not None and after.session == seat.name and not other.dialled
            for other in self._seats.values()
        )

    async def _linger(self) -> None:
        """Wait until nothing comes any more: what is too much comes late."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        # Who was refused or thrown out is told nothing more.
        while not all(seat.over for seat in self._seats.values()):
            quiet = self._pace.linger
            if self._pace.hello:
                quiet = max(quiet, min(4 * self._gap, 2.0)) if self._told() else self._pace.hello
            last = max(self._came, begin) if self._pace.hello else self._came
            left = min(last + quiet, begin + max(1.0, 10 * quiet)) - loop.time()
            if left <= 0:
                break
            await asyncio.sleep(max(min(left, 0.05), 0.001))
        for seat in self._seats.values():
            while seat.inbox:
                await self._step(seat)

    def _told(self) -> bool:
        return any(moment.what is What.MESSAGE and moment.dir == "s2c" for moment in self._moments)

    async def _leave(self, *, unsaid: bool = False) -> None:
        for seat in self._seats.values():
            while not unsaid and not seat.done and not seat.waits and seat.dialled:
                await self._step(seat)
        for seat in self._seats.values():
            if seat.slow and seat.line is not None:
                seat.line.slow(False)  # a close that is not read cannot be answered
            if seat.dialled and not seat.client.over and seat.client.begun:
                self._note(seat.name, "c2s", What.END, "", 0)
                if seat.line is not None:
                    seat.line.close(1001, "")
        await self._closed()

    async def _closed(self) -> None:
        """Give the closing handshakes a moment, so that the tape has clean ends."""
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.2
        while loop.time() < until and any(
            seat.line is not None and not seat.line.gone for seat in self._seats.values()
        ):
            await asyncio.sleep(0.002)

    def _owed(self, seat: Seat) -> Owed | None:
        client = seat.client
        if client.over or not client.begun:
            return None
        if not client.accepted:
            return Owed(seat.name, -1, "waits for its connection to be accepted or refused")
        if client.waits:
            action = client.session.script[client.place]
            assert isinstance(action, Wait)
            return Owed(seat.name, client.place, f"waits for {action}")
        return None

    def _filled(self, seat: Seat, payload: str | bytes) -> str | bytes:
        """Return a message with what its user was told before, and with the user's token."""
        user = seat.client.session.user
        seats = [one.client.received for one in self._seats.values() if one.client.session.user == user]
        return self._workload.said(user, filled(payload, seats))

    # -- the world

    async def _dial(self, seat: Seat) -> Line:
        a = self._address
        head = self._workload.head(seat.client.session)
        try:
            return await dial(a.host, a.port, lambda: Line(f"{a.host}:{a.port}", head, seat), a.tls)
        except OSError as error:
            raise EnvironmentFault("nobody answers there", where=f"{a.host}:{a.port}", found=error) from None

    def _note(self, session: str, dir: str, what: What, payload: str | bytes, code: int) -> None:
        at = time.monotonic_ns() - self._begin
        moment = Moment(self._steps, session, at, dir, what, payload, code)
        self._moments.append(moment)
        self._turns.append(self._turn)
        if dir == "s2c":
            now = asyncio.get_running_loop().time()
            self._gap = max(self._gap, now - max(self._came, self._seats[session].since))
            self._came = self._seats[session].came = now
            if self._enough is not None and not self._seen_enough and self._enough(moment):
                self._seen_enough = True
                for seat in self._seats.values():
                    seat.arrived.set()  # nobody waits on


def sessions_of(workload: Workload) -> Sequence[str]:
    """Return the names of a workload's sessions, in serial order."""
    return [session.name for session in workload.sessions]
