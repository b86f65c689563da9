"""`schema`: what breaks it, and what only looks like it."""

import msgpack
import pytest
from agents import EVENTS, expect

SHAPES = "{kind: schema, formats: true}"
STRICT = EVENTS.replace(
    "agent_thinking: {}",
    "agent_thinking: {schema: {type: object, required: [n], properties: {n: {type: integer, minimum: 0},"
    " at: {type: string, format: date-time}, who: {type: string, pattern: '^[a-z]+$'}}}}",
)


@pytest.mark.parametrize(
    "message",
    ["-n", "n:=-1", "n=1", "n:=1.5", "n:=true", "n:=null", "n:=1 at=yesterday", "n:=1 who=BOB", "n:=1 who:=[]"],
)
def test_a_message_of_another_shape_is_found(message):
    expect(SHAPES, "fail", f"* bob < agent_thinking {message}", base=STRICT)


@pytest.mark.parametrize(
    "message", ["n:=1", "n:=1.0", "n:=0 more:={}", "n:=1 at=2026-01-01T00:00:00Z", "n:=12345678901234567890 who=bob"]
)
def test_a_message_of_the_shape_passes(message):
    expect(SHAPES, "pass", f"bob < agent_thinking {message}", base=STRICT)


def test_a_closed_schema_names_every_property():
    closed = "{kind: schema, events: [agent_thinking], closed: true}"
    rest = "-timestamp -user_id"
    base = STRICT.replace("properties: {n", "properties: {type: {}, n")

    expect(closed, "pass", f"bob < agent_thinking n:=1 {rest}", base=base)
    expect(closed, "fail", f"* bob < agent_thinking n:=1 more=x {rest}", base=base)


@pytest.mark.parametrize(
    "verdict, sentences",
    [
        ("pass", ["bob < agent_started t1", "bob > agent_started"]),  # the other direction is no such event
        ("pass", ["bob < agent_started t1", "bob < !delivery_unknown agent_started"]),
        ("pass", ["bob < agent_started t1", "bob < !truncated agent_started"]),
        ("fail", ["* bob < agent_started"]),
        ("fail", ["* bob < agent_started thread_id="]),
        ("fail", ['* bob < {"type": "agent_started", "timestamp": 1, "thread_id": "t1", "thread_id": 7}']),
        ("pass", ['bob < {"type": "agent_started", "timestamp": 1, "thread_id": 7, "thread_id": "t1"}']),
        ("inconclusive", ["bob < agent_started t1", 'bob < !redacted agent_started thread_id:=["[r:0123456789ab]"]']),
        ("vacuous", ["bob < agent_thinking"]),
    ],
)
def test_what_is_judged_and_what_is_not(verdict, sentences):
    expect(SHAPES, verdict, *sentences)


def test_messagepack_payloads_have_shapes_too():
    base = STRICT.replace("format: json", "format: msgpack")
    good, bad = (msgpack.packb({"type": "agent_thinking", "n": n}).hex() for n in (1, -1))

    expect(SHAPES, "pass", f"bob < 0x{good}", "bob < 0xc1", base=base)
    expect(SHAPES, "fail", f"bob < 0x{good}", f"* bob < 0x{bad}", base=base)
