"""`fuzz tape`: other orders of a recording, which are legal, which rules they may change, and what is said of that."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from functools import cache
from itertools import pairwise

import pytest
from agents import EVENTS, contract, golden_path, spelled, talk
from hypothesis import given
from hypothesis import strategies as st
from tapes import write

from goldentape.commands.finding import read_contracts
from goldentape.path import parse
from verifier.fuzz.offline import run as offline
from verifier.fuzz.offline.automaton import Automaton
from verifier.fuzz.offline.feeds import Feeds
from verifier.fuzz.offline.order import PartialOrder, trace_key
from verifier.fuzz.offline.overlap import Interval, overlaps
from verifier.fuzz.offline.recorded import Recorded
from verifier.fuzz.offline.rules import checks_over, untimed
from verifier.fuzz.offline.run import fuzz_tape
from verifier.fuzz.offline.shrink import shrink
from verifier.history import Source

LOCK = "lock: {kind: pair, per: recording, open: tool_executing, close: tool_completed, max_open: 1}"
TURNS = "turns: {kind: protocol, per: recording, pattern: '(tool_executing tool_completed)*'}"


def run_of(user: str, n: int) -> list[str]:
    """One question and its answer."""
    return [
        f"{user} > ask t{n}", f"{user} < agent_started t{n} r{n}", f"{user} < tool_executing t{n} r{n} c{n}",
        f"{user} < tool_completed t{n} r{n} c{n}", f"{user} < agent_completed t{n} r{n}",
    ]  # fmt: skip


@cache
def source(*sentences: str) -> Source:
    return Source.of(talk(*sentences).tape)


TWO = source(*run_of("alice", 1), *run_of("bob", 2))


# -- orders


@st.composite
def orders(draw) -> PartialOrder:
    """A partial order in which a recorded order is legal: steps in lanes, and edges from earlier to later ones."""
    size = draw(st.integers(1, 12))
    lanes = [[] for _ in range(draw(st.integers(1, 3)))]
    for step in range(size):
        lanes[draw(st.integers(0, len(lanes) - 1))].append(step)
    place = {step: (n, at) for n, lane in enumerate(lanes) for at, step in enumerate(lane)}
    needs: dict[int, dict[int, int]] = {}
    for later in draw(st.lists(st.integers(1, max(1, size - 1)), max_size=5)):
        earlier = draw(st.integers(0, later - 1))
        if later < size and place[earlier][0] != place[later][0]:
            lane, at = place[earlier]
            of = needs.setdefault(later, {})
            of[lane] = max(of.get(lane, 0), at + 1)
    return PartialOrder(tuple(map(tuple, lanes)), {step: tuple(of.items()) for step, of in needs.items()})


def legal(order: PartialOrder, told: list[int]) -> bool:
    if sorted(told) != sorted(step for lane in order.lanes for step in lane):
        return False
    at = {step: n for n, step in enumerate(told)}
    in_lanes = all(at[a] < at[b] for lane in order.lanes for a, b in pairwise(lane))
    return in_lanes and all(
        at[order.lanes[lane][count - 1]] < at[step] for step, of in order.needs.items() for lane, count in of
    )


@given(orders(), st.integers(0, 1000))
def test_every_interleaving_is_legal(order, seed):
    assert legal(order, order.walk(random.Random(seed)))
    assert legal(order, order.serial())


@given(orders(), st.integers(0, 1000))
def test_an_interleaving_is_told_by_its_slices(order, seed):
    told = order.walk(random.Random(seed))

    assert order.play(order.slices_of(told))[0] == told


@given(orders(), st.integers(0, 11))
def test_what_must_come_before_a_step_comes_before_it_in_every_interleaving(order, step):
    if step >= order.size:
        return
    past = {order.lanes[lane][at] for lane, count in order.before(step).items() for at in range(count)}
    told = [order.walk(random.Random(seed)) for seed in range(10)]

    assert all(past <= set(one[: one.index(step)]) for one in told)
    # Nothing else must: the step can come right after them.
    begin = [s for s in told[0] if s in past]
    assert legal(order, [*begin, step, *(s for s in told[0] if s not in past and s != step)])


def foata(order: PartialOrder, told: list[int], shared: list[set[int]]) -> tuple[frozenset[int], ...]:
    """The Foata normal form: each step in the first group behind those that it depends on."""
    levels: dict[int, int] = {}
    for n, step in enumerate(told):
        dependent = [
            other for other in told[:n]
            if order.lane_of(other) == order.lane_of(step) or any({step, other} <= of for of in shared)
        ]  # fmt: skip
        levels[step] = 1 + max((levels[other] for other in dependent), default=0)
    return tuple(frozenset(s for s in told if levels[s] == level) for level in range(1, max(levels.values()) + 1))


@given(orders(), st.lists(st.sets(st.integers(0, 11), max_size=6), max_size=2), st.integers(0, 500))
def test_two_interleavings_have_one_key_just_when_they_are_one_trace(order, shared, seed):
    shared = [{step for step in of if step < order.size} for of in shared]
    told = [order.walk(random.Random(seed + n)) for n in range(8)]

    for a in told:
        for b in told:
            assert (trace_key(a, shared) == trace_key(b, shared)) == (
                foata(order, a, shared) == foata(order, b, shared)
            )


@given(orders(), st.integers(0, 500), st.tuples(st.integers(0, 11), st.integers(0, 11)))
def test_shrinking_keeps_the_failure_and_finds_the_fewest_slices(order, seed, pair):
    a, b = (n % order.size for n in pair)
    told = order.walk(random.Random(seed))

    def fails(one) -> bool:
        return one.index(a) <= one.index(b)

    if fails(told):
        slices = shrink(order, order.slices_of(told), fails)
        assert fails(order.play(slices)[0])
        assert len(slices) == (0 if fails(order.serial()) else 1)


def test_overlaps_are_found_without_trying_interleavings():
    free = PartialOrder(((0, 1, 2), (3, 4, 5)))
    handed_over = PartialOrder(((0, 1, 2), (3, 4, 5)), {3: ((0, 3),)})
    held = [Interval("gpu", 0, 2, 0), Interval("gpu", 3, 5, 1)]

    [told] = overlaps(free, held, 2)
    assert legal(free, told) and max(told.index(0), told.index(3)) < min(told.index(2), told.index(5))
    assert list(overlaps(handed_over, held, 2)) == []


# -- tables against the engine


@pytest.mark.parametrize(
    "rule",
    [
        LOCK,
        TURNS,
        "x: {kind: exclusive, per: recording, events: [agent_error, tool_executing]}",
        "x: {kind: precedes, per: recording, first: tool_executing, then: tool_completed}",
        "x: {kind: precedes, per: recording, first: agent_started, then: tool_executing, mode: each}",
        "x: {kind: monotone, per: recording, event: tool_executing, path: n, missing: ignore}",
        "x: {kind: same, per: recording, path: data.tool_name, set_by: tool_executing, events: [tool_completed]}",
        "x: {kind: pair, per: recording, key: call, open: tool_executing, close: tool_completed}",
    ],
)
def test_a_learnt_table_says_what_the_engine_says(rule):
    judged = untimed(contract(rule))
    name = next(iter(judged.invariants))
    sentences = [*run_of("alice", 1), *run_of("bob", 2)]
    sentences = [f"{s} n:={n}" if "tool_executing" in s else s for n, s in enumerate(sentences)]
    recorded = Recorded(source(*sentences))
    table = Automaton(Feeds(judged, recorded, name))
    order = offline.fuzz_tape(judged, source(*sentences), interleavings=1).order

    for seed in range(60):
        told = order.walk(random.Random(seed))
        tally = checks_over(judged, recorded.told(told), [name])[name].tally
        assert (table.first_violation(told) is not None) == bool(tally.violated + tally.demoted), told


# -- what is said


def test_what_the_recorded_timing_hid_is_told_as_possible_with_the_fewest_switches():
    report = fuzz_tape(contract(LOCK), TWO)

    [possible] = report.possible
    assert report.broken == [] and len(possible.slices) == 1
    assert possible.violation is not None and {w.user for w in possible.violation.witness} == {"alice", "bob"}
    assert report.explored.traces == 6


def test_the_same_is_found_by_a_rule_of_another_kind():
    assert [one.invariant for one in fuzz_tape(contract(TURNS), TWO).possible] == ["turns"]


def test_what_an_order_between_users_excludes_is_not_possible():
    handed = [*run_of("alice", 1), 'bob > {"type": "ask", "after": "r1", "run_id": "run-of-alice"}', *run_of("bob", 2)]
    handed[4] += " run_id=run-of-alice"

    report = fuzz_tape(contract(LOCK), source(*handed))

    assert report.edges == 1 and report.possible == [] and report.explored.traces == 1


def test_what_the_server_orders_itself_keeps_its_order():
    report = fuzz_tape(contract(LOCK), TWO, ordered=[parse("data.tool_name")])

    assert report.possible == [] and report.explored.traces == 1


def test_what_is_shared_makes_traces():
    assert fuzz_tape(contract(LOCK.replace("recording", "connection")), TWO).explored.traces == 0
    shared = fuzz_tape(contract(LOCK.replace("recording", "connection")), TWO, shared=[parse("data.tool_name")])
    assert shared.explored.traces == 6 and shared.explored.satisfied


def test_rules_of_one_user_keep_their_verdict_whatever_others_do():
    ten = [s for row in zip(*(run_of(f"user{n}", n) for n in range(1, 11)), strict=True) for s in row]

    report = fuzz_tape(golden_path(), source(*ten))

    assert report.permuted == 50 and report.dependent == [] and len(report.rules.own) > 10


CHEATS = """
import os
from goldentape.plugin import Violation

