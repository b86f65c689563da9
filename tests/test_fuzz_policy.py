"""Who chooses, and what is said of it in the end, held against what can be counted by hand."""

from __future__ import annotations

import itertools
import math
import random
from functools import partial

import pytest
import races
from hypothesis import given
from hypothesis import strategies as st

from goldentape.errors import InputError
from verifier.fuzz import fuzz_app
from verifier.fuzz.coverage import Coverage, trace_key
from verifier.fuzz.crowd import crowd
from verifier.fuzz.inprocess import InProcess
from verifier.fuzz.policy import POLICIES, Pct, Walk, policy
from verifier.fuzz.promise import Promise
from verifier.fuzz.schedule import SERIAL
from verifier.fuzz.seen import Ended, Moment, Run, What
from verifier.fuzz.settings import Settings

USUAL = {"app_dir": races.HOME, "passports": [races.TOKEN], "certify": 0, "failures": 1}

# -- PCT


def played(lengths, chooser):
    """Return the order in which programs of so many steps go, each always able to: `[0, 1, 1, 0]`."""
    left = list(lengths)
    order = []
    while any(left):
        ways = [4 * n for n, steps in enumerate(left) if steps]
        way = chooser.choose(ways, ways[0]) if len(ways) > 1 else ways[0]
        if len(ways) == 1:
            chooser.forced(way)
        order.append(way // 4)
        left[way // 4] -= 1
    return order


def keeps(*constraints):
    """Return a bug that shows where each of so many steps comes before another: its depth is their number."""

    def bug(order):
        when = {(who, sum(other == who for other in order[:n])): n for n, who in enumerate(order)}
        return all(when[first] < when[second] for first, second in constraints)

    bug.depth = len(constraints)
    return bug


A1, A2, A3 = ((0, n) for n in range(3))
B1, B2, B3 = ((1, n) for n in range(3))
C1, C2, C3 = ((2, n) for n in range(3))


@pytest.mark.parametrize(
    ("bug", "lengths"),
    [
        (keeps((B3, A1)), (3, 3)),
        (keeps((A2, B1), (B1, A3)), (4, 4)),
        (keeps((A1, B1), (B1, C1), (C1, A2)), (2, 2, 2)),
        (keeps((A1, B1), (C1, B2), (B2, A2)), (2, 2, 2)),
        (keeps((A1, B1), (C1, A2), (A2, B2)), (2, 2, 2)),
        (keeps((A1, B1), (B1, A2), (A2, B2)), (3, 3)),
        (keeps((A1, B1), (B1, C1), (C3, B2), (B2, A2)), (2, 2, 3)),
        (keeps((A1, B1), (B1, C1), (C3, A2), (A2, B2)), (2, 2, 3)),
    ],
)
def test_pct_keeps_its_promise(bug, lengths):
    runs, steps = 4000, sum(lengths)
    policies = [Pct(seed, bug.depth, steps) for seed in range(runs)]
    met = sum(bug(played(lengths, one.chooser(()))) for one in policies)
    bound = 1 / (len(lengths) * steps ** (bug.depth - 1))

    assert policies[0].bound(len(lengths), steps) == pytest.approx(bound)
    # Four standard deviations below would be bad luck of one in thirty thousand; the seeds are always the same.
    assert met / runs > bound - 4 * math.sqrt(bound / runs)
    assert met


def run_of(ways, decisions, moments=()):
    return Run(
        moments=tuple(moments), schedule=SERIAL, choices=tuple((way, 2) for way in ways), names=("alice", "bob"),
        decisions=decisions, ended=Ended.DONE,
    )  # fmt: skip


def test_what_is_promised_is_what_a_pocket_calculator_says():
    promise = Promise()
    for decisions in (20, 20, 30):  # the last has more than were reckoned with: it counts for nothing
        promise.add(Pct(1, 2, 25), run_of((4, 6, 8, 10), decisions))

    assert promise.probability(2) == pytest.approx(1 - (1 - 1 / (4 * 25)) ** 2)
    assert "a bug of depth 2" in promise.told() and ">= 0.02 (up to 4 ways, 25 decisions)" in promise.told()
    assert Promise().told() == ""


@pytest.mark.parametrize("name", ["walk:3", "pct:", "pct:0", "pct:x", "lazy:2", "random", ""])
def test_a_policy_that_there_is_not_is_refused(name):
    with pytest.raises(InputError, match=r"no such policy.*wanted mix, walk, pos, pct, pct:DEPTH or lazy"):
        fuzz_app("clean_context:app", policy=name, **USUAL)


def test_the_mix_is_mostly_walks_and_the_depths_of_pct_vary():
    made = [policy("mix", 7, n) for n in range(3000)]
    shares = {kind: sum(one.name.startswith(kind) for one in made) / len(made) for kind in ("walk", "pos", "pct")}

    assert shares == {
        "walk": pytest.approx(0.8, abs=0.03), "pos": pytest.approx(0.1, abs=0.03), "pct": pytest.approx(0.1, abs=0.03)
    }  # fmt: skip
    assert {one.depth for one in made if isinstance(one, Pct)} == set(range(3, 9))


# -- every policy in a search


@pytest.mark.parametrize("name", POLICIES)
def test_every_policy_finds_a_race_and_says_that_it_did(name):
    report = fuzz_app("leak_wrong_key:app", policy=name, schedules=60, seed=2, **USUAL)

    assert not report.ok
    assert sum(report.policies.values()) == report.schedules
    if name != "mix":
        assert {used.partition(":")[0] for used in report.policies} == {name}
    assert bool(report.bound) == (name == "pct")


def test_lazy_slices_end_with_the_budget_and_are_the_same_with_the_same_seed():
    one, other = (fuzz_app("clean_locks:app", policy="lazy", schedules=40, seed=3, **USUAL) for _ in range(2))

    assert one.ok and not one.unconfirmed
    assert one.schedules == 40 == one.policies["lazy"]
    assert one.coverage.to_json() == other.coverage.to_json()


def test_lazy_slices_are_refused_where_another_process_would_draw_them():
    with pytest.raises(InputError, match="lazy slices are drawn in this process"):
        fuzz_app("clean_context:app", policy="lazy", isolate="fork", **USUAL)


# -- what was seen

ALICE = (("c2s", "connect"), ("s2c", "accept"), ("c2s", "close"))


def orders(*sessions):
    """Yield every order of the moments of some sessions, each session's own kept."""
    if not any(sessions):
        yield ()
    for n, session in enumerate(sessions):
        if session:
            rest = [*sessions[:n], session[1:], *sessions[n + 1 :]]
            yield from (((n, *session[0]), *order) for order in orders(*rest))


def commuting(order):
    """Return all orders that come of one by exchanging neighbours: of two users, both doing or both being told."""
    found, todo = {order}, [order]
    while todo:
        one = todo.pop()
        for n, (a, b) in enumerate(itertools.pairwise(one)):
            if a[0] != b[0] and a[1] == b[1]:
                other = (*one[:n], b, a, *one[n + 2 :])
                if other not in found:
                    found.add(other)
                    todo.append(other)
    return frozenset(found)


def as_run(order):
    names = ("alice", "bob", "carol")
    moments = [Moment(n, names[who], n, way, What(what)) for n, (who, way, what) in enumerate(order)]
    return run_of((), 0, moments)


@given(st.lists(st.lists(st.sampled_from(["c2s", "s2c"]), min_size=1, max_size=3), min_size=2, max_size=3), st.data())
def test_runs_are_one_trace_exactly_where_commuting_steps_tell_them_apart(sessions, data):
    sessions = [tuple((way, "connect" if way == "c2s" else "accept") for way in session) for session in sessions]
    every = list(itertools.islice(orders(*sessions), 300))
    one, other = data.draw(st.sampled_from(every)), data.draw(st.sampled_from(every))

    assert (trace_key(as_run(one)) == trace_key(as_run(other))) == (other in commuting(one))


async def accepting(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


def at_once(order):
    """Return whether whoever has come and is ready is accepted in one turn of the loop, as asyncio does it."""
    waiting = set()
    for n, (who, _, what) in enumerate(order):
        if what == "connect":
            waiting.add(who)
        elif what == "accept":
            if not waiting <= {one[0] for one in order[n : n + len(waiting)] if one[2] == "accept"}:
                return False
            waiting.discard(who)
    return True


@pytest.mark.parametrize(("explore", "possible", "count"), [("arrival", at_once, 5), ("ready", bool, 7)])
def test_the_distinct_traces_of_two_users_who_only_come_and_go_are_those_on_paper(explore, possible, count):
    player = InProcess(Settings(app="accepting", explore=explore), accepting)
    workload = crowd(2, 0, path="/ws")
    on_paper = {commuting(order) for order in orders(ALICE, ALICE) if possible(order)}
    coverage = Coverage()
    pairs = set()
    for n in range(400):
        run = player.follow(workload, Walk(n))
        coverage.add(run, str)
        for a, b in itertools.pairwise(run.moments):
            if a.session != b.session:
                pairs.add((f"{a.dir} {a.what}", f"{b.dir} {b.what}"))

    assert coverage.schedules == 400
    assert coverage.traces == len(on_paper) == count
    assert coverage.pairs == pairs
    assert coverage.possible == 9


def test_what_is_new_is_counted_over_the_last_hundred():
    coverage = Coverage()
    every = list(orders(ALICE, ALICE))
    random.Random(1).shuffle(every)
    for order in [*every, *itertools.islice(itertools.cycle(every), 100)]:
        coverage.add(as_run(order), partial(str))

    assert coverage.schedules == len(every) + 100
    assert coverage.last_new <= len(every)
    assert coverage.recent == 0
