"""`--reset-url`: a request that makes the server's state fresh.  Nothing is followed, nobody else is dialled."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from goldentape.errors import EnvironmentFault
from verifier.fuzz.live.reach import Door

PATIENCE = 10.0
"""Seconds that the server has to answer."""
_HEAD = 16_384


@dataclass(frozen=True, slots=True)
class Reset:
    """An address to POST to."""

    door: Door
    target: str
    """Path and query, as the request has them."""

    @property
    def url(self) -> str:
        """The address as it may be told: a query may be a secret."""
        return f"http{'s' if self.door.tls else ''}://{self.door}{self.target.partition('?')[0]}"

    async def ask(self) -> None:
        """Make the server's state fresh; raises EnvironmentFault where it does not say that it is."""
        try:
            async with asyncio.timeout(PATIENCE):
                status = await self._status()
        except TimeoutError:
            raise EnvironmentFault(f"--reset-url does not answer in {PATIENCE:g} s", where=self.url) from None
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            why = getattr(error, "strerror", None) or "no answer"
            raise EnvironmentFault("--reset-url does not answer as it should", where=self.url, found=why) from None
        except ValueError:
            raise EnvironmentFault("--reset-url does not answer with HTTP", where=self.url) from None
        if not 200 <= status < 300:
            raise EnvironmentFault(
                "--reset-url does not reset the server", where=self.url, found=f"status {status}", wanted="200 to 299",
                fix="it is POSTed to, without a body; redirects are not followed",
            )  # fmt: skip

    async def _status(self) -> int:
        reader, writer = await self.door.dial(limit=_HEAD)
        try:
            writer.write(
                f"POST {self.target} HTTP/1.1\r\nHost: {self.door}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                .encode("ascii")
            )  # fmt: skip
            while True:
                words = (await reader.readuntil(b"\r\n\r\n")).split(None, 2)
                if not words[0].startswith(b"HTTP/1."):
                    raise ValueError("not HTTP")
                status = int(words[1])
                if status >= 200:
                    return status
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
