"""A stand-in until recorder/redact.py is there: redacts nothing."""

from typing import Any


class Redactor:
    """Redact nothing."""

    fingerprint = "none"

    def __init__(self, *_: Any) -> None: ...

    def request(self, target: str, headers: Any, *_: Any) -> tuple[str, Any]:
        """Return the request."""
        return target, headers

    def response(self, headers: Any) -> Any:
        """Return the headers."""
        return headers

    def body(self, body: bytes) -> bytes:
        """Return the body."""
        return body

    def payloads(self, batch: Any) -> list[None]:
        """Return None for each."""
        return [None] * len(batch)

    def client(self, address: str) -> str:
        """Return the address."""
        return address

    def text(self, text: str) -> str:
        """Return the text."""
        return text

    def state(self) -> Any:
        """Return nothing."""
        return None

    def restore(self, state: Any) -> None:
        """Restore nothing."""
