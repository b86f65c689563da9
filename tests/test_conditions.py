"""`when`: an invariant is judged where it is meant for the recording, the user and the ending, and only there."""

import json

import pytest
from agents import contract, judge, talk
from tapes import Writer, _numbers, home

from goldentape.event import Connection, Ending, Mark
from goldentape.tape import open_tape
from verifier.conditions import most_at_once, version
from verifier.load import ContractError

BAD = ["bob < agent_started t1 r1", "bob < agent_error t1 r1"]


def verdict(when: str, *sentences: str, tags: dict | None = None, **options) -> str:
    if tags is not None:
        options["options"] = json.dumps({"tags": tags, **json.loads(options.get("options", "{}"))})
    rule = contract(f"{{kind: never, event: agent_error, when: {{{when}}}}}")
    return judge(rule, talk(*(sentences or BAD), **options).tape).outcome("it").verdict


@pytest.mark.parametrize(
    "when, tags, found",
    [
        ("tag: {tier: hard}", {"tier": "hard"}, "fail"),
        ("tag: {tier: hard}", {"tier": "easy"}, "not applicable"),
        ("tag: {tier: hard}", {}, "not applicable"),
        ("tag: {tier: {in: [hard, stress]}}", {"tier": "stress"}, "fail"),
        ("tag: {tier: {exists: false}}", {}, "fail"),
        ("tag: {tier: hard, os: linux}", {"tier": "hard"}, "not applicable"),
        ("tag: {tier: hard, os: linux}", {"tier": "hard", "os": "linux"}, "fail"),
        ('release: ">=2.3"', {"release": "2.3"}, "fail"),
        ('release: ">=2.3"', {"release": "v2.10.1+build7"}, "fail"),
        ('release: ">=2.3"', {"release": "2.2.9"}, "not applicable"),
        ('release: ">=2.3"', {"release": "2.3-rc1"}, "not applicable"),
        ('release: ">=2.3, <3"', {"release": "3.0"}, "not applicable"),
        ('release: ">=2.3, <3"', {"release": "2.99"}, "fail"),
        ('release: "==2.3"', {"release": "2.3.0"}, "fail"),
        ('release: ">=2.3"', {}, "not applicable"),
        ('release: ">=2.3"', {"release": "main-4f2a"}, "inconclusive"),
        ("users: {ge: 2}", {}, "not applicable"),
        ("users: {lt: 2}", {}, "fail"),
        ("users: 1", {}, "fail"),
    ],
)
def test_a_recording_is_what_its_tags_and_users_say(when, tags, found):
    assert verdict(when, tags=tags) == found


def test_what_is_not_applicable_is_told_and_leaves_the_rest_to_decide():
    rules = contract("staging: {kind: never, event: agent_error, when: {tag: {env: staging}}}",
                     "started: {kind: count, event: agent_started, min: 1}")  # fmt: skip
    found = judge(rules, talk(*BAD, "bob > (close 1000)", "bob < (close 1000)").tape)

    assert found.verdict == found.outcome("started").verdict == "pass"
    assert found.outcome("staging").verdict == "not applicable"
    assert not found.outcome("staging").groups
    assert any(note.startswith("staging is not applicable: tag env") for note in found.warnings)


def test_users_are_those_that_are_connected_at_once():
    both = ["bob < agent_error", "eve < agent_thinking"]
    bye = ["bob > (close 1000)", "bob < (close 1000)", "1s"]
    one_after_the_other = ["bob < agent_error", *bye, "eve < agent_thinking"]
    two_tabs = ["bob < agent_error", "bob/2 < agent_thinking"]
    assert verdict("users: {ge: 2}", *both) == "fail"
    assert verdict("users: {ge: 2}", *one_after_the_other) == "not applicable"
    assert verdict("users: {ge: 2}", *two_tabs) == "not applicable"
    rule = contract("{kind: never, event: agent_error, when: {users: {ge: 2}}}")
    assert judge(rule, talk(*both).tape, "bob").verdict == "fail"  # of one user's part, the whole counts