class Remembers:
    events = ("tool_executing",)
    last = None
    def start(self, context):
        return None
    def step(self, state, event, context):
        before, self.last = self.last, event.user
        if before not in (None, event.user):
            yield Violation("somebody else was here", [event])
    def end(self, state, ending, context):
        return None

class NeverForgets(Remembers):
    seen = 0
    def step(self, state, event, context):
        NeverForgets.seen += 1
        if NeverForgets.seen % 3 == 0:
            yield Violation("number 3", [event])

class ByChance(Remembers):
    def step(self, state, event, context):
        if os.urandom(1)[0] < 128:
            yield Violation("heads", [event])

last = []

def each(event, context):
    last.append(event.user)
    if last[-2:-1] not in ([], [event.user]):
        yield Violation("somebody else was here", [event])
"""


@pytest.mark.parametrize(
    ("use", "per", "again"),
    [("Remembers", "per: connection,", False), ("NeverForgets", "per: user,", True), ("each", "", True)],
)
def test_a_rule_of_ones_own_that_looks_at_other_users_is_found(tmp_path, use, per, again):
    (tmp_path / "cheats.py").write_text(CHEATS)
    file = tmp_path / "own.yaml"
    mine = f"mine: {{kind: python, use: 'cheats:{use}', {per} events: [tool_executing]}}"
    file.write_text(f"{EVENTS}invariants:\n  {mine}\n")
    [judged] = read_contracts([str(file)], {}, allow_code=True)

    [dependent] = fuzz_tape(judged, TWO).dependent

    assert dependent.invariant == "mine" and dependent.again == again


def test_a_rule_of_ones_own_over_all_users_that_tosses_a_coin_says_nothing_of_orders(tmp_path):
    (tmp_path / "cheats.py").write_text(CHEATS)
    file = tmp_path / "own.yaml"
    rules = [f"r{n}: {{kind: python, use: 'cheats:ByChance', per: recording}}" for n in range(12)]
    file.write_text(f"{EVENTS}invariants:\n" + "".join(f"  {rule}\n" for rule in rules))
    [judged] = read_contracts([str(file)], {}, allow_code=True)

    report = fuzz_tape(judged, TWO, interleavings=1)

    # Twelve pairs of coins: that all should fall alike twice is one in sixteen million.
    assert any(one.again for one in report.dependent)


def test_no_time_is_no_verdict():
    report = fuzz_tape(contract(LOCK), TWO, seconds=0.0)

    assert report.vacuous == "the time was up before any other order was judged" and report.possible == []


def test_a_rule_that_the_recording_itself_breaks_is_not_called_possible():
    overlapping = [s for pair in zip(run_of("alice", 1), run_of("bob", 2), strict=True) for s in pair]

    report = fuzz_tape(contract(LOCK), source(*overlapping))

    assert [name for name, _ in report.broken] == ["lock"] and report.possible == []


@pytest.mark.parametrize(
    ("sentences", "why"),
    [
        ((), "no user"),
        (tuple(run_of("alice", 1)), "one user"),
        ((*run_of("alice", 1), *run_of("bob", 2)), "no rule of it relates users by the order"),
    ],
)
def test_a_vacuous_set_up_is_refused_with_the_reason(sentences, why):
    report = fuzz_tape(golden_path(), source(*sentences))

    assert report.vacuous is not None and why in report.vacuous and report.explored.interleavings == 0


def test_messages_on_two_tabs_of_one_user_may_come_in_another_order_but_answers_stay_answers():
    both = "it: {kind: monotone, per: user, event: tool_executing, path: n}"
    tabs = ["alice connects", "alice/2 connects", "alice > ask t1", "alice < tool_executing t1 n:=1",
            "alice/2 < tool_executing t2 n:=2"]  # fmt: skip

    report = fuzz_tape(contract(both), source(*tabs))
    assert [one.invariant for one in report.possible] == ["it"]

    answered = [*tabs[:4], "alice/2 > ask t2", "alice/2 < tool_executing t2 n:=2"]
    first = fuzz_tape(contract("it: {kind: precedes, per: user, first: ask, then: tool_executing}"), source(*answered))
    assert first.possible == []


def test_marks_stay_between_what_came_before_and_after_them():
    during = "it: {kind: never, event: tool_executing, scope: {between: [fault_begin, fault_end]}, per: recording}"
    told = [*run_of("alice", 1), "mark fault_begin", "mark fault_end", *run_of("bob", 2)]

    assert fuzz_tape(contract(during), source(*told)).possible == []


def test_equal_seeds_give_equal_reports():
    a, b = (fuzz_tape(contract(LOCK, TURNS), TWO, seed=7) for _ in range(2))

    assert [(p.slices, p.order) for p in a.possible] == [(p.slices, p.order) for p in b.possible]
    assert (a.explored.interleavings, a.explored.traces) == (b.explored.interleavings, b.explored.traces)


# -- the command


@pytest.fixture
def fuzz(tmp_path):
    """Runs `goldentape fuzz tape` in a directory with a tape of two users and a consumer."""
    write(tmp_path / "two.tape", *map(spelled, [*run_of("alice", 1), *run_of("bob", 2)]))
    (tmp_path / "lock.yaml").write_text(YAML)
    (tmp_path / "board.py").write_text(BOARD)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "goldentape", "fuzz", "tape", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    return run


YAML = f"""\
goldentape: 1
contract: {{id: one-tool, version: "1.0.0"}}
wire: {{format: json, type: type, unknown: ignore}}
events: {{tool_executing: {{}}, tool_completed: {{}}}}
invariants:
  {LOCK}
