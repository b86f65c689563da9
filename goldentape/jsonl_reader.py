"""JSON Lines of a tape, read back: what `tape export --format jsonl` wrote is a tape of the same content again."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from goldentape.assemble import Assembly
from goldentape.display import show
from goldentape.errors import EnvironmentFault, InputError
from goldentape.event import Connection, Direction, Ending, Epoch, Event, Flag, Http, Identity, Mark, Opcode

LINE = 512 << 20
"""Bytes of one line: that of a message of the largest size that anybody would keep."""
MOST = 1 << 62
_SEQS = 1 << 40
_DIRECTIONS = {"c2s": Direction.C2S, "s2c": Direction.S2C}
_CREDENTIALS = frozenset({"none", "malformed", "expired", "bad_signature", "valid"})
_SIDES = frozenset({"client", "server", "recorder", None})
_OPCODES = frozenset(map(int, Opcode))
_NO_MESSAGE = Flag.TRUNCATED

Json = Mapping[str, Any]


class Wrong(Exception):
    """What a line has that no export has; the reader says where."""


@dataclass(slots=True)
class Ended:
    """What the last line says of the whole; without one, it was cut off."""

    complete: bool = False
    whole: bool = True
    found: bool = False


class JsonlReader:
    """Reads one file into an assembly."""

    def __init__(self, path: Path, assembly: Assembly, tick: Callable[[int], None]) -> None:
        self._path = path
        self._assembly = assembly
        self._tick = tick
        self._line = 0
        self._pending: list[Connection] = []
        self._epochs: dict[int, Epoch] = {}
        self._last = 0
        self._erased: set[str] = set()
        """Users of whom something was erased, and no tombstone says so yet."""
        self.events = 0
        self.end = Ended()

    def read(self) -> None:
        """Read it all, and finish the assembly.  Raises InputError with the number of the line."""
        try:
            for value in self._objects():
                self._take(value)
            self._settle()
        except Wrong as fault:
            raise InputError(f"line {self._line}: {fault}", where=self._path) from None
        except InputError as fault:
            raise InputError(f"line {self._line}: {fault.what}", where=self._path, found=fault.found) from None
        if self._erased:
            raise InputError("something of a user was erased, and no tombstone says so", where=self._path,
                             found=min(self._erased))  # fmt: skip
        if not self._epochs:
            raise InputError("has no `epoch`: it is no export of a tape", where=self._path)
        if not self._assembly.connections:
            raise InputError("has no connection in it", where=self._path)
        self._assembly.finish(complete=self.end.complete)

    def _objects(self) -> Iterator[Json]:
        try:
            with self._path.open("rb") as file:
                while line := file.readline(LINE + 1):
                    self._line += 1
                    if len(line) > LINE:
                        raise Wrong(f"is longer than {LINE >> 20} MiB")
                    line = line.removeprefix(b"\xef\xbb\xbf") if self._line == 1 else line
                    if line.strip():
                        yield self._parsed(line)
        except OSError as error:
            raise EnvironmentFault(error.strerror or "cannot be read", where=self._path) from error

    def _parsed(self, line: bytes) -> Json:
        try:
            value = json.loads(line)
        except RecursionError:
            raise Wrong("is nested too deeply") from None
        except ValueError:
            raise Wrong(
                "is no JSON" + ("" if line.endswith(b"\n") else ", and has no end: the file was cut off")
            ) from None
        if not isinstance(value, dict):
            raise Wrong("is no JSON object")
        return value

    def _take(self, value: Json) -> None:
        kind = str(value.get("kind"))
        if self.end.found:
            raise Wrong("comes after the line that says it is the last")
        if kind not in _KINDS:
            raise Wrong(f"its kind is none of {', '.join(_KINDS)}, found {show(kind, 40)}")
        if kind not in ("epoch", "connection"):
            self._settle()
        _KINDS[kind](self, value)

    def _epoch(self, value: Json) -> None:
        options = value.get("options", {})
        if not isinstance(options, dict):
            raise Wrong("its options are no object")
        epoch = Epoch(
            number=_int(value, "epoch", most=1 << 31), recorder=_str(value, "recorder"), wall=_int(value, "began"),
            t=_int(value, "t"), first_seq=_int(value, "first_seq", default=1), upstream=_str(value, "upstream"),
            listen=_str(value, "listen", default="import"), durability=_str(value, "durability"),
            insecure=value.get("insecure") is True, redaction_key=_str(value, "redaction_key", default=""),
            software=_str(value, "software", default="goldentape"), options=options,
        )  # fmt: skip
        if epoch.durability not in ("process", "power"):
            raise Wrong("its durability is neither process nor power")
        if epoch.number in self._epochs:
            raise Wrong(f"has epoch {epoch.number} twice")
        self._epochs[epoch.number] = epoch
        self._assembly.epoch(epoch)

    def _connection(self, value: Json) -> None:
        if self._last:
            raise Wrong("is a connection behind the first event")
        ending, credential = value.get("ending"), _str(value, "credential", default="none")
        by = _str_or_none(value, "closed_by")
        if ending not in [str(one) for one in Ending]:
            raise Wrong(f"its ending is none, found {show(str(ending), 40)}")
        if credential not in _CREDENTIALS or by not in _SIDES:
            raise Wrong("its credential or closed_by is none that there is")
        identities = value.get("identities", [])
        if not isinstance(identities, list) or not all(isinstance(one, dict) for one in identities):
            raise Wrong("its identities are no list of objects")
        body = value.get("body")
        if (epoch := _int(value, "epoch", default=0)) not in self._epochs:
            raise Wrong(f"is of epoch {epoch}, which is not there")
        connection = Connection(
            id=_str(value, "id"), user=_str(value, "user"), epoch=epoch, client=_str(value, "client", default=""),
            target=_str(value, "path"), key=_str_or_none(value, "key"), request=_pairs(value, "request"),
            status=_int_or_none(value, "status"), reason=_str_or_none(value, "reason"),
            response=_pairs(value, "response"),
            body=_bytes(body) if isinstance(body, str) else _base64(value, "body_b64"),
            subprotocol=_str_or_none(value, "subprotocol"), extensions=_str_or_none(value, "extensions"),
            credential=credential, credential_expires=_int_or_none(value, "credential_expires"),
            opened=_int(value, "opened"), accepted=_int_or_none(value, "accepted"),
            closed=_int_or_none(value, "closed"), close_code=_int_or_none(value, "close_code"),
            close_reason=_str_or_none(value, "close_reason"), closed_by=by, ending=Ending(ending),
            identities=tuple(map(_identity, identities)),
        )  # fmt: skip
        self._pending.append(connection)

    def _settle(self) -> None:
        """All connections are known: so are the users, in the order in which they were named."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        named = sorted((i for c in pending for i in c.identities), key=lambda i: i.seq)
        for identity in named:
            self._assembly.user(identity.user, identity.rule)
        for connection in pending:
            if not self._assembly.knows(connection.user):
                rule = "connection" if connection.user == f"connection:{connection.id}" else "unknown"
                self._assembly.user(connection.user, rule)
            self._assembly.connection(connection)

    def _event(self, value: Json) -> None:
        self._tick(1)
        self.events += 1
        seq = self._place(value)
        user, connection = _str(value, "user"), _str(value, "connection")
        if not self._assembly.knows(user):
            raise Wrong(f"is of user {show(user, 40)}, whom no connection names")
        if not self._assembly.has(connection):
            raise Wrong(f"is of connection {show(connection, 40)}, which is not there")
        direction, opcode = value.get("dir"), _int(value, "opcode")
        if not isinstance(direction, str) or direction not in _DIRECTIONS:
            raise Wrong("its dir is neither c2s nor s2c")
        if opcode not in _OPCODES:
            raise Wrong("its opcode is none of 1, 2, 8, 9, 10")
        flags = _flags(value)
        if flags & Flag.ERASED:
            self._erased.add(user)
        payload, flags = self._payload(value, flags)
        size = _int(value, "size", default=len(payload))
        told = _digest(value)
        if not flags & (Flag.REDACTED | Flag.TRUNCATED | Flag.ERASED):
            if size != len(payload):
                raise Wrong(f"its size is {size}, and its payload has {len(payload)} bytes")
            if told is not None and hashlib.sha256(payload).digest() != told:
                raise Wrong("its payload is not that of its sha256: it was changed")
        self._assembly.event(
            Event(
                seq=seq, user=user, connection=connection, n=_int(value, "n", most=(1 << 32) - 1), t=_int(value, "t"),
                direction=_DIRECTIONS[direction], opcode=Opcode(opcode), payload=payload, size=size,
                wire=_int(value, "wire", default=size), frames=_int(value, "frames", default=1, most=(1 << 32) - 1),
                flags=flags, sha256=told if flags & Flag.TRUNCATED else None,
            )
        )  # fmt: skip

    def _payload(self, value: Json, flags: Flag) -> tuple[bytes, Flag]:
        if flags & Flag.ERASED:
            return b"", flags
        if "payload" in value:
            return _bytes(_str(value, "payload")), flags
        found = _base64(value, "payload_b64")
        if found is not None:
            return found, flags
        # `--payloads none`: nothing of the message is there, and what it owes cannot be judged.
        return b"", flags | _NO_MESSAGE

    def _place(self, value: Json) -> int:
        seq = _int(value, "seq", most=_SEQS - 1)
        if seq <= self._last:
            raise Wrong(f"its seq {seq} is not higher than {self._last}, which came before")
        self._last = seq
        return seq

    def _mark(self, value: Json) -> None:
        connection, data = _str_or_none(value, "connection"), value.get("data", {})
        if connection is not None and not self._assembly.has(connection):
            raise Wrong(f"is of connection {show(connection, 40)}, which is not there")
        if not isinstance(data, dict):
            raise Wrong("its data are no object")
        if value.get("mark") == "tombstone":
            self._erased.discard(str(data.get("user")))
        self._assembly.mark(
            Mark(seq=self._place(value), t=_int(value, "t"), kind=_str(value, "mark"), connection=connection, data=data)
        )

    def _http(self, value: Json) -> None:
        self._assembly.http(
            [Http(t=_int(value, "t"), method=_str(value, "method"), target=_str(value, "target"),
                  status=_int_or_none(value, "status"))]
        )  # fmt: skip

    def _tape(self, value: Json) -> None:
        self.end = Ended(value.get("complete") is True, value.get("whole") is not False, found=True)