def connection(user: str, accepted: int | None, closed: int | None) -> tuple[int, Connection]:
    return 0, Connection(
        id="c", user=user, epoch=0, client="", target="/", key=None, request=(), status=101, reason=None, response=(),
        body=None, subprotocol=None, extensions=None, credential="none", credential_expires=None, opened=0,
        accepted=accepted, closed=closed, close_code=None, close_reason=None, closed_by=None, ending=Ending.OPEN,
    )  # fmt: skip


@pytest.mark.parametrize(
    "spans, most",
    [
        ([], 0),
        ([("a", 1, 5)], 1),
        ([("a", 1, None), ("b", 9, None)], 2),
        ([("a", 1, 5), ("b", 5, 9)], 1),
        ([("a", 1, 5), ("a", 2, 3), ("b", 4, 9)], 2),
        ([("a", 1, 3), ("a", 2, 5), ("b", 4, 9)], 2),
        ([("a", 3, 3), ("b", 4, 4), ("a", 5, 6)], 1),
        ([("a", None, 5), ("b", 1, 9)], 1),
    ],
)
def test_the_most_at_once(spans, most):
    assert most_at_once(connection(*span) for span in spans) == most


def test_versions_are_in_order():
    words = ["1", "1.0.1", "1.2.dev3", "1.2a1", "1.2-beta.2", "1.2-rc1", "1.2rc2", "v1.2", "1.2.1", "1.10", "2.0", "10"]
    keys = [version(word) for word in words]
    assert None not in keys and keys == sorted(keys)  # type: ignore[type-var]
    assert version("1.2") == version("1.2.0") == version("v1.2+abc")
    assert [version(word) for word in ("", "main", "1.2.x", "1..2", "1.2-rc1-3", "1" * 200)] == [None] * 6


# -- claims of a user

ROLE = "claim: {role: admin}"
KEPT = '{"claims": ["role"]}'


def with_claims(tmp: str, when: str = ROLE, kept: str = KEPT) -> str:
    """Bob and Eve, who come with tokens; what they claim is noted as the recorder does it."""
    path = home() / f"{next(_numbers)}.tape"
    writer = Writer(path, options=kept)
    for who, role in (("bob", "admin"), ("eve", "guest")):
        writer.say(f"{who} connects / credential=valid")
        writer.flush()
        mark = Mark(seq=writer.draw(), t=writer.t, kind="claims", data={"role": role})
        writer.writer.add_marks([(mark, writer.connections[who].number)])
    writer.say(f'{tmp} < {{"type": "agent_error"}}')
    writer.finish()
    rule = contract(f"{{kind: never, event: agent_error, when: {{{when}}}}}")
    outcome = judge(rule, open_tape(path)).outcome("it")
    assert outcome.tally.not_applicable == (0 if outcome.verdict == "inconclusive" else 1 if when == ROLE else 2)
    return outcome.verdict


def test_only_users_who_claim_it_are_meant():
    assert with_claims("bob") == "fail"
    assert with_claims("eve") == "pass"  # bob was watched, and eve is not meant
    assert with_claims("bob", "claim: {role: nobody}") == "not applicable"


def test_what_the_recorder_did_not_keep_is_not_known():
    assert with_claims("bob", kept="{}") == "inconclusive"


def test_who_has_no_token_claims_nothing():
    assert verdict(ROLE) == "not applicable"


@pytest.mark.parametrize(
    "when, what",
    [
        ("release: new", "not a range of releases"),
        ('release: ">=new"', "not a range of releases"),
        ('release: ">=2.3,"', "not a range of releases"),
        ("users: {gr: 3}", "gr"),
        ("tag: {tier: {pattern: '('}}", "not a regular expression"),
        ("exit: completed", "wants a span"),
        ("weather: {ge: 3}", "weather"),
    ],
)
def test_a_condition_that_is_none_is_refused(when, what):
    with pytest.raises(ContractError, match=what):
        contract(f"{{kind: never, event: agent_error, when: {{{when}}}}}")
