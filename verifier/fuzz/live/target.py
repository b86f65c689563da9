"""Where a live run goes, and whether it may: this machine, or one that its owner has named once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from goldentape.errors import InputError
from goldentape.hosts import demand_mine
from verifier.fuzz.passport import Passport


@dataclass(frozen=True, slots=True)
class Target:
    """A server under test."""

    url: str
    host: str
    port: int
    path: str
    """Of its URL; empty where it names none."""
    upstream: str
    """What the recorder connects to: the URL without its path."""
    identify: tuple[str, ...] = ()
    """Options that tell the recorder who the users are."""
    addresses: tuple[str, ...] = ()
    """Of this machine, to be dialled; empty: a host elsewhere, whose name is looked up."""

    @property
    def tls(self) -> bool:
        """Whether it is `wss://`."""
        return self.upstream.startswith("wss:")

    @property
    def options(self) -> tuple[str, ...]:
        """What the recorder is told of it."""
        return (*self.identify, *(word for one in self.addresses for word in ("--connect-to", one)))


def target(url: str, owned: Sequence[str] = (), passports: Sequence[Passport] = ()) -> Target:
    """Return where a URL leads.

    A host that is not this machine must be named once more, by `--i-own-this-host`.  Raises InputError.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"not the URL of a server ({error})", found=told(url), wanted="ws://HOST:PORT/PATH") from None
    if parts.scheme not in ("ws", "wss") or not host:
        meant = {"http": "ws", "https": "wss"}.get(parts.scheme)
        raise InputError(
            "not the URL of a WebSocket server", found=told(url), wanted="ws://HOST:PORT/PATH or wss://HOST:PORT/PATH",
            fix=f"say {meant}{told(url)[len(parts.scheme):]}" if meant else None,
        )  # fmt: skip
    if parts.username is not None or parts.password is not None:
        raise InputError("credentials in the URL are not accepted", fix="say with --as who the users are")
    if parts.fragment:
        raise InputError("a WebSocket URL has no fragment", found=f"{told(url)}#...")
    if port == 0:
        raise InputError("not the port of a server", found=port, wanted="1 to 65535")
    if parts.query:
        # It may be a token: it is not repeated.
        raise InputError("a query in the URL is not read", fix="put it into the path of a --script, or say with --as "
                         "who the users are")  # fmt: skip
    addresses = demand_mine(host, owned)
    port = port or (443 if parts.scheme == "wss" else 80)
    address = f"[{host}]" if ":" in host else host
    return Target(url, host, port, parts.path, f"{parts.scheme}://{address}:{port}", identify(passports), addresses)


def told(url: str) -> str:
    """Return a URL without what may be a secret in it: who asks, and the query."""
    scheme, slashes, rest = url.partition("://")
    authority, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}{slashes}{authority.rpartition('@')[2]}{slash}{path}"


def identify(passports: Sequence[Passport]) -> tuple[str, ...]:
    """Return the recorder's options by which it tells users as these passports name them."""
    rules = []
    for passport in passports:
        if passport.kind == "jwt" and passport.place in ("header", "query", "cookie", "message"):
            rules.append(f"jwt:{passport.place}:{passport.name}:sub")
        elif passport.kind == "plain" and passport.place in ("header", "query", "cookie", "message"):
            rules.append(f"{passport.place}:{passport.name}")
    return tuple(word for rule in rules for word in ("--identify", rule))
