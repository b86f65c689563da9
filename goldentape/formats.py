"""The wire formats that a contract can name: `wire.format` to what decodes a payload."""

from __future__ import annotations

from collections.abc import Mapping

from goldentape.cloudevents import decode_cloudevents
from goldentape.codec import Decoder, decode_json, decode_msgpack, decode_text
from goldentape.socket_io import decode_attachment, decode_socket_io

DECODERS: Mapping[str, Decoder] = {
    "json": decode_json,
    "msgpack": decode_msgpack,
    "text": decode_text,
    "socket.io": decode_socket_io,
    "cloudevents": decode_cloudevents,
}
"""Format to decoder: a payload in, a JSON value out, or the reason why there is none."""

BINARY_DECODERS: Mapping[str, Decoder] = {**DECODERS, "socket.io": decode_attachment}
"""The same, for binary messages: where the opcode is part of what a message says, it is another decoder."""
