"""`monotone`: what breaks it, and what only looks like it."""

import pytest
from agents import contract, expect, judge
from tapes import tape

from verifier.equality import number_of
from verifier.load import ContractError

OF_RUN = "event: [agent_started, agent_thinking, agent_completed], scope: run, path: seq"
RUN = f"{{kind: monotone, {OF_RUN}, step: 1, missing: ignore}}"
GROWS = "{kind: monotone, event: agent_thinking, per: connection, path: [n, data.n]}"
STRICT = "{kind: monotone, event: agent_thinking, per: connection, path: n, strict: true, reset_by: agent_started}"
TENTH = "{kind: monotone, event: agent_thinking, per: connection, path: n, step: 0.1}"
USER = "{kind: monotone, event: agent_thinking, per: user, path: n}"
MARKS = '{kind: monotone, event: $mark, where: {"@mark": requests}, per: recording, path: "@mark.n"}'


def run(*numbers: object, who: str = "bob", run: str = "r1") -> list[str]:
    """`agent_thinking` with these numbers, on who's connection; `*` before that of the culprit."""
    found = []
    for number in numbers:
        guilty = "* " if isinstance(number, str) and number.startswith("* ") else ""
        found.append(f"{guilty}{who} < agent_thinking {run} seq:={str(number).removeprefix('* ')}")
    return found


def counted(*numbers: object, who: str = "bob") -> list[str]:
    return [s.replace(" r1", "").replace("seq:", "n:") for s in run(*numbers, who=who)]


