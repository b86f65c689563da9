"""Examples: the same conversation on both sides, aligned message by message, ids by their first appearance."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from goldentape.tape import Tape
from verifier.diff.finding import Example, Finding
from verifier.diff.hear import decoded
from verifier.diff.learn import Model
from verifier.diff.names import looks_random
from verifier.diff.tally import Place

LINES = 16
"""Rows of an example; what is the same in the middle of a longer one is left out."""
AROUND = 2
WIDE = 400


@dataclass(slots=True)
class _Line:
    key: tuple[object, ...]
    text: str


@dataclass(slots=True)
class Reader:
    """Reads examples from the tapes of both sides."""

    tapes: tuple[Sequence[Tape], Sequence[Tape]]
    model: Model
    renamed: dict[str, str]
    """The candidate's names of events to the baseline's."""
    form: str | None

    def example(self, finding: Finding) -> Example | None:
        """Return an example pair of a finding; None where it has no place."""
        if finding.places == (None, None):
            return None
        rows = self._fields(finding) if finding.kind in ("field", "type", "values", "numbers") else self._talk(finding)
        if not rows:
            return None
        heads = [self._head(side, place) for side, place in enumerate(finding.places)]
        return Example(before=heads[0], after=heads[1], rows=tuple(rows))

    def _head(self, side: int, place: Place | None) -> str:
        if place is None:
            return "(not there)"
        tape = self.tapes[side][place.tape]
        user = tape.user(place.user)
        first = f"#{place.seqs[0]}" if place.seqs else ""
        return f"{tape.path.name} {user.name if user is not None else ''} {first}".strip()

    def _messages(self, side: int, place: Place | None) -> list[tuple[int, int, Any]]:
        """Return (direction, time, value) of the messages of a place."""
        if place is None or not place.seqs:
            return []
        tape = self.tapes[side][place.tape]
        wanted = set(place.seqs)
        found = []
        for seq, _, number, _, t, dir, opcode, payload, *_ in tape.rows(
            place.user, after=min(wanted) - 1, upto=max(wanted), connection=place.connection
        ):
            if seq in wanted and opcode <= 2 and number == place.connection:
                found.append((dir, t, decoded(payload, opcode, self.form)))
        return found

    # -- conversations

    def _talk(self, finding: Finding) -> list[tuple[str, str, str]]:
        sides = [self._lines(side, finding.places[side], finding.events) for side in (0, 1)]
        if not any(sides):
            return []
        matched = SequenceMatcher(
            None, [line.key for line in sides[0]], [line.key for line in sides[1]], autojunk=False
        )
        rows: list[tuple[str, str, str]] = []
        for what, a0, a1, b0, b1 in matched.get_opcodes():
            left, right = sides[0][a0:a1], sides[1][b0:b1]
            if what == "equal" or [line.key[:2] for line in left] == [line.key[:2] for line in right]:
                # Not only equal ones: the same messages about something else stand side by side, too.
                for before, after in zip(left, right, strict=True):
                    rows.append(("~" if self._changed(finding, before, after) else " ", before.text, after.text))
            else:
                rows += [("-", line.text, "") for line in left]
                rows += [("+", "", line.text) for line in right]
        return _shortened(rows)

    def _changed(self, finding: Finding, before: _Line, after: _Line) -> bool:
        if finding.kind == "renamed":
            return before.key[1] == finding.events[0] and before.key[1] == after.key[1]
        return finding.kind == "latency" and before.key[1] == finding.events[-1]

    def _lines(self, side: int, place: Place | None, events: Sequence[str]) -> list[_Line]:
        found = []
        begin: int | None = None
        request = ""
        for dir, t, value in self._messages(side, place):
            begin = t if begin is None else begin
            name = self.model.named(side, dir, value)
            if dir == 1 and not request and name == "object" and events:
                name = events[-1]
            request = request or (name if dir == 0 else "")
            if dir == 1 and (name == "object" or name[:1] == "{") and request and isinstance(value, dict):
                name = f"{request}: {'error' if value.get('error') is not None else 'result'}"
            labels = self.model.labels_of(dir, name, value)
            common = self.renamed.get(name, name) if side else name
            words = " ".join(word for _, word in labels[:2])
            text = f"{(t - begin) / 1e6:8.1f} ms  {'←' if dir else '→'} {name}{'  ' + words if words else ''}"
            found.append(_Line((dir, common, words), text))
        return found

    # -- fields

    def _fields(self, finding: Finding) -> list[tuple[str, str, str]]:
        names: dict[Any, str] = {}
        sides: list[dict[str, str]] = []
        head = finding.paths[0] if finding.paths else ""
        outer = head.rpartition(".")[0]
        for side in (0, 1):
            messages = self._messages(side, finding.places[side])
            found: dict[str, str] = {}
            for dir, _, value in messages[:1]:
                event = self.model.named(side, dir, value)
                event = finding.events[0] if event == "object" and finding.events else event
                found[""] = f"{'←' if dir else '→'} {event}"
                for path, text in _leaves(value, names, head):
                    plain = path.replace("[0]", "[]")
                    if plain == head or plain.startswith(f"{head}.") or plain.rpartition(".")[0] == outer:
                        found.setdefault(plain, f"{path} = {text}")
            sides.append(found)
        rows = []
        for path in dict.fromkeys([*sides[0], *sides[1]]):
            before, after = sides[0].get(path, ""), sides[1].get(path, "")
            concerned = path == head or path.startswith(f"{head}.") or (not before) != (not after)
            mark = " " if not concerned else "~" if before and after else "-" if before else "+"
            rows.append((mark, before, after))
        rows.sort(key=lambda row: row[0] == " " and "=" in (row[1] or row[2]))
        return rows[:8]


def _leaves(value: Any, names: dict[Any, str], as_it_is: str, path: str = "") -> list[tuple[str, str]]:
    """Return (path, JSON) of the values of a message; ids by the order of their first appearance, but at one path."""
    if isinstance(value, dict) and value:
        return [
            leaf
            for key, inner in value.items()
            for leaf in _leaves(inner, names, as_it_is, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        return _leaves(value[0], names, as_it_is, f"{path}[0]")
    if isinstance(value, str) and " " not in value and looks_random(value) and path.replace("[0]", "[]") != as_it_is:
        return [(path, f"‹{names.setdefault(value, str(len(names) + 1))}›")]
    try:
        return [(path, json.dumps(value, ensure_ascii=False)[:WIDE])]
    except (ValueError, RecursionError):
        return [(path, "…")]


def _shortened(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Leave out what is the same far from what differs."""
    if len(rows) <= LINES:
        return rows
    near = {
        n for index, row in enumerate(rows) if row[0] != " " for n in range(index - AROUND, index + AROUND + 1)
    } | {0, len(rows) - 1}  # fmt: skip
    found: list[tuple[str, str, str]] = []
    for index, row in enumerate(rows):
        if index in near:
            found.append(row)
        elif found and found[-1][0] != "…":
            found.append(("…", "", ""))
    return found[:LINES]
