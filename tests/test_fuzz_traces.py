"""What is the same to a contract has one name, and what is not has two."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from races import HOME, TOKEN

from goldentape.commands.finding import read_contracts
from verifier.fuzz.crowd import crowd
from verifier.fuzz.policy import policy
from verifier.fuzz.run import Runner
from verifier.fuzz.seen import Moment, What
from verifier.fuzz.traces import Traces

MS = 10**6
SECOND = 1000 * MS
TRACES = Traces(read_contracts(["golden-path"], {})[0])


def said(at, text, session="alice"):
    return Moment(0, session, at, "s2c", What.MESSAGE, text)


def stamped(at, before=0):
    return f'{{"timestamp":"2026-01-01T00:00:{(at - before) // SECOND:02}.{(at - before) % SECOND // 1000:06}+00:00"}}'


@given(st.lists(st.integers(0, 200), min_size=1, max_size=6), st.integers(0, 40), st.integers(0, 9))
def test_times_within_all_limits_are_one(steps, more, late):
    def log(scale):
        at, found = late * MS, []
        for step in steps:
            at += step * scale
            found.append(said(at, stamped(at)))
        return TRACES.of(found)

    assert log(1000) == log(1000 * (more + 1))


@pytest.mark.parametrize("gap, other", [(260 * MS, 240 * MS), (4 * SECOND, 6 * SECOND), (29 * SECOND, 31 * SECOND)])
def test_times_on_two_sides_of_a_limit_are_two(gap, other):
    assert TRACES.of([said(0, "{}"), said(gap, "{}")]) != TRACES.of([said(0, "{}"), said(other, "{}")])


def test_what_is_exactly_at_a_limit_has_no_name():
    assert TRACES.of([said(0, "{}"), said(5 * SECOND, "{}")]) is None


def test_a_stamp_is_told_by_its_place_and_by_how_late_its_message_is():
    early, late = 10 * MS, 20 * MS
    in_order = TRACES.of([said(early, stamped(early)), said(late, stamped(late))])
    assert in_order == TRACES.of([said(early, stamped(early)), said(late + MS, stamped(late + MS))])
    assert in_order != TRACES.of([said(late, stamped(late)), said(late, stamped(late, late - early))])
    assert TRACES.of([said(SECOND, stamped(SECOND))]) != TRACES.of([said(SECOND, stamped(SECOND, 600 * MS))])


@pytest.mark.parametrize(
    "one, other, same",
    [('{"a":1767225600.25}', '{"a":1767225600.26}', True), ('{"a":1767225600250}', '{"a":1767225600260}', True),
     ('{"a":17672256002}', '{"a":17672256003}', False), ('{"a":"2026-01-02"}', '{"a":"2026-01-03"}', False),
     ('{"a":"2026-01-01T00:00:00Z"}', '{"a":"2026-01-01T00:00:00.25Z"}', False)],
)  # fmt: skip
def test_how_time_is_written(one, other, same):
    assert (TRACES.of([said(260 * MS, one)]) == TRACES.of([said(260 * MS, other)])) is same


def test_who_comes_back_is_told_by_the_exact_times():
    def log(wait):
        gone = Moment(0, "alice", MS, "c2s", What.DROP)
        again = Moment(0, "again", MS + wait, "c2s", What.CONNECT)
        return TRACES.of([Moment(0, "alice", 0, "c2s", What.CONNECT), gone, again])

    assert log(2 * SECOND) != log(2 * SECOND + 1)
    assert log(MS) == log(2 * MS)


def test_what_is_random_in_a_run_is_random_for_each_session_by_itself():
    """So the same of a user is the same, whatever others did meanwhile."""
    runner = Runner("clean_context:app", app_dir=HOME)
    work = crowd(3, 2, passports=(TOKEN,), done="agent_completed")
    ids = set()
    for n in range(20):
        run = runner.run(work, policy("mix", 1, n))
        said = {name: re.findall(r'"run_id":"([^"]+)"', str(run.by_session[name])) for name in run.names}
        ids.add(tuple(said["bob"]))
        assert set(said["alice"]).isdisjoint(said["bob"])
    assert len(ids) == 1
