"""`expiry`: what breaks it, and what only looks like it."""

import pytest
from agents import EVENTS, contract, expect, judge, talk, troubled

from goldentape.errors import GoldentapeError
from verifier.whole import verify_tape

BASE = EVENTS + "principal: {from: [{query: user}], refreshed_by: [{event: ask, jwt: {path: token}, user: sub}]}\n"
SERVED = "{kind: expiry, grace: 30s}"
ENDED = "{kind: expiry, grace: 30s, requires: [refreshed, closed]}"
PART = "{kind: expiry, grace: 30s, protected: agent_started}"


def at(seconds: int) -> int:
    """Unix time of so many seconds on the tape."""
    return 1_700_000_000 + seconds


def enters(seconds: int, who: str = "bob", kind: str = "valid") -> str:
    return f"{who} connects / rule=jwt:query:t:sub credential={kind} credential_expires={at(seconds)}"


def renews(seconds: int, kind: str = "valid") -> list[str]:
    return [f"bob becomes bob rule=jwt:message:t:sub credential={kind} expires={at(seconds)}", "bob > stop"]


EVENT = "bob < agent_started"
BYE = ["bob < (close 4401)", "bob > (close 4401)"]


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (SERVED, [enters(60), EVENT, "91s", f"* {EVENT}"]),
        (SERVED, [enters(60), "30s", *renews(100), "101s", f"* {EVENT}"]),
        (SERVED, [enters(60), "30s", *renews(10, "expired"), "61s", f"* {EVENT}"]),  # a bad one extends nothing
        (PART, [enters(60), "91s", "bob < agent_thinking", f"* {EVENT}"]),
        (ENDED, [enters(60), EVENT, "91s", "tick"]),
        (ENDED, [enters(60), "91s", "* bob < (close 4401)", "bob > (close 4401)"]),  # too late
        (ENDED, [enters(60), "30s", *renews(100), "101s", "tick"]),
    ],
)
def test_a_connection_that_outlives_its_token_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences, base=BASE)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (SERVED, [enters(60), "30s", *renews(200), "91s", EVENT]),
        (SERVED, [enters(60), "80s", *renews(200), EVENT]),
        (SERVED, [enters(60), "30s", *renews(10, "expired"), "30s", EVENT, *renews(200), "60s", EVENT]),
        (ENDED, [enters(60), "30s", *renews(200), "60s", EVENT, *BYE]),
        (SERVED, [enters(60), "91s", *BYE]),  # nothing was sent any more
    ],
)
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences, base=BASE)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (ENDED, "vacuous", [enters(60), "80s", EVENT, *BYE]),  # within the grace
        (ENDED, "vacuous", [enters(600), EVENT, *BYE]),
        (ENDED, "vacuous", ["bob connects / credential=none", "2min", EVENT]),
        (ENDED, "vacuous", [enters(-60), "2min", EVENT]),  # bad from the begin: `admission` knows
        (ENDED, "vacuous", [enters(60, kind="bad_signature"), "2min", EVENT]),
        (ENDED, "vacuous", [enters(60), "bob > ask", "2min", EVENT]),  # refreshed, nobody knows until when
        (SERVED, "inconclusive", [enters(60), "mark gap", "2min", EVENT]),
        (SERVED, "inconclusive", [enters(60), "89s", 'tick {"lag": 0.01}', "3s", 'tick {"lag": 3.5}', EVENT]),
        (ENDED, "inconclusive", [enters(60), "bob > !truncated x", "2min", "tick"]),
    ],
)
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences, base=BASE)


def test_a_violation_says_how_late_it_was():
    verdict = judge(contract(SERVED, base=BASE), talk(enters(60), "100s", EVENT).tape)

    [group] = verdict.outcome("it").groups
    assert group.first[0].why == "agent_started at #3 came 40.002 s after the connection's token had expired"
    assert group.first[0].late_by == 10_002_000_000


def test_each_user_alone_and_the_quick_way_find_the_same():
    talked = talk(enters(60), enters(600, "eve"), "91s", EVENT, "eve < agent_started", "eve > (close 1000)",
                  "eve < (close 1000)")  # fmt: skip

    assert judge(contract(ENDED, base=BASE), talked.tape, "bob").outcome("it").verdict == "fail"
    assert troubled(judge(contract(ENDED, base=BASE), talked.tape, "eve"))["it"] == {}
    assert verify_tape(contract(ENDED, base=BASE), talked.tape).outcome("it").tally.violated == 1


@pytest.mark.parametrize(
    "invariant, word",
    [
        ("{kind: expiry, per: user}", "neither"),
        ("{kind: expiry, requires: [refreshed]}", "refreshed_by"),
        ("{kind: expiry, protected: nothing}", "no such event"),
    ],
)
def test_what_makes_no_sense_is_refused(invariant, word):
    with pytest.raises(GoldentapeError) as error:
        judge(contract(invariant), talk(EVENT).tape)
    assert word in str(error.value)
