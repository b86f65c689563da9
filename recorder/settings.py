"""What `goldentape record` was asked to do: one frozen value, handed to the proxy and, as JSON, to the fold."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a recorder needs to know.  No field holds a secret: keys are named by their file."""

    tape: str
    upstream: str
    """ws:// or wss:// URL; its path, if any, is put before the client's."""
    listen_host: str = "127.0.0.1"
    listen_port: int = 0
    identify: tuple[str, ...] = ()
    """Rules in their own spelling; empty means the default rules."""
    tag: tuple[str, ...] = ()
    """`name=value`: what contracts know the recording by."""
    claim: tuple[str, ...] = ()
    """Claims of a user's JWT that are kept, for contracts."""
    jwt_key_file: str | None = None
    """Key that JWT signatures are checked with; without one, `valid` means well-formed and not expired."""
    redact: tuple[str, ...] = ()
    """Further payload paths to redact."""
    redact_pattern: tuple[str, ...] = ()
    """Further regular expressions; every match in a payload or header is redacted."""
    known_subprotocols: tuple[str, ...] = ()
    redaction_key_file: str | None = None
    """Shared key of a fleet; without one a key of this tape's own is made beside it, `TAPE.key`, mode 0600."""
    durability: str = "process"
    max_stored: int = 16 << 20
    """Bytes of a payload that are kept."""
    max_connections: int | None = None
    """None: 10,000, or as many as the limit of open files allows."""
    max_head: int = 64 << 10
    handshake_timeout: float = 10.0
    drain: float = 10.0
    on_storage_error: str = "stop"
    """`stop` or `pass`."""
    keep_host: bool = False
    http: bool = True
    connect_to: tuple[str, ...] = ()
    """Addresses that are dialled in place of what the upstream's name leads to, in this order."""
    ca: str | None = None
    insecure: bool = False
    tls_cert: str | None = None
    tls_key: str | None = None
    control_port: int | None = None
    append: bool = False
    fault: tuple[str, ...] = ()
    """Faults in their own spelling (`recorder/faults/spec.py`)."""
    spool_dir: str | None = None
    """Where the spool goes; beside the tape when None."""

    @property
    def tags(self) -> dict[str, str]:
        """The tags by name."""
        return dict(word.split("=", 1) for word in self.tag)

    @property
    def spool(self) -> Path:
        """The spool's directory."""
        return Path(self.spool_dir) if self.spool_dir else Path(self.tape + ".spool")

    @property
    def key_file(self) -> Path:
        """The redaction key's file."""
        return Path(self.redaction_key_file) if self.redaction_key_file else Path(self.tape + ".key")

    def to_json(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        known = {f.name for f in fields(cls)}
        found: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items() if k in known}
        return cls(**found)
