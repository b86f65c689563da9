"""The pytest plugin: the fixture `goldentape`, its marker and options.  See docs/pytest.md.

Everybody who has goldentape installed loads this file with every run of pytest, so it imports nothing else of
goldentape until a test asks for the fixture.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from goldentape.testing.trial import Trial
    from verifier.fuzz.pytest_fixtures import Fuzz

KEY = pytest.StashKey["Trial"]()
TAPE = "goldentape_tape"
"""The user property of a report that names a tape which is kept."""
NOTE = "goldentape_note"
"""The user property of a report that says what is neither a pass nor a failure."""
RECORDING = frozenset({"goldentape", "fuzz_ws"})
"""Fixtures that heed the marker."""
MARKER = (
    "goldentape(contract=..., set={...}, only=..., strict=False, allow_code=False): what the tape of the test, "
    "recorded by the fixture goldentape, is judged by"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("goldentape", "goldentape: WebSocket traffic of tests, recorded and judged")
    group.addoption("--goldentape-contract", action="append", default=[], metavar="NAME|FILE",
                    help="Judge each test's tape by this contract, unless its marker names one; may be given "
                    "several times.")  # fmt: skip
    group.addoption("--goldentape-set", action="append", default=[], metavar="NAME=VALUE",
                    help="Value of a parameter of the contract; may be given several times.")  # fmt: skip
    group.addoption("--goldentape-tapes", metavar="DIR",
                    help="Where tapes are recorded; those of failed tests stay. Default: pytest's temporary "
                    "directory.")  # fmt: skip
    group.addoption("--goldentape-keep", action="store_true", help="Keep the tapes of all tests.")
    group.addoption("--goldentape-strict", action="store_true",
                    help="What could not be judged is a failure.")  # fmt: skip
    group.addoption("--goldentape-replay", metavar="FILE",
                    help="A repro file of the fuzzer: tests with fuzz_ws replay it and try nothing else.")  # fmt: skip
    parser.addini("goldentape_contract", "What --goldentape-contract is if it is not given.", type="args", default=[])
    parser.addini("goldentape_tapes", "What --goldentape-tapes is if it is not given.", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def goldentape(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Trial]:
    """Record what passes between clients and a server, and judge it when the test is over.

    `recording = goldentape(app)` or `goldentape("ws://127.0.0.1:9000")` starts a recorder in front of it; clients
    connect to `recording.url`, and `recording.tape` is the tape's path.
    """
    from goldentape.testing.trial import Trial

    trial = Trial.of(request, tmp_path_factory)
    request.node.stash[KEY] = trial
    try:
        yield trial
    finally:
        del request.node.stash[KEY]
        trial.end()


@pytest.fixture
def fuzz_ws(request: pytest.FixtureRequest) -> Fuzz:
    """Search an ASGI app for races: `fuzz_ws("shop.main:app", users=3)`; what failed last time comes first."""
    from verifier.fuzz import pytest_fixtures

    others: tuple[str, ...] = ()
    if "goldentape" in request.fixturenames:
        from goldentape.testing.trial import MARK as others
    return pytest_fixtures.fuzz_ws(request, others)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Judge as a part of the test, where no connection is open any more; else when the fixtures end."""
    try:
        result = yield
    except BaseException as fault:
        if (trial := item.stash.get(KEY, None)) is not None:
            trial.over(fault)
        raise
    if (trial := item.stash.get(KEY, None)) is not None:
        trial.over(None)
    elif any(mark.name == "goldentape" for mark in item.own_markers) and not _records(item):
        pytest.fail("the test has the marker goldentape, and not the fixture: nothing was recorded", pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the summary of a failed search name what failed, and not tell its story once more (in CI nothing is cut)."""
    report = yield
    found = sys.modules.get("verifier.fuzz.found")
    if found is not None and call.excinfo is not None and call.excinfo.errisinstance(found.ScheduleFailure):
        crash = getattr(report.longrepr, "reprcrash", None)
        if crash is not None:
            crash.message = str(call.excinfo.value).partition("\n")[0]
    return report


def _records(item: pytest.Item) -> bool:
    return not RECORDING.isdisjoint(getattr(item, "fixturenames", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which tapes are kept, and what could not be judged."""
    tapes: dict[str, None] = {}
    notes: dict[str, dict[str, None]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == TAPE:
                    tapes[value] = None
                elif name == NOTE:
                    notes.setdefault(value, {})[report.nodeid] = None
    if tapes or notes:
        terminalreporter.section("goldentape")
        for note, tests in notes.items():
            first, *others = tests
            terminalreporter.line(f"{note} ({first}{f' and {len(others)} more' if others else ''})")
        for tape in tapes:
            terminalreporter.line(f"tape kept: {tape}")
