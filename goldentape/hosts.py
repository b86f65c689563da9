"""Whose machine a host leads to: this one, or another that its owner has named.  Looks names up, and nothing else.

What is driven here (a replay, a search) is real traffic, so it goes to this machine only, or to a host that is said
twice: in the URL, and once more as an option.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Collection

from goldentape.errors import InputError

LOOKING = 3.0
"""Seconds that looking a name up may take: a name of this machine is in its hosts file."""


def demand_mine(host: str, owned: Collection[str], option: str = "--i-own-this-host") -> tuple[str, ...]:
    """Return the addresses of this machine that `host` stands for; none where it is elsewhere and `owned` names it.

    Those that were looked at are those to be dialled: a name may lead elsewhere when it is looked up again.
    Raises InputError for a host that is not this machine and was not named, with what to type.
    """
    if bare(host) in {bare(name) for name in owned}:
        return ()
    found = addresses(host)
    others = [one for one in found if not is_loopback(one)]
    if found and not others:
        return found
    if found and all(ipaddress.ip_address(one).is_unspecified for one in others):
        here = "[::1]" if ":" in others[0] else "127.0.0.1"
        raise InputError(
            "is where a server listens, and no address to connect to", where=host, fix=f"say {here} instead"
        )
    told = f"{others[0]}, which it leads to" if others and others[0] != bare(host) else None
    raise InputError(
        "is not this machine, and what is done here is real traffic that may break a server", where=host, found=told,
        fix=f"if it is yours to be driven, say so once more: {option} {bare(host)}",
    )  # fmt: skip


def addresses(host: str) -> tuple[str, ...]:
    """Return the addresses that a host leads to, as this machine looks them up; none where it does not know any."""
    try:
        return (str(ipaddress.ip_address(bare(host))),)
    except ValueError:
        pass
    found: list[str] = []

    def look() -> None:
        try:
            infos = socket.getaddrinfo(bare(host), None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(info[4][0]) for info in infos))

    # The system's resolver has no time limit of its own that is worth waiting for.
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(LOOKING)
    return tuple(found)


def is_loopback(address: str) -> bool:
    """Return whether an address cannot leave this machine; one of IPv4 written as IPv6 is what it stands for."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address) and one.ipv4_mapped is not None:
        return one.ipv4_mapped.is_loopback
    return one.is_loopback


def bare(host: str) -> str:
    """Return a host as it compares: without brackets, in lower case, without the dot of the root."""
    return host.strip("[]").rstrip(".").lower()


__all__ = ["addresses", "bare", "demand_mine", "is_loopback"]
