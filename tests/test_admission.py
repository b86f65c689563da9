"""`admission`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, judge, talk, troubled

from goldentape.errors import GoldentapeError

DOOR = (
    "{kind: admission, expect: {none: reject, malformed: reject, bad_signature: reject, expired: reject,"
    " not_yet_valid: reject, revoked: reject, valid: accept},"
    " reject: {http: [401, 403], close: [1008, 4401], within: 5s}, allow_before_reject: agent_error}"
)
READY = DOOR.replace("allow_before_reject: agent_error", "ready: agent_started")
PROTECTED = DOOR.replace("allow_before_reject: agent_error", "protected: agent_started")
LENIENT = DOOR.replace("valid: accept", "valid: accept, unverified: either")
THROTTLE = DOOR.removesuffix("}") + ", throttle: {after: 3, in: 10s, answer: [429], recovers: 30s}}"
KEY = {"options": '{"signatures": true}'}
IN = "bob < agent_started"
OUT = ["bob < (close 4401)", "bob > (close 4401)"]
NOBODY = "rule=connection credential=none"


def knock(how: str) -> str:
    return f"bob connects / rule=jwt:query:token:sub {how}"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (DOOR, [knock("credential=expired"), f"* {IN}"]),
        (DOOR, [knock("credential=malformed"), f"* {IN}"]),
        (DOOR, [knock("credential=bad_signature"), "bob > ask", f"* {IN}"]),
        (DOOR, [f"bob connects / {NOBODY}", f"* {IN}"]),
        (DOOR, ["bob connects / rule=jwt:header:Authorization:sub credential=none", f"* {IN}"]),
        (DOOR, [knock("credential=expired"), "bob < agent_error", f"* {IN}"]),
        (DOOR, [knock("credential=expired"), f"* {IN}", *OUT]),  # shown out too late
        (DOOR, [knock("credential=expired"), "6s", "* bob < (close 4401)", "bob > (close 4401)"]),
        (DOOR, [knock("credential=expired"), "* bob < (close 1000)", "bob > (close 1000)"]),
        (DOOR, [knock("credential=expired"), "6s", "tick"]),  # neither in nor out
        (DOOR, [knock("credential=expired"), "6s", "bob ends eof by client"]),
        (DOOR, ["bob refused 400 credential=expired"]),
        (DOOR, ["6s", "bob refused 401 credential=expired opened=1000000"]),
        (DOOR, ["bob refused 401 credential=valid"]),
        (DOOR, [knock("credential=valid"), "* bob < (close 4401)", "bob > (close 4401)"]),
        (DOOR, [knock("credential=expired"), "bob becomes bob credential=malformed", f"* {IN}"]),
        (READY, [knock("credential=valid"), "bob < agent_thinking", "6s", "tick"]),
        (READY, [knock("credential=expired"), "* bob < agent_thinking"]),
        (PROTECTED, [knock("credential=expired"), "bob < agent_thinking", f"* {IN}"]),
        (THROTTLE, [*["bob refused 401 credential=expired"] * 4]),
        (THROTTLE, [*["bob refused 401 credential=expired"] * 3, "31s", "bob refused 429 credential=valid"]),
        (THROTTLE, ["bob refused 429 credential=valid"]),
    ],
)
def test_a_door_that_opens_to_the_wrong_or_not_to_the_right_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences, **KEY)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (DOOR, [knock("credential=valid"), IN]),
        (DOOR, [knock("credential=valid"), "bob > (close 1000)", "bob < (close 1000)"]),
        (DOOR, [knock("credential=valid"), IN, *OUT]),  # what comes later is not the door's
        (DOOR, ["bob refused 401 credential=expired"]),
        (DOOR, ["bob refused 403 credential=none rule=connection"]),
        (DOOR, [knock("credential=expired"), *OUT]),
        (DOOR, [knock("credential=expired"), "bob < agent_error", *OUT]),
        (DOOR, [f"bob connects / {NOBODY}", "bob becomes bob credential=valid rule=jwt:message:token:sub", IN]),
        (DOOR, [knock("credential=valid"), "bob becomes bob credential=expired", *OUT]),  # the refresh was bad
        (READY, [knock("credential=valid"), "bob < agent_thinking", IN]),
        (PROTECTED, [knock("credential=expired"), "bob < agent_thinking", *OUT]),
        (THROTTLE, [*["bob refused 401 credential=expired"] * 3, "bob refused 429 credential=expired"]),
        (THROTTLE, ["bob refused 401 credential=expired", "11s"] * 4),
        (THROTTLE, [*["bob refused 401 credential=expired"] * 3, "bob refused 429 credential=valid", "31s",
                    knock("credential=valid"), IN]),
        (DOOR.replace("kind: admission,", 'kind: admission, where: {"@target": "/chat"},'),
         [knock("credential=expired"), IN, "bob/2 connects /chat rule=jwt:query:t:sub credential=valid",
          "bob/2 < agent_started"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences, **KEY)


@pytest.mark.parametrize(
    "verdict, sentences",
    [
        ("vacuous", ["bob refused 503 credential=expired"]),  # says nothing about the credential
        ("vacuous", ["bob refused 500 credential=valid", "bob refused 429 credential=valid"]),
        ("vacuous", [knock("credential=expired"), "bob < (close 1011)", "bob ends"]),
        ("vacuous", [knock("credential=expired"), "bob ends eof by client"]),  # left before the answer
        ("vacuous", ["bob connects / rule=header:X-User credential=none", IN]),  # logs in where nobody sees it
        ("inconclusive", [knock("credential=expired"), "1s"]),  # the recording stopped
        ("inconclusive", [knock("credential=expired"), "mark gap", "6s", "tick"]),
        ("inconclusive", [f"bob connects /?sid=[r:token:0] {NOBODY}", IN]),
        ("inconclusive", [f"bob connects / {NOBODY}", "bob > !redacted ask", IN]),
        ("inconclusive", [knock("credential=expired"), "1s", 'tick {"lag": 9.0}', "5s", "tick"]),
    ],
)
def test_what_cannot_be_known_is_not_judged(verdict, sentences):
    expect(DOOR, verdict, *sentences, **KEY)


def test_without_a_key_a_token_that_looks_well_may_be_forged():
    expect(DOOR, "inconclusive", knock("credential=valid"), IN)
    expect(DOOR, "inconclusive", "bob refused 401 credential=valid")
    expect(LENIENT, "vacuous", knock("credential=valid"), IN)
    expect(DOOR, "fail", knock("credential=expired"), f"* {IN}")  # refused either way
    expect(DOOR, "fail", knock("credential=malformed"), f"* {IN}")


def test_a_token_before_its_time_is_another_class_than_one_that_is_too_old():
    early = DOOR.replace("not_yet_valid: reject", "not_yet_valid: accept")
    future = 2_000_000_000

    expect(early, "pass", knock(f"credential=expired credential_expires={future}"), IN, **KEY)
    expect(early, "fail", knock("credential=expired credential_expires=1600000000"), f"* {IN}", **KEY)


def test_a_load_driver_knows_that_a_token_was_revoked():
    said = 'mark credential {"class": "revoked", "user": "bob"}'

    expect(DOOR, "fail", said, knock("credential=valid"), f"* {IN}")
    expect(DOOR, "pass", said, "bob refused 401 credential=valid", knock("credential=valid"), IN, **KEY)
    by_key = 'mark credential {"class": "revoked", "key": "key-1=="}'
    expect(DOOR, "fail", knock("credential=valid"), by_key, f"* {IN}")


def test_a_violation_names_the_class_and_repeats_are_joined_by_it():
    talked = talk(
        knock("credential=expired"), IN, knock("credential=expired").replace("bob", "bob/2"), "bob/2 < agent_started"
    )
    outcome = judge(contract(DOOR), talked.tape).outcome("it")

    [group] = outcome.groups
    assert group.count == 2
    assert group.first[0].why.startswith("a connection with an expired credential was let in")


@pytest.mark.parametrize(
    "invariant, word",
    [
        ("{kind: admission, expect: {}}", "no class"),
        ("{kind: admission, per: user, expect: {none: reject}}", "per"),
        ("{kind: admission, expect: {none: reject}, throttle: {after: 3}}", "`in`"),
        ("{kind: admission, expect: {none: reject}, throttle: {after: 0, in: 1s}}", "refusal"),
        ("{kind: admission, expect: {nobody: reject}}", "nobody"),
    ],
)
def test_what_makes_no_sense_is_refused(invariant, word):
    with pytest.raises(GoldentapeError) as error:
        judge(contract(invariant), talk(IN).tape)
    assert word in str(error.value)


def test_a_user_alone_is_judged_as_among_all():
    talked = talk(knock("credential=expired"), IN, "eve connects / rule=jwt:query:t:sub credential=valid",
                  "eve < agent_started", **KEY)  # fmt: skip

    assert troubled(judge(contract(DOOR), talked.tape, "eve")) == {}
    assert judge(contract(DOOR), talked.tape, "bob").outcome("it").verdict == "fail"
