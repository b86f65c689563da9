"""Waivers: what a team lives with until a day is counted and shown, and does not fail; afterwards it does."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from agents import EVENTS, judge, talk

from verifier.contract import Contract, read_contract
from verifier.exporters.json import render
from verifier.exporters.text import lines
from verifier.load import ContractError
from verifier.verdict import Verdict

RULE = "{kind: never, event: [agent_error, agent_timeout]}"
ERROR, TIMEOUT = "bob < agent_error t1", "bob < agent_timeout t1"
CALM = "bob < agent_thinking t1"
TODAY = date(2026, 6, 15)


def rules(*waivers: str, rule: str = RULE) -> Contract:
    text = f"{EVENTS}invariants: {{it: {rule}}}\nwaivers: [{', '.join(waivers)}]\n"
    contract = read_contract(text.encode(), "test.yaml")
    contract.today = TODAY
    return contract


def waiver(until: str = "2026-06-15", **more: str) -> str:
    fields = {"invariant": "it", "reason": "the new model", "until": f'"{until}"', **more}
    return "{" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}"


def verdict(contract: Contract, *sentences: str) -> Verdict:
    return judge(contract, talk(*sentences, CALM, "bob > (close 1000)", "bob < (close 1000)").tape)


def fingerprint(sentence: str) -> str:
    return verdict(rules(), sentence).violations[0].fingerprint


def test_what_is_waived_does_not_fail_and_is_shown():
    found = verdict(rules(waiver(issue="OPS-7")), ERROR, ERROR, TIMEOUT)

    outcome = found.outcome("it")
    assert (found.verdict, outcome.verdict, outcome.tally.violated, outcome.groups) == ("pass", "pass", 0, [])
    assert [(one.group.count, one.reason, one.until, one.issue) for one in outcome.excused] == [
        (2, "the new model", "2026-06-15", "OPS-7"), (1, "the new model", "2026-06-15", "OPS-7"),
    ]  # fmt: skip
    report = "\n".join(lines(found, "a.tape", "sealed"))
    assert "excused: 2 violations of it" in report and "until 2026-06-15: the new model (OPS-7)" in report
    [told] = [i for i in render(found, "a.tape", "sealed")["invariants"] if i["name"] == "it"]
    assert [one["count"] for one in told["excused"]] == [2, 1] and told["violations"] == []


def test_a_waiver_of_one_fingerprint_excuses_that_one_only():
    found = verdict(rules(waiver(fingerprint=fingerprint(ERROR))), ERROR, ERROR, TIMEOUT)

    outcome = found.outcome("it")
    assert (found.verdict, outcome.tally.violated) == ("fail", 1)
    assert [group.first[0].witness[0].event for group in outcome.groups] == ["agent_timeout"]
    assert [one.group.count for one in outcome.excused] == [2]


def test_after_its_day_it_fails_again_and_says_why():
    found = verdict(rules(waiver("2026-06-14")), ERROR)

    assert found.verdict == "fail" and not found.outcome("it").excused
    assert any("the waiver of it ended on 2026-06-14, and 1 violation" in note for note in found.warnings)


def test_a_waiver_that_nothing_needs_is_told():
    assert any("waived nothing" in note for note in verdict(rules(waiver())).warnings)
    assert any("ended on 2026-06-01: remove it" in note for note in verdict(rules(waiver("2026-06-01"))).warnings)
    assert not any("waiver" in note for note in verdict(rules(waiver()), ERROR).warnings)


def test_what_is_always_forbidden_wants_a_waiver_that_says_so():
    rule = RULE.replace("}", ", gate: always}")
    with pytest.raises(ContractError, match="gate: always"):
        rules(waiver(), rule=rule)
    assert verdict(rules(waiver(gate="always"), rule=rule), ERROR).verdict == "pass"


@pytest.mark.parametrize("of", ["connection", "obligations"])
def test_what_is_waived_makes_no_share_worse(of):
    def found(*waivers: str) -> Verdict:
        rule = f"{RULE}, share: {{kind: ratio, of: {of}, over: [it], min: 0.9}}"
        return verdict(rules(*waivers, rule=rule), ERROR)

    assert found().outcome("share").verdict == "fail"
    assert found(waiver()).verdict == found(waiver()).outcome("share").verdict == "pass"


def test_odd_messages_of_the_wire_can_be_waived():
    base = EVENTS.replace("unknown: ignore", "unknown: violation")
    text = f"{base}invariants: {{it: {RULE}}}\nwaivers: [{waiver(invariant='wire.unknown')}]\n"
    contract = read_contract(text.encode(), "test.yaml")
    contract.today = TODAY

    assert verdict(contract, 'bob < {"type": "new"}').verdict == "pass"


def test_without_another_word_today_is_today():
    today = read_contract(f"{EVENTS}invariants: {{it: {RULE}}}\n".encode(), "test.yaml").today
    assert abs(today - datetime.now(UTC).date()) <= timedelta(days=1)


@pytest.mark.parametrize(
    "entry, what",
    [
        (waiver(invariant="itt"), "no such invariant, found itt: did you mean it?"),
        (waiver("2026-13-01"), "not a day, found 2026-13-01"),
        (waiver("soon"), "not a day"),
        ("{invariant: it, until: '2026-01-01'}", "`reason` is missing"),
        ("{invariant: it, reason: x}", "`until` is missing"),
        (waiver(colour="red"), "unknown key, found colour"),
        ("{invariant: it, reason: x, until: 2026-01-01}", "dates are not read, found 2026-01-01: quote it"),
    ],
)
def test_a_waiver_that_is_none_is_refused_at_its_place(entry, what):
    with pytest.raises(ContractError) as caught:
        rules(entry)
    assert what in str(caught.value) and str(caught.value).startswith("test.yaml:")
