"""A response that is no tunnel, and the request it answers: one exchange a connection, bodies as they come.

Plain HTTP passes so that a whole application works when it is pointed at the recorder; of a refused WebSocket
handshake the answer passes unchanged, and is logged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recorder.body import BodyTracker
from recorder.handshake import Refused, closing

if TYPE_CHECKING:
    from recorder.proxy import Link


class Exchange:
    """One request's body on its way up, one response on its way down."""

    def __init__(self, link: Link, method: str, request: BodyTracker | None) -> None:
        self._link = link
        self._method = method
        self._request = request
        """None for a WebSocket handshake, which has no body."""
        self._response: BodyTracker | None = None

    @property
    def answered(self) -> bool:
        """Whether the final response head has gone to the client."""
        return self._response is not None

    def from_client(self, data: bytes) -> None:
        """Pass on what belongs to the request's body.  What is behind it would be a second request: it goes nowhere."""
        server = self._link.server.transport
        mine = self._request.feed(data) if self._request is not None else 0
        if mine and server is not None:
            server.write(data[:mine])

    def client_eof(self) -> None:
        """Let the server know that the client sends no more: it may have left while it waited for an answer."""
        server = self._link.server.transport
        if server is not None and server.can_write_eof() and not server.is_closing():
            server.write_eof()

    def head(self, status: int, head: bytes) -> None:
        """The final response head is here.  Raises Refused when it cannot be read."""
        link = self._link
        try:
            tracker = BodyTracker.of_response(self._method, head)
        except Refused as refused:
            raise Refused(502, f"the upstream's answer is not HTTP: {refused.why}") from refused
        link.status = status
        self._response = tracker
        if self._request is None:
            link.log_response(head)
            link.send(head)
        else:
            link.send(closing(head))

    def from_server(self, data: bytes) -> None:
        """Pass on what belongs to the response's body, and end with it.  Raises Refused where its framing breaks."""
        assert self._response is not None
        link = self._link
        mine = self._response.feed(data)
        if mine:
            body = data[:mine]
            link.log_body(body)
            link.send(body)
        if self._response.done:
            self.server_eof()

    def server_eof(self) -> None:
        """The response is over, by its length or by the server's end."""
        link = self._link
        link.end("server", "eof" if self._request is not None else "refused")
        link.finish()
