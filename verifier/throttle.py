"""Who tries the door too often is kept waiting, and only for a while: what `admission` demands by `throttle`."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from verifier.durations import duration
from verifier.record import REJECT, Record
from verifier.slices import Slice, proof
from verifier.verdict import listed, plural

if TYPE_CHECKING:
    from verifier.contract import Contract
    from verifier.credentials import Credential
    from verifier.load import Path

CLIENTS = 10_000
"""Clients whose refusals are remembered; the one that was longest quiet goes first."""


@dataclass(slots=True)
class Throttle:
    """The refusals of each client, as far back as they count."""

    after: int
    span: int
    answer: tuple[int, ...]
    recovers: int | None
    _refused: dict[str, deque[tuple[Record, Record]]] = field(default_factory=dict)

    @classmethod
    def of(cls, options: Mapping[str, Any], contract: Contract, at: Path) -> Throttle:
        """Return what the contract says."""
        for word in ("after", "in"):
            if word not in options:
                raise contract.error(at, f"`throttle` wants `{word}`")
        if options["after"] < 1:
            raise contract.error((*at, "after"), "at least one refusal comes before", found=options["after"])
        recovers = contract.time(options["recovers"], (*at, "recovers")) if "recovers" in options else None
        return cls(
            options["after"], contract.time(options["in"], (*at, "in")), tuple(options.get("answer", (429,))), recovers
        )

    def attempt(
        self, slice: Slice, connect: Record, answer: Record, credential: Credential, wanted: str | None
    ) -> None:
        """Judge one more attempt of a client, and remember it if it was one that had to be refused."""
        session = connect.session
        assert session is not None
        before = self._refused.pop(session.client, None) or deque(maxlen=self.after)
        while before and connect.t - before[0][1].t > self.span:
            before.popleft()
        throttled = answer.kind == REJECT and session.status in self.answer
        if wanted == "reject" and len(before) == self.after and before[-1][1].t < connect.t:
            slice.judged()
            if not throttled:
                self._report(slice, list(before), connect, answer)
        elif wanted == "accept" and throttled:
            last = before[-1][1].t if before else None
            if last is None or (self.recovers is not None and connect.t - last > self.recovers):
                slice.judged()
                since = "without a refusal before" if last is None else f"{duration(connect.t - last)} after the last"
                slice.violated(
                    [proof(connect, "trigger", ["$connect"]), proof(answer, "offender", note=str(session.status))],
                    why=f"a valid credential was kept waiting with status {session.status} {since}",
                    expected=f"to be let in after {duration(self.recovers or 0)}",
                    paths=("throttle", "recovers"),
                )
        if wanted == "reject" and answer.kind == REJECT:
            before.append((connect, answer))
        if before:
            self._refused[session.client] = before
            if len(self._refused) > CLIENTS:
                del self._refused[next(iter(self._refused))]

    def _report(self, slice: Slice, before: list[tuple[Record, Record]], connect: Record, answer: Record) -> None:
        proofs = [proof(refusal, "refused") for _, refusal in before]
        proofs += [proof(connect, "trigger", ["$connect"]), proof(answer, "offender")]
        statuses = listed([str(status) for status in self.answer])
        slice.violated(
            proofs,
            why=f"after {plural(self.after, 'refusal')} of this client within {duration(self.span)} the next attempt"
            f" was not kept waiting",
            expected=f"status {statuses}",
            since=before[0][0].t,
            paths=("throttle", "after"),
        )
