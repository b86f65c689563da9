"""Where the body of one HTTP message ends in a stream of raw bytes.  Pure; the bytes themselves stay untouched."""

from __future__ import annotations

import h11

from recorder.handshake import Refused, why

_MOST = 1 << 20
"""Bytes of a chunk's header or of trailers that may be incomplete."""


class BodyTracker:
    """Counts the bytes that belong to one message.  h11 reads lengths and chunks."""

    def __init__(self, parser: h11.Connection) -> None:
        self._parser = parser
        self.done = False

    @classmethod
    def of_request(cls, head: bytes) -> BodyTracker:
        """Track the body behind a request head."""
        tracker = cls(h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST))
        tracker.feed(head)
        return tracker

    @classmethod
    def of_response(cls, method: str, head: bytes) -> BodyTracker:
        """Track the body behind the final response to a request of `method`."""
        parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        parser.send(h11.EndOfMessage())
        tracker = cls(parser)
        tracker.feed(head)
        return tracker

    def feed(self, chunk: bytes) -> int:
        """Take bytes; return how many of them belong to the message.

        Raises Refused where the framing is broken.
        """
        if self.done or not chunk:
            return 0
        try:
            self._parser.receive_data(chunk)
            while True:
                event = self._parser.next_event()
                if event is h11.NEED_DATA:
                    return len(chunk)
                if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or event is h11.PAUSED:
                    self.done = True
                    return len(chunk) - len(self._parser.trailing_data[0])
        except h11.RemoteProtocolError as error:
            raise Refused(error.error_status_hint, why(error)) from error
