"""Plain values as the YAML of a contract.  Pure; `load` reads back just what was written.

A word stands plain only where no reader could take it for anything else; what fits on a line stands on one.
"""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

WIDTH = 118

_PLAIN = re.compile(r"[A-Za-z_$][\w$-]*(?:[ ./][\w$-]+)*|\d+(?:\.\d+)?(?:ms|s|m|h)", re.ASCII)
_NOT_PLAIN = re.compile(r"true|false|null|yes|no|on|off|y|n", re.IGNORECASE)


def dump(value: Any) -> str:
    """Return the YAML of JSON-like values."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.allow_unicode = True
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    out = io.StringIO()
    yaml.dump(_styled(value, 0), out)
    return out.getvalue()


def _styled(value: Any, indent: int) -> Any:
    """Return a copy in which each value says how it is to be written."""
    if isinstance(value, dict):
        mapping = CommentedMap()
        for key, inner in value.items():
            mapping[key if key == "on" else _word(key)] = _styled(inner, indent + 2)
        if indent and _size(value) + indent <= WIDTH:
            mapping.fa.set_flow_style()
        return mapping
    if isinstance(value, list):
        items = CommentedSeq([_styled(inner, indent + 2) for inner in value])
        if not value or (indent and _size(value) + indent <= WIDTH):
            items.fa.set_flow_style()
        return items
    return _word(value) if isinstance(value, str) else value


def _word(text: str) -> str:
    if _PLAIN.fullmatch(text) and not _NOT_PLAIN.fullmatch(text):
        return text
    quoted: str = DoubleQuotedScalarString(text)
    return quoted


def _size(value: Any) -> int:
    """Return about how long a value is on one line, its key's own line begin included."""
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + _size(inner) for key, inner in value.items())
    if isinstance(value, list):
        return 2 + sum(2 + _size(inner) for inner in value)
    return len(str(value)) + 2


__all__ = ["dump"]
