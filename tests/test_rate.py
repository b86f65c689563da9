"""`rate`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, judge, talk

from verifier.lint import demand
from verifier.load import ContractError

FLOOD = "{kind: rate, per: connection, event: agent_thinking, window: 1s, max: 3}"
BEAT = "{kind: rate, per: connection, event: [agent_thinking, agent_completed], window: 10s, min: 1}"
THREE = "{kind: rate, scope: run, event: agent_thinking, window: 10s, min: 3}"
MANY = "{kind: rate, per: user, event: agent_thinking, window: 1s, max: 100}"
ASKED = "{kind: rate, per: user, event: ask, window: 1s, max: 2}"
WHOLE = "{kind: rate, per: recording, event: agent_error, window: 1s, max: 1}"
THINK = "bob < agent_thinking"
START, DONE = "bob < agent_started r1", "bob < agent_completed r1"
RUN_THINK = "bob < agent_thinking r1"
BYE = ["bob > (close 1000)", "bob < (close 1000)"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (FLOOD, ["* " + THINK] * 4),
        (FLOOD, [THINK, "800ms", "* " + THINK, "400ms", *["* " + THINK] * 3]),  # wherever the window stands
        (MANY, [*[THINK] * 100, "* " + THINK]),
        (WHOLE, ["* bob < agent_error", "* eve < agent_error"]),
        (BEAT, ["bob connects /", "11s", "* " + THINK, *BYE]),
        (BEAT, ["bob connects /", "* " + THINK, "11s", "* " + THINK, *BYE]),
        (BEAT, ["* " + THINK, "11s", *BYE]),
        (BEAT, ["bob connects /", "11s", "bob ends eof by server"]),
        (BEAT, ["* " + THINK, "11s"]),
        (THREE, [START, "* " + RUN_THINK, RUN_THINK, "9s", RUN_THINK, "2s", "* " + RUN_THINK, DONE]),
        (THREE, ["* " + START, RUN_THINK, "11s", DONE]),
        (THREE, [START, RUN_THINK, "4s", "bob ends eof by client", "20s", "* bob/2 < agent_thinking r1", "11s",
                 "bob/2 < agent_completed r1"]),
    ],
)  # fmt: skip
def test_too_many_and_too_few_are_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (FLOOD, [THINK, THINK, THINK, "998ms", THINK, THINK]),
        (FLOOD, [THINK, THINK, THINK, "eve < agent_thinking", "bob/2 < agent_thinking"]),
        (FLOOD, ["bob connects /", *BYE]),
        (MANY, [THINK] * 100),
        (MANY, ["bob connects /", "bob/2 connects /"] + [s for n in range(100) for s in (f"{THINK} e{n}",
                                                                                      f"bob/2 < agent_thinking e{n}")]),
        (BEAT, ["bob connects /", "9s", THINK, "9s", "bob < agent_completed", "9s", *BYE, "1min"]),
        (THREE, [START, *[RUN_THINK, "3s"] * 6, DONE]),
        (THREE, [START, "9s", DONE]),  # shorter than the window
        (THREE, [START, "9s", "bob ends eof by client", "30s", "bob/2 < agent_thinking r1", "9s",
                 "bob/2 < agent_completed r1"]),  # away
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (FLOOD, "inconclusive", ["2s", 'tick {"lag": 1.5}', *[THINK] * 4]),  # read at once after a stall
        (FLOOD, "fail", ["bob > ask", 'tick {"lag": 1.5}', "4s", *[THINK] * 4]),
        (BEAT, "inconclusive", [THINK, "mark gap", "11s", THINK, *BYE]),
        (BEAT, "inconclusive", [THINK, "11s", 'tick {"lag": 3.0}', THINK, *BYE]),
        (THREE, "vacuous", ["bob > ask"]),
    ],
)
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_a_flood_is_counted_by_windows_and_a_clients_only_warns():
    flood = judge(contract(FLOOD), talk(*[THINK] * 20).tape).outcome("it").tally
    asked = judge(contract(ASKED), talk(*["bob > ask"] * 6).tape).outcome("it").tally

    assert (flood.violated, flood.activations) == (5, 1)
    assert (asked.violated, asked.demoted) == (0, 2)


@pytest.mark.parametrize(
    "options, told",
    [
        ("window: 1s", "wants `min` or `max`"),
        ("window: 1s, min: 3, max: 2", "`max` is below `min`"),
        ("window: 0s, max: 2", "below the clock's resolution"),
        ("window: 1, max: 2", "a duration"),
    ],
)
def test_what_makes_no_sense_is_refused(options, told):
    with pytest.raises(ContractError, match=told):
        demand(contract(f"{{kind: rate, event: ask, {options}}}"))
