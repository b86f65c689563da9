"""Faults as the command line names them: `latency:latency=200,jitter=50,stream=upstream`.  Pure.

The names, attributes and units are those of toxiproxy's toxics; beside them are faults of single messages.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from goldentape.errors import InputError

UPSTREAM, DOWNSTREAM = "upstream", "downstream"
"""From the client to the server, and back."""
_STREAMS = (UPSTREAM, DOWNSTREAM, "both")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(us|ms|s|m|h)?")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"(\d{1,12})(B|KB|KiB|MB|MiB)?")
_BYTES = {None: 1, "B": 1, "KB": 1000, "KiB": 1 << 10, "MB": 10**6, "MiB": 1 << 20}


def _seconds(text: str, bare: str) -> float:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"a time such as 200, 200ms or 2s ({bare} without a unit)")
    return float(found[1]) * _SECONDS[found[2] or bare]


def _milliseconds(text: str) -> float:
    return _seconds(text, "ms")


def _microseconds(text: str) -> float:
    return _seconds(text, "us")


def _plain_seconds(text: str) -> float:
    return _seconds(text, "s")


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("a size such as 512 or 64KiB")
    return int(found[1]) * _BYTES[found[2]]


def _some(text: str) -> int:
    count = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if count < 1:
        raise ValueError("a number from 1 on")
    return count


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError("a share from 0 to 1")
    return share


def _stream(text: str) -> str:
    if text not in _STREAMS:
        raise ValueError("upstream, downstream or both")
    return text


def _code(text: str) -> int:
    code = int(text) if text.isdecimal() and len(text) == 4 else 0
    if not (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) and not 3000 <= code <= 4999:
        raise ValueError("a close code that may be sent, such as 1011 or 4000")
    return code


def _reason(text: str) -> str:
    if len(text.encode()) > 123:
        raise ValueError("at most 123 bytes")
    return text


Reader = Callable[[str], Any]

COMMON: Mapping[str, Reader] = {
    "stream": _stream, "toxicity": _share, "from": _plain_seconds, "for": _plain_seconds, "seed": str,
}  # fmt: skip
OF_MESSAGES: Mapping[str, Reader] = {"message": _some, "match": str, "count": _some}
"""Which messages are meant; of toxics whole connections are."""

TOXICS: Mapping[str, Mapping[str, Reader]] = {
    "latency": {"latency": _milliseconds, "jitter": _milliseconds},
    "bandwidth": {"rate": _some},
    "slow_close": {"delay": _milliseconds},
    "timeout": {"timeout": _milliseconds},
    "reset_peer": {"timeout": _milliseconds},
    "slicer": {"average_size": _size, "size_variation": _size, "delay": _microseconds},
    "limit_data": {"bytes": _size},
}
"""toxiproxy's toxics and their attributes, in its units: milliseconds, KB/s, microseconds for the slicer's delay."""
MESSAGES: Mapping[str, Mapping[str, Reader]] = {
    "drop": {},
    "duplicate": {},
    "delay": {"delay": _milliseconds},
    "swap": {},
    "close": {"code": _code, "reason": _reason},
}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "latency": {"latency": 0.0, "jitter": 0.0},
    "slow_close": {"delay": 0.0},
    "timeout": {"timeout": 0.0},
    "reset_peer": {"timeout": 0.0},
    "slicer": {"size_variation": 0, "delay": 0.0},
    "close": {"code": 1011, "reason": ""},
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "latency": ("latency",), "bandwidth": ("rate",), "slow_close": ("delay",), "slicer": ("average_size",),
    "limit_data": ("bytes",), "delay": ("delay",),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One `--fault`."""

    text: str
    """As the user wrote it."""
    name: str
    attributes: Mapping[str, Any]
    """Times in seconds, sizes in bytes, the rate in KB/s."""
    streams: tuple[str, ...]
    toxicity: float = 1.0
    """Of toxics the share of connections that have them, of others the share of messages."""
    begin: float = 0.0
    """Seconds after the recorder's begin."""
    length: float | None = None
    """Seconds; None: to the end."""
    seed: str | None = None
    message: int | None = None
    """Only the how-manieth message of its direction on a connection, from 1."""
    match: bytes | None = None
    """Only messages that hold these bytes."""
    count: int | None = None
    """So many messages in all."""

    @property
    def of_messages(self) -> bool:
        """Whether it is about messages; toxics are about bytes."""
        return self.name in MESSAGES


def parse_faults(texts: Iterable[str]) -> tuple[Fault, ...]:
    """Read `--fault`s; raise InputError for one that is none."""
    return tuple(map(_fault, texts))


def _fault(text: str) -> Fault:
    name, _, rest = text.partition(":")
    known = {**TOXICS, **MESSAGES}
    if name not in known:
        raise InputError("--fault names no fault", found=name, wanted=", ".join(known), fix=_nearest(name, known))
    readers = {**known[name], **COMMON, **(OF_MESSAGES if name in MESSAGES else {})}
    values: dict[str, Any] = {}
    for pair in _pairs(rest, text):
        key, equals, value = pair.partition("=")
        if key in _STREAMS and not equals:
            key, value = "stream", key
        if key not in readers:
            raise InputError(f"--fault {name} has no {key!r}", wanted=", ".join(readers), fix=_nearest(key, readers))
        if key in values:
            raise InputError(f"--fault {name} says {key} twice", found=text)
        try:
            values[key] = readers[key](value)
        except ValueError as error:
            raise InputError(f"--fault {name}: {key} is wrong", found=value, wanted=str(error)) from None
    for key in NEEDED.get(name, ()):
        if key not in values:
            raise InputError(f"--fault {name} lacks {key}", found=text, fix=f"say {name}:{key}=...")
    stream = values.get("stream", DOWNSTREAM)
    attributes = {**DEFAULTS.get(name, {}), **{key: values[key] for key in known[name] if key in values}}
    if name == "slicer" and not 0 <= attributes["size_variation"] < attributes["average_size"]:
        raise InputError("--fault slicer: size_variation must be less than average_size", found=text)
    return Fault(
        text=text, name=name, attributes=attributes,
        streams=(UPSTREAM, DOWNSTREAM) if stream == "both" else (stream,),
        toxicity=values.get("toxicity", 1.0), begin=values.get("from", 0.0), length=values.get("for"),
        seed=values.get("seed"), message=values.get("message"),
        match=values["match"].encode() if "match" in values else None, count=values.get("count"),
    )  # fmt: skip


def _pairs(rest: str, text: str) -> list[str]:
    pairs = rest.split(",") if rest else []
    if not all(pairs):
        raise InputError("--fault has an empty attribute", found=text, wanted="NAME:KEY=VALUE,KEY=VALUE")
    return pairs


def _nearest(word: str, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f"did you mean {near[0]}?" if near else None


__all__ = ["DOWNSTREAM", "MESSAGES", "TOXICS", "UPSTREAM", "Fault", "parse_faults"]
