"""`ratio`: shares of runs, connections, users and obligations."""

import pytest
from agents import contract, golden_path, judge, talk, troubled
from crowds import crowd, leave
from hypothesis import given
from hypothesis import strategies as st

from goldentape.errors import GoldentapeError
from verifier.units import at_least
from verifier.whole import verify_tape

PAIRED = "pairs: {kind: pair, scope: run, key: call, open: tool_executing, close: tool_completed, severity: warning}"
FIVE = "five: {kind: count, scope: run, event: agent_thinking, min: 1, when: {exit: completed}, severity: warning}"
DOOR = "door: {kind: latency, per: connection, from: $connect, to: $accept, max: 1s, severity: warning}"
ASKED = "asked: {kind: responds, per: connection, trigger: ask, answer: agent_started, within: 5s, severity: warning}"
BYE = [">", "<"]


def good(who: str, number: int) -> list[str]:
    events = ["agent_started", "agent_thinking", f"tool_executing c{number}", f"tool_completed c{number}"]
    return [f"{who} < {event} r{number}" for event in [*events, "agent_completed"]]


def without_end(who: str, number: int) -> list[str]:
    return [s for s in good(who, number) if "tool_completed" not in s]


def silent(who: str, number: int) -> list[str]:
    return [s for s in good(who, number) if "agent_thinking" not in s]


def open_(who: str, number: int) -> list[str]:
    return good(who, number)[:3]


def runs(*each, who: str = "bob") -> list[str]:
    return [sentence for number, make in enumerate(each) for sentence in make(who, number)]


def ratio(of: str, over: str, least: float, more: str = "") -> str:
    return f"{{kind: ratio, of: {of}, over: [{over}], min: {least}{more}}}"


def outcome(invariant: str, *sentences: str, **options):
    others = [one for one in (PAIRED, FIVE, DOOR, ASKED) if one.partition(":")[0] in invariant]
    return judge(contract(*others, invariant), talk(*sentences, **options).tape).outcome("it")


@pytest.mark.parametrize(
    "least, verdict",
    [(0.5, "pass"), (0.75, "pass"), (0.76, "fail"), (1, "fail")],
)
def test_a_share_of_runs_must_be_well(least, verdict):
    found = outcome(ratio("run", "pairs", least), *runs(good, good, without_end, good), *leave("bob"))

    assert found.verdict == verdict
    assert found.tally.activations == 4


def test_a_run_that_broke_two_invariants_failed_once():
    said = runs(good, lambda who, n: [s for s in without_end(who, n) if "thinking" not in s], good, good)

    assert outcome(ratio("run", "pairs, five", 0.75), *said).verdict == "pass"
    assert outcome(ratio("run", "pairs, five", 0.75), *said, *runs(silent, who="eve")).verdict == "fail"


def test_a_violation_tells_how_many_and_shows_some():
    found = outcome(ratio("run", "pairs, five", 0.9), *runs(good, without_end, silent, without_end))

    [group] = found.groups
    violation = group.first[0]
    assert violation.why == ("3 of 4 runs broke pairs (2) and five (1): a share of 0.25 was well, and 0.9 must be")
    assert {w.event for w in violation.witness} >= {"tool_executing", "agent_started"}


def test_what_cannot_be_judged_is_left_out():
    found = outcome(ratio("run", "pairs", 1), *runs(good, good, open_))  # the recording ends in the third

    assert (found.verdict, found.tally.activations, found.tally.not_applicable) == ("pass", 2, 1)


def test_what_cannot_be_judged_and_could_make_the_difference_leaves_it_open():
    said = runs(good, without_end, open_, open_, open_)

    assert outcome(ratio("run", "pairs", 0.7), *said).verdict == "inconclusive"  # 1 of 2, or 4 of 5
    assert outcome(ratio("run", "pairs", 0.9), *said).verdict == "fail"


def test_users_and_connections_are_units_too():
    said = [*runs(good, good), *runs(without_end, who="eve"), *runs(good, who="kim"), *leave("bob", "eve", "kim")]

    assert outcome(ratio("user", "pairs", 0.66), *said).verdict == "pass"
    assert outcome(ratio("user", "pairs", 0.67), *said).verdict == "fail"
    assert outcome(ratio("connection", "pairs", 0.66), *said, "bob/2 connects /", "bob/2 ends").verdict == "pass"
    assert outcome(ratio("session", "pairs", 0.76), *said, "bob/2 connects /", "bob/2 ends").verdict == "fail"


def test_a_slow_handshake_is_a_connection_that_failed():
    slow = ["3s", "bob connects / opened=1000000"]
    quick = [f"{who} connects /" for who in ("eve", "kim", "lea")]

    assert outcome(ratio("connection", "door", 0.75), *slow, *quick).verdict == "pass"
    assert outcome(ratio("connection", "door", 0.8), *slow, *quick).verdict == "fail"


def test_a_question_without_a_run_counts_as_a_run_that_failed():
    said = ["bob > ask", *runs(good, good, good), "bob > ask", "6s", "tick"]
    found = outcome(ratio("run", "asked, pairs", 0.8), *said)

    assert (found.verdict, found.tally.activations) == ("fail", 4)
    assert outcome(ratio("run", "asked, pairs", 0.75), *said).verdict == "pass"


