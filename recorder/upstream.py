"""The one address that the recorder connects to: fixed at the start, no redirects, no environment proxies."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from goldentape.errors import InputError

_PATH = re.compile(r"[!-~]*")


class UpstreamFailed(Exception):
    """No connection; `status` (502 or 504) and the reason go to the client."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where to connect, and how."""

    host: str
    port: int
    prefix: str
    tls: ssl.SSLContext | None
    timeout: float = 10.0
    addresses: tuple[str, ...] = ()
    """What is dialled, one after the other; empty: what the host's name leads to."""

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    async def connect(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """Open a connection; raise UpstreamFailed."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.timeout):
                await self._dial(loop, protocol)
        except TimeoutError as error:
            raise UpstreamFailed(504, f"{self.authority} did not answer in {self.timeout:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise UpstreamFailed(
                502, f"the certificate of {self.authority} is not good: {error.verify_message}"
            ) from error
        except socket.gaierror as error:
            raise UpstreamFailed(502, f"the name {self.host} cannot be resolved") from error
        except OSError as error:
            raise UpstreamFailed(502, f"cannot connect to {self.authority}: {error.strerror or error}") from error

    async def _dial(self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], asyncio.Protocol]) -> None:
        *others, last = self.addresses or (self.host,)
        name = self.host if self.tls else None
        for address in others:
            with suppress(ConnectionError):
                await loop.create_connection(protocol, address, self.port, ssl=self.tls, server_hostname=name)
                return
        await loop.create_connection(protocol, last, self.port, ssl=self.tls, server_hostname=name)


def parse_upstream(url: str) -> tuple[str, int, str, bool]:
    """Return (host, port, path prefix, tls) of an upstream URL; raise InputError."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss"):
        raise InputError("upstream must be ws:// or wss://", found=url)
    if parts.username is not None or parts.password is not None:
        raise InputError("credentials in the URL are not accepted", fix="let the clients send their own")
    if parts.fragment or url.endswith("#"):
        raise InputError("an upstream has no #fragment", found=url)
    if parts.query or "?" in url:
        raise InputError("an upstream has no ?query", found=url, fix="the clients send their own")
    try:
        port = parts.port
    except ValueError:
        raise InputError("the upstream's port is not a number from 1 to 65535", found=url) from None
    if not parts.hostname:
        raise InputError("the upstream has no host", found=url, wanted="ws://HOST:PORT")
    try:
        if ":" not in parts.hostname:
            parts.hostname.encode("idna")
    except UnicodeError:
        raise InputError("the upstream's host cannot be a name", found=url) from None
    if not _PATH.fullmatch(parts.path):
        raise InputError("the upstream's path has characters that a request cannot have", found=url,
                         fix="percent-encode them")  # fmt: skip
    if port == 0 or parts.netloc.endswith(":"):
        raise InputError("the upstream's port is not a number from 1 to 65535", found=url)
    tls = parts.scheme == "wss"
    return parts.hostname, port or (443 if tls else 80), parts.path.rstrip("/"), tls


def server_context(cert: str, key: str | None) -> ssl.SSLContext:
    """Return the context of the listening side; raise InputError when certificate and key do not fit."""
    for name, file in (("--tls-cert", cert), ("--tls-key", key)):
        if file is not None and not Path(file).is_file():
            raise InputError(f"{name} names no file", where=file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        why = (
            "the key does not belong to the certificate"
            if "MISMATCH" in str(error)
            else "not a PEM certificate and key"
        )
        raise InputError(why, where=f"--tls-cert {cert} --tls-key {key}") from None
    return context
