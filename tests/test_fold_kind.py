"""The kind `fold`: what breaks it, and what only looks like it."""

import json
from typing import Any

import pytest
from agents import contract, expect, judge, talk

from verifier.folds import KEPT, LONGEST, Concat, Set
from verifier.lint import demand
from verifier.load import ContractError

TEXT = (
    "{kind: fold, scope: run, of: agent_thinking, path: delta, op: concat,"
    " equals: {event: agent_completed, path: text}}"
)
ANEW = (
    "{kind: fold, per: connection, of: agent_thinking, path: delta, op: concat, reset: true,"
    " equals: {event: agent_completed, path: text}}"
)
TOOLS = "{kind: fold, scope: run, of: tool_completed, op: count, equals: {event: agent_completed, path: data.tools}}"
NAMED = (
    "{kind: fold, scope: run, of: tool_executing, path: data.tool_name, op: set,"
    " equals: {event: agent_completed, path: tools}}"
)
COST = "{kind: fold, scope: run, of: tool_completed, path: usd, op: sum, equals: {event: agent_completed, path: usd}}"
LAST = "{kind: fold, per: user, of: agent_thinking, path: step, op: last, equals: {event: agent_completed, path: step}}"
STATE = (
    "{kind: fold, per: connection, of: agent_thinking, path: patch, op: json_patch,"
    " equals: {event: agent_started, path: state}}"
)
CALLS = (
    "{kind: fold, scope: run, of: tool_completed, where: {ok: true}, op: count,"
    " equals: {event: agent_completed, path: n}}"
)
START = "bob < agent_started r1"


def said(type_: str, **fields: Any) -> str:
    """A message of run r1 with these fields."""
    words = " ".join(f"{name}:={json.dumps(value, separators=(',', ':'))}" for name, value in fields.items())
    return f"bob < {type_} r1 {words}".strip()


def text(*deltas: str, final: str, guilty: int | None = None) -> list[str]:
    parts = [said("agent_thinking", delta=delta) for delta in deltas]
    if guilty is not None:
        parts[guilty] = "* " + parts[guilty]
    return [START, *parts, "* " + said("agent_completed", text=final)]


def patched(*patches: list[dict[str, Any]] | Any, first: Any, last: Any) -> list[str]:
    parts = [f"bob < agent_thinking patch:={json.dumps(patch, separators=(',', ':'))}" for patch in patches]
    begin, end = (f"bob < agent_started state:={json.dumps(s, separators=(',', ':'))}" for s in (first, last))
    return [begin, *parts, end]


