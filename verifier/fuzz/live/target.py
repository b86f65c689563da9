"""Where a live run goes, and whether it may: this machine, or one that its owner has named twice.  Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from goldentape.display import show
from goldentape.errors import InputError
from verifier.fuzz.passport import Passport

LOCAL = ("localhost", "ip6-localhost")


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


def target(url: str, owned: Sequence[str] = (), passports: Sequence[Passport] = ()) -> Target:
    """Return where a URL leads.

    A host that is not this machine must be named twice more, by `--i-own-this-host`.  Raises InputError.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"not the URL of a server ({error})", found=url, wanted="ws://HOST:PORT/PATH") from None
    if parts.scheme not in ("ws", "wss") or not host:
        raise InputError("not the URL of a server", found=url, wanted="ws://HOST:PORT/PATH or wss://HOST:PORT/PATH")
    if parts.username is not None or parts.password is not None:
        raise InputError("credentials in the URL are not accepted", fix="say with --as who the users are")
    if parts.fragment:
        raise InputError("a WebSocket URL has no fragment", found=url)
    if port == 0:
        raise InputError("not the port of a server", found=url, wanted="1 to 65535")
    if parts.query:
        raise InputError("a query in the URL is not read", found=parts.query, fix="put it into the script")
    if not is_local(host):
        named = [name for name in owned if name.lower() == host.lower()]
        if len(named) < 2:
            raise InputError(
                "is not this machine, and what is done here may break a server", where=show(host, 200),
                found=f"{len(named)} of 2 confirmations" if owned else None,
                fix=f"if it is yours to break, say --i-own-this-host {show(host, 200)} twice",
            )  # fmt: skip
    port = port or (443 if parts.scheme == "wss" else 80)
    address = f"[{host}]" if ":" in host else host
    return Target(url, host, port, parts.path, f"{parts.scheme}://{address}:{port}", identify(passports))


def is_local(host: str) -> bool:
    """Return whether a host is this machine, by its name alone: nothing is looked up."""
    if host.lower() in LOCAL or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def identify(passports: Sequence[Passport]) -> tuple[str, ...]:
    """Return the recorder's options by which it tells users as these passports name them."""
    rules = []
    for passport in passports:
        if passport.kind == "jwt" and passport.place in ("header", "query", "cookie"):
            rules.append(f"jwt:{passport.place}:{passport.name}:sub")
        elif passport.kind == "plain" and passport.place in ("header", "query", "cookie"):
            rules.append(f"{passport.place}:{passport.name}")
    return tuple(word for rule in rules for word in ("--identify", rule))
