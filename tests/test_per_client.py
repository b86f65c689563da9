"""`per: client`: a user's machines apart, each with all of its connections, those that were refused too."""

import pytest
from agents import EVENTS, contract, judge, talk

from verifier.load import ContractError

ONCE = "{kind: count, per: client, event: agent_started, max: 1}"
PER_USER = ONCE.replace("client", "user")
ANSWERED = "{kind: responds, per: [client, thread], trigger: ask, answer: agent_started, within: 5s, mode: each}"


def verdict(rule: str, *sentences: str) -> str:
    return judge(contract(rule), talk(*sentences).tape).outcome("it").verdict


def at(machine: str, who: str = "bob") -> str:
    return f"{who} connects / client={machine}"


def test_two_machines_of_a_user_are_two_and_two_connections_of_one_are_one():
    started = ["bob/1 < agent_started r1 e1", "bob/2 < agent_started r2 e2"]
    laptop_and_phone = [at("laptop", "bob/1"), at("phone", "bob/2"), *started]
    two_tabs = [at("laptop", "bob/1"), at("laptop", "bob/2"), *started]

    assert verdict(PER_USER, *laptop_and_phone) == verdict(PER_USER, *two_tabs) == "fail"
    assert verdict(ONCE, *laptop_and_phone) == "pass"
    assert verdict(ONCE, *two_tabs) == "fail"


def test_one_message_on_two_machines_is_seen_by_both_and_on_two_tabs_once():
    asked = ["bob/1 > ask t1", "bob/2 > ask t1"]
    told = ["bob/1 < agent_started t1 e1", "bob/2 < agent_started t1 e1", "6s"]

    assert verdict(ANSWERED, at("laptop", "bob/1"), at("phone", "bob/2"), *asked, *told) == "pass"
    assert verdict(ANSWERED, at("laptop", "bob/1"), at("laptop", "bob/2"), *asked, *told) == "fail"


def test_users_behind_one_address_are_not_one_client():
    both = [at("office", "bob"), at("office", "eve"), "bob < agent_started r1", "eve < agent_started r2"]
    assert verdict(ONCE, *both) == "pass"


def test_a_client_goes_on_over_its_reconnect():
    again = [at("laptop", "bob/1"), "bob/1 < agent_started r1", "bob/1 ends eof by client", "1s"]
    assert verdict(ONCE, *again, at("laptop", "bob/2"), "bob/2 < agent_started r2") == "fail"
    assert verdict(ONCE, *again, at("phone", "bob/2"), "bob/2 < agent_started r2") == "pass"


def test_handshakes_and_closes_belong_to_the_client():
    journey = '{kind: protocol, per: client, pattern: "($connect $accept ask* $close)+"}'
    bye = ["bob > (close 1000)", "bob < (close 1000)"]
    assert verdict(journey, at("laptop"), "bob > ask", *bye) == "pass"
    assert verdict(journey, at("laptop", "bob"), at("phone", "bob/2"), "bob > ask", "bob/2 > ask", *bye,
                   "bob/2 > (close 1000)", "bob/2 < (close 1000)") == "pass"  # fmt: skip
    assert verdict(journey, at("laptop", "bob"), at("laptop", "bob/2"), "bob > ask", *bye) == "fail"


def test_a_scope_of_one_machine_does_not_begin_on_the_other():
    quiet = "{kind: never, per: [client, thread], event: agent_thinking, scope: {after: agent_error}}"
    machines = [at("laptop", "bob/1"), at("phone", "bob/2")]
    assert verdict(quiet, *machines, "bob/1 < agent_error", "bob/1 < agent_thinking t1") == "fail"
    assert verdict(quiet, *machines, "bob/1 < agent_error", "bob/2 < agent_thinking t1") != "fail"


def test_the_report_names_the_client():
    twice = talk(at("laptop"), "bob < agent_started", "bob < agent_started")
    [violation] = judge(contract(ONCE), twice.tape).violations
    assert dict(violation.slice)["client"] == "laptop"


@pytest.mark.parametrize("per", ["[client, connection]", "[client, recording]"])
def test_what_makes_no_sense_is_refused(per):
    with pytest.raises(ContractError, match="stands alone" if "recording" in per else "of one client"):
        contract(ONCE.replace("client", per), base=EVENTS)
