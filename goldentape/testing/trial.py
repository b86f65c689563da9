"""One test under pytest: its recordings, what it demands of them, and what becomes of both when it is over."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from goldentape.display import show
from goldentape.errors import GoldentapeError, NothingVerified
from goldentape.pytest_plugin import NOTE, TAPE
from goldentape.tape import open_tape
from goldentape.testing.judging import Demanded, Result, judge, read_demands
from goldentape.testing.recording import DRAIN, Recording

USED = pytest.StashKey[set[Path]]()
"""The tapes of this run."""
SETTLED = 0.3
"""Seconds in which connections end that a test has closed; one that is still open then is a fixture's."""
MARK = ("contract", "set", "only", "strict", "allow_code")
"""What the marker takes."""


class Trial:
    """What the fixture `goldentape` is: call it to record, once for each server that the test talks to."""

    def __init__(self, request: pytest.FixtureRequest, home: Path, demanded: Demanded, keep: bool) -> None:
        self._request = request
        self._item = request.node
        self._home = home
        self._demanded = demanded
        self._keep = keep
        self._recordings: list[Recording] = []
        self._judged = False
        self._ran = False
        self._fault: BaseException | None = None
        """What the test itself ended with."""
        self._subtests = _subtests(request)

    @classmethod
    def of(cls, request: pytest.FixtureRequest, temporary: pytest.TempPathFactory) -> Trial:
        """Return the trial of a test, as its marker and the options say.  What is wrong in them fails the test."""
        config = request.config
        with _as_failure():
            demanded = _demanded(request.node, config)
        home = config.getoption("--goldentape-tapes") or config.getini("goldentape_tapes")
        where = config.invocation_params.dir / home if home else temporary.getbasetemp() / "goldentape"
        try:
            where.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            pytest.fail(f"goldentape: {where}: cannot be made: {fault.strerror}", pytrace=False)
        return cls(request, where, demanded, bool(config.getoption("--goldentape-keep")))

    def __call__(self, target: Any, **options: Any) -> Recording:
        """Start a recorder in front of `target`: a ws:// URL, or an app, which is served on a free port.

        `options` are those of `goldentape record`: identify, claim, tags, redact, redact_pattern, keep_host, ...
        """
        with _as_failure():
            if self._judged:
                raise NothingVerified("the test's tapes are judged already: nothing more is recorded")
            self._recordings.append(Recording(target, self._path(), options))
        return self._recordings[-1]

    @property
    def tapes(self) -> list[Path]:
        """The paths of the test's tapes."""
        return [recording.tape for recording in self._recordings]

    # -- the end

    def over(self, fault: BaseException | None) -> None:
        """The test itself is over: judge now, if no connection is open; else `end` does, behind its other fixtures."""
        self._ran, self._fault = True, fault
        if isinstance(fault, KeyboardInterrupt | SystemExit):
            return
        if all(recording.idle(SETTLED) for recording in self._recordings):
            self.end()

    def end(self) -> None:
        """Seal and judge what is not judged yet.  Fails a test that has passed where its tapes do not hold."""
        if self._judged:
            return
        self._judged = True
        faults = self._seal()
        if isinstance(self._fault, pytest.skip.Exception):
            self._discard()
        elif self._fault is not None or not self._ran:
            self._beside(faults)
        else:
            self._demand(faults)

    def _beside(self, faults: list[str]) -> None:
        """The test has failed by itself: say beside it what the tapes show."""
        told = faults or [line for recording in self._recordings for line in self._look(recording)]
        if told and self._ran:
            self._item.add_report_section("call", "goldentape", "\n".join(told))
        self._keep_all()

    def _demand(self, faults: list[str]) -> None:
        failures = list(faults)
        try:
            for recording in self._recordings if not faults else ():
                failures += self._results(recording)
        finally:
            if failures or self._keep:
                self._keep_all()
            else:
                self._discard()
        if failures:
            told = [f"tape kept: {self._told(tape)}" for tape in self.tapes if tape.exists()]
            pytest.fail("\n".join([*failures, *told]), pytrace=False)

    def _seal(self) -> list[str]:
        hurry = isinstance(self._fault, KeyboardInterrupt | SystemExit)
        faults = []
        for recording in self._recordings:
            try:
                recording.stop(0.0 if hurry else DRAIN)
            except GoldentapeError as fault:
                faults.append(f"the recorder failed: {fault}")
        return faults

    def _told(self, path: Path) -> str:
        """Return a path as reports name it: from where pytest was started, wherever the test has gone since."""
        here = self._item.config.invocation_params.dir
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)

    # -- the verdict

    def _results(self, recording: Recording) -> list[str]:
        """Report a sub-result for each invariant; return a line for each that failed."""
        try:
            found = judge(recording.tape, self._demanded, self._told)
        except GoldentapeError as fault:
            return [str(fault)]
        if not self._demanded.contracts:
            self._note("recorded, and judged by no contract")
        failures = []
        for result in found:
            if result.how in ("open", "note"):
                self._note(f"{result.name}: {result.text.splitlines()[0] if result.text else result.how}")
            if result.how == "fail":
                failures.append(result)
        if self._subtests is None:
            return [f"{result.name}: {_proof(result)}" for result in failures]
        for result in found:
            # What is open is no sub-result: as a skipped one it would make the test a skipped one in JUnit's eyes.
            if result.how in ("pass", "fail"):
                _report(self._subtests, result)
        return [f"{result.name}: {_why(result)}" for result in failures]

    def _look(self, recording: Recording) -> Iterator[str]:
        """Yield what a tape shows of a test that failed by itself."""
        try:
            found = judge(recording.tape, self._demanded, self._told)
        except GoldentapeError as fault:
            yield str(fault)
            return
        for result in found:
            if result.how == "fail":
                yield f"{result.name}: {_proof(result)}"
        if not any(result.how == "fail" for result in found) and self._demanded.contracts:
            yield f"{self._told(recording.tape)}: no invariant is violated"

    def _note(self, text: str) -> None:
        self._item.user_properties.append((NOTE, show(text, 400)))

    # -- files

    def _path(self) -> Path:
        """Return a name for the next tape: that of the test, with what tells it from others of that name."""
        name = re.sub(r"[^\w.-]+", "-", self._item.nodeid.rpartition("/")[2].replace(".py::", "-")).strip("-.")
        short = name if len(name) <= 80 else f"{name[:70]}-{sha256(name.encode()).hexdigest()[:8]}"
        used = self._item.config.stash.setdefault(USED, set())
        number = 0
        while True:
            path = self._home / (f"{short}.tape" if not number else f"{short}-{number}.tape")
            if path not in used and _cleared(path):
                used.add(path)
                return path
            number += 1

    def _keep_all(self) -> None:
        for tape in self.tapes:
            # Only who goes on with a tape needs its key, and with it secrets could be guessed.
            Path(f"{tape}.key").unlink(missing_ok=True)
            if tape.exists():
                self._item.user_properties.append((TAPE, self._told(tape)))

    def _discard(self) -> None:
        if self._keep:
            return self._keep_all()
        for tape in self.tapes:
            tape.unlink(missing_ok=True)
            Path(f"{tape}.key").unlink(missing_ok=True)
        return None


