"""`content`: what breaks it, and what only looks like it."""

import json

import pytest
from agents import contract, expect, judge, talk
from hypothesis import given
from hypothesis import strategies as st

from goldentape.errors import GoldentapeError
from verifier.words import content_words, folded, occurs, shared

LONG = "{kind: content, event: agent_completed, path: [data.result, result], min_chars: 20, min_words: 4}"
WORDS = (
    "{kind: content, event: agent_completed, path: result, any_of: [cost, price], all_of: [node],"
    ' never: [lorem ipsum, "as an AI language model", "^Error:"]}'
)
ABOUT = (
    "{kind: content, event: agent_completed, per: thread, path: result,"
    " relevant_to: {event: ask, path: [content, message]}}"
)
ACT = "{kind: content, event: agent_completed, path: result, actionable: {any: [recommend, switch], at_least: 2}}"
TEXT = "{kind: content, event: agent_completed, path: result, min_chars: 5, missing: violation}"
FOLD = "{kind: content, event: agent_thinking, path: delta, fold: agent_completed, min_chars: 12, never: [lorem ipsum]}"


def message(dir: str, type_: str, who: str = "bob", **fields: object) -> str:
    return f"{who} {dir} " + json.dumps({"type": type_, "thread_id": "t1", **fields})


def ask(content: object, who: str = "bob") -> str:
    return message(">", "ask", who, content=content)


def done(result: object, who: str = "bob") -> str:
    return message("<", "agent_completed", who, result=result)


def delta(text: str) -> str:
    return message("<", "agent_thinking", delta=text)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (LONG, ["* " + done("OK.")]),
        (LONG, ["* " + done("                       a b c")]),
        (LONG, ["* " + done("oneveryveryverylongword and two")]),
        (LONG, ["* " + done({"a": "x", "b": ["y", 3]})]),
        (WORDS, ["* " + done("nothing about money, but nodes")]),
        (WORDS, ["* " + done("the cost of it")]),
        (WORDS, ["* " + done("cost of a node: LOREM  IPSUM dolor")]),
        (WORDS, ["* " + done("As an AI language model I know no cost of nodes")]),
        (WORDS, ["* " + done("Error: the cost of nodes is not known")]),
        (ABOUT, ["* " + ask("What drives our cost?"), "* " + done("The weather is fine")]),
        (ABOUT, ["* " + ask("cost?"), "* " + ask("latency?"), "* " + done("The weather is fine")]),
        (ABOUT, [ask("cost?"), done("The costs are high"), "* " + ask("latency?"), "* " + done("The costs are high")]),
        (ABOUT, ["* " + ask("成本是多少"), "* " + done("天气很好")]),
        (ACT, ["* " + done("I recommend to switch it off.")]),
        (TEXT, ["* " + message("<", "agent_completed")]),
        (TEXT, ["* " + done(42)]),
        (FOLD, ["* " + delta("too "), delta("short"), "* " + message("<", "agent_completed")]),
        (FOLD, ["* " + delta("this is lorem ip"), delta("sum, is it"), "* " + message("<", "agent_completed")]),
    ],
)
def test_what_has_no_substance_is_found(invariant, sentences):
    expect(invariant, "fail", *sentences)


@pytest.mark.parametrize(
    "invariant, sentences",
    [
        (LONG, [done("one two three and four")]),
        (LONG, [message("<", "agent_completed", data={"result": "one two three and four"}, result="x")]),
        (LONG, [done({"summary": "one two three", "more": ["and a long one"]})]),
        (WORDS, [done("ＣＯＳＴＳ of the nodes")]),
        (WORDS, [done("No Error: prices of nodes")]),
        (ABOUT, [ask("What drives our costs?"), done("The cost is in the nodes")]),
        (ABOUT, [ask("When do we migrate?"), done("The migration takes a week")]),
        (ABOUT, [ask("Go on"), done("The weather is fine")]),  # nothing to share
        (ABOUT, [ask("cost?"), ask("latency?"), done("The latency is high"), done("Cost is low")]),  # in any order
        (ABOUT, [done("Nobody asked")]),
        (ABOUT, [ask("cost?"), "bob ends eof by client", done("It costs nothing", "bob/2")]),  # a reconnect
        (ABOUT, ["bob connects /", "bob/2 connects /", ask("cost?"), done("It costs"), done("It costs", "bob/2"),
                 ask("latency?"), done("Low latency")]),  # two tabs
        (ABOUT, [ask("成本是多少"), done("成本很低")]),
        (ABOUT, ['bob > !redacted {"type": "ask", "thread_id": "t1", "content": "[r:password:0]"}', done("Fine")]),
        (ACT, [done("I recommend this. Switch that off!")]),
        (ACT, [done("- recommended: a\n- switches: b")]),
        (TEXT, [done("enough")]),
        (FOLD, [delta("long "), delta("enough by far"), message("<", "agent_completed"),
                delta("and once "), delta("again long"), message("<", "agent_completed")]),
    ],
)  # fmt: skip
def test_look_alikes_pass(invariant, sentences):
    expect(invariant, "pass", *sentences)


@pytest.mark.parametrize(
    "invariant, verdict, sentences",
    [
        (LONG, "vacuous", [message("<", "agent_completed")]),
        (LONG, "inconclusive",
         ['bob < !redacted {"type": "agent_completed", "thread_id": "t1", "result": "[r:jwt:0]"}']),
        (ABOUT, "inconclusive", [ask("cost?"), "mark gap", done("The weather is fine")]),
        (FOLD, "inconclusive", [delta("too "), "bob < !truncated x", message("<", "agent_completed")]),
        (FOLD, "vacuous", [delta("never over")]),
    ],
)  # fmt: skip
def test_what_cannot_be_known_is_not_judged(invariant, verdict, sentences):
    expect(invariant, verdict, *sentences)


def test_a_violation_says_all_that_is_wrong_with_a_text():
    outcome = judge(contract(LONG), talk(done("OK.")).tape).outcome("it")

    [group] = outcome.groups
    assert group.first[0].why == "agent_completed at #3 has 3 characters and has 1 word"
    assert group.first[0].expected == "at least 20 characters; at least 4 words"


@pytest.mark.parametrize(
    "invariant, word",
    [
        ("{kind: content, event: agent_completed, path: a}", "demands nothing"),
        ("{kind: content, event: agent_completed, path: a, relevant_to: {event: ask}}", "wants `path`"),
        ("{kind: content, event: agent_completed, path: a, actionable: {at_least: 2}}", "wants `any`"),
        ("{kind: content, event: nothing, path: a, min_chars: 1}", "no such event"),
    ],
)
def test_what_makes_no_sense_is_refused(invariant, word):
    with pytest.raises(GoldentapeError) as error:
        judge(contract(invariant), talk(done("x")).tape)
    assert word in str(error.value)


@given(st.text(), st.text())
def test_a_text_always_has_its_own_words_and_sharing_is_at_most_what_was_asked(asked, said):
    words = content_words(asked)

    assert shared(words, words) == len(words)
    assert 0 <= shared(words, content_words(said)) <= len(words)


@given(st.text(alphabet="ab _É成1.", max_size=8), st.text(alphabet="ab _É成1.", max_size=30))
def test_a_phrase_is_found_only_where_the_text_has_it(phrase, text):
    if occurs(folded(phrase), folded(text)):
        assert folded(phrase) in folded(text)
    assert occurs(folded(phrase), folded(phrase))
