"""What can be said against a run: canaries at others, contracts, what differs from being alone; and what is small."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldentape.commands.finding import read_contracts
from verifier.fuzz.canaries import Canaries
from verifier.fuzz.canary import canary, word_of
from verifier.fuzz.certify import certify
from verifier.fuzz.coverage import Coverage, trace_key
from verifier.fuzz.crowd import crowd
from verifier.fuzz.failure import Kind
from verifier.fuzz.judged import Contracts
from verifier.fuzz.message import read, shared_by
from verifier.fuzz.plans import USUAL, settled, with_faults
from verifier.fuzz.schedule import SERIAL, Schedule, slices
from verifier.fuzz.seen import Ended, Moment, Run, What
from verifier.fuzz.shrink import Shrinking

TOKEN = canary("alice", 1)
EVENTS = ("agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed")


def run_of(*moments: tuple, ended: Ended = Ended.DONE) -> Run:
    made = [
        Moment(n, session, (n + 1) * 1_000_000, dir, what, payload, code)
        for n, (session, dir, what, payload, code) in enumerate(moments)
    ]
    return Run(tuple(made), SERIAL, ((8, 1),) * len(made), ("alice", "bob"), 0, ended)


def says(session: str, value: object, dir: str = "s2c") -> tuple:
    return (session, dir, What.MESSAGE, value if isinstance(value, str | bytes) else json.dumps(value), 0)


def talk(session: str, events=EVENTS, user: str = "", **data) -> list[tuple]:
    user = user or session
    opened = [(session, "c2s", What.CONNECT, "", 0), (session, "s2c", What.ACCEPT, "", 0)]
    asked = says(session, {"type": "user_message", "content": "reduce cost", "thread_id": f"t-{session}"}, "c2s")
    answer = [
        says(session, {
            "type": type_, "event_id": f"{session}.{n}", "seq": n, "timestamp": "2026-01-01T00:00:00.1Z",
            "user_id": user, "thread_id": f"t-{session}", "run_id": f"r-{session}", "agent_name": "a",
            "data": {"call_id": "c", "tool_name": "t", **data},
        })
        for n, type_ in enumerate(events, 1)
    ]  # fmt: skip
    return [*opened, asked, *answer]


def leaks(payload: str | bytes, **options) -> list[str]:
    canaries = Canaries({TOKEN: "alice"}, {"alice": "alice", "bob": "bob"}, **options)
    return [failure.detail for failure in canaries.failures(run_of(says("bob", payload)))]


@pytest.mark.parametrize("text", [
    TOKEN, word_of(TOKEN), word_of(TOKEN).upper(), f"about {word_of(TOKEN)}.",
    base64.b64encode(f"about {word_of(TOKEN)} and {TOKEN}".encode()).decode(),
    json.dumps({"inner": json.dumps({"deeper": TOKEN})}), TOKEN.encode().hex(),
    "".join(f"\\u{ord(letter):04x}" for letter in TOKEN),
])  # fmt: skip
def test_a_canary_is_found_at_another_user_in_whatever_form(text):
    assert leaks(json.dumps({"type": "answer", "data": {"result": text}})) == ["answer.data.result"]
    assert leaks(f"plain {text} text") == ["text"]


def test_a_canary_that_comes_in_pieces_is_found():
    word = word_of(TOKEN)
    canaries = Canaries({TOKEN: "alice"}, {"alice": "alice", "bob": "bob"})
    pieces = [says("bob", {"type": "delta", "text": part}) for part in (word[:3], word[3:7], word[7:])]

    [failure] = canaries.failures(run_of(*pieces))

    assert (failure.kind, failure.victim, failure.owner) == (Kind.LEAK, "bob", "alice")


def test_what_is_shared_on_purpose_and_what_is_ones_own_is_no_leak():
    said = json.dumps({"type": "answer", "room": {"topic": TOKEN}})

    assert leaks(said, shared=shared_by(["room.*"])) == []
    assert not list(Canaries({TOKEN: "alice"}, {"bob": "alice"}).failures(run_of(says("bob", said))))


def golden(*moments: tuple, ended: Ended = Ended.DONE) -> set[str]:
    contracts = Contracts(tuple(read_contracts(["golden-path"], {})), lambda session: session)
    return {failure.detail for failure in contracts.failures(run_of(*moments, ended=ended))}


def test_a_contract_holds_on_a_good_run_and_names_what_is_broken_in_a_bad_one():
    assert golden(*talk("alice"), *talk("bob")) == set()
    assert {"ended", "right-order"} <= golden(*talk("alice"), *talk("bob", EVENTS[:-1]))
    assert {"tools-paired", "ended"} <= golden(*talk("alice", (*EVENTS[:3], EVENTS[4], EVENTS[3])))
    assert "mine" in golden(*talk("alice"), *talk("bob", user="alice"))


def test_who_leaves_is_owed_nothing():
    left = [*talk("alice", EVENTS[:2]), ("alice", "c2s", What.DROP, "", 0)]

    assert golden(*left, *talk("bob")) == set()


def test_the_end_of_the_run_is_nobodys_leaving():
    cut = [*talk("alice", EVENTS[:2]), ("alice", "c2s", What.END, "", 1001)]

    assert "ended" in golden(*cut)


def test_a_message_is_read_by_place():
    message = read('{"type": "a", "data": {"list": [1, {"x": "y"}]}}')

    assert message.name == "a"
    assert message.values == (("type", "a"), ("data.list[0]", 1), ("data.list[1].x", "y"))
    assert read("plain").values == (("", "plain"),)
    assert read(b"\x81\xa4type\xa3msg").name == "msg"


@given(st.permutations(range(6)))
def test_what_two_clients_are_told_commutes(order):
    told = [says("alice" if n < 3 else "bob", {"type": f"e{n % 3}"}) for n in range(6)]
    kept = [n for n in order if n < 3], [n for n in order if n >= 3]
    mixed = [told[sorted(kept[0 if n < 3 else 1])[(kept[0] if n < 3 else kept[1]).index(n)]] for n in order]

    assert trace_key(run_of(*mixed)) == trace_key(run_of(*told))


def test_what_a_client_does_does_not_commute_with_what_another_is_told():
    asks, told = says("alice", {"type": "ask"}, "c2s"), says("bob", {"type": "told"})

    assert trace_key(run_of(asks, told)) != trace_key(run_of(told, asks))
    coverage = Coverage()
    for run in (run_of(asks, told), run_of(told, asks), run_of(asks, told)):
        coverage.add(run, lambda session: session)
    assert (coverage.schedules, coverage.traces, len(coverage.pairs), coverage.possible) == (3, 2, 2, 4)


@pytest.mark.parametrize("mixture", USUAL)
@pytest.mark.parametrize("where", range(4))
def test_faults_leave_a_workload_whole_and_canaries_apart(mixture, where):
    workload = with_faults(crowd(3, 2), mixture, where)

    assert settled(workload) == workload
    sent = [action.canary for session in workload.sessions for n in session.sends for action in [session.script[n]]]
    assert len(sent) == len(set(sent)) == len(workload.canaries())
    assert workload.only("alice").users[0].name == "alice"


def test_shrinking_leaves_what_the_failure_needs_and_nothing_else():
    """The failure: alice is preferred for three steps at least, and bob somewhere after that."""

    def fails(workload, schedule):
        names = [session.name for session in workload.sessions]
        alice = next((n for n, s in enumerate(schedule) if s.session == "alice" and s.steps >= 3), None)
        after = () if alice is None else schedule.slices[alice + 1 :]
        if {"alice", "bob"} <= set(names) and any(s.session == "bob" for s in after):
            return Run((), schedule, (), tuple(names), 0, Ended.DONE)
        return None

    begin = slices([("carol", 2), ("bob", 1), ("alice", 1), ("carol", 4), ("alice", 9), ("carol", 1), ("bob", 5)] * 3)
    workload = with_faults(crowd(3, 2), ("reconnect", "tabs", "slow"))
    small = Shrinking(fails, lambda workload, n: None, workload, begin, Run((), begin, (), (), 0, Ended.DONE)).shrink()

    assert [(s.session, s.steps) for s in small.schedule] in ([("alice", 3), ("bob", 0)], [("alice", 3), ("bob", 1)])
    assert [session.name for session in small.workload.sessions] == ["alice", "bob"]
    assert small.workload.messages == 0
    assert small.runs <= 300
    assert isinstance(small.schedule, Schedule)


def test_nothing_is_certified_where_nobody_saw_which_slice_took_which_step():
    """As in a forked process: the steps are known, and who took them is not."""
    run, schedule = run_of(*talk("alice")), slices([("alice", 1), ("bob", 2), ("alice", 1)])

    certificate = certify(lambda _: (run, ()), lambda _: False, crowd(2, 1), schedule, run)

    assert (certificate.minimal, certificate.complete, certificate.tried) == ("smallest known", -1, 0)
