"""Good histories as drafts, for tests of faults and of laws."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from agents import golden_path, talk

from verifier.contract import Contract
from verifier.faults.draft import Draft
from verifier.faults.reading import Reading
from verifier.history import Source

GOOD = Path(__file__).parent.parent / "fixtures" / "good"


@cache
def draft(name: str) -> Draft:
    """Return a good fixture as a draft."""
    lines = (GOOD / f"{name}.txt").read_text("utf-8").splitlines()
    return told(*(line for line in lines if line and not line.startswith("#")))


def told(*sentences: str) -> Draft:
    """Return what sentences say as a draft."""
    with talk(*sentences).tape as tape:
        return Draft.of(Source.of(tape))


@cache
def reading(name: str) -> Reading:
    """Return a good fixture as golden-path sees it."""
    return Reading(golden_path(), draft(name))


def read(contract: Contract, *sentences: str) -> Reading:
    """Return sentences as a contract sees them."""
    return Reading(contract, told(*sentences))
