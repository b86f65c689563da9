"""`owner`: what breaks it, and what only looks like it."""

import pytest
from agents import EVENTS, expect

MINE = "{kind: owner, mode: envelope, event: $s2c, path: [user_id, data.user_id], missing: ignore, gate: always}"
MUST = "{kind: owner, mode: envelope, event: agent_started, path: user_id}"
IDS = "{kind: owner, mode: key, keys: [run, thread], except: failure, gate: always}"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (MINE, ["* bob < agent_thinking user_id=eve"]),
        (MINE, ["* bob < agent_thinking -user_id data.user_id=eve"]),
        (MINE, ["* bob < unheard_of user_id=eve"]),
        (MINE, ["bob < agent_thinking", "bob becomes eve", "* bob < agent_thinking user_id=bob"]),
        (MINE, ["bob > (close 1000)", "* bob < agent_thinking user_id=eve", "bob < (close 1000)"]),
        (MINE, ["* bob < agent_thinking user_id:=7"]),
        (MINE, ["* bob < agent_thinking user_id=Bob"]),
        (MUST, ["* bob < agent_started -user_id"]),
        (MUST, ["* bob < agent_started user_id:=null"]),
        (IDS, ["* eve < agent_thinking r1", "* bob < agent_thinking r1"]),
        (IDS, ["* eve < agent_thinking t1", "* bob < agent_completed t1"]),
        (IDS, ["* eve < agent_thinking r1", "eve ends eof by client", "* bob < agent_thinking r1"]),
        (IDS, ["eve > ask t1", "* eve < agent_started t1", "bob > ask t1", "* bob < agent_started t1"]),
        (IDS, ["* eve < agent_thinking r1", "eve becomes bob", "* eve < agent_thinking r1"]),
        (IDS, ["* eve < agent_thinking -run_id data.run_id=r1", "* bob < agent_thinking r1"]),
        (IDS, ["* eve < agent_thinking run_id:=1", "* bob < agent_thinking run_id:=1.0"]),
    ],
)
def test_what_belongs_to_another_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (MINE, ["bob < agent_thinking", "eve < agent_thinking"]),
        (MINE, ["bob < agent_thinking", "bob < agent_thinking -user_id", "bob < agent_thinking user_id:=null"]),
        (MINE, ["bob > ask user_id=eve", "bob < agent_thinking"]),  # a client may say what it likes
        (MINE, ["bob < agent_thinking", "bob becomes eve", "bob < agent_thinking user_id=eve"]),  # token refresh
        (MINE, ["7 < agent_thinking user_id:=7"]),
        (MINE, ["bob < agent_thinking", "bob < {not JSON", "bob < 0xff"]),
        (MUST, ["bob < agent_started", "bob < agent_thinking -user_id"]),
        (IDS, ["bob < agent_thinking t1 r1", "bob < agent_completed t1 r1", "eve < agent_thinking t2 r2"]),
        (IDS, ["bob < agent_thinking r1", "bob/2 < agent_thinking r1", "bob ends eof by client",
               "bob/3 < agent_error r1"]),
        (IDS, ["bob > ask t1", "eve < agent_thinking t1"]),  # a mention claims nothing
        (IDS, ["bob < agent_thinking t1", "eve < agent_error t1"]),  # an error may quote
        (IDS, ["bob < agent_thinking r1", "eve < !delivery_unknown agent_thinking r1"]),
        (IDS, ["bob < agent_thinking t1", "eve < agent_thinking run_id=t1"]),  # another key
        (IDS, ["bob < agent_thinking r1 t1", "eve < agent_thinking run_id:=null"]),
        (IDS, ['bob < agent_thinking run_id=1', 'eve < agent_thinking run_id:=1']),  # "1" is not 1
        (IDS, ['bob < agent_thinking run_id:=1', 'eve < agent_thinking run_id:=true']),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


