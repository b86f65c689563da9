"""Times as contracts write them and as reports show them."""

import pytest

from verifier.durations import duration, parse_duration


@pytest.mark.parametrize(
    "text, ns",
    [
        ("500ms", 500_000_000),
        ("2s", 2_000_000_000),
        ("1.5m", 90_000_000_000),
        ("1h", 3_600_000_000_000),
        ("0.1s", 10**8),
    ],
)
def test_a_time_is_a_number_and_a_unit(text, ns):
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "5 s", "5S", "5us", "1e3s", ".5s", "5s ", "٣s", "1h30m", "inf"])
def test_nothing_else_is_a_time(text):
    with pytest.raises(ValueError, match="a number and a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    "ns, text", [(900, "1 us"), (87_000_000, "87 ms"), (5_250_000_000, "5.250 s"), (0, "0 us"), (-3_000_000, "-3 ms")]
)
def test_a_time_is_shown_in_the_unit_that_fits(ns, text):
    assert duration(ns) == text
