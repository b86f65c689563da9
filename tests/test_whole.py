"""The quick way through a tape and the engine's way come to the same verdict, to the last count."""

from __future__ import annotations

import re
from random import Random

import pytest
from agents import found, golden_path, talk
from conversations import MUTATIONS, converse, sentences
from hypothesis import given, settings
from hypothesis import strategies as st

from goldentape.tape import Tape
from verifier.check import verify
from verifier.contract import Contract
from verifier.history import Source
from verifier.whole import Judge

SEEDS = st.integers(0, 1 << 32)
CHECK = settings(derandomize=True, deadline=None, max_examples=40)


def both(contract: Contract, tape: Tape) -> Judge:
    """Assert that both ways say the same; return the quick one."""
    judge = Judge(contract, tape)
    assert found(judge.verdict()) == found(verify(contract, Source.of(tape)))
    return judge


@given(SEEDS, st.booleans())
@CHECK
def test_a_good_conversation_is_judged_alike(seed, stays):
    both(golden_path(), talk(*sentences(converse(Random(seed), stays))).tape)


@given(SEEDS, st.sampled_from(sorted(MUTATIONS)))
@settings(CHECK, max_examples=80)
def test_what_a_bad_server_makes_of_it_is_judged_alike(seed, name):
    steps = MUTATIONS[name][0](Random(seed), converse(Random(seed), stays=True))
    if steps is not None:
        both(golden_path(), talk(*sentences(steps)).tape)


@given(SEEDS, st.floats(0, 1), st.sampled_from([{}, {"crashed": True}, {"seal": False}]))
@CHECK
def test_a_recording_that_stops_anywhere_is_judged_alike(seed, share, how):
    steps = converse(Random(seed))
    both(golden_path(), talk(*sentences(steps[: int(len(steps) * share)]), **how).tape)


def run(user: str, number: int, *, thread: str = "", without: str = "", tools: int = 1) -> list[str]:
    """Return one plain run of a user: the five events, with all ids."""
    thread = thread or f"t-{user}"
    ids = f'"thread_id": "{thread}", "run_id": "r-{user}-{number}", "timestamp": "2026-01-01T00:00:00Z"'
    lines = [f'{user} > {{"type": "user_message", "thread_id": "{thread}", "content": "how is my order?"}}']
    said = [("agent_started", '"agent_name": "triage"'), ("agent_thinking", '"data": {}')]
    for tool in range(tools):
        call = f'"data": {{"call_id": "c-{user}-{number}-{tool}", "tool_name": "search"}}'
        said += [("tool_executing", call), ("tool_completed", call)]
    result = "Your order is on its way; I recommend to enable messages of where it is."
    said.append(("agent_completed", f'"data": {{"result": "{result}"}}'))
    lines += [f'{user} < {{"type": "{kind}", {ids}, {more}}}' for kind, more in said if kind != without]
    return lines


def plain(*runs: list[str]) -> Tape:
    return talk(*[line for lines in runs for line in lines]).tape


def test_plain_logs_go_the_quick_way():
    tape = plain(run("alice", 1), run("bob", 1), run("alice", 2, tools=3))

    assert both(golden_path(), tape).unclear == {}


@pytest.mark.parametrize("missing", ["agent_started", "agent_thinking", "tool_completed", "agent_completed"])
def test_only_the_log_with_the_fault_is_looked_at_closely(missing):
    judge = both(golden_path(), plain(run("alice", 1), run("bob", 1, without=missing), run("carol", 1)))

    assert judge.closer == 1


def test_an_id_of_two_users_is_judged_over_all_of_them():
    judge = both(golden_path(), plain(run("alice", 1, thread="same"), run("bob", 1, thread="same")))

    assert judge.verdict().outcome("my-ids").verdict == "fail"


@pytest.mark.parametrize("late", [0, 900])
@pytest.mark.parametrize("form", ["iso", "ms", "constant", "seconds"])
def test_stamps_that_move_are_judged_alike(form, late):
    def stamp(t: int) -> str:
        texts = {"iso": f'"2026-01-01T00:00:{t // 1000:02}.{t % 1000:03}Z"', "ms": str(1767225600000 + t),
                 "constant": '"2026-01-01T00:00:00Z"', "seconds": f'"2026-01-01T00:00:{t // 1000:02}Z"'}  # fmt: skip
        return texts[form]

    sentences, t = [], 0
    for n, line in enumerate([*run("alice", 1), *run("bob", 1), *run("alice", 2)]):
        t += 301
        at = t - (late if n == 4 else 0)
        sentences += ["300ms", line.replace('"2026-01-01T00:00:00Z"', stamp(at))]
    judge = both(golden_path(), talk(*sentences).tape)

    outcome = judge.verdict().outcome("delivery-sla")
    assert outcome.verdict == ("fail" if late and form in ("iso", "ms") else "pass")
    assert bool(outcome.tally.activations) is (form != "constant")
    if not late:
        assert not any("long on its way" in why for why in judge.unclear)


