"""The door of a server under test: whether somebody listens there, and speaks as its URL says.  Sockets live here."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

from goldentape.errors import EnvironmentFault

PATIENCE = 2.0
"""Seconds that a server has to take a connection."""
GREETING = 10.0
"""Seconds that it has for a TLS handshake."""


@dataclass(frozen=True, slots=True)
class Door:
    """Where a server listens."""

    host: str
    port: int
    addresses: tuple[str, ...] = ()
    """What is dialled, one after the other; empty: what the host's name leads to."""
    tls: ssl.SSLContext | None = None
    """Of a `wss://` server: whom to believe."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    async def answers(self) -> bool:
        """Return whether somebody takes connections there."""
        for address in self.addresses or (self.host,):
            with contextlib.suppress(OSError, TimeoutError):
                _, writer = await asyncio.wait_for(asyncio.open_connection(address, self.port), PATIENCE)
                await _closed(writer)
                return True
        return False

    async def dial(
        self, *, limit: int = 65_536, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection, by TLS where that is spoken; raises OSError.  `tls`: other trust than the door's."""
        context = tls or self.tls
        name = self.host if context is not None else None
        *others, last = self.addresses or (self.host,)
        for address in others:
            with contextlib.suppress(ConnectionError):
                return await asyncio.open_connection(address, self.port, limit=limit, ssl=context, server_hostname=name)
        return await asyncio.open_connection(last, self.port, limit=limit, ssl=context, server_hostname=name)

    async def demand_greeting(self) -> None:
        """Raise EnvironmentFault where it does not speak TLS as `wss://` wants it; of `ws://` nothing is asked."""
        if self.tls is None:
            return
        try:
            await self._greet(self.tls)
        except ssl.SSLCertVerificationError as error:
            raise EnvironmentFault(
                f"the server's certificate is not good: {error.verify_message}", where=str(self),
                fix="say --ca FILE with its authority, or --insecure",
            ) from None  # fmt: skip
        except (OSError, TimeoutError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or "no answer"
            raise EnvironmentFault(
                f"the server does not speak TLS there ({reason})", where=str(self), fix="say ws:// if it does not"
            ) from None

    async def speaks_tls(self) -> bool:
        """Return whether it takes a TLS handshake, whoever it is."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            await self._greet(context)
        except (OSError, TimeoutError):
            return False
        return True

    async def _greet(self, context: ssl.SSLContext) -> None:
        _, writer = await asyncio.wait_for(self.dial(tls=context), GREETING)
        await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        await asyncio.wait_for(writer.wait_closed(), 1.0)
