"""`ag-ui`: on every sequence of the protocol's events, the verdict of its own TypeScript client (verifyEvents)."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from agents import Talk, judge, shipped, talk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NODE = Path(__file__).parent / "node"
Event = dict[str, Any]


class Client:
    """verifyEvents of @ag-ui/client, in a node process that lives as long as the tests."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ["node", "verify-events.js"], cwd=NODE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def refuses(self, events: list[Event]) -> int | None:
        """Return the place of the first event that it refuses."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(events) + "\n")
        self.process.stdin.flush()
        at = json.loads(self.process.stdout.readline())["at"]
        assert at is None or isinstance(at, int)
        return at


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    if shutil.which("node") is None:
        pytest.skip("node is not installed (tests/setup.sh)")
    if not (NODE / "node_modules" / "@ag-ui").is_dir():
        pytest.skip("the npm packages of tests/node are not installed (tests/setup.sh)")
    client = Client()
    yield client
    client.process.kill()
    client.process.wait()


def event(type_: str, **fields: Any) -> Event:
    return {"type": type_, **{name: value for name, value in fields.items() if value is not ...}}


STARTED, FINISHED, FAILED = event("RUN_STARTED"), event("RUN_FINISHED"), event("RUN_ERROR", message="no")


def written(sequences: list[list[Event]]) -> tuple[Talk, list[range]]:
    """Write each sequence as what one user saw; returns the places of their sentences, too."""
    sentences, told = [], []
    for number, events in enumerate(sequences):
        who = f"u{number}"
        told.append(range(len(sentences) + 1, len(sentences) + 1 + len(events)))
        sentences += [f"{who} connects /", *(f"{who} < {json.dumps(e)}" for e in events)]
        sentences += [f"{who} > (close 1000)", f"{who} < (close 1000)"]
    return talk(*sentences), told


def agree(client: Client, sequences: list[list[Event]]) -> int:
    """Judge all sequences at once: just the users fail whom the client refuses; returns how many it let pass."""
    talked, _ = written(sequences)
    verdict = judge(shipped("ag-ui"), talked.tape)
    blamed = {user for outcome in verdict.outcomes for group in outcome.groups for user in group.users}
    refused = {f"u{number}" for number, events in enumerate(sequences) if client.refuses(events) is not None}
    assert not any(outcome.tally.unknown or outcome.tally.errors for outcome in verdict.outcomes)
    wrong = [sequences[int(user[1:])] for user in sorted(blamed ^ refused)]
    assert not wrong, ("refused by one of the two only", wrong[:3])
    return len(sequences) - len(refused)


def agree_closely(client: Client, sequences: list[list[Event]]) -> int:
    """Judge each sequence by itself: the event that the client refuses is in a witness."""
    talked, told = written(sequences)
    passed = 0
    for number, events in enumerate(sequences):
        verdict = judge(shipped("ag-ui"), talked.tape, f"u{number}")
        at = client.refuses(events)
        if at is None:
            passed += 1
            assert verdict.verdict == "pass", (events, [v.why for v in verdict.violations])
        else:
            assert verdict.verdict == "fail", (events, at)
            culprit = talked.seqs[told[number][at]]
            assert any(culprit in v.seqs for v in verdict.violations), (events, at, [v.why for v in verdict.violations])
    return passed


def allowed(client: Client, events: list[Event]) -> list[list[Event]]:
    """Return what the client lets pass of events, each refused one left out; and what ends with one that it refuses."""
    found = []
    while (at := client.refuses(events)) is not None:
        found.append(events[: at + 1])
        events = events[:at] + events[at + 1 :]
    return [*found, events] if events else found


def words(alphabet: list[Event], length: int) -> Iterator[list[Event]]:
    for size in range(1, length + 1):
        yield from (list(word) for word in itertools.product(alphabet, repeat=size))


def test_runs_begin_and_end_as_the_client_has_it(client):
    alphabet = [STARTED, FINISHED, FAILED, event("CUSTOM", name="n", value=1)]

    assert agree(client, list(words(alphabet, 5))) > 20


FAMILIES = {
    "text": [event("TEXT_MESSAGE_START", messageId="m"), event("TEXT_MESSAGE_CONTENT", messageId="m", delta="x"),
             event("TEXT_MESSAGE_END", messageId="m"), event("TEXT_MESSAGE_END", messageId="n")],
    "tool": [event("TOOL_CALL_START", toolCallId="c", toolCallName="t"),
             event("TOOL_CALL_ARGS", toolCallId="c", delta="{}"), event("TOOL_CALL_END", toolCallId="c"),
             event("TOOL_CALL_RESULT", toolCallId="c", messageId="m", content="")],
    "step": [event(type_, stepName="s", subagentRunId=tag)
             for type_ in ("STEP_STARTED", "STEP_FINISHED") for tag in (..., "", "a")],
    "reasoning": [event("REASONING_START", messageId="m"), event("REASONING_MESSAGE_START", messageId="m"),
                  event("REASONING_MESSAGE_CONTENT", messageId="m", delta="x"),
                  event("REASONING_MESSAGE_END", messageId="m"), event("REASONING_END", messageId="m")],
    "subagent": [event("SUBAGENT_STARTED", subagentRunId="a", name="A"),
                 event("SUBAGENT_STARTED", subagentRunId="b", name="B", parentSubagentRunId="a"),
                 event("SUBAGENT_STARTED", subagentRunId="a", name="A", parentSubagentRunId="a"),
                 event("SUBAGENT_FINISHED", subagentRunId="a"),
                 event("SUBAGENT_ERROR", subagentRunId="b", message="no")],
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_begun_is_ended_as_the_client_has_it(client, family):
    sequences = [[STARTED, *word, FINISHED] for word in words(FAMILIES[family], 4)]

    assert agree(client, sequences) > 0


OWNED = {
    "text": (["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "TOOL_CALL_RESULT"], "messageId"),
    "tool": (["TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END"], "toolCallId"),
    "reasoning": (
        ["REASONING_START", "REASONING_MESSAGE_START", "REASONING_MESSAGE_END", "REASONING_END"],
        "messageId",
    ),
    "activity": (["ACTIVITY_SNAPSHOT", "ACTIVITY_DELTA"], "messageId"),
}


@pytest.mark.parametrize("family", OWNED)
def test_what_goes_on_is_of_the_agent_that_began_it_as_the_client_has_it(client, family):
    types, id = OWNED[family]
    told: list[list[Event]] = []
    for tags in itertools.product((..., "a", "b"), repeat=4):
        for order in itertools.product(types, repeat=3):
            steps = [event(type_, **{id: "x"}, subagentRunId=tag) for type_, tag in zip(order, tags, strict=False)]
            told += allowed(client, [STARTED, *steps])
    unique = list({json.dumps(events): events for events in told}.values())

    assert agree(client, unique) > 5
    assert agree_closely(client, Random(1).sample(unique, 20)) > 0


IDS = st.sampled_from(["x", "y"])
TAGS = st.sampled_from([..., ..., ..., "a", "b", "", None])
MESSAGES = st.lists(
    st.builds(
        lambda id, role, tag, calls: event("", id=id, role=role, subagentRunId=tag, toolCalls=calls),
        IDS, st.sampled_from(["assistant", "user", "reasoning", "activity", "tool"]),
        st.sampled_from([..., "a", "b", "a", "b", None]),
        st.just(...) | st.lists(st.builds(lambda id: {"id": id}, IDS), max_size=2),
    ),
    max_size=2,
)  # fmt: skip


def some(type_: str, **fields: Any) -> st.SearchStrategy[Event]:
    """Events of a type; the fields may be strategies."""
    given = {"subagentRunId": TAGS, **fields}
    return st.fixed_dictionaries(
        {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in given.items()}
    ).map(lambda found: event(type_, **found))


OUTCOMES = st.sampled_from(
    [..., None, 0, {"type": "success"}, {"type": "suspended", "interruptIds": ["i"]}, {"type": "other"},
     {"type": "suspended", "interruptIds": [1]}, {"type": "success", "interruptIds": None}]
)  # fmt: skip
ENDINGS = st.sampled_from(
    [..., {"type": "success"}, None, {"type": "interrupt", "interrupts": [{"id": "i"}]},
     {"type": "interrupt", "interrupts": [{"id": "i", "subagentRunId": None}]}]
)  # fmt: skip
NULLABLE = st.sampled_from([..., ..., "x", None])
PARENTS = st.sampled_from([..., ..., "x", "y"])
EVENTS = st.one_of(
    some("RUN_STARTED", subagentRunId=..., input=st.just(...) | st.builds(lambda m: {"messages": m}, MESSAGES)),
    some("RUN_FINISHED", subagentRunId=..., outcome=ENDINGS),
    some("RUN_FINISHED", subagentRunId=...),
    some("RUN_ERROR", subagentRunId=..., message="no"),
    *(some(type_, messageId=IDS) for type_ in (
        "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END", "REASONING_START", "REASONING_END",
        "REASONING_MESSAGE_START", "REASONING_MESSAGE_CONTENT", "REASONING_MESSAGE_END", "ACTIVITY_DELTA")),
    some("ACTIVITY_SNAPSHOT", messageId=IDS, replace=st.sampled_from([..., True, False])),
    some("TOOL_CALL_START", toolCallId=IDS, parentMessageId=PARENTS),
    *(some(type_, toolCallId=IDS) for type_ in ("TOOL_CALL_ARGS", "TOOL_CALL_END")),
    some("TOOL_CALL_RESULT", toolCallId=IDS, messageId=IDS),
    *(some(type_, stepName=IDS) for type_ in ("STEP_STARTED", "STEP_FINISHED")),
    some("REASONING_ENCRYPTED_VALUE", entityId=IDS, subtype=st.sampled_from(["tool-call", "message"])),
    some("SUBAGENT_STARTED", name="N", subagentRunId=st.sampled_from(["a", "b", "c"]),
         parentSubagentRunId=st.sampled_from([..., ..., "a", "b", None]), description=NULLABLE,
         parentToolCallId=NULLABLE, parentMessageId=NULLABLE),
    some("SUBAGENT_FINISHED", subagentRunId=st.sampled_from(["a", "b", "c"]), outcome=OUTCOMES),
    some("SUBAGENT_ERROR", subagentRunId=st.sampled_from(["a", "b", "c"]), message="no", code=NULLABLE),
    some("MESSAGES_SNAPSHOT", messages=MESSAGES),
    *(some(type_) for type_ in ("STATE_SNAPSHOT", "STATE_DELTA", "RAW", "CUSTOM", "TEXT_MESSAGE_CHUNK",
                                "TOOL_CALL_CHUNK", "REASONING_MESSAGE_CHUNK")),
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(EVENTS, min_size=5, max_size=40))
def test_every_conversation_is_judged_as_the_client_does(client, events):
    sequences = allowed(client, [STARTED, *events])

    assert agree_closely(client, sequences) == 1
