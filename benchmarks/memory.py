"""What the recorder keeps in memory: idle connections, a reader that stalls, 2 GiB through one, a million events.

    python benchmarks/memory.py [--gib 2] [--events 1000000]

Resident bytes of the proxy and of its fold, read from /proc while they work.
"""

from __future__ import annotations

import argparse
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

from compare import Drive, echo, settle
from load import frame, text
from proxies import HERE, Goldentape, Nginx, Proxy, rss_of

MIB = 1 << 20


class Watch:
    """Samples the proxy's and the fold's resident bytes; `peak` holds the most of each."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._over = threading.Event()
        self.first = self._look()
        self.peak = list(self.first)
        self._thread = threading.Thread(target=self._run)

    def _look(self) -> list[int]:
        pids = self._proxy.pids()
        return [rss_of(pids[0]), sum(rss_of(pid) for pid in pids[1:])]

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self.peak = [max(a, b) for a, b in zip(self.peak, self._look(), strict=True)]

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def rise(self) -> str:
        """Tell how much each grew at most."""
        proxy, fold = (peak - first for peak, first in zip(self.peak, self.first, strict=True))
        first = [part / MIB for part in self.first]
        return f"proxy {first[0]:.0f} + {proxy / MIB:.1f} MiB, fold {first[1]:.0f} + {fold / MIB:.1f} MiB"


def idle(kind: type[Proxy], port: int, directory: Path, connections: int) -> None:
    """Open connections that say nothing."""
    with kind(port, directory) as proxy:
        Drive(proxy.port, connections=100, window=0, seconds=0.2).result()
        time.sleep(1)
        before = proxy.pids()
        base = [rss_of(pid) for pid in before]
        drive = Drive(proxy.port, connections=connections, window=0, seconds=2)
        time.sleep(1)
        rise = [rss_of(pid) - was for pid, was in zip(before, base, strict=True)]
        drive.result()
        parts = f" (the proxy {rise[0] / connections / 1024:.1f})" if kind is Goldentape else ""
        print(
            f"idle        {kind.name}: {sum(rise) / connections / 1024:.1f} KiB a connection{parts}, of {connections}"
        )


def upgraded(port: int, size: int) -> socket.socket:
    """Shake hands by hand; returns the socket."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(
        f"GET /{size} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(4096)
    return sock


def stalled(port: int, directory: Path) -> None:
    """A client that sends all the time and never reads: the echo has nowhere to go."""
    size = 64 << 10
    request = frame(text(size), masked=True, deflate=False)
    with Goldentape(port, directory) as proxy, closing(upgraded(proxy.port, size)) as sock, Watch(proxy) as watch:
        sock.settimeout(2)
        sent = 0
        deadline = time.monotonic() + 20
        try:
            while time.monotonic() < deadline:
                sent += sock.send(request)
        except TimeoutError:
            pass
        time.sleep(2)
    print(f"stalled     stopped after {sent / MIB:.1f} MiB; {watch.rise()}")


def much(port: int, directory: Path, gib: float) -> None:
    """Gibibytes through one connection, in messages of 1 MiB."""
    size = 1 << 20
    with Goldentape(port, directory) as proxy, Watch(proxy) as watch:
        count = int(gib * 512)
        found = Drive(proxy.port, connections=1, window=4, size=size, messages=count, seconds=1).result()
        settle(proxy, int(found["messages"]))
    print(f"through one {found['messages'] * size / (1 << 30):.1f} GiB; {watch.rise()}")


def million(port: int, directory: Path, events: int) -> None:
    """Events of 300 B, recorded, sealed, checked."""
    with Goldentape(port, directory) as proxy:
        with Watch(proxy) as watch:
            started = time.monotonic()
            found = Drive(proxy.port, connections=10, window=32, messages=events // 2, seconds=1).result()
            passed = time.monotonic() - started
            settle(proxy, int(found["messages"]))
            folded = time.monotonic() - started
            before = time.monotonic()
            proxy.stop()
            sealed = time.monotonic() - before
        size = proxy.tape.stat().st_size / MIB
        count = int(found["messages"])
        print(f"recorded    {count:,} events, {size:.0f} MiB tape: passed {passed:.1f} s, readable {folded:.1f} s, "
              f"sealed {sealed:.1f} s more; {watch.rise()}")  # fmt: skip
        child = [sys.executable, "-m", "goldentape", "tape", "check", str(proxy.tape)]
        started = time.monotonic()
        subprocess.run(child, stdout=subprocess.DEVNULL, check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(
            f"checked     in {time.monotonic() - started:.1f} s, at most {peak:.0f} MiB resident (all children so far)"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=2.0)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=4000)
    options = parser.parse_args()
    os.chdir(HERE)
    with tempfile.TemporaryDirectory() as directory, echo() as port:
        place = Path(directory) / "run"
        for kind in (Nginx, Goldentape):
            if kind.missing() is None:
                idle(kind, port, place, options.connections)
        stalled(port, place)
        much(port, place, options.gib)
        million(port, place, options.events)


if __name__ == "__main__":
    main()
