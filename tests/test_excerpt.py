"""What a line of `tape show` says of a message: its name, and what is new in it."""

import json

import msgpack
import pytest
from tapes import tape

from goldentape.excerpt import Memory
from goldentape.naming import Said, understand


def said(*sentences):
    """The name and the excerpt of each event, as one connection says them."""
    memory = Memory()
    found = []
    for event in tape(*sentences).events():
        meant = understand(event)
        parts = memory.excerpt(meant) if meant.value is not None else []
        found.append((meant.name, " ".join(f"{field}={text}" if field else text for field, text in parts)))
    return found


def test_what_is_written_for_people_comes_first_and_stands_alone():
    assert said('a > {"type": "ask", "room": 5, "text": "where is it?"}') == [("ask", '"where is it?" room=5')]


def test_what_the_envelope_said_before_is_left_out():
    first, second, stray = said(
        'a < {"type": "step", "user": "ada", "run": "r1", "data": {"tool": "scan"}}',
        'a < {"type": "step", "user": "ada", "run": "r1", "data": {"tool": "scan"}}',
        'a < {"type": "step", "user": "bob", "run": "r1", "data": {"tool": "scan"}}',
    )

    assert first == ("step", "user=ada run=r1 tool=scan")
    assert second == ("step", "tool=scan")
    assert stray == ("step", "user=bob tool=scan")


def test_counters_and_times_are_left_out_unless_there_is_nothing_else():
    found = said(
        'a < {"type": "x", "seq": 5, "timestamp": "2026-01-01T00:00:00Z", "k": 1}', 'a < {"type": "y", "id": 7}'
    )

    assert found == [("x", "k=1"), ("y", "id=7")]


def test_a_repeated_message_is_said_to_be_one():
    assert said('a < {"type": "x", "k": 1}', 'a < {"type": "x", "k": 1}')[1] == ("x", "(nothing new)")


def test_two_fields_that_end_alike_keep_their_paths():
    assert said('a < {"type": "x", "old": {"n": 1}, "new": {"n": 2}}') == [("x", "old.n=1 new.n=2")]


def test_digests_are_cut_but_stay_comparable():
    digest = "0123456789abcdef" * 2

    assert said(f'a < {{"type": "x", "token": "[r:jwt:{digest}]"}}') == [("x", "token=[r:jwt:01234567…]")]


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ('{"event": "joined"}', "joined"),
        ('{"type": 5, "method": "call"}', "call"),
        ('{"jsonrpc": "2.0", "id": 1, "error": {}}', "error"),
        ('{"jsonrpc": "2.0", "id": 1, "result": 1}', "result"),
        ('{"x": 1}', "text"),
        ("[1, 2]", "text"),
        ("hello", "text"),
        ("2", "ping"),
        ('0{"sid":"x"}', "open"),
        ("40", "connect"),
        ('42["greet",{"who":"ada"}]', "greet"),
        ('42/chat,7["greet","x","y"]', "greet"),
        ('51-["photo",{"_placeholder":true,"num":0}]', "text"),
        ('451-["photo",{"_placeholder":true,"num":0}]', "text"),
        ('{"type": "done"}\x1e', "done"),
        ("{broken", "text"),
        ('{"type": ""}', "text"),
    ],
)
def test_the_name_of_a_text_message(payload, name):
    [event] = tape(f"a > {payload}").events()

    assert understand(event).name == name


def test_messagepack_says_its_name_too():
    data = msgpack.packb({"type": "tick", "n": 3}).hex()

    assert said(f"a < 0x{data}") == [("tick", "n=3")]


def test_what_is_not_whole_is_not_read():
    [event] = tape('a < !truncated {"type": "x"}').events()

    assert understand(event) == Said("text")


@pytest.mark.parametrize(
    "value",
    [
        {"type": "x", **{f"k{n}": n for n in range(5000)}},
        {"type": "x", "list": [{"deep": [[[[[[[{"a": 1}]]]]]]]}] * 3},
        {"type": "x", "text": "word " * 100_000},
        {"type": "x", "": {"": {"": 1}}},
        {"type": "x", "\x1b[2J": "\x1b]0;owned\x07"},
        {"type": "x", "n": 10**300, "f": 1e300, "b": True, "none": None, "empty": {}},
    ],
)
def test_any_value_becomes_one_short_printable_line(value):
    memory = Memory()
    parts = memory.excerpt(Said("x", json.loads(json.dumps(value)), "type"))

    assert len(parts) <= 64
    assert all(field.isprintable() and text.isprintable() and len(text) <= 402 for field, text in parts)