ODD = [
    "bob > {", "alice < [1]", 'alice < {"type": "agent_started"}', 'bob < {"type": "agent_started", "type": "x"}',
    'alice < {"type": "news"}', 'bob < {"type": "agent_error", "run_id": "r-bob-1"}',
    'alice > {"type": "user_message"}',
    'alice < {"type": "tool_executing", "run_id": 7}', "alice < 12345678901234567890123",
    'bob < {"type": "agent_completed", "run_id": null, "data": {"run_id": "r-bob-1"}}',
    'alice < {"type": "agent_thinking", "run_id": "r-alice-1", "user_id": "bob"}',
    'bob < {"type": "agent_thinking", "run_id": "r-bob-1", "why": "FactoryInitializationError"}',
]  # fmt: skip
FIELDS = [
    "type", "thread_id", "run_id", "timestamp", "agent_name", "call_id", "tool_name", "data", "result", "content",
]  # fmt: skip
VALUES = ['"2026-01-01T00:00:00.250Z"', "1767225600", "1", '""', "null", '"r-bob-1"', '"r-alice-1"', '"t-alice"', "{}",
          '"c-alice-1-0"', "1e400", '"lorem ipsum"',
          '"something else altogether: reduce the noise of the machine in your cellar"']  # fmt: skip


LEAVES = [["{} > (close 1000)", "{} < (close 1000)"], ["{} ends eof by client"], ["{} < (close 1011)"], []]


def of_tab(lines: list[str]) -> list[str]:
    """Return lines of a user as those of the user's second connection."""
    return [re.sub(r"^(\w+)", r"\1/2", line) for line in lines]


@st.composite
def spoilt(draw, second: bool = False) -> list[str]:
    """Plain logs of two users, woven together, in which some lines were lost, doubled, moved or changed.

    `second`: alice has another connection at that time, with runs of its own.
    """
    logs = [[line for n in range(draw(st.integers(1, 3)))
             for line in run(user, n, tools=draw(st.integers(0, 2)), thread=draw(st.sampled_from(["", f"t{n}"])))]
            for user in ("alice", "bob")]  # fmt: skip
    if second:
        thread = draw(st.sampled_from(["", "t0", "t9"]))
        tab = [line for n in range(draw(st.integers(1, 2))) for line in run("alice", 10 + n, thread=thread)]
        logs = [logs[0], of_tab(tab)]
        for log, who in zip(logs, ("alice", "alice/2"), strict=True):
            log += [line.format(who) for line in draw(st.sampled_from(LEAVES))]
    lines = []
    while any(logs):
        log = draw(st.sampled_from([log for log in logs if log]))
        lines.append(log.pop(0))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "insert", "field"])):
            case "drop" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(draw(st.integers(at, len(lines))), lines[at])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case "insert":
                lines.insert(at, draw(st.sampled_from(ODD)))
            case "field":
                field, value = draw(st.sampled_from(FIELDS)), draw(st.sampled_from(VALUES))
                lines[at] = re.sub(rf'"{field}": ("[^"]*"|{{[^}}]*}})', f'"{field}": {value}', lines[at])
    return lines


@given(spoilt())
@settings(CHECK, max_examples=300)
def test_whatever_is_spoilt_in_a_plain_log_is_judged_alike(lines):
    both(golden_path(), talk(*lines).tape)


@given(spoilt(second=True))
@settings(CHECK, max_examples=300)
def test_two_connections_at_once_are_judged_alike(lines):
    both(golden_path(), talk(*lines).tape)


def test_two_connections_at_once_go_the_quick_way_but_for_what_looks_at_both():
    lines = [line for pair in zip(run("alice", 1), of_tab(run("alice", 2)), strict=True) for line in pair]
    ends = [line.format(who) for who in ("alice", "alice/2") for line in LEAVES[0]]
    judge = both(golden_path(), talk(*lines, *ends).tape)

    assert {why.partition(":")[0] for why in judge.unclear} <= {
        "once", "all-devices", "recovers", "total-sla", "resumes", "substance",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("jobs", [2, 3])
def test_several_processes_find_what_one_finds(seed, jobs):
    random = Random(seed)
    steps = converse(random, stays=True)
    if seed:
        steps = MUTATIONS[sorted(MUTATIONS)[seed]][0](random, steps) or steps
    tape = talk(*sentences(steps), 'zoe < {"type": "news"}').tape

    assert found(Judge(golden_path(), tape, jobs=jobs).verdict()) == found(verify(golden_path(), Source.of(tape)))


def test_an_id_of_two_users_is_found_by_processes_that_saw_one_each():
    tape = plain(run("alice", 1, thread="same"), run("bob", 1, thread="same"))

    assert Judge(golden_path(), tape, jobs=2).verdict().outcome("my-ids").verdict == "fail"
