"""A tape as people read it: who said what to whom, when.  Items in, lines out; every recorded text through `show`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from goldentape.display import show
from goldentape.event import Connection, Direction, Ending, Epoch, Event, Flag, Mark, Opcode
from goldentape.excerpt import Memory, shorten
from goldentape.naming import Said, understand
from goldentape.timeline import Became, Item, Opened, Timeline

SECOND = 1_000_000_000
ID = 8
"""Characters that are shown of a connection's id, which has 32; `--connection` takes them."""
ASCII = str.maketrans({"→": ">", "←": "<", "┌": "+", "└": "+", "✗": "x", "•": "*", "≡": "=", "…": "~"})
"""For terminals whose encoding has none of these signs."""

_NAME = 16
_GOOD_CODES = (1000, 1001, 1005)
_FLAGS: Mapping[Flag, str] = {
    Flag.MALFORMED: "malformed", Flag.DELIVERY_UNKNOWN: "perhaps not delivered",
    Flag.SAW_SECRET: "has a credential in it", Flag.ERASED: "erased",
}  # fmt: skip
_ENDINGS: Mapping[Ending, str] = {
    Ending.CLEAN: "clean", Ending.EOF: "without a closing handshake", Ending.RESET: "by a reset",
    Ending.LOST: "lost from sight: the recorder stopped first",
}  # fmt: skip
_TROUBLE = ("error", "fail", "timeout", "timed_out", "denied", "refused", "reject", "abort")

