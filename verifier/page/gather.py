"""A tape as the page knows it: lanes, connections, events, runs, and what was left out.  Streams; memory is what the
page will hold.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from goldentape.display import show
from goldentape.event import Flag, Opcode
from goldentape.naming import NAME_FIELDS, name_of
from goldentape.tape import CONNECTION, DIRECTION, FLAGS, OPCODE, PAYLOAD, SEQ, SIZE, Row, T, Tape
from goldentape.tape_writer import SEQ_BITS, SEQ_MASK
from verifier.contract import Contract
from verifier.page import packing
from verifier.page.packing import COLUMNS, Column, Texts, fair
from verifier.page.runs import Names, Run, recognised
from verifier.page.values import NAME, US, Log, head, line, said
from verifier.verdict import Verdict, plural

LANES, CONNECTIONS, RUNS, MARKS, KINDS = 5_000, 10_000, 160_000, 5_000, 1_000
NEAR = 40
"""Messages of a log before and after one that proves a violation, which are always there, texts included."""
PLACES = 2_000
"""Witnesses whose neighbours are looked up."""
TEXT, NEAR_TEXT = 4_096, 32_768
"""Characters of a text that the page has: of any, and of one near a violation."""
RUN_FIELDS = ("run_id", "runId", "run")
"""Where a message says of which run it is, where no contract does."""
OTHER = "(other)"


@dataclass(frozen=True, slots=True)
class Budget:
    """How much of a tape fits in the page."""

    events: int = 1_100_000
    raw: int = 24 << 20
    """Characters of texts, before they are packed."""
    texts: int = 7_000_000
    """Characters of packed texts from which on only those near a violation are added."""
    texts_near: int = 8_500_000

    def share(self, count: int) -> Budget:
        """Return the budget of one of several tapes."""
        return Budget(self.events // count, self.raw // count, self.texts // count, self.texts_near // count)

    def without_texts(self) -> Budget:
        """Return a budget for a page that may not say what messages said."""
        return Budget(self.events, 0, 0, 0)


@dataclass(slots=True)
class Gathered:
    """What the page has of one tape."""

    facts: dict[str, Any]
    columns: dict[str, str]
    texts: str
    heads: str
    left_out: list[str] = field(default_factory=list)


def gather(tape: Tape, contracts: Iterable[Contract], witnesses: Sequence[tuple[str, int]], budget: Budget) -> Gathered:
    """Read a tape for the page; `witnesses` are (user, seq) of what proves violations."""
    return _Gather(tape, witnesses, budget).all(contracts)


def nothing(verdict: Verdict) -> Gathered:
    """Return what a page has where there is a verdict and no tape."""
    facts = {
        "end": 1_000, "totals": [verdict.users, verdict.connections, verdict.messages], "wall": "0", "kinds": [],
        "counts": [], "lanes": [], "connections": [], "runs": [], "guessed": False, "marks": [],
        "columns": list(COLUMNS),
    }  # fmt: skip
    return Gathered(facts, {name: Column().done() for name in COLUMNS}, "", "")


class _Gather:
    def __init__(self, tape: Tape, witnesses: Sequence[tuple[str, int]], budget: Budget) -> None:
        self._tape = tape
        self._budget = budget
        self._people = {person.number: person for person in tape.users()}
        self._left_out: list[str] = []
        self._columns = {name: Column() for name in COLUMNS}
        self._texts, self._heads = Texts(), Texts()
        self._kinds: dict[tuple[str, int], int] = {}
        self._counts: Counter[int] = Counter()
        self._sizes: Counter[str] = Counter()
        of: dict[str, list[int]] = {}
        for user, seq in witnesses:
            of.setdefault(user, []).append(seq)
        self._seen_in = of
        self._without_text = self._as_several = 0

    def all(self, contracts: Iterable[Contract]) -> Gathered:
        """Gather everything."""
        tape = self._tape
        events = sum(person.events for person in self._people.values())
        [(last,)] = tape.query(f"SELECT coalesce(max(m), 0) FROM (SELECT max(id & {SEQ_MASK}) AS m FROM event)")
        self._names = Names(events, last)
        runs: list[Run] = []
        for contract in contracts:
            runs += recognised(contract, tape, self._names)
        guessed = not runs
        lanes = self._choose_lanes()
        places = {number: place for place, number in enumerate(lanes)}
        connections, of_lane = self._connections(places)
        each = self._fair(lanes)
        table = []
        for number in lanes:
            person = self._people[number]
            local = {row: place for place, row in enumerate(of_lane[number])}
            found, told = self._lane(number, local, each, guessed)
            runs += told
            # Whoever had connections before is a user of a lane by itself: places, not numbers.
            table.append([show(person.name, NAME), show(person.rule, NAME), person.events, found, [
                connections[row][0] for row in of_lane[number]
            ]])  # fmt: skip
        facts = {
            "end": self._end() / US,
            "totals": [len(self._people), len(tape.connection_numbers()), events],
            "wall": str(tape.wall(0, 0) // 1_000_000),
            "kinds": [[show(name, NAME), direction] for name, direction in self._kinds],
            "counts": [self._counts[place] for place in range(len(self._kinds))],
            "lanes": table,
            "connections": [packed for _, packed in connections.values()],
            "runs": self._runs(runs, places),
            "guessed": guessed,
            "marks": self._marks(),
            "columns": list(COLUMNS),
        }
        self._tell()
        columns = {name: column.done() for name, column in self._columns.items()}
        return Gathered(facts, columns, self._texts.done(), self._heads.done(), self._left_out)

    # -- who and where

    def _choose_lanes(self) -> list[int]:
        """Return the users to show: with violations first where there is no room for all, in the order of the tape."""
        numbers = list(self._people)
        if len(numbers) <= LANES:
            return numbers
        rank = sorted(numbers, key=lambda n: (self._people[n].name not in self._seen_in, -self._people[n].events))
        self._left_out.append(f"{len(numbers) - LANES:,} of {len(numbers):,} users (those with violations and the most"
                              " messages are here)")  # fmt: skip
        chosen = set(rank[:LANES])
        return [number for number in numbers if number in chosen]

    def _connections(self, lanes: dict[int, int]) -> tuple[dict[int, tuple[int, list[Any]]], dict[int, list[int]]]:
        """Return the connections by row, each with its place, and the rows of each lane."""
        owners: dict[int, list[int]] = {}
        for row, user in self._tape.users_of_connections():
            owners.setdefault(row, []).append(user)
        found: dict[int, tuple[int, list[Any]]] = {}
        of: dict[int, list[int]] = {number: [] for number in lanes}
        more = 0
        for row, connection in self._tape.numbered_connections():
            here = [user for user in owners.get(row, ()) if user in lanes]
            if not here:
                continue
            if len(found) >= CONNECTIONS:
                more += 1
                continue
            found[row] = len(found), line(connection)
            self._heads.add(head(connection))
            for user in here:
                of[user].append(row)
        if more:
            self._left_out.append(plural(more, "connection"))
        return found, of

    def _fair(self, lanes: list[int]) -> tuple[int, int]:
        """Return how many events and how much text each lane may have."""
        counts = [self._people[number].events for number in lanes]
        most = fair(counts, self._budget.events)
        rows = self._tape.query(
            f"SELECT id >> {SEQ_BITS}, sum(min(size, {TEXT})) FROM event GROUP BY id >> {SEQ_BITS}"
        )  # fmt: skip
        sizes = [size for number, size in rows if number in self._people]
        return max(1, most), fair(sizes, self._budget.raw)

    # -- messages

    def _near(self, number: int) -> list[tuple[int, int]]:
        """Return the stretches of a log (first and last seq) around what proves violations."""
        seqs = sorted(set(self._seen_in.get(self._people[number].name, ())))[:PLACES]
        log, sql = number << SEQ_BITS, f"SELECT id & {SEQ_MASK} FROM event WHERE id >= ? AND id <= ? ORDER BY id"
        found: list[tuple[int, int]] = []
        for seq in seqs:
            before = [s for (s,) in self._tape.query(f"{sql} DESC LIMIT ?", (log, log + seq, NEAR + 1))]
            after = [s for (s,) in self._tape.query(f"{sql} LIMIT ?", (log + seq, log + SEQ_MASK, NEAR + 1))]
            begin, end = min([seq, *before]), max([seq, *after])
            if found and begin <= found[-1][1]:
                found[-1] = found[-1][0], max(end, found[-1][1])
            else:
                found.append((begin, end))
        return found

    def _lane(
        self, number: int, local: dict[int, int], each: tuple[int, int], guess_runs: bool
    ) -> tuple[int, list[Run]]:
        """Add a user's log; return how many events the page has of it, and the runs that were guessed."""
        near = self._near(number)
        ends = [end for _, end in near]
        total, text_left = self._people[number].events, each[1]
        at_once = 1 if total <= each[0] else -(-total // each[0])
        runs: dict[tuple[str, str], list[int]] = {}
        several: list[tuple[int, Log]] = []
        count, self._t, self._seq = 0, 0, 0
        rows: Iterator[Log] = self._tape.rows(number)
        for row in rows:
            seq, payload = row[SEQ], row[PAYLOAD]
            place = bisect_left(ends, seq)
            close = place < len(near) and near[place][0] <= seq
            kind, value = self._kind(row)
            self._counts[kind] += 1
            if guess_runs and type(value) is dict:
                _guess(value, row[T], runs)
            if at_once > 1 and not close:
                several.append((kind, row))
                if len(several) == at_once:
                    count += self._add_several(several, local)
                    several = []
                continue
            if several:
                count += self._add_several(several, local)
                several = []
            limit = NEAR_TEXT if close else TEXT
            size = min(len(payload), limit)
            room = self._texts.size < (self._budget.texts_near if close else self._budget.texts)
            with_text = room and (close or size <= text_left) and not row[FLAGS] & Flag.ERASED
            if with_text:
                if not close:
                    text_left -= size
                self._texts.add(said(row, limit))
            else:
                self._without_text += not row[FLAGS] & Flag.ERASED
            self._add(row, kind, local, packing.HAS_TEXT if with_text else 0)
            count += 1
        if several:
            count += self._add_several(several, local)
        name = self._people[number].name
        return count, [Run(name, field, label, begin, end, "", True) for (field, label), (begin, end) in runs.items()]

    def _kind(self, row: Log) -> tuple[int, Any]:
        """Return the number of an event's kind, and its JSON value where that was looked at."""
        value: Any = None
        named = self._names.get(row[SEQ])
        if named and row[OPCODE] <= Opcode.BINARY:
            name = self._names.names[named - 1]
        else:
            name, value = self._guessed(row)
        slot = name, row[DIRECTION]
        place = self._kinds.get(slot)
        if place is None:
            if len(self._kinds) >= KINDS:
                slot = OTHER, row[DIRECTION]
                place = self._kinds.get(slot)
            if place is None:
                place = self._kinds[slot] = len(self._kinds)
        return place, value

    def _guessed(self, row: Log) -> tuple[str, Any]:
        payload = row[PAYLOAD]
        if row[OPCODE] == Opcode.TEXT and payload[:1] == b"{" and not row[FLAGS] & Flag.TRUNCATED:
            try:
                value = orjson.loads(payload)
            except orjson.JSONDecodeError:
                value = None
            if type(value) is dict:
                for name in NAME_FIELDS:
                    word = value.get(name)
                    if type(word) is str and word:
                        return word[: 2 * NAME], value
        return name_of(self._tape.event(cast(Row, row)))[: 2 * NAME], None

    def _add(self, row: Log, kind: int, local: dict[int, int], bits: int) -> None:
        columns, flags = self._columns, row[FLAGS]
        t = max(self._t, row[T] // US)
        columns["dt"].add(t - self._t)
        columns["kind"].add(kind)
        columns["conn"].add(local.get(row[CONNECTION], -1) + 1)
        columns["size"].add(max(0, row[SIZE]))
        columns["seq"].add(row[SEQ] - self._seq)
        if flags:
            for flag, bit in _BITS:
                if flags & flag:
                    bits |= bit
        columns["flags"].add(bits)
        self._t, self._seq = t, row[SEQ]

    def _add_several(self, several: list[tuple[int, Log]], local: dict[int, int]) -> int:
        """Add neighbours as one mark: of the kind that most of them are."""
        if len(several) == 1:
            self._without_text += 1
            self._add(several[0][1], several[0][0], local, 0)
            return 1
        kind = Counter(kind for kind, _ in several).most_common(1)[0][0]
        begin = max(self._t, several[0][1][T] // US)
        self._add(several[0][1], kind, local, packing.SEVERAL)
        extra = self._columns["extra"]
        extra.add(len(several))
        extra.add(max(0, several[-1][1][T] // US - begin))
        self._as_several += len(several)
        return 1

    # -- the rest

    def _runs(self, runs: list[Run], places: dict[int, int]) -> list[list[Any]]:
        lane_of = {self._people[number].name: place for number, place in places.items()}
        shown = [run for run in runs if run.user in lane_of]
        if len(shown) > RUNS:
            self._left_out.append(plural(len(shown) - RUNS, "run"))
        return [
            [
                lane_of[run.user], show(run.span, NAME), show(run.label, NAME), run.begin // US, run.end // US,
                show(run.how, NAME), run.good,
            ]
            for run in shown[:RUNS]
        ]  # fmt: skip

    def _marks(self) -> list[list[Any]]:
        found: list[list[Any]] = []
        for mark in self._tape.marks():
            if mark.kind != "tick":
                if len(found) >= MARKS:
                    self._left_out.append("marks after the first 5,000")
                    break
                data = orjson.dumps(mark.data, default=str, option=orjson.OPT_NON_STR_KEYS).decode("utf-8", "replace")
                found.append([mark.t // US, show(mark.kind, NAME), show(data, 400)])
        return found

    def _end(self) -> int:
        return max(1_000, self._tape.last_t())

    def _tell(self) -> None:
        if self._as_several:
            self._left_out.append(
                f"{plural(self._as_several, 'message')} one by one: neighbours are one mark, away from violations"
            )
        if self._without_text:
            self._left_out.append(
                f"what {plural(self._without_text, 'message')} said; all messages near violations are here in full"
            )


_BITS = (
    (int(Flag.REDACTED), packing.REDACTED), (int(Flag.TRUNCATED), packing.TRUNCATED),
    (int(Flag.MALFORMED), packing.MALFORMED), (int(Flag.ERASED), packing.ERASED),
    (int(Flag.DELIVERY_UNKNOWN), packing.DOUBTFUL),
)  # fmt: skip


def _guess(value: dict[str, Any], t: int, runs: dict[tuple[str, str], list[int]]) -> None:
    for name in RUN_FIELDS:
        run = value.get(name)
        if type(run) is str and run and (len(runs) < 10_000 or (name, run[:NAME]) in runs):
            known = runs.setdefault((name, run[:NAME]), [t, t])
            known[1] = max(known[1], t)
            return
