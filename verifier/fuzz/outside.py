"""What an event loop offers to reach the world outside: in ours each ends the run with one line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from verifier.fuzz.blocked import rest_of
from verifier.fuzz.escape import escaped
from verifier.fuzz.whose import SESSION

OUTSIDE = tuple(
    """
    create_connection create_server create_datagram_endpoint create_unix_connection create_unix_server start_tls
    sendfile connect_read_pipe connect_write_pipe connect_accepted_socket subprocess_exec subprocess_shell
    add_reader add_writer remove_reader remove_writer getaddrinfo getnameinfo sock_sendfile sock_connect sock_accept
    sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall sock_sendto
    """.split()  # noqa: SIM905 - a table of words
)
"""The methods of a loop that reach the world outside."""


def refuse(loop: type) -> None:
    """Give a loop methods that reach outside, none of which does."""
    for name in OUTSIDE:
        setattr(loop, name, _outside(name))


def _outside(name: str) -> Callable[..., NoReturn]:
    def method(self: Any, *args: Any, **options: Any) -> NoReturn:
        mine = (task for task, owner in zip(self.tasks, self.owners, strict=True) if owner == SESSION.get())
        raise escaped(f"loop.{name}", waiting=lambda: rest_of(mine)[1])

    return method
