"""`principal` and `compare`: what a contract says of users and of comparing, and what is told of other tapes."""

from __future__ import annotations

import json

import pytest
from agents import EVENTS, golden_path, judge, talk

from verifier.contract import Contract, read_contract
from verifier.load import ContractError

RULE = "invariants: {it: {kind: never, event: agent_error}}\n"
FROM = "principal: {from: [{jwt: {header: Authorization}}, {query: user_id}]}\n"


def rules(section: str) -> Contract:
    return read_contract(f"{EVENTS}{RULE}{section}".encode(), "test.yaml")


@pytest.mark.parametrize(
    "given, spelled",
    [
        ("{jwt: {header: Authorization}, user: sub}", "jwt:header:Authorization:sub"),
        ("{jwt: {query: token}, user: uid}", "jwt:query:token:uid"),
        ("{jwt: {cookie: session}}", "jwt:cookie:session:sub"),
        ("{jwt: {subprotocol: bearer}}", "jwt:subprotocol:sub"),
        ("{jwt: {path: data.token}}", "jwt:message:data.token:sub"),
        ("{header: X-User}", "header:X-User"),
        ("{query: user_id}", "query:user_id"),
        ("{path: user.id}", "message:user.id"),
    ],
)
def test_a_rule_is_what_the_recorder_calls_it(given, spelled):
    assert rules(f"principal: {{from: [{given}]}}\n").principal.rules == (spelled,)


def notes(contract: Contract, **options) -> list[str]:
    told = judge(contract, talk("bob < agent_thinking", options=json.dumps(options)).tape).warnings
    return [note for note in told if "users were named by" in note]


def test_a_tape_whose_users_were_named_otherwise_is_told():
    contract = rules(FROM)
    assert notes(contract, identify=["jwt:header:Authorization:sub", "query:user_id", "header:X-User"]) == []
    assert notes(contract, identify=["query:user_id"]) == [
        "users were named by query:user_id, and the contract names them by jwt:header:Authorization:sub, too:"
        " record with --identify"
    ]
    assert notes(contract) == notes(contract, identify=[]) == notes(contract, identify=3) == []  # it does not say
    assert notes(rules(""), identify=["query:user_id"]) == []


def test_the_golden_path_names_users_as_the_recorder_does_by_itself():
    from recorder.identity import DEFAULT_RULES

    assert notes(golden_path(), identify=[rule.text for rule in DEFAULT_RULES]) == []
    assert golden_path().principal.refreshed_by == ("token_refresh",)


@pytest.mark.parametrize(
    "section, what",
    [
        ("principal: {from: [{}]}", "names no place"),
        ("principal: {from: [{jwt: {}}]}", "test.yaml:"),
        ("principal: {from: [{jwt: {header: A, query: b}}]}", "test.yaml:"),
        ("principal: {from: [], refreshed_by: [{jwt: {path: a}}]}", "`event` is missing"),
        ("principal: {from: [], refreshed_by: [{event: aks, jwt: {path: a}}]}", "did you mean ask?"),
        ("principal: {}", "`from` is missing"),
        ("compare: {ignore: ['a..b']}", "a path reads"),
        ("compare: {ignroe: [a]}", "did you mean ignore?"),
        ("compare: {latency: {p95: 0.5}}", "0.5"),
        ("compare: {latency: {p42: 2}}", "p42"),
        ("compare: {new_event: eror}", "did you mean error?"),
    ],
)
def test_what_cannot_be_meant_is_refused(section, what):
    with pytest.raises(ContractError) as caught:
        rules(section + "\n")
    assert what in str(caught.value)


def test_how_recordings_are_compared_is_kept_for_who_compares():
    contract = rules('compare: {ignore: [timestamp, "**.*_id"], latency: {p95: 1.25}, lost_event: error}\n')
    assert contract.compare["latency"] == {"p95": 1.25} and contract.compare["ignore"] == ["timestamp", "**.*_id"]
