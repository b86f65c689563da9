"""The tests behind a diff's findings."""

from __future__ import annotations

import math
import random
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.diff.stats import Shift, compare, design_effect, holm, least_p, mid_p, needed, percentile

COUNTS = st.tuples(st.integers(1, 30), st.integers(1, 30)).flatmap(
    lambda ns: st.tuples(st.integers(0, ns[0]), st.just(ns[0]), st.integers(0, ns[1]), st.just(ns[1]))
)


def enumerated(strata: list[tuple[int, int, int, int]]) -> tuple[float, float]:
    """The same p by counting all tables."""
    seen = sum(xb for _, _, xb, _ in strata)
    less = same = more = whole = 0
    ranges = [range(max(0, xa + xb - na), min(nb, xa + xb) + 1) for xa, na, xb, nb in strata]
    for table in product(*ranges):
        ways = math.prod(
            math.comb(nb, k) * math.comb(na, xa + xb - k) for k, (xa, na, xb, nb) in zip(table, strata, strict=True)
        )
        whole += ways
        less, same, more = (
            less + ways * (sum(table) < seen),
            same + ways * (sum(table) == seen),
            more + ways * (sum(table) > seen),
        )
    return (less + same / 2) / whole, (more + same / 2) / whole


@given(st.lists(COUNTS, min_size=1, max_size=3))
def test_the_mid_p_of_rates_is_that_of_all_tables_with_these_totals(strata):
    assert mid_p(strata) == pytest.approx(enumerated(strata), abs=1e-9)


@given(COUNTS)
def test_what_rises_one_way_falls_the_other(stratum):
    xa, na, xb, nb = stratum
    fell, rose = mid_p([stratum])
    assert mid_p([(xb, nb, xa, na)]) == pytest.approx((rose, fell), abs=1e-9)
    assert fell + rose == pytest.approx(1)


@given(COUNTS)
def test_no_p_is_below_the_least_that_its_totals_allow(stratum):
    assert 2 * min(mid_p([stratum])) >= least_p([stratum]) - 1e-12


def test_many_are_tested_by_the_normal_distribution_to_the_same_end():
    rare = mid_p([(1990, 100_000, 2300, 100_000)])[1]
    assert 0 < rare < 1e-5
    assert mid_p([(5000, 100_000, 5010, 100_000)])[1] == pytest.approx(0.46, abs=0.02)


def test_one_run_in_fifty_is_told_from_none_in_three_hundred_and_not_in_sixty():
    assert mid_p([(0, 300, 6, 300)])[1] < 0.01
    assert mid_p([(0, 60, 1, 60)])[1] > 0.1
    runs = needed(1, 60, 0.035)
    assert mid_p([(0, runs, round(runs / 60), runs)])[1] <= 0.035


SAMPLE = st.lists(st.tuples(st.floats(0.001, 1000), st.integers(0, 8)), min_size=8, max_size=60)


@given(SAMPLE, SAMPLE)
def test_a_shift_is_told_the_same_from_either_side(a, b):
    there, back = compare(a, b), compare(b, a)
    assert there.p == pytest.approx(back.p)
    assert there.delta == pytest.approx(-back.delta)


@given(SAMPLE, st.floats(1.01, 5))
def test_values_that_are_all_moved_are_moved_by_so_much(a, by):
    moved = compare(a, [(value + by, cluster) for value, cluster in a])
    assert moved.delta >= 0
    assert moved.low <= moved.shift <= moved.high


def lognormal(rng: random.Random, count: int, factor: float = 1.0, sigma: float = 0.4) -> list[tuple[float, int]]:
    return [(math.log(factor) + rng.gauss(0, sigma), n % 12) for n in range(count)]


def test_forty_percent_are_found_in_a_hundred_noisy_times_each():
    rng = random.Random(7)
    found: list[Shift] = [compare(lognormal(rng, 100), lognormal(rng, 100, 1.4), moments=True) for _ in range(40)]
    assert sum(shift.p < 0.001 for shift in found) >= 38
    assert sum(shift.low <= math.log(1.4) <= shift.high for shift in found) >= 35


def test_times_of_one_release_seldom_differ():
    rng = random.Random(8)
    ps = [compare(lognormal(rng, 50), lognormal(rng, 50), moments=True).p for _ in range(400)]
    assert sum(p < 0.01 for p in ps) <= 10


def test_what_was_slow_in_one_moment_is_one_observation():
    rng = random.Random(9)
    calm = [(rng.gauss(0, 0.1), n % 12) for n in range(240)]
    stalled = [(rng.gauss(3 if n % 12 == 5 else 0, 0.1), n % 12) for n in range(240)]
    alone = compare(calm, [(value, n) for n, (value, _) in enumerate(stalled)]).p
    assert compare(calm, stalled, moments=True).p > alone


def test_what_each_user_says_always_is_one_observation_a_user():
    a = [(float(user), user) for user in range(6) for _ in range(50)]
    b = [(float(user) + 0.5, user) for user in range(6) for _ in range(50)]
    assert compare(a, b).p > 0.05


def test_clusters_that_differ_more_than_chance_weigh_less():
    assert design_effect([(10, 10), (0, 10), (10, 10), (0, 10), (10, 10), (0, 10)]) > 5
    assert design_effect([(5, 10)] * 6) == 1


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_makes_nothing_more_certain(ps):
    corrected = holm({key: (p, 0.0) for key, p in ps.items()})
    assert all(corrected[key] >= p for key, p in ps.items())
    ordered = sorted(ps, key=lambda key: (ps[key], str(key)))
    assert [corrected[key] for key in ordered] == sorted(corrected.values())


def test_tests_that_could_never_have_told_anything_do_not_count():
    tests = {"able": (0.004, 0.001), **{f"unable {n}": (1.0, 0.9) for n in range(1000)}}
    assert holm(tests)["able"] == 0.004


@given(st.lists(st.integers(), min_size=1))
def test_percentiles_are_values_that_were_there(values):
    assert percentile(values, 0.0) == min(values)
    assert percentile(values, 1.0) == max(values)
    assert percentile(values, 0.5) in values
