"""The report for people: each distinct violation once, what was judged, and no recorded text raw."""

from __future__ import annotations

import pytest
from contracts import contract
from tapes import tape

from verifier.check import verify
from verifier.contract import read_contract
from verifier.exporters.text import lines
from verifier.history import Source

EVENTS = "events: {ask: {dir: c2s}, done: {}, rude: {}, odd: {}}"


def report(text: str, *sentences: str, name: str = "a.tape") -> list[str]:
    with tape(*sentences) as recorded:
        verdict = verify(read_contract(text.encode(), "c.yaml"), Source.of(recorded))
    return list(lines(verdict, name, "sealed"))


def rude(*users: str) -> list[str]:
    return [f'{user} < {{"type": "rude"}}' for user in users]


CALM = contract("{kind: never, event: rude, impact: people leave}", events=EVENTS)


def test_a_violation_of_one_cause_stands_there_once_with_how_often_and_where_else():
    said = report(CALM, *rude("alice", "bob", "carol", "dave", "alice"))

    assert sum(line.startswith("FAIL  a  c.yaml:9 (never, error)") for line in said) == 1
    assert "impact: people leave" in said
    [seen] = [line for line in said if line.startswith("seen: ")]
    assert seen == "seen: 5 times, 4 users; again at #5 (bob), #7 (carol) and 2 more"
    assert [line.rpartition(" ")[0] for line in said if line.startswith("id: ")] == ["id: a/1, fingerprint"]
    assert "next: goldentape tape show a.tape --connection c1 --from '#1' --to '#23'" in said


def test_distinct_violations_stand_apart_and_failures_before_warnings():
    text = contract(
        invariants="invariants:\n  a: {kind: never, event: odd, severity: warning}\n  b: {kind: never, event: rude}",
        events=EVENTS,
    )

    said = report(text, 'alice < {"type": "odd"}', 'alice < {"type": "rude"}')

    assert [line.split()[:2] for line in said if "fault: " in line] == [
        ["FAIL", "b"],
        ["WARN", "a"],
    ]
    assert "fail: 1 distinct violation of b (2 judged)" in said


def test_the_report_ends_with_what_was_judged_and_what_it_does_not_say():
    text = contract(
        invariants="""invariants:
  held: {kind: never, event: rude}
  open: {kind: responds, trigger: ask, answer: done, within: 5s}
  none: {kind: pair, open: odd, close: done, lenient: done}
  rare: {kind: pair, open: odd, close: done, lenient: done, min_activations: 0}
  left: {kind: responds, per: connection, trigger: ask, answer: done}""",
        events=EVENTS,
    )

    said = report(text, 'alice > {"type": "ask"}', 'bob > {"type": "ask"}', "bob ends")

    table = {line.split()[1]: line for line in said if line.split()[1:2] and line.split()[1] in
             ("held", "open", "none", "rare", "left")}  # fmt: skip
    assert table["held"] == "ok       held  2 judged"
    assert table["open"].startswith("?        open  ")
    assert "1 waived" in table["open"]
    assert "1 inconclusive: the recording ended before it was due" in table["open"]
    assert table["none"] == "vacuous  none  0 judged, which is too few to say anything"
    assert table["rare"] == "-        rare  nothing to judge, which the contract allows"
    assert said[-2].startswith("inconclusive: nothing failed, but the recording does not say whether open, left held")
    assert said[-1].startswith("This does not say that another schedule")


@pytest.mark.parametrize(
    "user, id, name, hint",
    [
        ("alice", "abc123", "my tapes/a.tape", "'my tapes/a.tape' --connection abc123 --from '#1' --to '#23'"),
        ("o'neil", "$(reboot)", "a.tape", "a.tape --user 'o'\"'\"'neil'"),
        ("$(reboot)", "--help", "a.tape", "a.tape --user '$(reboot)'"),
        ("--help", "--help", "a.tape", None),
        ("\u202eevil", "\u202eevil", "a.tape", None),
        ("x" * 300, "x-y", "a.tape", None),
        ("alice", "abc123", "\x1b[31m.tape", None),
        ("alice", "abc123", "--user", None),
    ],
)
def test_the_command_to_try_next_can_be_typed_or_is_not_there(user, id, name, hint):
    said = report(CALM, f"{user} connects / id={id}", *rude(user), name=name)

    told = [line.removeprefix("next: goldentape tape show ") for line in said if line.startswith("next: ")]
    assert told == ([hint] if hint else [])
    assert all(line.isprintable() for line in said)


def test_another_users_value_is_masked():
    text = contract("{kind: owner, mode: envelope, event: done, path: user_id}", events=EVENTS)

    said = "\n".join(report(text, 'alice < {"type": "done", "user_id": "roberta-secret"}'))

    assert "ro…et" in said
    assert "roberta" not in said


def test_a_proof_stands_in_columns():
    text = contract("{kind: count, event: done, max: 1}", events=EVENTS)

    said = report(text, 'alice < {"type": "done"}', *['alice > {"type": "ask"}'] * 9, 'alice < {"type": "done"}')

    first, second = (line for line in said if line.startswith("  "))
    assert (first.index("s2c"), first.index("alice"), first.index("done")) == (
        second.index("s2c"), second.index("alice"), second.index("done"),
    )  # fmt: skip
