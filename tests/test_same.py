"""`same`: what breaks it, and what only looks like it."""

import pytest
from agents import expect

THREAD = "{kind: same, scope: run, path: [thread_id, data.thread_id]}"
BY_START = "{kind: same, scope: run, path: thread_id, set_by: agent_started}"
USER = "{kind: same, per: user, path: data.plan, events: agent_started}"
STRICT = "{kind: same, per: connection, path: data.plan, events: [agent_started, agent_thinking], absent: differs}"
CALLED = "{kind: same, scope: run, per: call, path: data.tool_name, events: [tool_executing, tool_completed]}"

AG_UI = """\
goldentape: 1
contract: {id: test, version: "1.0.0"}
wire: {format: json, type: type, unknown: ignore}
keys: {msg: {path: messageId}}
events: {START: {}, CONTENT: {}, END: {}, RESULT: {}, RUN: {}, DONE: {}}
spans: {run: {open: RUN, per: connection, exits: {done: DONE}}}
"""
OWNER = (
    "{kind: same, scope: run, per: msg, path: sub, set_by: [START], rebind_by: [RESULT], events: [START, CONTENT, END]}"
)


def ag_ui(*words: str) -> list[str]:
    """`START a s1`: an event, its message, its owner; `*` before it for the culprit."""
    found = ['x < {"type": "RUN"}']
    for word in words:
        guilty = "* " if word.startswith("* ") else ""
        type_, message, *sub = word.removeprefix("* ").split()
        told = f', "sub": {sub[0]}' if sub else ""
        found.append(f'{guilty}x < {{"type": "{type_}", "messageId": "{message}"{told}}}')
    return [*found, 'x < {"type": "DONE"}']


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (THREAD, ["* bob < agent_started t1 r1", "* bob < agent_thinking t2 r1"]),
        (THREAD, ["bob < agent_started -thread_id r1", "* bob < agent_thinking t1 r1",
                  "* bob < agent_completed t2 r1"]),
        (THREAD, ["* bob < agent_started t1 r1", "* bob < agent_thinking data.thread_id=t2 r1"]),
        (THREAD, ["* bob < agent_started t1 r1", "bob ends eof by client", "* bob/2 < agent_completed t2 r1"]),
        (THREAD, ["* bob < agent_started t1 r1", "* bob < agent_thinking thread_id:=1 r1"]),
        (THREAD, ["* bob < agent_started t1", "* bob < agent_thinking t2", "bob < agent_completed t1"]),
        (BY_START, ["* bob < agent_started r1", "* bob < agent_thinking t1 r1"]),  # it had none
        (USER, ["* bob < agent_started data.plan=free", "* bob/2 < agent_started data.plan=pro"]),
        (STRICT, ["* bob < agent_started data.plan=free", "* bob < agent_thinking"]),
        (STRICT, ["* bob < agent_started", "* bob < agent_thinking data.plan=free"]),
        (CALLED, ["bob < agent_started r1", "* bob < tool_executing r1 c1", "bob < tool_executing r1 c2",
                  "* bob < tool_completed r1 c1 data.tool_name=cost"]),
        (THREAD, ["* bob < agent_started r1 thread_id:={\"a\":1}", "* bob < agent_completed r1 thread_id:={\"a\":2}"]),
    ],
)  # fmt: skip
def test_a_value_that_changes_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (THREAD, ["bob < agent_started t1 r1", "bob < agent_thinking t1 r1", "bob < agent_completed t1 r1"]),
        (THREAD, ["bob < agent_started t1 r1", "bob < agent_thinking r1", "bob < agent_error thread_id:=null r1"]),
        (THREAD, ["bob < agent_started t1 r1", "bob < agent_started t2 r2", "bob < agent_thinking t1 r1",
                  "bob < agent_completed t2 r2", "bob < agent_completed t1 r1"]),
        (THREAD, ["bob < agent_started t1 r1", "bob < agent_completed t1 r1", "bob < agent_started t2 r1",
                  "bob < agent_completed t2 r1"]),  # the id of a run that is over, used again
        (THREAD, ["bob < agent_started t1 r1", "bob > ask t2", "bob < agent_completed t1 r1"]),  # the client's own
        (THREAD, ["bob connects /", "bob/2 connects /", "bob < agent_started t1 r1", "bob/2 < agent_started t1 r1",
                  "bob < agent_completed t1 r1", "bob/2 < agent_completed t1 r1"]),
        (BY_START, ["bob < agent_started t1 r1", "bob < agent_thinking r1", "bob < agent_completed t1 r1"]),
        (USER, ["bob < agent_started data.plan=free", "eve < agent_started data.plan=pro"]),
        (THREAD, ["bob < agent_started r1 thread_id:=1", "bob < agent_completed r1 thread_id:=1.0"]),
        (THREAD, ['bob < agent_started r1 thread_id:={"a":1,"b":2}', 'bob < agent_error r1 thread_id:={"b":2,"a":1}']),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (THREAD, "inconclusive", ["bob < agent_started t1 r1", "mark gap", "bob < agent_thinking t2 r1"]),
        (THREAD, "inconclusive", ["bob < agent_started t1 r1", "bob < !truncated x", "bob < agent_thinking t2 r1"]),
        # an error that names another thread and no run may be about something else that never began
        (THREAD, "inconclusive", ["bob < agent_started t1", "bob < agent_error t2"]),
        (THREAD, "vacuous", ["bob < agent_started r1", "bob < agent_completed r1"]),
        (THREAD, "vacuous", ["bob > ask t1"]),
        (THREAD, "error", ["bob < agent_started t1 r1", "bob < agent_started t2 r2", "bob < agent_thinking t1"]),
        (USER, "pass", ["bob < agent_started data.plan=free", "mark gap", "bob/2 < agent_started data.plan=free"]),
    ],
)
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


