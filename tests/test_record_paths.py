"""What a contract can ask of the record itself: its time, its user's credential, the tags of its recording."""

import pytest
from agents import EVENTS, contract, expect, judge, talk

TAGGED = {"options": '{"tags": {"tier": "hard", "release": "2.3"}}'}


def seen(where: str, *sentences: str, **options) -> list[str]:
    """Return the labels of the messages that pass a test."""
    found = judge(contract(f"{{kind: never, event: $any, where: {{{where}}}}}"), talk(*sentences, **options).tape)
    groups = found.outcome("it").groups
    return [violation.witness[-1].label for group in groups for violation in group.first]


def test_time_is_in_seconds_since_the_tape_began():
    sentences = ["bob > ask", "10s", "bob > ask", "10s", "bob > ask"]
    assert len(seen('"@t": {ge: 5, lt: 15}', *sentences)) == 1
    assert seen('"@t": {gt: 60}', *sentences) == []


def test_a_tag_is_that_of_the_recording():
    assert len(seen('"@tag.tier": hard, type: ask', "bob > ask", **TAGGED)) == 1
    assert seen('"@tag.tier": easy', "bob > ask", **TAGGED) == []
    assert seen('"@tag.tier": {exists: true}', "bob > ask") == []


@pytest.mark.parametrize("options", ["{}", '{"tags": 3}', '{"tags": {"tier": 3}}', '{"tags": {"tier": {"a": "hard"}}}'])
def test_tags_that_are_none_are_none(options):
    assert seen('"@tag.tier": {exists: true}', "bob > ask", options=options) == []


def test_a_mark_has_the_tags_of_its_recording():
    outage = '  outage: {on: mark, where: {"@mark": fault_begin, "@tag.tier": hard}}'
    base = EVENTS.replace("spans:", f"{outage}\nspans:", 1)
    expect("{kind: never, event: outage, per: recording}", "fail", "bob > ask", "mark fault_begin", base=base, **TAGGED)
    expect("{kind: never, event: outage, per: recording}", "pass", "bob > ask", "mark fault_begin", base=base)


def test_a_credential_is_the_one_of_that_moment():
    sentences = [
        "bob connects / credential=valid credential_expires=1700000100",
        "bob > ask",
        "bob becomes bob",  # a new token, which says nothing of its end
        "bob > ask",
    ]
    assert len(seen('"@token.exp": 1700000100, type: ask', *sentences)) == 1
    assert len(seen('"@token.exp": {exists: false}, type: ask', *sentences)) == 1
    assert len(seen('"@user.rule": "message:user", type: ask', *sentences)) == 1
    assert len(seen('"@token.class": valid, type: ask', *sentences)) == 2
    assert seen('"@token.class": expired', *sentences) == []


def test_a_schema_is_a_test_like_others():
    where = "where: {data: {schema: {type: object, required: [tool_name]}}}"
    bad = f"{{kind: never, event: tool_executing, {where}}}"
    expect(bad, "fail", "* bob < tool_executing data.tool_name=x")
    expect(bad, "pass", "bob < tool_executing -data.tool_name")
    expect(bad, "pass", "bob < tool_executing -data")
    shared = '{kind: never, event: $any, where: {"/": {exists: false}, thread_id: {schema: {$ref: "#/schemas/none"}}}}'
    base = EVENTS.replace("schemas:", "schemas:\n  none: {maxLength: 0}", 1)
    expect(shared, "fail", '* bob < {"type": "agent_started", "thread_id": ""}', base=base)
    expect(shared, "pass", 'bob < {"type": "agent_started", "thread_id": "t"}', base=base)


# -- keys that only some events carry

RUN_IN = EVENTS.replace("infer}\n  thread", "violation, in: [agent_started, agent_completed]}\n  thread", 1)
ONCE = "{kind: count, per: run, event: [agent_started, agent_completed, agent_thinking], max: 2}"


def test_a_key_is_read_where_it_is_said_to_stand():
    assert "in: [agent_started" in RUN_IN
    expect(
        ONCE, "fail", "* bob < agent_started r1", "* bob < agent_completed r1", "* bob < agent_started r1", base=RUN_IN
    )
    # a thought that names a run is of none, and one that names none misses nothing
    sentences = [
        "bob < agent_started r1",
        "bob < agent_thinking r1",
        "bob < agent_thinking",
        "bob < agent_completed r1",
    ]
    expect(ONCE, "pass", *sentences, base=RUN_IN)
    expect(ONCE, "fail", "* bob < agent_started", base=RUN_IN)  # but here it must be


QUIET = EVENTS.replace("infer}\n  thread", "ignore}\n  thread", 1)
EXITS = "{kind: exits, scope: run}"
LATE = ["bob < agent_started r1", "bob < agent_completed r1", "1s", "bob < agent_thinking r1"]


def test_an_event_that_carries_no_key_is_no_stray():
    expect(EXITS, "fail", *LATE, base=QUIET)
    expect(EXITS, "pass", *LATE, base=QUIET.replace("agent_thinking: {}", "agent_thinking: {keys: {}}"))
    expect(EXITS, "pass", *LATE, base=QUIET.replace("agent_thinking: {}", "agent_thinking: {keys: {run: none}}"))


def test_an_event_that_carries_no_key_does_not_miss_one():
    strict = EVENTS.replace("infer}\n  thread", "violation}\n  thread", 1)
    per_run = "{kind: count, per: run, each: [agent_started, agent_thinking], max: 9}"
    talked = ["bob < agent_started r1", "bob < agent_thinking"]
    expect(per_run, "fail", *talked, base=strict)
    expect(per_run, "pass", *talked, base=strict.replace("agent_thinking: {}", "agent_thinking: {keys: {}}"))


def test_a_deprecated_event_is_told_with_what_to_use_instead():
    base = EVENTS.replace("agent_thinking: {}", "agent_thinking: {deprecated: use agent_step}")
    told = contract("{kind: never, event: failure}", base=base)

    found = judge(told, talk("bob < agent_thinking", "bob < agent_thinking").tape)

    assert found.verdict == "pass"
    assert any("agent_thinking came 2 times" in note and "use agent_step" in note for note in found.warnings)
    assert not any("deprecated" in note for note in judge(told, talk("bob > ask").tape).warnings)