Span = tuple[str, str]
"""(style, text).  Styles: dim, c2s, s2c, name, bad, edge, note, text, and field for name=text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a conversation."""

    seq: int | None
    t: int
    """Since the connection opened; of marks, since the tape began; ns."""
    who: str
    sign: str
    style: str
    name: str
    said: tuple[Span, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How wide the columns are."""

    seq: int = 5
    who: int = 0
    """0: no such column, as there is one connection only."""

    def spans(self, line: Line) -> list[Span]:
        """Return a line in columns."""
        seq = "" if line.seq is None else f"#{line.seq}"
        found = [("dim", f"{seq:>{self.seq}} {line.t / SECOND:>9.3f}  ")]
        if self.who:
            found.append(("dim", f"{line.who:<{self.who}}  "))
        name = "name" if line.style in ("c2s", "s2c") else line.style
        found += [(line.style, f"{line.sign} "), (name, f"{line.name:<{_NAME}}")]
        for style, text in line.said:
            field, _, value = text.partition("=") if style == "field" else ("", "", text)
            found += [("dim", f"  {field}="), ("text", value)] if field else [(style, f"  {text}")]
        return found

    def text(self, line: Line, width: int | None) -> str:
        """Return a line as plain text, cut to `width` characters; None: not cut."""
        whole = "".join(text for _, text in self.spans(line)).rstrip()
        return whole if width is None or len(whole) <= width else whole[: max(width - 1, 1)] + "…"


class Conversation:
    """Turns what happened into lines; remembers what each connection said last, to tell only what is new."""

    def __init__(self, timeline: Timeline, epoch_of: Callable[[int], Epoch | None], *, full: bool = False) -> None:
        self._timeline = timeline
        self._epoch_of = epoch_of
        self._full = full
        self._memories: dict[str, Memory] = {}

    def line(self, item: Item) -> Line:
        """Return the line of what happened."""
        if isinstance(item, Event):
            return self._message(item)
        if isinstance(item, Mark):
            return self._mark(item)
        if isinstance(item, Opened):
            return self._refused(item.connection) if item.connection.accepted is None else self._opened(item.connection)
        if isinstance(item, Became):
            return self._became(item)
        return self._ended(item.connection)

    def _who(self, connection: str) -> str:
        return show(self._timeline.labels.get(connection, connection[:ID]), 24)

    def _opened(self, c: Connection) -> Line:
        took = f" after {milliseconds((c.accepted or c.opened) - c.opened)}"
        said = [("text", self._target(c)), ("dim", f"{c.status}{took}"), *self._credential(c.credential)]
        if c.subprotocol:
            said.append(("dim", f"subprotocol {show(c.subprotocol, 60)}"))
        if c.extensions:
            said.append(("dim", show(c.extensions if self._full else c.extensions.partition(";")[0], 200)))
        said.append(
            ("dim", f"id {show(c.id, 64) if self._full else show(c.id[:ID])}, {c.opened / SECOND:.3f} s on tape")
        )
        return Line(seq=None, t=0, who=self._who(c.id), sign="┌", style="edge", name="connects", said=tuple(said))

    def _refused(self, c: Connection) -> Line:
        answer = "no answer" if c.status is None else f"{c.status} {show(c.reason or '', 60)}".rstrip()
        closed = c.opened if c.closed is None else c.closed
        said = [
            ("text", self._target(c)), ("bad", answer), ("text", show(shorten(_text(c.body or b"")), 300)),
            *self._credential(c.credential), ("dim", f"id {show(c.id[:ID])}, {c.opened / SECOND:.3f} s on tape"),
        ]  # fmt: skip
        return Line(
            seq=None, t=closed - c.opened, who=self._who(c.id), sign="✗", style="bad", name=show(c.ending),
            said=tuple(span for span in said if span[1]),
        )  # fmt: skip

    def _became(self, item: Became) -> Line:
        c, identity = item.connection, item.identity
        said = [("text", show(identity.user, 60)), ("dim", f"by {show(identity.rule, 60)}")]
        return Line(
            seq=identity.seq, t=(c.accepted or c.opened) - c.opened, who=self._who(c.id), sign="≡", style="note",
            name="is now", said=(*said, *self._credential(identity.credential)),
        )  # fmt: skip

    def _ended(self, c: Connection) -> Line:
        self._memories.pop(c.id, None)
        good = c.ending == Ending.CLEAN and c.close_code in _GOOD_CODES
        said: list[Span] = []
        if c.close_code is not None:
            reason = f' "{show(c.close_reason, 200)}"' if c.close_reason else ""
            said.append(("edge" if good else "bad", f"{c.close_code}{reason}"))
        said.append(("dim" if good else "bad", _ENDINGS.get(c.ending, show(c.ending))))
        if c.closed_by is not None:
            said.append(("dim", f"by the {show(c.closed_by, 20)}"))
        closed = c.opened if c.closed is None else c.closed
        return Line(
            seq=None, t=closed - c.opened, who=self._who(c.id), sign="└", style="edge" if good else "bad",
            name="lost" if c.ending == Ending.LOST else "ends", said=tuple(said),
        )  # fmt: skip

    def _message(self, event: Event) -> Line:
        control = event.opcode not in (Opcode.TEXT, Opcode.BINARY)
        said = Said(event.opcode.name.lower()) if control else understand(event)
        spans: list[Span] = [("bad", f"[{word}]") for flag, word in _FLAGS.items() if event.flags & flag]
        if event.flags & Flag.TRUNCATED:
            spans.append(("bad", f"[the first {len(event.payload):,} of {event.size:,} bytes]"))
        if self._full or control or said.value is None:
            spans.append(("text", _payload(event, None if self._full else 400)))
        else:
            memory = self._memories.setdefault(event.connection, Memory())
            spans += [_part(*part) for part in memory.excerpt(said)]
        trouble = any(word in said.name.lower() for word in _TROUBLE)
        opened = self._timeline.chosen.get(event.connection, event.t)
        return Line(
            seq=event.seq, t=event.t - opened, who=self._who(event.connection),
            sign="→" if event.direction == Direction.C2S else "←",
            style="bad" if trouble else "dim" if control else event.direction.label, name=show(said.name, 40),
            said=tuple(span for span in spans if span[1]),
        )  # fmt: skip

    def _mark(self, mark: Mark) -> Line:
        style, name, data = "note", mark.kind, dict(mark.data)
        said: list[Span] = []
        if mark.kind == "begin":
            epoch = self._epoch_of(data.get("epoch", 0))
            if epoch is not None:
                data.pop("epoch", None)
                said = [("note", moment(epoch.wall)), ("dim", f"in front of {show(epoch.upstream, 200)}")]
                if epoch.insecure:
                    said.append(("bad", "whose certificate was not checked"))
        elif mark.kind in ("crash", "gap", "malformed"):
            style = "bad"
        said += [("dim", f"{show(str(key), 40)}={show(str(value), 120)}") for key, value in data.items()]
        who = "" if mark.connection is None else self._who(mark.connection)
        since = 0 if mark.connection is None else self._timeline.chosen.get(mark.connection, 0)
        return Line(
            seq=mark.seq, t=mark.t - since, who=who, sign="•", style=style, name=show(name, 40), said=tuple(said)
        )

    def _target(self, c: Connection) -> str:
        return show(c.target if self._full else shorten(c.target), 2000 if self._full else 60)

    def _credential(self, credential: str) -> list[Span]:
        if credential == "none":
            return []
        style = "dim" if credential == "valid" else "bad"
        return [(style, f"credential {show(credential.replace('_', ' '), 20)}")]


def moment(wall: int) -> str:
    """Return Unix time in ns as a date and time, UTC."""
    try:
        return datetime.fromtimestamp(wall / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{wall} ns"


def milliseconds(ns: int) -> str:
    """Return a short time as people read it."""
    return f"{ns / 1e6:.1f} ms" if ns < SECOND else f"{ns / SECOND:.2f} s"


def _part(field: str, text: str) -> Span:
    return ("text", text) if not field else ("field", f"{field}={text}")


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace")


def _payload(event: Event, most: int | None) -> str:
    """Return a payload that is no object: a close code, a text, bytes."""
    width = 1 << 40 if most is None else most
    if event.opcode == Opcode.CLOSE:
        if len(event.payload) < 2:
            return "without a code"
        # RFC 6455, 5.5.1: two bytes of code, then the reason.
        code, reason = int.from_bytes(event.payload[:2], "big"), _text(event.payload[2:])
        return f'{code} "{show(reason, width)}"' if reason else str(code)
    if not event.payload:
        return ""
    if event.opcode == Opcode.TEXT:
        return show(event.payload if most is None else shorten(_text(event.payload[: 8 * most])), width)
    readable = event.payload.isascii() and event.payload.decode("ascii").isprintable()
    data = show(event.payload, width) if readable else event.payload[: width // 2].hex()
    return data if readable and event.opcode != Opcode.BINARY else f"{event.size:,} bytes: {data}"
