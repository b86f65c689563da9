"""How recorded text reaches any output: through `show`, and through nothing else.

Recorded bytes are hostile: they may hold escape sequences, bidirectional overrides, line breaks that
start a CI command.  `show` leaves one line of printable characters.
"""

from __future__ import annotations

import re
from pathlib import Path

WIDTH = 120
"""Most characters that `show` lets through by default."""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


_CI = re.compile(r"##(vso)?\[")
"""What the log readers of GitHub Actions and Azure Pipelines take for a command, wherever in a line it stands."""


def _escape(char: str) -> str:
    code = ord(char)
    return _SHORT.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}")


def home_and_here(path: str | Path) -> str:
    """Return a path as a report may tell it: relative to here, or to `~`, so that it tells nothing of the machine."""
    name = Path(path)
    if not name.is_absolute():
        return str(path)
    for base, short in ((Path.cwd(), Path()), (Path.home(), Path("~"))):
        if name != base and name.is_relative_to(base) and base != Path(base.anchor):
            return str(short / name.relative_to(base))
    return str(path)


def show(value: str | bytes, width: int = WIDTH) -> str:
    """Return `value` as one printable line of at most `width` characters.

    Control, format and unassigned characters become `\\xNN` or `\\u{...}`; bytes that are not
    UTF-8 become `\\xNN`; what is too long ends in `…`.  `##[` and `##vso[` lose their bracket, which becomes `\\x5b`.
    """
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    cut = text[: width + 1]
    clean = cut if cut.isprintable() else "".join(c if c.isprintable() else _escape(c) for c in cut)
    if "##" in clean:
        clean = _CI.sub(r"##\1\\x5b", clean)
    return clean if len(clean) <= width and len(text) <= width else clean[: width - 1] + "…"