def _subtests(request: pytest.FixtureRequest) -> Any:
    """Return pytest's own subtests, from release 9 on, or those of pytest-subtests; None where there are none."""
    if not request.config.pluginmanager.hasplugin("subtests"):
        return None
    with suppress(pytest.FixtureLookupError):
        return request.getfixturevalue("subtests")
    return None


def _why(result: Result) -> str:
    """Return one line of a result: why it is one."""
    lines = result.text.splitlines()
    return next((line.removeprefix("why: ") for line in lines if line.startswith("why: ")), lines[0] if lines else "")


def _cleared(path: Path) -> bool:
    """Make room for a tape: that of an earlier run goes.  Return whether there is room."""
    if Path(f"{path}.spool").exists() or path.is_symlink():
        return False
    if not path.exists():
        return True
    with suppress(GoldentapeError, OSError):
        open_tape(path, live_ok=False, quick_check=False).close()
        path.unlink()
    return not path.exists()


def _proof(result: Result) -> str:
    """Return a result's text with the reason first: the one line that short summaries show."""
    why = _why(result)
    return result.text if result.text.startswith(why) else f"{why}\n{result.text}"


def _report(subtests: Any, result: Result) -> None:
    with subtests.test(msg=result.name):
        if result.how == "fail":
            pytest.fail(_proof(result), pytrace=False)


@contextmanager
def _as_failure() -> Iterator[None]:
    """An error of ours is one line of a failed test, not a traceback."""
    try:
        yield
    except GoldentapeError as fault:
        raise pytest.fail.Exception(f"goldentape: {fault}", pytrace=False) from None


def _demanded(item: Any, config: pytest.Config) -> Demanded:
    asked: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers("goldentape"))):
        # The fuzzer's fixture takes words of its own from the same marker.
        others = "fuzz_ws" in getattr(item, "fixturenames", ())
        if mark.args or not (others or set(mark.kwargs) <= set(MARK)):
            odd = [repr(arg) for arg in mark.args] + [name for name in mark.kwargs if name not in MARK]
            pytest.fail(f"@pytest.mark.goldentape takes {', '.join(MARK)} by name, found {odd[0]}", pytrace=False)
        asked.update({name: value for name, value in mark.kwargs.items() if name in MARK})
    contracts = (
        asked.get("contract") or config.getoption("--goldentape-contract") or config.getini("goldentape_contract")
    )
    settings = dict(_setting(word) for word in config.getoption("--goldentape-set"))
    settings.update({str(name): _value(value) for name, value in _pairs(asked.get("set", {}))})
    return read_demands(
        tuple(_place(str(name), item, config) for name in _several(contracts)), tuple(settings.items()),
        frozenset(_several(asked.get("only", ()))), bool(asked.get("strict", config.getoption("--goldentape-strict"))),
        bool(asked.get("allow_code", False)),
    )  # fmt: skip


def _several(value: Any) -> Sequence[str]:
    return [str(value)] if isinstance(value, str | Path) else [str(one) for one in value]


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    else:
        yield from map(_setting, _several(value))


def _setting(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        pytest.fail(f"goldentape: a setting is NAME=VALUE, found {show(word)}", pytrace=False)
    return name, value


def _value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _place(name: str, item: Any, config: pytest.Config) -> str:
    """Return where a contract is: told from here, from the test's own file, or from the root; or a shipped name."""
    for home in (config.invocation_params.dir, item.path.parent, config.rootpath):
        if (home / name).is_file():
            return str(home / name)
    return name
