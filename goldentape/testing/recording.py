"""A recorder of one test as the test sees it: where to connect, the tape, marks, and the end.

with recording("ws://127.0.0.1:9000", Path("a.tape")) as made:
    ...   # clients speak to made.url
# here the tape is sealed
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from goldentape.errors import EnvironmentFault, GoldentapeError, InputError
from goldentape.testing.serving import served

PATIENCE = 60.0
"""Seconds that the recorder's process may take to answer, on a machine that is busy."""
DRAIN = 2.0
"""Seconds that connections which a test left open may go on when its recorder ends."""
OPTIONS = (
    "ca", "claim", "identify", "insecure", "jwt_key_file", "keep_host", "known_subprotocols", "max_stored", "redact",
    "redact_pattern", "redaction_key_file", "tag",
)  # fmt: skip
"""What a test may ask of its recorder, by the names of `recorder.settings.Settings`."""
_SEVERAL = ("claim", "identify", "known_subprotocols", "redact", "redact_pattern", "tag")


class Recording:
    """A recorder that runs.  Made by `recording`, or by the fixture `goldentape`."""

    def __init__(self, target: Any, tape: Path, options: Mapping[str, Any]) -> None:
        self.tape = tape
        """The tape's path; whole when the recording has ended."""
        self.head: str | None = None
        """The head of the sealed tape, once it is sealed."""
        self.ended = False
        self._stack = ExitStack()
        try:
            self.upstream: str = self._stack.enter_context(served(target))
            """Where the server itself listens."""
            self._process = self._stack.enter_context(_process())
            self.port = int(self._ask(_settings(self.upstream, tape, options))["port"])
        except BaseException:
            self._stack.close()
            raise

    @property
    def url(self) -> str:
        """Where clients connect: ws://127.0.0.1:PORT."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def http_url(self) -> str:
        """The same for plain HTTP, which passes through: http://127.0.0.1:PORT."""
        return f"http://127.0.0.1:{self.port}"

    def mark(self, kind: str, **data: Any) -> None:
        """Note on the tape that something happens now, such as `fault_begin`.  Raises InputError for no word."""
        if self.ended:
            raise InputError("the recording has ended", where=self.tape)
        self._ask({"do": "mark", "kind": kind, "data": data})

    def idle(self, seconds: float = 1.0) -> bool:
        """Wait until no connection is open, at most so long; return whether none is."""
        return self.ended or self._ask({"do": "idle", "seconds": seconds})["open"] == 0

    def stop(self, drain: float = DRAIN) -> Path:
        """Seal the tape, after at most `drain` seconds for what is open; then end the app.  Returns the tape.

        Raises EnvironmentFault where the tape could not be written whole.
        """
        if not self.ended:
            self.ended = True
            with self._stack:
                self.head = self._ask({"do": "stop", "drain": drain})["head"]
        return self.tape

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop(DRAIN if kind is None else 0.0)

    def __str__(self) -> str:
        return self.url

    def _ask(self, what: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        gone = EnvironmentFault("the recorder's process has ended", where=self.tape)
        try:
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise gone from None
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            raise EnvironmentFault(f"the recorder did not answer within {PATIENCE:g} s", where=self.tape)
        line = self._process.stdout.readline()
        if not line:
            raise gone
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise _Told(said["error"], said["exit"])
        return said


class _Told(GoldentapeError):
    """What the recorder's process said in one line."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.exit_code = type(self).exit_code.__class__(code)


def recording(target: Any, tape: Path, **options: Any) -> Recording:
    """Start a recorder in front of `target` (a URL or an app, see `serving`); `options` are OPTIONS, and `tags`.

    Raises InputError for options that cannot be, EnvironmentFault where something does not start.
    """
    return Recording(target, tape, options)


def _settings(upstream: str, tape: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    given = dict(options)
    if "tags" in given:
        given["tag"] = [f"{name}={value}" for name, value in dict(given.pop("tags")).items()]
    for name, value in given.items():
        if name not in OPTIONS:
            raise InputError("goldentape(...) has no such option", found=name, wanted=", ".join((*OPTIONS, "tags")))
        if name in _SEVERAL:
            given[name] = [value] if isinstance(value, str) else [str(one) for one in value]
        elif isinstance(value, Path):
            given[name] = str(value)
    return {"tape": str(tape), "upstream": upstream, **given}


@contextmanager
def _process() -> Iterator[subprocess.Popen[str]]:
    """Run the recorder's process while inside; it ends when its stdin does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "goldentape.testing.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