START, DONE = "bob < agent_started r1 seq:=1", "bob < agent_completed r1 seq:=5"
AWAY, BACK = ["bob ends reset by client", "2s"], "bob/2"


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (RUN, [START, *run("* 2", "* 4")]),
        (RUN, [START, *run(2, "* 3", "* 3")]),
        (RUN, [START, *run(2, "* 3", "* 2")]),
        (RUN, ["* " + START, *run("* 1.5")]),
        (RUN, [START, *run("* 2"), *AWAY, *run("* 4", who=BACK)]),  # what came while the user was away is lost
        (RUN, [START, *run(2, 3), *AWAY, *run(2, "* 3", "* 3", who=BACK)]),
        (RUN, [START, *run(2, "* 3"), *AWAY, *run(2, 3, "* 5", who=BACK)]),
        (RUN, [START, *run(2, 3), *AWAY, *run(4, "* 5", "* 4", who=BACK)]),  # told again too late
        (RUN, ["bob connects /", "bob/2 connects /", START, *run("* 2"), *run("* 4", who=BACK)]),
        (
            RUN,
            ["bob connects /", "bob/2 connects /", START, *run(2, who=BACK), *run(2), "* " + run(2)[0]],
        ),  # not a copy
        (GROWS, counted(1, 1, "* 5", "* 4")),
        (GROWS, ["* bob < agent_thinking"]),
        (GROWS, ["* bob < agent_thinking n:=null"]),
        (GROWS, ["* bob < agent_thinking n:=3", "* bob < agent_thinking data.n:=2"]),
        (STRICT, counted(1, "* 2", "* 2")),
        (STRICT, [*counted(1), "bob < agent_started", *counted("* 1", "* 1")]),
        (TENTH, counted(0.1, "* 0.2", "* 0.4")),
        (USER, [*counted("* 7"), *AWAY, *counted("* 3", who=BACK)]),  # never shown before: an old state
        (MARKS, ["bob > ask", 'mark requests {"n": 7}', 'mark requests {"n": 6}']),
    ],
)
def test_what_does_not_grow_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (RUN, [START, *run(2, 3, 4), DONE]),
        (RUN, [START, *run("2.0", 3)]),
        (RUN, [START, *run(2), "bob < agent_thinking r1", "bob < agent_thinking r1 seq:=null", *run(3)]),
        (RUN, ["bob < agent_started r1 seq:=40", *run(41)]),  # from anywhere
        (RUN, [START, "bob < agent_started r2 seq:=1", *run(2), *run(2, run="r2"), *run(3)]),  # side by side
        (RUN, [START, *run(2, 3, 4), DONE, START, *run(2)]),  # the id is used again
        (RUN, [START, *run(2, 3), *AWAY, *run(4, 5, who=BACK)]),
        (RUN, [START, *run(2, 3), *AWAY, *run(2, 3, 4, who=BACK)]),  # told again what was perhaps lost
        (RUN, [START, *run(2, 3), *AWAY, *run(3, 4, who=BACK), "bob/2 ends eof by client", *run(4, 5, who="bob/3")]),
        (RUN, ["bob connects /", START, *run(2, 3), "bob/2 connects /", *run(1, 2, 3, who=BACK), *run(4),
               *run(4, 5, who=BACK), *run(5)]),  # a second tab is told the past, and then both are told all
        (RUN, ["bob connects /", "bob/2 connects /", START, START.replace("bob", BACK), *run(2, who=BACK), *run(2, 3),
               *run(3, 4, who=BACK), *run(4)]),
        (RUN, [START, *run(2), *(s + " e2" for s in run(3)), *AWAY, *(s + " e2" for s in run(3, who=BACK)),
               *run(4, who=BACK)]),
        (GROWS, counted(1, 1, 2, 7, 7)),
        (GROWS, counted(-3, -2.5, 0, 0.1, 1e300)),
        (GROWS, [*counted(5), *counted(3, who="eve"), *counted(1, who="bob/2")]),  # each connection for itself
        (STRICT, [*counted(1, 2), "bob < agent_started", *counted(1, 2)]),
        (TENTH, counted(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)),
        (USER, [*counted(3, 7), *AWAY, *counted(3, 7, 8, who=BACK)]),
        (MARKS, ["bob > ask", 'mark requests {"n": 7}', 'mark requests {"n": 7}', "mark other"]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (RUN, "inconclusive", [START, *run(2), "mark gap", *run(4)]),
        (RUN, "inconclusive", [START, *run(2), "bob < !truncated x", *run(4)]),
        (RUN, "inconclusive", ["bob < agent_started seq:=1", "mark gap", "bob < agent_thinking seq:=1"]),
        (GROWS, "fail", [*counted("* 3"), "mark gap", *counted("* 2")]),  # nothing lost could excuse that
        # an earlier run without an id, lost in the gap, is told again in a second tab
        (RUN, "inconclusive", ["bob > ask", "mark gap", "bob < agent_started seq:=40 e2", "bob/2 connects /",
                               "bob/2 < agent_started seq:=0 e1", "bob/2 < agent_started seq:=40 e2"]),
        (STRICT, "inconclusive", [*counted(3), "mark gap", *counted(2)]),  # but a lost reset could
        (RUN, "fail", ["* " + START, '* bob < agent_thinking r1 seq:="2"']),  # once a number, always one
        (RUN, "fail", [START, "* bob < agent_thinking r1 seq:=true"]),
        (RUN, "fail", ['* bob < agent_started r1 seq:="1"', *run("* 2")]),
        (GROWS, "fail", ['* bob < agent_thinking n:="2"']),
        (RUN, "vacuous", ['bob < agent_started r1 seq:="a"', 'bob < agent_thinking r1 seq:="b"']),  # no number at all
        (GROWS, "inconclusive", [f'bob < !redacted agent_thinking n=[r:number:{"a" * 32}]']),
        (RUN, "vacuous", ["bob < agent_started r1"]),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_one_hole_in_the_numbers_is_one_violation():
    found = judge(contract(RUN), tape(*(f'b < {{"type": "agent_thinking", "run_id": 1, "seq": {n}}}' for n in (1, 2))))
    assert found.outcome("it").tally.violated == 0

    talked = [f'b < {{"type": "agent_started", "run_id": 1, "seq": {n}}}' for n in (1, 2, 3, 6, 7, 8)]
    [group] = judge(contract(RUN), tape(*talked)).outcome("it").groups
    assert (group.count, group.first[0].expected) == (1, "seq = 4")


def test_numbers_are_as_exact_as_they_were_written():
    assert number_of(0.1) + number_of(0.2) == number_of(0.3)
    assert number_of(10**17 + 1) != number_of(1e17)
    assert [number_of(value) for value in (True, "1", None, float("nan"), float("inf"))] == [None] * 5


def test_a_step_that_goes_nowhere_is_refused():
    with pytest.raises(ContractError, match="a step goes up"):
        judge(contract("{kind: monotone, event: ask, path: n, step: 0}"), tape("bob > x"))
