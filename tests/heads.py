"""Request heads that must go no further, for the gate itself and for the recorder behind a socket."""

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = (
    "GET /chat?user_id=ann HTTP/1.1",
    "Host: recorder:8765",
    "Upgrade: websocket",
    "Connection: Upgrade",
    f"Sec-WebSocket-Key: {KEY}",
    "Sec-WebSocket-Version: 13",
)


def head(*lines: str, end: str = "\r\n") -> bytes:
    return (end.join(lines) + end * 2).encode("latin-1")


def changed(old: str, new: str | None) -> bytes:
    """The good handshake with the line that begins with `old` replaced, or left out."""
    return head(
        *(new if line.startswith(old) else line for line in GOOD if new is not None or not line.startswith(old))
    )


def added(*lines: str) -> bytes:
    return head(*GOOD, *lines)


def plain(*lines: str, first: str = "POST /form HTTP/1.1") -> bytes:
    return head(first, "Host: recorder", *lines)


HANDSHAKE = head(*GOOD)
REFUSED = {
    # R1: nobody's proxy
    "absolute target": (400, changed("GET", "GET http://evil.example/ HTTP/1.1")),
    "absolute target of the upstream": (400, changed("GET", "GET ws://127.0.0.1/ HTTP/1.1")),
    "authority target": (405, head("CONNECT evil.example:443 HTTP/1.1", "Host: evil.example")),
    "asterisk target": (400, head("OPTIONS * HTTP/1.1", "Host: x")),
    "target without a slash": (400, changed("GET", "GET chat HTTP/1.1")),
    "no host": (400, changed("Host", None)),
    "two hosts": (400, added("Host: evil.example")),
    "two hosts of the same name": (400, added("Host: recorder:8765")),
    # R3: one meaning only
    "line feeds only": (400, head(*GOOD, end="\n")),
    "one bare line feed": (400, HANDSHAKE.replace(b"\r\nUpgrade", b"\nUpgrade")),
    "one bare carriage return": (400, added("X-A: b\rTransfer-Encoding: chunked")),
    "a folded header": (400, added("X-A: b", " folded")),
    "a folded header by tab": (400, added("X-A: b", "\tfolded")),
    "a NUL in a value": (400, added("X-A: b\0c")),
    "a space before the colon": (400, added("Transfer-Encoding : chunked")),
    "a space in a name": (400, added("X A: b")),
    "a header without a colon": (400, added("X-A")),
    "an empty name": (400, added(": b")),
    "two keys": (400, added(f"Sec-WebSocket-Key: {KEY}")),
    "two versions": (400, added("Sec-WebSocket-Version: 13")),
    "no version": (400, changed("Sec-WebSocket-Version", None)),
    "two upgrades": (400, added("Upgrade: websocket")),
    "an upgrade to two protocols": (400, changed("Upgrade", "Upgrade: h2c, websocket")),
    "no upgrade": (400, changed("Upgrade", None)),
    "an upgrade to something else": (400, changed("Upgrade", "Upgrade: h2c")),
    "an upgrade that Connection does not name": (400, changed("Connection", "Connection: keep-alive")),
    "no connection header": (400, changed("Connection", None)),
    "no key": (400, changed("Sec-WebSocket-Key", None)),
    "a key that is not base64": (400, changed("Sec-WebSocket-Key", "Sec-WebSocket-Key: ****")),
    "a key of 15 bytes": (400, changed("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA")),
    "a handshake by POST": (400, changed("GET", "POST /chat HTTP/1.1")),
    "a handshake with a body": (400, added("Content-Length: 5")),
    "a handshake in chunks": (400, added("Transfer-Encoding: chunked")),
    "bytes behind the handshake": (400, HANDSHAKE + b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"),
    "length and chunks": (400, plain("Content-Length: 5", "Transfer-Encoding: chunked")),
    "two lengths": (400, plain("Content-Length: 5", "Content-Length: 6")),
    "two equal lengths": (400, plain("Content-Length: 5", "Content-Length: 5")),
    "a list of lengths": (400, plain("Content-Length: 5, 5")),
    "a signed length": (400, plain("Content-Length: +5")),
    "a length in hex": (400, plain("Content-Length: 0x5")),
    "chunks and something else": (501, plain("Transfer-Encoding: chunked, gzip")),
    "another coding": (501, plain("Transfer-Encoding: gzip")),
    "chunks twice": (501, plain("Transfer-Encoding: chunked", "Transfer-Encoding: chunked")),
    "an old version": (505, changed("GET", "GET /chat HTTP/1.0")),
    "a newer version": (400, head("PRI * HTTP/2.0", "Host: x")),
    "no version at all": (400, head("GET /chat", "Host: x")),
    "not HTTP": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "an empty line first": (400, b"\r\n\r\n" + HANDSHAKE),
}
"""What is wrong, with the status of the answer and the bytes."""
