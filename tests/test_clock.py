"""Stamps of messages: what they say, how far the clocks are apart, and what was too long on its way."""

from __future__ import annotations

import pytest
from agents import EVENTS, contract, judge, talk
from tapes import MS, SECOND, WALL

from verifier.clock import read_stamp
from verifier.lint import demand
from verifier.load import ContractError
from verifier.verdict import Outcome

BASE = EVENTS.replace("keys:", "clock: {path: [at, data.at], skew: estimate}\nkeys:", 1)
SLA = '{kind: latency, event: [agent_thinking, agent_started], from: "@stamp", to: "@seen", max: 500ms}'


class Line:
    """A conversation whose messages are stamped: `sent(2.5)` says that the server's clock stood at 2.5 s."""

    def __init__(self, unit: int = MS, ahead: float = 0.0) -> None:
        self.sentences: list[str] = []
        self.unit, self.ahead = unit, ahead

    def stamp(self, at: float) -> int:
        return (WALL + round((at + self.ahead) * SECOND)) // self.unit

    def sent(self, at: float, mark: str = "", who: str = "bob", type_: str = "agent_thinking") -> Line:
        self.sentences.append(f"{mark}{who} < {type_} at:={self.stamp(at)}")
        return self

    def then(self, *sentences: str) -> Line:
        self.sentences += sentences
        return self

    def judged(self, rule: str = SLA, base: str = BASE, **options: object) -> Outcome:
        talked = talk(*self.sentences, **options)
        outcome = judge(contract(rule, base=base), talked.tape).outcome("it")
        if talked.culprits:
            witnesses = [set(v.seqs) for group in outcome.groups for v in group.first]
            assert any(talked.culprits <= witness for witness in witnesses), witnesses
        return outcome


def line(**options: float) -> Line:
    """Three messages at 1, 2 and 3 s, which take no time."""
    made = Line(**options)  # type: ignore[arg-type]
    return made.then("999ms").sent(1.0).then("999ms").sent(2.0).then("999ms").sent(3.0)


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -86400.0, 0.25])
@pytest.mark.parametrize("unit", [1, 1000, MS])
def test_a_message_that_is_long_on_its_way_is_found_whatever_the_clocks_say(ahead, unit):
    late = Line(unit, ahead).then("999ms").sent(1.0, "* ").then("1999ms").sent(2.3, "* ").then("999ms").sent(4.0)
    outcome = late.judged()

    assert (outcome.verdict, outcome.tally.violated, outcome.tally.activations) == ("fail", 1, 3)
    [violation] = outcome.groups[0].first
    assert "700 ms after its stamp" in violation.why and "taken to differ" in violation.why
    assert violation.late_by == pytest.approx(200 * MS, abs=2 * MS)


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -86400.0])
def test_messages_in_time_pass_whatever_the_clocks_say(ahead):
    made = Line(MS, ahead).then("999ms").sent(1.0).then("1399ms").sent(2.0).then("999ms").sent(3.1)
    assert made.judged().verdict == "pass"


def test_a_stamp_in_whole_seconds_is_not_blamed_for_what_it_does_not_say():
    made = Line(SECOND).then("999ms").sent(1.0).then("949ms").sent(1.95).then("1049ms").sent(3.0)
    assert made.judged().verdict == "pass"
    late = Line(SECOND).then("999ms").sent(1.0, "* ").then("2999ms").sent(2.0, "* ")
    assert late.judged().verdict == "fail"  # 2 s at least


def test_a_stamp_that_never_moves_is_no_clock():
    made = Line().then("999ms").sent(1.0).then("5s").sent(1.0).then("5s").sent(1.0)
    outcome = made.judged()
    assert (outcome.verdict, outcome.tally.not_applicable, outcome.tally.activations) == ("vacuous", 1, 0)


def test_what_was_told_before_the_connection_is_not_late():
    replayed = Line().then("10s", "bob connects /").sent(2.0).sent(5.0).then("998ms").sent(11.0)
    outcome = replayed.judged()
    assert (outcome.verdict, outcome.tally.waived, outcome.tally.activations) == ("pass", 2, 1)


def test_a_copy_on_another_tab_is_not_late():
    first = Line().then("bob connects /", "bob/2 connects /", "999ms")
    stamp = first.stamp(1.0)
    first.then(f"bob < agent_thinking e1 at:={stamp}", "5s", f"bob/2 < agent_thinking e1 at:={stamp}").sent(
        6.0, who="bob/2"
    )
    assert first.judged().verdict == "pass"


def test_a_delay_of_the_recorder_itself_is_not_the_servers():
    made = Line().then("999ms").sent(1.0).then("1999ms", 'tick {"lag": 1.5}').sent(2.0).then("999ms").sent(4.0)
    assert made.judged().verdict == "pass"


def test_other_clocks_may_differ_between_connections():
    def both(later: float) -> Line:
        made = Line().then("999ms").sent(1.0).then("999ms").sent(102.0, who="eve")
        return made.then("999ms").sent(3.0).then(f"{later}s").sent(103.0, who="eve")

    assert both(0.2).judged().verdict == "pass"
    assert both(0.8).judged().verdict == "fail"  # eve's second one came too late


