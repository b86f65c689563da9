"""`taint` user by user, with a quick look first: it says what the close look says."""

import pytest
from agents import contract, judge, talk
from hypothesis import given, settings
from hypothesis import strategies as st
from leaks import BENIGN, HIDE, KEY, LEAKS, MAIL, NAME, NOTHING, NUMBER, SENTENCE, TAINT, VALUES, says, shows

from verifier.whole import Judge

QUICK = """\
goldentape: 1
contract: {id: quick, version: "1.0.0"}
wire: {format: json, type: type, unknown: ignore}
keys: {run: {path: run_id, missing: ignore}}
events: {ask: {dir: c2s}, agent_thinking: {}, tool_completed: {}, agent_error: {}}"""


def alike(*sentences):
    """Judge event by event, and user by user with a quick look first; both must say the same."""
    rules = contract(TAINT, base=QUICK)
    tape = talk(*[s.removeprefix("* ") for s in sentences]).tape
    exact = judge(rules, tape).outcome("it")
    whole = Judge(rules, tape)
    quick = whole.verdict().outcome("it")
    assert (quick.verdict, quick.tally.activations) == (exact.verdict, exact.tally.activations)
    assert [v.seqs for g in quick.groups for v in g.first] == [v.seqs for g in exact.groups for v in g.first]
    assert quick.tally.suppressed == exact.tally.suppressed
    return whole.unclear


@pytest.mark.parametrize("what", [*LEAKS, *BENIGN])
def test_the_quick_look_says_what_the_close_one_says(what):
    alike(*{**LEAKS, **BENIGN}[what])


@pytest.mark.parametrize("how", HIDE)
@pytest.mark.parametrize("what", VALUES)
def test_the_quick_look_sees_what_is_hidden(what, how):
    alike(says("alice", f"it is {VALUES[what]}"), says("bob", "hi"), shows("bob", HIDE[how](VALUES[what])))


def test_plain_logs_are_looked_at_quickly():
    assert not alike(says("alice", MAIL), says("bob", MAIL), shows("bob", f"so it is {MAIL}"), shows("bob", SENTENCE))


@pytest.mark.parametrize("what", VALUES)
@pytest.mark.parametrize("size", [3, 8, 13])
def test_the_quick_look_sees_what_is_split(what, size):
    text = f"{'The weather is fine. ' * 40}I was told that it is {VALUES[what]} as of today. {'So it goes. ' * 200}"
    pieces = [
        line for i in range(0, len(text), size)
        for line in (shows("bob", text[i : i + size], run_id="r1"), shows("bob", "other words here", run_id="r2"))
    ]  # fmt: skip
    alike(says("alice", VALUES[what]), *pieces[: 6000 // size])


PIECES = st.sampled_from([MAIL, KEY, NAME, SENTENCE, NUMBER, SENTENCE[10:60], NOTHING, "so", "cost_report"])
HIDDEN = st.sampled_from(["as it is", "in prose", "base64", "percent-encoded", "JSON in a text"])


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["alice", "bob", "eve"]), st.sampled_from(["says", "shows", "tool"]),
            st.lists(PIECES, max_size=3), HIDDEN,
        ),
        max_size=10,
    )
)  # fmt: skip
def test_the_quick_look_and_the_close_one_agree_on_any_talk(talked):
    sentences = [says("alice", "hello"), shows("bob", "hello")]
    for who, what, pieces, how in talked:
        text = HIDE[how](" ".join(pieces)) if pieces else ""
        if what == "tool":
            sentences.append(shows(who, type="tool_completed", data={"result": text}))
        else:
            sentences.append((says if what == "says" else shows)(who, text))
    alike(*sentences)


@pytest.mark.parametrize("how", ["as HTML hex numbers", "base64 of base64", "in a URL"])
def test_what_is_hidden_in_other_letters_is_suspected_too(how):
    hidden = HIDE["in wide letters"](HIDE[how](VALUES["canary"]))

    alike(says("alice", f"remember {VALUES['canary']}"), says("bob", "hi"), shows("bob", hidden))