@pytest.mark.parametrize(
    "verdict, words",
    [
        ("pass", ['START a "s1"', 'CONTENT a "s1"', "CONTENT a", 'END a "s1"']),
        ("pass", ["START a", "CONTENT a", "END a"]),
        ("pass", ['START a "s1"', "END a", "START a", 'CONTENT a "s1"', "END a"]),  # an untagged reopen takes nothing
        ("pass", ['CONTENT a "s1"', 'CONTENT a "s2"', "START a"]),  # nothing set: `pair` knows of these
        ("pass", ['START a "s1"', "END a", "RESULT a", "START a", "END a"]),
        ("pass", ['RESULT a "s2"', 'START a "s2"', "END a"]),
        ("pass", ['START a ""', 'CONTENT a ""', "END a"]),  # an id may be empty, which is not none
        ("fail", ['* START a "s1"', '* CONTENT a "s2"', "END a"]),
        ("fail", ["* START a", '* CONTENT a "s1"', "END a"]),  # no tag in the opener: the parent's
        ("fail", ["* START a", '* CONTENT a ""', "END a"]),
        ("fail", ['* START a "s1"', "END a", '* START a "s2"']),
        ("fail", ['START a "s1"', "END a", "* RESULT a", '* START a "s1"']),  # taken over by the parent
        ("fail", ['* RESULT a "s2"', '* START a "s1"']),
    ],
)
def test_an_owner_is_set_kept_and_taken_over_as_ag_ui_has_it(verdict, words):
    expect(OWNER, verdict, *ag_ui(*words), base=AG_UI)


def test_the_next_run_begins_anew():
    sentences = ag_ui('START a "s1"', "END a") + ag_ui('START a "s2"', 'END a "s2"')

    expect(OWNER, "pass", *sentences, base=AG_UI)


def test_secrets_are_compared_by_what_stands_for_them():
    one, other = "a" * 32, "b" * 32
    started = f"bob < !redacted agent_started r1 thread_id=[r:token:{one}]"

    expect(THREAD, "pass", started, f"bob < !redacted agent_completed r1 thread_id=[r:key:{one}]")
    expect(THREAD, "fail", "* " + started, f"* bob < !redacted agent_thinking r1 thread_id=[r:key:{other}]")
    expect(THREAD, "inconclusive", started, "bob < agent_thinking r1 t1")  # perhaps seen before it was known as one
    expect(THREAD, "inconclusive", started, "bob ends eof by client",
           f"bob/2 < !redacted agent_completed r1 thread_id=[r:key:{other}]")  # perhaps another key  # fmt: skip