_KINDS: Mapping[str, Callable[[JsonlReader, Json], None]] = {
    "epoch": JsonlReader._epoch,
    "connection": JsonlReader._connection,
    "event": JsonlReader._event,
    "mark": JsonlReader._mark,
    "http": JsonlReader._http,
    "tape": JsonlReader._tape,
}


# -- fields


def _int(value: Json, name: str, *, default: int | None = None, most: int = MOST) -> int:
    found = value.get(name, default)
    if isinstance(found, bool) or not isinstance(found, int):
        raise Wrong(f"its {name} is no whole number, found {show(json.dumps(found), 40)}")
    if not 0 <= found <= most:
        raise Wrong(f"its {name} is out of range, found {show(str(found), 40)}")
    return found


def _int_or_none(value: Json, name: str) -> int | None:
    return None if value.get(name) is None else _int(value, name)


def _str(value: Json, name: str, *, default: str | None = None) -> str:
    found = value.get(name, default)
    if not isinstance(found, str):
        raise Wrong(f"its {name} is no text, found {show(json.dumps(found), 40)}")
    _bytes(found)
    return found


def _str_or_none(value: Json, name: str) -> str | None:
    return None if value.get(name) is None else _str(value, name)


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Wrong("has half a character, which no text can hold") from None


def _base64(value: Json, name: str) -> bytes | None:
    found = value.get(name)
    if found is None:
        return None
    try:
        return base64.b64decode(found, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Wrong(f"its {name} is no base64") from None


def _digest(value: Json) -> bytes | None:
    found = _str_or_none(value, "sha256")
    try:
        digest = None if found is None else bytes.fromhex(found)
    except ValueError:
        digest = b""
    if digest is not None and len(digest) != 32:
        raise Wrong("its sha256 is none")
    return digest


def _flags(value: Json) -> Flag:
    words = value.get("flags", [])
    if not isinstance(words, list) or not all(isinstance(w, str) and w.upper() in Flag.__members__ for w in words):
        raise Wrong("its flags are not words for what there is")
    return reduce(or_, (Flag[word.upper()] for word in words), Flag(0))


def _pairs(value: Json, name: str) -> tuple[tuple[str, str], ...]:
    found = value.get(name, [])
    if not isinstance(found, list):
        raise Wrong(f"its {name} is no list of pairs")
    for pair in found:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(one, str) for one in pair):
            raise Wrong(f"its {name} is no list of pairs")
        _bytes("".join(pair))
    return tuple((name, text) for name, text in found)


def _identity(value: Json) -> Identity:
    credential = _str(value, "credential", default="none")
    if credential not in _CREDENTIALS:
        raise Wrong("has an identity whose credential is none that there is")
    return Identity(
        seq=_int(value, "seq", most=_SEQS - 1), user=_str(value, "user"), rule=_str(value, "rule"),
        credential=credential, expires=_int_or_none(value, "expires"),
    )  # fmt: skip