"""
BOARD = """
def last(stream):
    said = [item for item in stream if item["what"] == "message"]
    return said[-1]["user"]

def by_user(stream):
    counts = {}
    for item in stream:
        counts[item["user"]] = counts.get(item["user"], 0) + 1
    return counts

def fails(stream):
    raise RuntimeError("no \\x1b[31m such thing")

answer = 42
"""


def test_possible_is_exit_4_with_a_story_and_the_sum_as_the_last_line(fuzz):
    found = fuzz("two.tape", "--contract", "lock.yaml")

    assert found.returncode == 4, found
    assert "POSSIBLE lock: the recording does not exclude it; it did not happen in it" in found.stdout
    assert "< tool_executing #" in found.stdout and "1 switch between connections" in found.stdout
    assert found.stdout.splitlines()[-1].startswith("interleavings ")
    assert "distinct traces 6, possible violations 1" in found.stdout.splitlines()[-1]


def test_the_same_as_json(fuzz):
    found = json.loads(fuzz("two.tape", "--contract", "lock.yaml", "--json").stdout)

    [possible] = found["possible"]
    assert possible["invariant"] == "lock" and len(possible["slices"]) == 1 and found["distinct_traces"] == 6


@pytest.mark.parametrize(
    ("consumer", "code", "words"),
    [
        ("board:last", 1, "DIFFERS  the consumer's end state depends on an order"),
        ("board:by_user", 0, "possible violations 0"),
        ("board:fails", 0, "possible violations 0"),
        ("board:lost", 2, "did you mean last?"),
        ("board:answer", 2, "is no function"),
        ("nowhere:at_all", 2, "cannot be imported"),
        ("board", 2, "wanted MODULE:FUNCTION"),
    ],
)
def test_consumers(fuzz, consumer, code, words):
    found = fuzz("two.tape", "--consumer", consumer)

    assert found.returncode == code, found
    assert words in found.stdout + found.stderr and "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("none.tape",), 2), (("lock.yaml",), 2), (("two.tape", "--interleavings", "0"), 2),
        (("two.tape", "--seed", "abc"), 2), (("two.tape", "--shared", "a..b"), 2),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(fuzz, arguments, code):
    found = fuzz(*arguments)

    assert found.returncode == code
    assert len(found.stderr.splitlines()) == 1, found.stderr


def test_what_is_broken_as_recorded_is_a_violation(fuzz):
    found = fuzz("two.tape")

    assert found.returncode == 1, found
    assert "BROKEN   five-events: the recording itself breaks it" in found.stdout
