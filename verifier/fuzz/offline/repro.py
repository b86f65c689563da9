"""The repro file of an order of a tape that breaks a contract: which tape, contract and order.  Pure but its file.

It is a repro file as `verifier/fuzz/repro.py` has it, with `against: tape`: `tape` and `slices` instead of `app`,
`workload` and `schedule`.  Nothing of the tape is in it but the places of messages, and the story.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from goldentape.errors import EnvironmentFault, InputError
from verifier.fuzz.repro import VERSION, versions

TAPE: Final = "tape"
Slice = tuple[str, str, int]
"""(user, connection, how many of its steps)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeRepro:
    """An order of a tape that breaks an invariant."""

    tape: str
    contract: str
    settings: Mapping[str, str]
    """Values of the contract's parameters."""
    shared: tuple[str, ...]
    ordered: tuple[str, ...]
    slices: tuple[Slice, ...]
    """Then serially, connection after connection."""
    steps: int
    """Of the whole recording."""
    invariant: str
    sentence: str
    fingerprint: str
    story: tuple[str, ...] = ()
    path: Path | None = None

    @property
    def title(self) -> str:
        """In one line."""
        return f"POSSIBLE  {self.invariant}: {self.sentence}"

    def to_json(self) -> dict[str, Any]:
        """Return it as its file has it."""
        return {
            "goldentape_repro": VERSION,
            "against": TAPE,
            "failure": {
                "kind": "contract", "victim": "", "owner": "", "detail": self.invariant, "sentence": self.sentence,
                "fingerprint": self.fingerprint,
            },
            "tape": {"path": self.tape, "steps": self.steps},
            "slices": [list(one) for one in self.slices],
            "contracts": [self.contract],
            "settings": dict(self.settings),
            "shared": list(self.shared),
            "ordered": list(self.ordered),
            "versions": versions(),
            "story": list(self.story),
        }  # fmt: skip

    def save(self, folder: Path) -> Path:
        """Write it as `TAPE-INVARIANT-FINGERPRINT.json`; raises EnvironmentFault."""
        name = "".join(
            c if c.isascii() and (c.isalnum() or c in "-_.") else "-"
            for c in f"{Path(self.tape).stem}-{self.invariant}"
        )
        path = folder / f"{name[:80].lstrip('.-')}-{self.fingerprint}.json"
        text = json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)  # what users said can be in the story
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise EnvironmentFault(f"cannot be written: {error.strerror}", where=path) from None
        return path


def load(path: Path) -> TapeRepro:
    """Read the file; raises InputError with what is wrong."""
    try:
        return replace(_read(json.loads(path.read_text(encoding="utf-8"))), path=path)
    except OSError as error:
        raise InputError(error.strerror or "cannot be read", where=path) from None
    except (InputError, ValueError, RecursionError) as error:
        raise InputError(f"is no repro file of a tape: {error}", where=path) from None


def _read(value: Any) -> TapeRepro:
    if not isinstance(value, dict) or value.get("against") != TAPE or value.get("goldentape_repro") != VERSION:
        raise InputError("another kind or version", wanted=f'"against": "{TAPE}", "goldentape_repro": {VERSION}')
    failure, tape, settings = value.get("failure"), value.get("tape"), value.get("settings", {})
    if not isinstance(failure, dict) or not _are_texts([failure.get(n) for n in ("detail", "sentence", "fingerprint")]):
        raise InputError("`failure` does not say what went wrong", wanted="detail, sentence, fingerprint")
    if not isinstance(tape, dict) or not _are_texts([tape.get("path")]) or type(tape.get("steps")) is not int:
        raise InputError("`tape` does not say which", wanted='{"path": "staging.tape", "steps": 120}')
    if not isinstance(settings, dict) or not _are_texts([*settings, *settings.values()]):
        raise InputError("`settings` holds texts")
    contracts = _texts(value, "contracts")
    if len(contracts) != 1:
        raise InputError("`contracts` names one", found=len(contracts))
    return TapeRepro(
        tape=tape["path"], contract=contracts[0], settings=settings, shared=_texts(value, "shared"),
        ordered=_texts(value, "ordered"), slices=_slices(value.get("slices")), steps=tape["steps"],
        invariant=failure["detail"], sentence=failure["sentence"], fingerprint=failure["fingerprint"],
        story=_texts(value, "story"),
    )  # fmt: skip


def _slices(value: Any) -> tuple[Slice, ...]:
    found: list[Slice] = []
    for n, one in enumerate(value if isinstance(value, list) else [None]):
        if (
            not isinstance(one, list)
            or len(one) != 3
            or not _are_texts(one[:2])
            or type(one[2]) is not int
            or one[2] < 1
        ):
            raise InputError(f"slices[{n}] is none", wanted='["alice", "c1", 4]: a user, a connection, its steps')
        found.append((one[0], one[1], one[2]))
    return tuple(found)


def _texts(value: dict[str, Any], name: str) -> tuple[str, ...]:
    found = value.get(name, [])
    if not isinstance(found, list) or not _are_texts(found):
        raise InputError(f"`{name}` holds texts")
    return tuple(found)


def _are_texts(values: Sequence[Any]) -> bool:
    return all(isinstance(one, str) for one in values)