ADD = {"op": "add", "path": "/a/-", "value": 2}


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (TEXT, text("Hel", "lo", final="Help", guilty=1)),
        (TEXT, text("Hel", "lx", "o", final="Hello", guilty=1)),  # changed on the way
        (TEXT, text("Hel", "o", final="Hello", guilty=1)),  # one is lost
        (TEXT, text("Hel", "l", final="Hello", guilty=1)),  # the last is lost
        (TEXT, text("Hel", "lo", "lo", final="Hello", guilty=2)),  # one came twice
        (TEXT, text("lo", "Hel", final="Hello", guilty=0)),
        (TEXT, text(final="Hello")),
        (TEXT, [START, "* " + said("agent_thinking", delta="a"), "* " + said("agent_completed", text=1)]),
        (ANEW, [said("agent_thinking", delta="a"), said("agent_completed", text="a"),
                "* " + said("agent_thinking", delta="b"), "* " + said("agent_completed", text="ab")]),
        (TOOLS, [START, "* bob < tool_completed r1", "* " + said("agent_completed", **{"data.tools": 2})]),
        (TOOLS, [START, "* " + said("agent_completed", **{"data.tools": True})]),
        (CALLS, [START, said("tool_completed", ok=False), "* " + said("agent_completed", n=1)]),
        (NAMED, [START, "bob < tool_executing r1 data.tool_name=cost", "* bob < tool_executing r1",
                 "* " + said("agent_completed", tools=["cost"])]),
        (NAMED, [START, "bob < tool_executing r1", "* " + said("agent_completed", tools=["search", "cost"])]),
        (COST, [START, "* " + said("tool_completed", usd=0.1), "* " + said("tool_completed", usd=0.2),
                "* " + said("agent_completed", usd=0.31)]),
        (LAST, [said("agent_thinking", step=1), "* " + said("agent_thinking", step=2),
                "* " + said("agent_completed", step=1)]),
        (STATE, patched([ADD], first={"a": [1]}, last={"a": [1]})),
        (STATE, patched([{"op": "remove", "path": "/b"}], first={"a": 1}, last={})),
        (STATE, patched({"op": "add"}, first={"a": 1}, last={"a": 1})),
        (STATE, patched([{"op": "test", "path": "/a", "value": True}], first={"a": 1}, last={"a": 1})),
    ],
)  # fmt: skip
def test_two_truths_are_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (TEXT, text("Hel", "lo", final="Hello")),
        (TEXT, text("", "ü", "\ud83d\ude00", final="ü😀")),
        (TEXT, [*text("Hel", final="Hello")[:-1], "bob < agent_thinking r1", said("agent_thinking", delta=None),
                said("agent_thinking", delta="lo"), said("agent_completed", text="Hello")]),
        (TEXT, [START, "bob < agent_started r2", said("agent_thinking", delta="a"),
                said("agent_thinking", delta="b").replace("r1", "r2"), said("agent_completed", text="a"),
                said("agent_completed", text="b").replace("r1", "r2")]),
        (TEXT, ["bob connects /", "bob/2 connects /", *[x for s in text("Hel", "lo", final="Hello")
                                                      for x in (s, s.replace("bob", "bob/2"))]]),  # two tabs
        (ANEW, [said("agent_thinking", delta="a"), said("agent_completed", text="a"), said("agent_completed", text=""),
                said("agent_thinking", delta="b"), said("agent_completed", text="b")]),
        (TOOLS, [START, "bob < tool_completed r1", "bob < tool_completed r1",
                 said("agent_completed", **{"data.tools": 2.0})]),
        (TOOLS, [START, said("agent_completed", **{"data.tools": 0})]),
        (CALLS, [START, said("tool_completed", ok=False), said("tool_completed", ok=True),
                 said("agent_completed", n=1)]),
        (NAMED, [START, "bob < tool_executing r1", "bob < tool_executing r1 data.tool_name=cost",
                 "bob < tool_executing r1", said("agent_completed", tools=["cost", "search"])]),
        (COST, [START, *[said("tool_completed", usd=0.1)] * 3, said("agent_completed", usd=0.3)]),
        (LAST, [said("agent_thinking", step={"a": 1}), said("agent_completed", step={"a": 1.0})]),
        (STATE, patched([ADD], [{"op": "replace", "path": "", "value": {"b": 3}}], first={"a": [1]}, last={"b": 3})),
        (STATE, [*patched([ADD], first={"a": [1]}, last={"a": [1, 2]}),
                 *patched([ADD], first={"a": [1, 2]}, last={"a": [1, 2, 2]})[1:]]),
        (STATE, ['bob < agent_thinking patch:=[{"op":"remove","path":"/b"}]',  # to a state that nobody has shown
                 *patched([ADD], first={"a": [1]}, last={"a": [1, 2]})]),
    ],
)  # fmt: skip
def test_what_adds_up_passes(invariant, sentences):
    expect(invariant, "pass", *[sentence.removeprefix("* ") for sentence in sentences])


