"""The handshake gate as a pure function: what passes, what it looks like upstream, when a tunnel opens."""

import pytest
from heads import GOOD, HANDSHAKE, REFUSED, added, changed, head, plain
from hypothesis import given
from hypothesis import strategies as st

from recorder.handshake import Refused, accept_of, admit, closing, end_of_head, forwarded, opens_tunnel
from recorder.http_head import read_request


def onward(raw: bytes, host: str | None = "server:9000", prefix: str = "") -> list[str]:
    return forwarded(admit(raw), raw, host=host, prefix=prefix).decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")


@pytest.mark.parametrize("name", REFUSED)
def test_a_head_with_two_readings_is_refused(name):
    status, raw = REFUSED[name]

    with pytest.raises(Refused) as refused:
        end = end_of_head(raw)
        assert end, "it would be waited for"
        admit(raw[:end], raw[end:])

    assert refused.value.status == status


SECRET = "s3cr3t-c4n4ry"
ODD_LINES = (
    added(f"Cookie : session={SECRET}"),
    added(f"Cookie: session={SECRET}\x0b"),
    added(f"Authoriz\xe4tion: Bearer {SECRET}"),
    added(f'X-Quote\': "{SECRET}"\x0b'),
    head(f"GET /x?token={SECRET} y HTTP/1.1", "Host: x"),
    head(f"{SECRET}", "Host: x"),
)


@pytest.mark.parametrize("raw", ODD_LINES)
def test_why_a_head_was_refused_is_told_without_what_stood_there(raw):
    with pytest.raises(Refused) as refused:
        admit(raw)

    assert refused.value.why.startswith("illegal ")
    assert "s3" not in refused.value.why


def test_a_handshake_passes_with_the_host_replaced_and_nothing_else():
    assert admit(HANDSHAKE).websocket
    assert onward(HANDSHAKE) == ["Host: server:9000" if line.startswith("Host") else line for line in GOOD]
    assert onward(HANDSHAKE, host=None) == list(GOOD)


def test_order_case_and_duplicates_of_headers_stay():
    more = ("x-lower: 1", "X-UPPER:  two  spaces ", "Cookie: a=1", "Cookie: b=2", "Origin: http://evil.example")

    assert onward(added(*more), host=None) == [*GOOD, *more]


def test_what_connection_names_and_proxy_headers_are_dropped_but_never_the_upgrade():
    raw = head(
        *(line if not line.startswith("Connection") else "Connection: Upgrade, X-Hop" for line in GOOD),
        "X-Hop: secret", "Proxy-Authorization: Basic eA==", "Proxy-Connection: keep-alive", "X-End: 1",
    )  # fmt: skip

    lines = onward(raw)

    assert [line.split(":")[0] for line in lines[1:]] == [
        "Host", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "X-End",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "target", ["/", "/a/../../b", "//evil.example/x", "/%00", "/a?b=http://evil.example/#", "/a b"[:2]]
)
def test_a_target_is_an_opaque_path_behind_the_prefix(target):
    raw = changed("GET", f"GET {target} HTTP/1.1")

    assert onward(raw, prefix="/base")[0] == f"GET /base{target} HTTP/1.1"


def test_plain_http_says_close_to_both_sides_and_keeps_the_rest():
    raw = plain(
        "Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Content-Length: 0", "Cookie: a=b"
    )

    assert onward(raw) == [
        "POST /form HTTP/1.1", "Host: server:9000", "Connection: close", "Content-Length: 0", "Cookie: a=b",
    ]  # fmt: skip
    assert closing(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nX-A: b\r\n\r\n") == (
        b"HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: close\r\n\r\n"
    )


@given(st.data())
def test_a_head_is_found_at_the_same_place_however_it_is_cut(data):
    raw = HANDSHAKE + b"behind"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw)), max_size=8)) | {len(raw)})
    seen, end = 0, 0
    for cut in cuts:
        end = end_of_head(raw[:cut], seen)
        if end:
            break
        seen = cut

    assert end == len(HANDSHAKE)


@pytest.mark.parametrize("name", [name for name, (_, raw) in REFUSED.items() if raw.count(b"\r\n\r\n") == 1])
def test_a_bad_head_is_refused_byte_by_byte_too(name):
    status, raw = REFUSED[name]
    with pytest.raises(Refused) as refused:
        for end in range(1, len(raw) + 1):
            if found := end_of_head(raw[:end], end - 1):
                admit(raw[:found], raw[found:])
    assert refused.value.status == status


@given(
    st.lists(
        st.sampled_from([*GOOD, "Content-Length: 5", "Transfer-Encoding: chunked", "X: \xff", "", " "]), max_size=9
    )
)
def test_whatever_comes_is_admitted_or_refused(lines):
    raw = head(*lines)
    try:
        end = end_of_head(raw)
        admitted = admit(raw[:end], raw[end:])
    except Refused as refused:
        assert 400 <= refused.status < 600
    else:
        assert forwarded(admitted, raw[:end], host="h", prefix="").count(b"\r\n\r\n") == 1


@given(st.binary(max_size=300))
def test_random_bytes_are_waited_for_or_refused(raw):
    try:
        end = end_of_head(raw)
        if end:
            admit(raw[:end], raw[end:])
    except Refused:
        pass


ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: websocket", "Connection: Upgrade"],
        ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: AAAAMBiTxaQ9kYGzzhZRbK+xOo="],
        ["Upgrade: websocket", "Connection: Upgrade", ACCEPT, ACCEPT],
        ["Upgrade: websocket", ACCEPT],
        ["Connection: Upgrade", ACCEPT],
        ["Upgrade: h2c", "Connection: Upgrade", ACCEPT],
    ],
)
def test_a_101_without_proof_opens_nothing(lines):
    with pytest.raises(Refused) as refused:
        opens_tunnel(read_request(HANDSHAKE), head("HTTP/1.1 101 Switching Protocols", *lines))

    assert refused.value.status == 502


def test_a_101_with_proof_opens_the_tunnel():
    answer = head("HTTP/1.1 101 Switching Protocols", "upgrade: WebSocket", "connection: keep-alive, upgrade", ACCEPT)

    assert opens_tunnel(read_request(HANDSHAKE), answer).status == 101
    assert accept_of("dGhlIHNhbXBsZSBub25jZQ==") == ACCEPT.split()[1]
