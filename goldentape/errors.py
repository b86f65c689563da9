"""What can go wrong on our side, and the exit code each error ends in.

A broken contract of the *application* is a `Violation` (a value).  An exception means: we cannot judge or record.

    GoldentapeError                exit
    |- InputError                  2     bad usage, contract, tape or other input
    |  `- TapeError                2     a file that is not a tape, or not one we can read
    |     `- CorruptTape           1     a tape whose bytes are not those that were recorded
    |- EnvironmentFault            3     storage, port, upstream: the world, not the input
    `- NothingVerified             4     nothing failed, but not everything could be judged
"""

from __future__ import annotations

from enum import IntEnum

from goldentape.display import show


class Exit(IntEnum):
    """The exit codes of every command."""

    OK = 0
    VIOLATION = 1
    BAD_INPUT = 2
    ENVIRONMENT = 3
    INCONCLUSIVE = 4
    INTERRUPTED = 130


class GoldentapeError(Exception):
    """One line a user can act on: what, where, found, wanted, and what to do about it."""

    exit_code = Exit.BAD_INPUT

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        found: object = None,
        wanted: object = None,
        fix: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.found = found
        self.wanted = wanted
        self.fix = fix

    def __str__(self) -> str:
        text = self.what if self.where is None else f"{show(str(self.where), 500)}: {self.what}"
        if self.found is not None:
            text += f", found {show(str(self.found))}"
        if self.wanted is not None:
            text += f", wanted {self.wanted}"
        if self.fix is not None:
            text += f": {self.fix}"
        return text


class InputError(GoldentapeError):
    """Bad usage, a bad contract, or another input that cannot be used."""


class TapeError(InputError):
    """A file that is not a tape, or not one that this release can read."""


class CorruptTape(TapeError):
    """A tape whose content differs from what was recorded; names the first bad place."""

    exit_code = Exit.VIOLATION


class EnvironmentFault(GoldentapeError):
    """Storage, port or upstream: the world around us refused."""

    exit_code = Exit.ENVIRONMENT


class NothingVerified(GoldentapeError):
    """Nothing failed, and yet there is no ground to say that anything holds."""

    exit_code = Exit.INCONCLUSIVE