def test_a_user_whom_nobody_named_owns_nothing():
    anonymous = ["connection:1 connects / rule=connection", "connection:1 < agent_thinking r1 user_id=x"]

    expect(IDS, "inconclusive", *anonymous, "bob < agent_thinking r1")
    expect(MINE, "inconclusive", *anonymous, "bob < agent_thinking")


def test_a_redacted_owner_cannot_be_compared():
    expect(MINE, "inconclusive", "bob < agent_thinking", "bob < !redacted agent_thinking user_id=[r:0123456789ab]")


SHARED = """\
  share: {dir: c2s}
  shared: {}
"""
TEAM = "{kind: owner, mode: key, keys: [run, thread], shared_by: [share, shared], gate: always}"


def team(verdict, *sentences):
    expect(TEAM, verdict, *sentences, base=EVENTS.replace("spans:", f"{SHARED}spans:"))


@pytest.mark.parametrize(
    "sentences",
    [
        ["bob < agent_thinking t1", "bob < shared t1 to=eve", "eve < agent_thinking t1"],
        ["bob < agent_thinking t1", "bob > share t1 to:=[\"eve\"]", "eve < agent_thinking t1"],
        ["bob < agent_thinking t1", "eve < shared t1", "eve < agent_thinking t1"],  # the server's word to Eve
        ["bob < agent_thinking t1", "bob > share t1 team=blue", "eve < agent_thinking t1"],  # who is in it nobody knows
        ["bob < agent_thinking t1", "bob < shared t1 team=blue", "eve < agent_thinking t1"],
        ["bob < agent_thinking t1", "bob > share t1 to=eve", "eve > share t1 to=ann", "eve < agent_thinking t1",
         "ann < agent_thinking t1"],
        ["bob > share t1 to=eve", "bob < agent_thinking t1", "eve < agent_thinking t1"],  # before the server named it
        ["bob > share t1 to=eve", "eve < agent_thinking t1", "bob < agent_thinking t1"],
        ["bob < shared t1 team=blue", "bob < agent_thinking t1", "eve < agent_thinking t1"],
        ["eve < shared t1 by=bob", "bob < agent_thinking t1", "eve < agent_thinking t1"],
        ["bob < agent_thinking t1 r1", "bob < shared t1 to=eve", "eve < agent_thinking t1 r1"],  # a run of the thread
        ["bob < agent_thinking t1 r1", "bob < shared t1 to=eve", "eve < agent_thinking r1"],
        ["bob < shared t1 to=eve", "eve < agent_started t1 r1", "bob < agent_started t1 r1"],
    ],
)  # fmt: skip
def test_what_is_shared_may_be_shown(sentences):
    team("pass", *sentences)


@pytest.mark.parametrize(
    "sentences",
    [
        ["* bob < agent_thinking t1", "* eve < agent_thinking t1", "bob > share t1 to=eve"],  # too early
        ["* bob < agent_thinking t1", "eve > share t1 to=eve", "* eve < agent_thinking t1"],  # not Eve's to share
        ["* bob < agent_thinking t1", "bob > share t1 to=ann", "ann > ask", "* eve < agent_thinking t1"],
        ["* bob < agent_thinking t1", "bob > share t2 to=eve", "* eve < agent_thinking t1"],
        ["* bob < agent_thinking r1", "bob > share t1 to=eve", "* eve < agent_thinking r1"],
        [
            "* bob < agent_thinking t2 r1",
            "bob < agent_thinking t1",
            "bob > share t1 to=eve",
            "* eve < agent_thinking t1 r1",
        ],
        ["* bob < agent_thinking t1 r1", "bob > share t1 to=ann", "ann > ask", "* eve < agent_thinking t1 r1"],
        ["ann > share t1 to=eve", "* bob < agent_thinking t1", "* eve < agent_thinking t1"],  # not Ann's to promise
    ],
)
def test_sharing_opens_no_more_than_it_says(sentences):
    team("fail", *sentences)
