"""Messages of 32 MiB in both directions, and more than memory would hold: bytes as they come, memory stays flat."""

import re
from pathlib import Path

import pytest
from harness import recorded
from servers import AiohttpServer, UvicornServer, WebsocketsServer, WsServer
from stage import need_node, stage

from goldentape.event import Flag

MIB = 1 << 20
PAIRS = {
    "websockets and ws": ("websockets", WsServer, {"compression": None}),
    "ws and websockets": ("ws", WebsocketsServer, {"deflate": False}),
    "aiohttp and aiohttp": ("aiohttp", AiohttpServer, {"compress": 0}),
    "websockets and uvicorn, compressed": ("websockets", UvicornServer, {}),
}


def peak(pid: int) -> int:
    """The most memory that a process ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) << 10


@pytest.mark.parametrize("name", PAIRS)
def test_32_mib_pass_both_ways(tmp_path, name):
    client, server, options = PAIRS[name]
    if client == "ws":
        need_node()
    steps = [["binary", 32 * MIB], ["expect", 1], ["close", 1000, ""], ["ended"]]
    if "compressed" in name:
        steps[0] = ["large", 32 * MIB]
    with stage(server(), tmp_path / "a.tape") as s:
        pids = [s.recording.process.pid, *s.recording.folds()]
        before = [peak(pid) for pid in pids]

        _, _, user = s.twice(client, steps, **options)

        connections, events = recorded(s.tape, user)
        risen = [peak(pid) - was for pid, was in zip(pids, before, strict=True)]

    large = [e for e in events if e.size > MIB]
    assert [e.direction for e in large] == [0, 1]
    for e in large:
        assert e.flags & Flag.TRUNCATED
        assert len(e.payload) <= 16 * MIB < e.size
    assert risen[0] < 48 * MIB, "the proxy"
    assert risen[1] < 160 * MIB, "the fold"
    assert connections[0].close_code == 1000
