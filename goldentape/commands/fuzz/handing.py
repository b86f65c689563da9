"""`fuzz live --hand-to-app`: failures of the server searched for in process, where what is found replays exactly."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from goldentape.commands.fuzz.chance import usual_settings
from goldentape.commands.fuzz.telling import columns
from goldentape.display import home_and_here, show
from goldentape.errors import EnvironmentFault, GoldentapeError, InputError
from verifier.contract import Contract
from verifier.fuzz import withheld
from verifier.fuzz.api import fuzz_app
from verifier.fuzz.found import Found
from verifier.fuzz.live.caught import Caught

SCHEDULES = 500


@dataclass(frozen=True)
class Handed:
    """What came of one failure."""

    fingerprint: str
    schedules: int
    found: Found | None
    repro: Path | None
    same: bool = False
    """Found is what the server showed, not something else."""
    interrupted: bool = False


@dataclass(frozen=True)
class Handing:
    """The app that failures are handed to."""

    app: str
    app_dir: str
    contracts: Sequence[Contract]
    shared: tuple[str, ...]

    def demand(self) -> None:
        """Raise InputError where there is no such module: nobody wants to hear that when the search is over."""
        module, colon, attribute = self.app.partition(":")
        if not colon or not module or not attribute:
            raise InputError("--hand-to-app is no app", found=self.app, wanted="MODULE:APP, such as shop.main:app")
        sys.path.insert(0, str(Path(self.app_dir).resolve()))
        try:
            known = importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):
            known = False
        finally:
            sys.path.pop(0)
        if not known:
            raise InputError(
                "--hand-to-app: there is no such module", found=module,
                fix=f"--app-dir says where it is looked for, now {show(self.app_dir, 200)}",
            )  # fmt: skip

    def over(self, caught: Sequence[Caught], folder: Path, *, excerpts: bool) -> Iterator[Handed]:
        """Search the app with the small workload of each failure; what cannot be run is told in a line."""
        for one in caught:
            wanted = one.failure.fingerprint
            try:
                report = fuzz_app(
                    self.app, workload=one.workload, faults=[], schedules=SCHEDULES, contract=self.contracts,
                    shared=self.shared, app_dir=self.app_dir, settings=usual_settings(),
                )  # fmt: skip
            except GoldentapeError as error:
                click.echo(f"goldentape: {show(self.app, 100)} cannot be searched in process: {error}", err=True)
                return
            same = next((f for f in report.failures if f.explains([wanted])), None)
            found = same or next(iter(report.failures), None)
            repro = None
            if found is not None:
                try:
                    repro = found.save(folder, excerpts=excerpts)
                except EnvironmentFault as error:
                    click.echo(f"goldentape: the repro file is not saved: {error}", err=True)
                found = found if excerpts else withheld.found(found)
            yield Handed(wanted, report.schedules, found, repro, same is not None, report.interrupted)
            if report.interrupted:
                return

    def told(self, one: Handed) -> Iterator[str]:
        """Yield what came of a failure, for people."""
        yield ""
        if one.found is None:
            yield f"handed to {show(self.app, 100)}: {one.fingerprint} was not found in {one.schedules} schedules"
            return
        what = f"{one.fingerprint} in process" if one.same else f"{one.fingerprint} was not found, but this was"
        yield f"handed to {show(self.app, 100)}: {what}"
        yield from one.found.narrative(columns()).splitlines()
        if one.repro is not None:
            where = show(home_and_here(one.repro), 300)
            yield f"repro: {where}    (goldentape fuzz replay {where})"

    def as_json(self, one: Handed) -> dict[str, Any]:
        """Return what came of a failure, in JSON's types."""
        return {
            "app": self.app, "fingerprint": one.fingerprint, "schedules": one.schedules, "same": one.same,
            "found": None if one.found is None else one.found.failure.fingerprint,
            "repro": None if one.repro is None else str(one.repro),
            "story": [] if one.found is None else one.found.narrative().splitlines(),
        }  # fmt: skip
