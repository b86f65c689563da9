"""Endings: what is owed when a slice is over, by how it ended."""

import pytest

from verifier.endings import DEFAULTS, Ending, resolve


@pytest.mark.parametrize(
    "ending, outcome",
    [
        (Ending("exit", 0, "completed"), "violated"),
        (Ending("exit", 0, "disconnected", by_close=True), "waived"),
        (Ending("left", 0), "waived"),
        (Ending("lost", 0), "violated"),
        (Ending("expired", 0), "violated"),
        (Ending("cut", 0), "inconclusive"),
    ],
)
def test_what_is_owed_at_each_ending(ending, outcome):
    assert resolve({}, ending) == outcome
    for other in ("violated", "waived", "inconclusive"):
        assert resolve({ending.cause: other}, ending) == other
        assert resolve({cause: other for cause in DEFAULTS if cause != ending.cause}, ending) == outcome


def test_an_ending_names_its_exit():
    assert str(Ending("exit", 0, "completed")) == "exit:completed"
    assert str(Ending("left", 0)) == "left"
