"""The control port: marks of load drivers arrive, web pages and guesses are turned away."""

import json

import pytest
from heads import head
from peers import dial, recorder, rows, run

from recorder.control import read_mark


def posting(path: str, *more: str, body: bytes = b'{"kind": "fault_begin"}', host: str | None = None):
    def request(port: int) -> bytes:
        lines = [f"POST {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{port}'}", f"Content-Length: {len(body)}"]
        return head(*lines, *more) + body

    return request


TABLE = {
    "a mark": (204, posting("/.goldentape/TOKEN/mark")),
    "a mark for localhost": (204, lambda port: posting("/.goldentape/TOKEN/mark", host=f"localhost:{port}")(port)),
    "a browser": (403, posting("/.goldentape/TOKEN/mark", "Origin: http://evil.example")),
    "a browser of the same origin": (
        403,
        lambda p: posting("/.goldentape/TOKEN/mark", f"Origin: http://127.0.0.1:{p}")(p),
    ),
    "a rebound name": (403, posting("/.goldentape/TOKEN/mark", host="evil.example")),
    "a guess": (404, posting("/.goldentape/guess/mark")),
    "no token": (404, posting("/.goldentape/mark")),
    "another path": (404, posting("/")),
    "another verb": (405, lambda port: posting("/.goldentape/TOKEN/mark")(port).replace(b"POST", b"PUT")),
    "another place": (405, posting("/.goldentape/TOKEN/stop")),
    "no JSON": (400, posting("/.goldentape/TOKEN/mark", body=b"kind=x")),
    "too much": (413, posting("/.goldentape/TOKEN/mark", body=b"x" * 70_000)),
    "no HTTP": (None, lambda port: b"hello\r\n\r\n"),
    "status": (200, lambda port: head("GET /.goldentape/TOKEN/status HTTP/1.1", f"Host: 127.0.0.1:{port}")),
}


def test_who_may_send_a_mark(tmp_path):
    async def main():
        found = {}
        async with recorder(tmp_path / "a.tape", 9, control_port=0) as r:
            for name, (_, request) in TABLE.items():
                client = await dial(r.control.port)
                await client.send(request(r.control.port).replace(b"TOKEN", r.control.token.encode()))
                answer = await client.to_end()
                found[name] = int(answer.split()[1]) if answer else None
            assert r.control.token in r.control.url
        return found

    assert run(main()) == {name: status for name, (status, _) in TABLE.items()}
    assert rows(tmp_path / "a.tape", "SELECT kind FROM mark WHERE kind LIKE 'fault%'") == [("fault_begin",)] * 2


def test_the_port_is_closed_unless_asked_for(tmp_path):
    async def main():
        async with recorder(tmp_path / "a.tape", 9) as r:
            return r.control

    assert run(main()) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b"{}", b'{"kind": 1}', b'{"kind": ""}', b'{"kind": "a b"}', b'{"kind": "x", "data": 1}',
     b"[" * 60_000, b'{"kind": "x", "data": ' + b'{"a":' * 40 + b"1" + b"}" * 41,
     b'{"kind": "x", "data": {"a": NaN}}', b'{"kind": "x", "data": {"a": "\\ud800"}}',
     *(json.dumps({"kind": kind}).encode() for kind in ("begin", "tick", "gap", "crash", "end"))],
)  # fmt: skip
def test_a_mark_is_a_word_of_the_drivers_own_and_an_object(body):
    with pytest.raises(ValueError):
        read_mark(body)


def test_a_mark_carries_its_data():
    assert read_mark(b'{"kind": "fault_end", "data": {"what": "redis"}}') == ("fault_end", {"what": "redis"})
    assert read_mark(b'{"kind": "x", "data": {"a": [{"b": [1]}]}}') == ("x", {"a": [{"b": [1]}]})
