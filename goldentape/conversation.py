"""A tape as people read it: who said what to whom, when.  Values in, lines out; every recorded text through `show`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldentape.display import show
from goldentape.event import Connection, Direction, Ending, Event, Flag, Mark, Opcode
from goldentape.naming import name_of

SECOND = 1_000_000_000
ARROWS = {Direction.C2S: "→", Direction.S2C: "←"}
_NAME_WIDTH = 16
_NOTES = (
    (Flag.MALFORMED, "malformed"),
    (Flag.DELIVERY_UNKNOWN, "perhaps not delivered"),
    (Flag.SAW_SECRET, "has somebody's credential"),
    (Flag.ERASED, "erased"),
)
_ENDINGS = {
    Ending.CLEAN: "closed", Ending.EOF: "ended without a close handshake", Ending.RESET: "reset",
    Ending.REFUSED: "refused", Ending.LOST: "lost from sight: the recorder stopped", Ending.OPEN: "still open",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a conversation."""

    style: str
    """`open`, `close`, `refused`, `mark`, `c2s`, `s2c` or `control`: what it is about, for colours."""
    t: int
    who: str
    arrow: str
    name: str
    text: str

    def render(self, width: int | None, who_width: int) -> str:
        """Return it as text, cut to `width` columns; None: not cut."""
        who = f"{self.who:<{who_width}}  " if who_width else ""
        head = f"{self.t / SECOND:>9.3f}  {who}{self.arrow} {self.name:<{_NAME_WIDTH}} "
        line = (head + self.text).rstrip()
        return line if width is None or len(line) <= width else line[: max(width - 1, 1)] + "…"


def call_connections(connections: Mapping[str, Connection]) -> dict[str, str]:
    """Return what to call each connection: its user, with a number where the user has several."""
    totals: dict[str, int] = {}
    for connection in connections.values():
        totals[connection.user] = totals.get(connection.user, 0) + 1
    counts: dict[str, int] = {}
    called = {}
    for identifier, connection in connections.items():
        user = connection.user
        counts[user] = counts.get(user, 0) + 1
        name = f"({show(connection.id[:8])})" if user.startswith("connection:") else show(user, 24)
        called[identifier] = name if totals[user] == 1 else f"{name}#{counts[user]}"
    return called


def opening(connection: Connection, who: str) -> Line:
    """Return the line of a handshake."""
    answer = "no answer" if connection.status is None else str(connection.status)
    if connection.accepted is not None:
        answer += f" in {(connection.accepted - connection.opened) / 1e6:.1f} ms"
    parts = [f"GET {show(connection.target, 200)}", answer]
    if connection.subprotocol:
        parts.append(f"subprotocol {show(connection.subprotocol, 60)}")
    if connection.credential != "none":
        parts.append(f"credential {connection.credential}")
    if connection.extensions:
        parts.append(show(connection.extensions, 80))
    style = "refused" if connection.ending == Ending.REFUSED else "open"
    return Line(style, 0, who, "┌", f"[{show(connection.id[:8], 8)}]", ", ".join(parts))


def ending(connection: Connection, who: str) -> Line:
    """Return the line of a connection's end."""
    text = _ENDINGS[connection.ending]
    if connection.ending == Ending.REFUSED:
        text = f"refused with {connection.status} {show(connection.reason or '', 60)}".rstrip()
        if connection.body:
            text += f": {show(connection.body, 300)}"
    elif connection.close_code is not None:
        reason = f" {show(repr(connection.close_reason), 200)}" if connection.close_reason else ""
        text = f"{text} with {connection.close_code}{reason}"
    if connection.closed_by is not None and connection.ending != Ending.REFUSED:
        text += f", by the {connection.closed_by}"
    good = connection.ending == Ending.CLEAN and connection.close_code in (1000, 1001, 1005)
    closed = connection.opened if connection.closed is None else connection.closed
    return Line("close" if good else "refused", closed - connection.opened, who, "└", "", text)


def message(event: Event, since: int, who: str, width: int | None) -> Line:
    """Return the line of a message or control frame; `since`: when its connection opened."""
    name = show(name_of(event), 40)
    notes = [word for flag, word in _NOTES if event.flags & flag]
    if event.flags & Flag.TRUNCATED:
        notes.append(f"the first {len(event.payload):,} of {event.size:,} bytes")
    text = _excerpt(event, width)
    if notes:
        text = f"({'; '.join(notes)}) {text}"
    control = event.opcode not in (Opcode.TEXT, Opcode.BINARY)
    style = "control" if control else event.direction.label
    return Line(style, event.t - since, who, ARROWS[event.direction], name, text)


def _excerpt(event: Event, width: int | None) -> str:
    most = 1 << 30 if width is None else width
    if event.opcode == Opcode.CLOSE:
        if len(event.payload) < 2:
            return "no code"
        # RFC 6455, 5.5.1: two bytes of code, then the reason.
        code, reason = int.from_bytes(event.payload[:2], "big"), event.payload[2:].decode("utf-8", "backslashreplace")
        return f"{code} {show(repr(reason), most)}" if reason else str(code)
    if event.opcode == Opcode.TEXT:
        return show(event.payload, most)
    if not event.payload:
        return ""
    if event.payload.isascii() and event.payload.decode("ascii").isprintable():
        return show(event.payload, most)
    return f"{event.size:,} bytes {event.payload[: most // 2].hex()}"


def noted(mark: Mark, who: str) -> Line:
    """Return the line of a mark."""
    data = ", ".join(f"{show(str(key), 40)}={show(str(value), 120)}" for key, value in mark.data.items())
    return Line("mark", mark.t, who, "•", show(mark.kind, 40), data)