def test_what_is_no_time_cannot_be_judged_and_what_is_not_there_is_not():
    assert line().then("bob < agent_thinking at=noon").judged().verdict == "inconclusive"
    assert line().then("bob < agent_thinking at:=null").judged().verdict == "pass"
    assert line().then("bob < agent_thinking").judged().verdict == "pass"
    assert Line().then("bob < agent_thinking").judged().verdict == "vacuous"


# -- a difference that the contract gives

GIVEN = BASE.replace("skew: estimate", "skew: 2s, tolerance: 100ms")


def test_with_a_given_difference_a_single_message_says_enough():
    on_time = Line(MS, -2.0).then("999ms").sent(1.0)
    assert on_time.judged(base=GIVEN).verdict == "pass"
    late = Line(MS, -2.0).then("bob connects /", "1999ms").sent(1.0, "* ").then("999ms").sent(3.0)
    outcome = late.judged(base=GIVEN)
    assert outcome.verdict == "fail" and "by the contract" in outcome.groups[0].first[0].why


def test_a_stamp_of_the_future_is_a_violation_beyond_the_tolerance():
    early = Line(MS, -2.0).then("999ms").sent(1.2, "* ").then("999ms").sent(2.0)
    outcome = early.judged(base=GIVEN)
    assert outcome.verdict == "fail" and "after it was seen" in outcome.groups[0].first[0].why
    assert Line(MS, -2.0).then("999ms").sent(1.05).then("999ms").sent(2.0).judged(base=GIVEN).verdict == "pass"


# -- percentiles


def test_percentiles_are_over_all_connections():
    rule = SLA.replace("max: 500ms", "p50: 100ms")
    made = Line().then("999ms").sent(1.0).then("1499ms").sent(2.0).then("999ms").sent(3.0)
    assert made.judged(rule).verdict == "fail"  # 0, 500 and 500 ms
    assert line().judged(rule.replace("p50", "p90")).verdict == "pass"


# -- what a stamp may be


@pytest.mark.parametrize(
    "value, form, found",
    [
        ("2026-01-01T00:00:00Z", "auto", (1767225600 * SECOND, SECOND)),
        ("2026-01-01T01:00:00.25+01:00", "auto", (1767225600 * SECOND + 250 * MS, 10 * MS)),
        ("2026-01-01 00:00:00.123456789", "auto", (1767225600 * SECOND + 123456789, 1)),
        ("2026-01-01t00:00:00z", "rfc3339", (1767225600 * SECOND, SECOND)),
        (1767225600, "auto", (1767225600 * SECOND, SECOND)),
        (1767225600.5, "auto", (1767225600 * SECOND + 500 * MS, 100 * MS)),
        (1767225600123, "auto", (1767225600123 * MS, MS)),
        (1767225600123456, "auto", (1767225600123456000, 1000)),
        (1767225600123456789, "auto", (1767225600123456789, 1)),
        ("1767225600.25", "auto", (1767225600 * SECOND + 250 * MS, 10 * MS)),
        (12, "epoch_ms", (12 * MS, MS)),
        (1767225600123, "epoch_s", (1767225600123 * SECOND, SECOND)),
        ("2026-01-01", "auto", None), ("2026-13-01T00:00:00Z", "auto", None), ("noon", "auto", None),
        ("", "auto", None), (None, "auto", None), (True, "auto", None), (-5, "auto", None), ([1], "auto", None),
        (1767225600, "rfc3339", None), ("2026-01-01T00:00:00Z", "epoch_s", None), (1e300, "auto", None),
        ("9" * 400, "auto", None), (float("inf"), "auto", None),
    ],
)  # fmt: skip
def test_a_stamp_says_when_and_how_exactly(value, form, found):
    assert read_stamp(value, form) == found


@pytest.mark.parametrize(
    "rule, base, what",
    [
        (SLA, EVENTS, "the contract has no `clock`"),
        (SLA.replace('"@seen"', "agent_error"), BASE, "@stamp"),
        (SLA.replace("event: [agent_thinking, agent_started], ", ""), BASE, "`event` is missing"),
        (SLA.replace('"@stamp"', "ask").replace('"@seen"', "agent_error"), BASE, "`event` goes with"),
        (SLA.replace("max", "per: thread, max"), BASE, "for each connection"),
        (SLA.replace("max", "scope: run, max"), BASE, "for each connection"),
        (SLA, BASE.replace("path: [at, data.at], ", ""), "`path` is missing"),
        (SLA, BASE.replace("estimate", "estimated"), "test.yaml:"),
        (SLA, BASE.replace("skew", "format: iso, skew"), "rfc3339"),
    ],
)
def test_what_cannot_be_measured_is_refused(rule, base, what):
    with pytest.raises(ContractError, match=what):
        demand(contract(rule, base=base))