RETOLD = [START, said("agent_thinking", delta="Hel"), said("agent_thinking", delta="lo"), "bob ends eof by client",
          said("agent_thinking", delta="lo").replace("bob", "bob/2")]  # fmt: skip


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (TEXT, "inconclusive", [START, "mark gap", *text("lo", final="Hello")[1:]]),
        (TEXT, "inconclusive", [START, "bob < !truncated x", *text("lo", final="Hello")[1:]]),
        (TEXT, "inconclusive", [*RETOLD, said("agent_completed", text="Hello").replace("bob", "bob/2")]),
        (TEXT, "fail", [START, "* " + said("agent_thinking", delta=3), said("agent_completed", text="3")]),
        (COST, "fail", [START, "* " + said("tool_completed", usd="3"), said("agent_completed", usd=3)]),
        (TEXT, "vacuous", [START, said("agent_thinking", delta="a"), "bob < agent_completed r1"]),
        (LAST, "vacuous", [said("agent_completed", step=1)]),
        (STATE, "vacuous", patched(first={"a": 1}, last={"a": 2})),  # a new state, and no patch that says otherwise
        (STATE, "inconclusive", ["bob < agent_started state:={}", "mark gap", *patched([ADD], first=[], last=[])[1:]]),
        (TEXT, "inconclusive", [START, "bob < !redacted agent_thinking r1 delta=[r:mail:x]",
                                said("agent_completed", text="a@b")]),
        (ANEW, "fail", ["mark gap", "bob < agent_completed text=", "* bob < agent_thinking delta=a",
                        "* bob < agent_completed text=b"]),  # what was lost before it began anew does not matter
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *[s.removeprefix("* ") if verdict != "fail" else s for s in sentences])


def test_ids_tell_what_was_told_again():
    numbered = [f"{sentence} e{min(n, 2)}" for n, sentence in enumerate(RETOLD[:3])]
    back = said("agent_completed", text="Hello").replace("bob", "bob/2")
    again = said("agent_thinking", delta="lo").replace("bob", "bob/2") + " e2"

    expect(TEXT, "pass", *numbered, "bob ends eof by client", again, back)


@pytest.mark.parametrize(
    "sentences, why",
    [
        (text("Hel", "lo", final="Help"), 'it differs from the 2 parts before it at character 3: "p", not "lo"'),
        (text("Hel", final="Hello"), "the 1 part before it are its begin only, 3 characters"),
    ],
)
def test_the_reason_says_where_texts_part(sentences, why):
    [group] = judge(contract(TEXT), talk(*sentences).tape).outcome("it").groups

    assert why in group.first[0].why


def test_a_patch_that_would_fill_the_memory_is_not_followed():
    double = [{"op": "copy", "from": "/x", "path": "/x/-"}] * 60
    expect(STATE, "inconclusive", *patched(double, first={"x": ["y" * 1000]}, last={}))

    deeper = [{"op": "copy", "from": "", "path": "/a"}] * 300
    expect(STATE, "inconclusive", *patched(deeper, first={"x": 1}, last={}))


def test_a_state_that_many_patches_replace_is_followed_for_ever():
    large = [{"op": "replace", "path": "/x", "value": list(range(20_000))}]

    expect(STATE, "pass", *patched(*[large] * 12, first={"x": 1}, last={"x": list(range(20_000))}))


def test_long_texts_are_compared_whole_and_kept_in_part():
    fold, final = Concat(), "".join(f"{n:08}" for n in range(LONGEST // 4))
    for n in range(0, len(final), 8):
        fold.add(final[n : n + 8])

    assert fold.differs(final) is None
    assert fold.differs(final[:-1] + "x") is not None
    found = fold.differs("x" + final[1:])
    assert found is not None and "at character 0" in found.why
    assert len(found.expected) < 100


def test_a_set_of_many_values_is_compared_whole():
    fold, values = Set(), [f"v{n}" for n in range(2 * KEPT)]
    for value in values:
        fold.add(value)

    assert fold.differs(values[::-1]) is None
    assert fold.differs(values[:-1]) is not None


@pytest.mark.parametrize(
    "change, told",
    [
        (("path: delta, ", ""), "`concat` wants a `path`"),
        (("path: text", "pth: text"), "unknown key|`path` is missing"),
        (("op: concat", "op: json_patch, reset: true"), "goes on from each `equals` anyway"),
        (("op: concat", "op: concatenate"), "did you mean concat"),
        (("path: delta", "path: a..b"), "a path reads"),
    ],
)
def test_what_makes_no_sense_is_refused(change, told):
    with pytest.raises(ContractError, match=told):
        demand(contract(TEXT.replace(*change)))
