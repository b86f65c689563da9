"""`resume`: what breaks it, and what only looks like it."""

import json

import pytest
from agents import contract, expect, judge, talk, troubled

from goldentape.errors import GoldentapeError

KIND = "{{kind: resume, key: thread, within: 60s, checks: [{}]{}}}"
FINISHES = KIND.format("finishes", "")
SAME = KIND.format("same_key", "")
TWICE = KIND.format("no_duplicate", "")
GAPLESS = KIND.format("no_gap", ", seq: seq")
HISTORY = KIND.format("history", ", history: {event: agent_thinking, path: items}")
OWNER = KIND.format("same_owner", "")

BEGUN = ["* bob < agent_started t1 r1", "bob < agent_thinking t1 r1"]
LOST = ["bob ends reset by client", "5s", "bob/2 connects /"]
BYE = ["bob/2 > (close 1000)", "bob/2 < (close 1000)"]


def n(who: str, number: int) -> str:
    return f"{who} < agent_thinking t1 seq:={number}"


def snapshot(*ids: str) -> str:
    return "bob/2 < " + json.dumps({"type": "agent_thinking", "thread_id": "t1", "items": [{"id": i} for i in ids]})


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (FINISHES, [*BEGUN, *LOST, "61s", "tick"]),
        (FINISHES, [*BEGUN, *LOST, "61s", *BYE]),
        (FINISHES, [*BEGUN, *LOST, "bob/2 > ask t1", "* bob/2 < agent_started t1 r2", *BYE]),  # it went on without
        (FINISHES, [*BEGUN, "bob > (close 1001)", "bob < (close 1001)", "bob/2 connects /", "61s", "tick"]),
        (FINISHES, [*BEGUN, "bob < (close 1011)", "bob ends", "1s", "bob/2 connects /", "61s", "tick"]),
        (SAME, ["* bob < agent_started t1 r1", *LOST, "* bob/2 > ask t1", "1s", "* bob/2 < agent_started t2 r2", *BYE]),
        (
            TWICE,
            [
                "bob < agent_started t1",
                *LOST,
                "* bob/2 < agent_thinking t1 r1 e1",
                "* bob/2 < agent_thinking t1 r1 e1",
                *BYE,
            ],
        ),
        (GAPLESS, [n("bob", 1), "* " + n("bob", 2), *LOST, "* " + n("bob/2", 4), *BYE]),
        (GAPLESS, [n("bob", 1), "* " + n("bob", 2), *LOST, n("bob/2", 1), n("bob/2", 2), "* " + n("bob/2", 4)]),
        (HISTORY, ["bob < agent_started t1 e1", "* bob < agent_error t1 e2", *LOST, "* " + snapshot("e1"), *BYE]),
        (OWNER, ["* bob < agent_started t1", *LOST, "* eve < agent_started t1"]),
    ],
)
def test_what_is_lost_with_a_connection_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (FINISHES, [*BEGUN, *LOST, "bob/2 < agent_completed t1 r1", *BYE]),
        (FINISHES, [*BEGUN, *LOST, "bob/2 > ask t1", "bob/2 < agent_started t1 r2", "bob/2 < agent_error t1 r1"]),
        (FINISHES, [*BEGUN, *LOST, "30s", "bob/2 < agent_timeout t1 r1", "61s", "tick"]),
        (SAME, ["bob < agent_started t1", *LOST, "bob/2 > ask t1", "bob/2 < agent_started t2",
                "bob/2 < agent_started t1", *BYE]),
        (TWICE, ["bob < agent_thinking t1 e1", *LOST, "bob/2 < agent_thinking t1 e1", "bob/2 < agent_thinking t1 e2"]),
        (GAPLESS, [n("bob", 1), n("bob", 2), *LOST, n("bob/2", 2), n("bob/2", 3), n("bob/2", 5)]),
        (HISTORY, ["bob < agent_started t1 e1", "bob < agent_error t1 e2", *LOST, snapshot("e0", "e1", "e2"), *BYE]),
        (OWNER, ["bob < agent_started t1", *LOST, "bob/2 < agent_started t1", "eve < agent_started t2"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *[sentence.removeprefix("* ") for sentence in sentences])


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (FINISHES, "vacuous", [*BEGUN, "bob ends reset by client", "2min", "tick"]),  # never came back
        (FINISHES, "vacuous", [*BEGUN, "bob ends reset by client", "2min", "bob/2 connects /", "2min", "tick"]),
        (FINISHES, "vacuous", [*BEGUN, "bob > (close 1000)", "bob < (close 1000)", "bob/2 connects /", "2min", "tick"]),
        (FINISHES, "vacuous", [*BEGUN, "bob < (close 1012)", "bob ends", "bob/2 connects /", "2min", "tick"]),
        (FINISHES, "vacuous", [*BEGUN, *LOST, "5s", *BYE]),  # left again
        (FINISHES, "vacuous", [*BEGUN, *LOST, "bob/2 < agent_thinking t1 r1", "2min", "tick"]),  # `exits` knows
        (FINISHES, "vacuous", [*BEGUN, *LOST, "bob/2 < agent_thinking t1", "2min", "tick"]),
        # Two tabs: who closes one has not left.
        (FINISHES, "vacuous", ["bob connects /", "bob/3 connects /", *BEGUN, *LOST, "2min", "tick"]),
        (FINISHES, "vacuous", [*BEGUN, "bob ends reset by client", "bob/2 connects /notices", "2min", "tick"]),
        (FINISHES, "vacuous", [*BEGUN, *[s.replace("bob/2", "eve") for s in LOST], "2min", "tick"]),  # another user
        (FINISHES, "inconclusive", [*BEGUN, *LOST, "5s"]),  # the recording stopped
        (FINISHES, "inconclusive", [*BEGUN, *LOST, "mark gap", "61s", "tick"]),
        (FINISHES, "inconclusive", [*BEGUN, "bob < !truncated x", *LOST, "61s", "tick"]),
        (
            FINISHES,
            "inconclusive",
            [*BEGUN, "mark gap", "bob > ask t1", "bob < (close 1011)", "bob ends", "bob/2 connects /", "61s", "tick"],
        ),  # it may have ended before the ask
        (SAME, "vacuous", ["bob < agent_started t1", *LOST, "bob/2 > ask t1", "bob/2 < agent_started t2"]),  # crossed
        (SAME, "vacuous", ["bob < agent_started t1", *LOST, "bob/2 > ask t3", "1s", "bob/2 < agent_started t2", *BYE]),
        (SAME, "inconclusive", ["bob < agent_started t1", *LOST, "bob/2 > ask t1", "1s", "bob/2 < agent_started t2"]),
        (GAPLESS, "inconclusive", [n("bob", 1), *LOST, "mark gap", n("bob/2", 3)]),
        (GAPLESS, "inconclusive", [n("bob", 1), *LOST, "bob/3 connects /", n("bob/2", 3)]),
    ],
)
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *[sentence.removeprefix("* ") for sentence in sentences])


def test_a_user_alone_is_judged_as_among_all():
    talked = talk(*(s.removeprefix("* ") for s in [*BEGUN, "eve < agent_started t2 r2", *LOST, "61s", "tick"]))

    assert judge(contract(FINISHES), talked.tape, "bob").outcome("it").verdict == "fail"
    assert troubled(judge(contract(FINISHES), talked.tape, "eve"))["it"] == {}


@pytest.mark.parametrize(
    "invariant, word",
    [
        (KIND.format("no_gap", ""), "`seq`"),
        (KIND.format("finishes", ", seq: a"), "`no_gap`"),
        (KIND.format("history", ", history: {event: ask}"), "wants `path`"),
        (KIND.format("", ""), "nothing would be judged"),
        (KIND.format("finishes", ", per: thread"), "no `per`"),
    ],
)
def test_what_makes_no_sense_is_refused(invariant, word):
    with pytest.raises(GoldentapeError) as error:
        judge(contract(invariant), talk("bob > ask").tape)
    assert word in str(error.value)
