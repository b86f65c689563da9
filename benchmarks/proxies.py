"""Start and stop what is compared: no proxy at all, nginx, mitmproxy, a relay on `websockets`, goldentape.

Each is a context manager over (upstream port, a directory of its own), with `port`, and the CPU seconds and resident
bytes of its whole process tree.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
MITMDUMP = HERE / ".venv-mitmproxy" / "bin" / "mitmdump"


def tree(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(word) for word in task.read_text().split()]
            except OSError:
                continue
    return found


def cpu_of(pid: int) -> float:
    """Return the CPU seconds one process has used, those of its ended children too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(n) for n in fields[11:15]) / TICK


def rss_of(pid: int) -> int:
    """Return the resident bytes of one process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except OSError:
        return 0


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[str], seconds: float = 30.0) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"{process.args} does not listen")


class Proxy:
    """Base of all: nothing between client and server."""

    name = "direct"
    process: subprocess.Popen[str] | None = None

    def __init__(self, upstream: int, directory: Path) -> None:
        self.upstream = upstream
        self.directory = directory
        self.port = upstream

    @classmethod
    def missing(cls) -> str | None:
        """Return why it cannot run here, None if it can."""
        return None

    def start(self) -> None:
        """Start it and wait until it listens."""

    def stop(self) -> None:
        """End it in the orderly way."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def pids(self) -> list[int]:
        """Return its processes."""
        return tree(self.process.pid) if self.process is not None else []

    def cpu(self) -> float:
        """Return the CPU seconds of all its processes."""
        return sum(cpu_of(pid) for pid in self.pids())

    def rss(self) -> int:
        """Return the resident bytes of all its processes."""
        return sum(rss_of(pid) for pid in self.pids())

    def readable(self) -> int | None:
        """Return how many messages can be read back now, None where nothing is stored."""
        return None

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class Nginx(Proxy):
    """Debian's nginx, one worker, as a reverse proxy with upgrade."""

    name = "nginx"

    @classmethod
    def missing(cls) -> str | None:
        return None if shutil.which("nginx") else "nginx is not installed (apt-get install nginx-light)"

    def start(self) -> None:
        self.port = free_port()
        d = self.directory
        (d / "nginx.conf").write_text(
            f"""
            daemon off; worker_processes 1; pid {d}/pid; error_log {d}/error.log;
            events {{ worker_connections 20000; }}
            http {{
              access_log off;
              client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u;
              scgi_temp_path {d}/s;
              server {{ listen 127.0.0.1:{self.port} backlog=4096;
                location / {{ proxy_pass http://127.0.0.1:{self.upstream}; proxy_http_version 1.1;
                  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
                  proxy_read_timeout 1h; }} }} }}
            """
        )
        self.process = subprocess.Popen(["nginx", "-p", str(d), "-c", str(d / "nginx.conf")], text=True)
        wait_for_port(self.port, self.process)


class Mitmproxy(Proxy):
    """mitmdump as a reverse proxy, quiet."""

    name = "mitmproxy"

    @classmethod
    def missing(cls) -> str | None:
        return None if MITMDUMP.exists() else "mitmproxy is not installed (sh benchmarks/run.sh does that)"

    def start(self) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [
                str(MITMDUMP), "--mode", f"reverse:http://127.0.0.1:{self.upstream}", "--listen-host", "127.0.0.1",
                "-p", str(self.port), "-q", "--set", f"confdir={self.directory}",
            ],
            text=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for_port(self.port, self.process)

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


class Relay(Proxy):
    """A plain `websockets` relay with a row a message."""

    name = "relay"

    def start(self) -> None:
        self.db = self.directory / "relay.db"
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "relay.py"), f"ws://127.0.0.1:{self.upstream}", str(self.db)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def readable(self) -> int | None:
        with closing(sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT max(id) FROM event").fetchone()[0] or 0)


class Goldentape(Proxy):
    """`goldentape record` as a user starts it."""

    name = "goldentape"
    options: tuple[str, ...] = ()

    def start(self) -> None:
        self.tape = self.directory / "bench.tape"
        self.log = (self.directory / "stderr").open("w+")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "goldentape", "record", "--upstream", f"ws://127.0.0.1:{self.upstream}",
                "--listen", "127.0.0.1:0", "--drain", "0s", *self.options, str(self.tape),
            ],
            stderr=self.log, text=True,
        )  # fmt: skip
        deadline = time.monotonic() + 30
        while "recording ws://" not in (text := Path(self.log.name).read_text()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"goldentape does not listen: {text}")
            time.sleep(0.05)
        self.port = int(text.partition("recording ws://127.0.0.1:")[2].partition(" ")[0])

    def cpu_of_proxy(self) -> float:
        """Return the CPU seconds of the proxy process alone."""
        assert self.process is not None
        return cpu_of(self.process.pid)

    def rss_of_proxy(self) -> int:
        """Return the resident bytes of the proxy process alone."""
        assert self.process is not None
        return rss_of(self.process.pid)

    def readable(self) -> int | None:
        try:
            with closing(sqlite3.connect(f"file:{self.tape}?mode=ro", uri=True, timeout=5)) as db:
                return int(db.execute("SELECT sum(events) FROM users").fetchone()[0] or 0)
        except sqlite3.OperationalError:
            return 0

    def behind(self) -> float:
        """Return how many seconds the fold says it is behind."""
        try:
            return float(json.loads(Path(f"{self.tape}.spool/progress").read_text())["lag"])
        except (OSError, ValueError):
            return 0.0


ALL: tuple[type[Proxy], ...] = (Proxy, Nginx, Mitmproxy, Relay, Goldentape)