def test_obligations_are_all_that_was_judged():
    said = runs(good, without_end, good, good)  # four pairs, four thoughts
    found = outcome(ratio("obligations", "pairs, five", 0.875), *said)

    assert (found.verdict, found.tally.activations) == ("pass", 8)
    assert outcome(ratio("obligations", "pairs, five", 0.88), *said).verdict == "fail"


def test_of_too_few_units_nothing_is_said():
    bad = ratio("run", "pairs", 1, ", min_units: 3, min_activations: 0")

    assert outcome(bad, *runs(without_end, without_end)).verdict == "pass"
    assert outcome(bad, *runs(without_end, without_end)).tally.activations == 0
    assert outcome(bad.replace(", min_activations: 0", ""), *runs(without_end, good)).verdict == "vacuous"
    assert outcome(bad, *runs(without_end, without_end, good)).verdict == "fail"


def test_with_confidence_a_few_good_ones_prove_little():
    sure = ratio("run", "pairs", 0.8, ", confidence: 0.95")

    assert outcome(sure, *runs(*[good] * 5)).verdict == "inconclusive"
    assert outcome(sure, *runs(*[good] * 20)).verdict == "pass"
    assert outcome(sure, *runs(*[good] * 5, *[without_end] * 5)).verdict == "fail"


@given(st.integers(1, 500), st.data())
def test_wilsons_bound_is_below_the_share_and_rises_with_the_number(count, data):
    well = data.draw(st.integers(0, count))

    assert at_least(well, count, 0.95) <= well / count + 1e-9
    assert at_least(well, count, 0.95) <= at_least(well * 10, count * 10, 0.95) + 1e-9
    assert at_least(8, 10, 0.975) == pytest.approx(0.4902, abs=1e-4)  # Wilson 1927; scipy's binomtest gives the same


@pytest.mark.parametrize(
    "invariant, word",
    [
        ("{kind: ratio, of: runs, over: [pairs], min: 1}", "no such unit"),
        ("{kind: ratio, of: run, over: [pears], min: 1}", "did you mean pairs?"),
        ("{kind: ratio, of: run, over: [it], min: 1}", "share of shares"),
        ("{kind: ratio, of: run, over: [pairs], min: 1, per: user}", "neither"),
        ("{kind: ratio, of: run, over: [pairs], min: 1, confidence: 1}", "so sure"),
    ],
)
def test_what_makes_no_sense_is_refused(invariant, word):
    with pytest.raises(GoldentapeError) as error:
        judge(contract(PAIRED, invariant), talk("bob > ask").tape)
    assert word in str(error.value)


# -- golden-path's own


def test_under_load_one_run_in_five_may_fail():
    assert judge(golden_path(), talk(*crowd(12, 2)).tape).outcome("under-load").verdict == "pass"
    assert judge(golden_path(), talk(*crowd(12, 3)).tape).outcome("under-load").verdict == "fail"
    assert judge(golden_path(), talk(*crowd(9, 3)).tape).outcome("under-load").verdict == "not applicable"


def test_of_a_hundred_connections_ninety_nine_are_established():
    slow = [s.replace("connects /", "connects / opened=1000000") if s.startswith("u0 ") else s for s in crowd(100, 0)]

    for later, verdict in ((slow, "pass"), (["3s", *slow], "pass"), (["3s", *slow, "u0 connects / opened=2"], "fail")):
        found = judge(golden_path(), talk(*later).tape)
        assert found.outcome("sessions").verdict == verdict, troubled(found)


def one_after_another(count: int, lost: int) -> list[str]:
    """One user's runs, seven obligations each (five events, a pair, an answer); of some the tool never ends."""
    said = []
    for n in range(count):
        events = ["agent_started", "agent_thinking", f"tool_executing c{n}", f"tool_completed c{n}", "agent_completed"]
        said.append(f"bob > user_message t{n} content=hello")
        said += [f"bob < {e} t{n} r{n}" for e in events if n >= lost or "tool_completed" not in e]
    return [*said, *leave("bob")]


@pytest.mark.parametrize("count, lost, verdict", [(499, 1, "fail"), (1, 1, "pass"), (400, 0, "pass")])
def test_of_a_thousand_obligations_one_may_be_missed(count, lost, verdict):
    found = judge(golden_path(), talk(*one_after_another(count, lost)).tape)

    assert found.outcome("delivered").verdict == verdict, troubled(found)


def test_answers_without_substance_are_told_of_by_their_share():
    said = [s + (" data.result=ok" if "agent_completed" in s else "") for s in crowd(25, 0)]
    found = judge(golden_path(), talk(*said).tape)

    assert found.outcome("useful").verdict == "fail"
    assert found.verdict == "pass"  # both are warnings


def test_the_quick_way_counts_the_same_units():
    talked = talk(*crowd(14, 3))
    one, other = judge(golden_path(), talked.tape), verify_tape(golden_path(), talked.tape)

    for name in ("delivered", "under-load", "sessions", "useful"):
        mine, others = one.outcome(name), other.outcome(name)
        assert (mine.verdict, mine.tally.activations, mine.tally.not_applicable) == (
            others.verdict, others.tally.activations, others.tally.not_applicable,
        )  # fmt: skip
