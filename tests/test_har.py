"""The HAR export: its shape, and that nothing of a tape is missing in it."""

import base64
import json

import jsonschema
import pytest
from tapes import tape

from goldentape.har import pieces

NAMED = {
    "type": "object",
    "required": ["name", "value"],
    "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
}
MESSAGE = {
    "type": "object",
    "required": ["type", "time", "opcode", "data"],
    "properties": {
        "type": {"enum": ["send", "receive"]}, "time": {"type": "number", "minimum": 1_000_000_000},
        "opcode": {"enum": [1, 2]}, "data": {"type": "string"},
    },
    "additionalProperties": False, "patternProperties": {"^_": {}},
}  # fmt: skip
HTTP = {
    "type": "object",
    "required": ["httpVersion", "cookies", "headers", "headersSize", "bodySize"],
    "properties": {
        "httpVersion": {"type": "string"}, "cookies": {"type": "array"}, "headers": {"type": "array", "items": NAMED},
        "queryString": {"type": "array", "items": NAMED}, "headersSize": {"type": "integer"},
        "bodySize": {"type": "integer"},
    },
}  # fmt: skip
ENTRY = {
    "type": "object",
    "required": ["startedDateTime", "time", "request", "response", "cache", "timings"],
    "properties": {
        "startedDateTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$"},
        "time": {"type": "number", "minimum": 0},
        "request": {"allOf": [HTTP, {"required": ["method", "url", "queryString"]}]},
        "response": {"allOf": [HTTP, {
            "required": ["status", "statusText", "content", "redirectURL"],
            "properties": {"content": {"type": "object", "required": ["size", "mimeType"]}},
        }]},
        "cache": {"type": "object"},
        "timings": {
            "type": "object", "required": ["send", "wait", "receive"],
            "properties": {name: {"type": "number", "minimum": 0} for name in ("send", "wait", "receive")},
        },
        "_resourceType": {"const": "websocket"},
        "_webSocketMessages": {"type": "array", "items": MESSAGE},
        "_webSocketClose": {"anyOf": [{"const": "aborted"}, {
            "type": "object", "required": ["reason", "timestamp"], "additionalProperties": False,
            "properties": {
                "code": {"type": "integer"}, "reason": {"type": "string"},
                "timestamp": {"type": "number", "minimum": 1_000_000_000},
            },
        }]},
    },
}  # fmt: skip
HAR = {
    "type": "object",
    "required": ["log"],
    "properties": {
        "log": {
            "type": "object",
            "required": ["version", "creator", "entries"],
            "properties": {
                "version": {"const": "1.2"}, "pages": {"type": "array"}, "entries": {"type": "array", "items": ENTRY},
                "creator": {"type": "object", "required": ["name", "version"]},
            },
        }
    },
}  # fmt: skip
"""HAR 1.2 with Chrome's messages and HTTP Toolkit's close, as far as we write them."""


def har(found, **options):
    return json.loads("".join(pieces(found, **options)))


CHAT = (
    'alice connects /ws?room=1&room=2&empty= credential=valid',
    'alice > {"a": "ü €"}',
    "alice < 0x00ff",
    "bob > hello",
    "alice < (ping x)",
    "alice > (pong x)",
    "alice < #5",
    "alice becomes carol",
    "alice > as carol",
    "alice > (close 4001 enough)",
    "alice < (close 4001 enough)",
    "bob ends reset by server",
    "dave refused 302 moved",
    "alice/2 > again",
    "alice/2 < (close)",
    "alice/2 > (close)",
    "get /login 200",
    'mark fault_begin {"what": "redis"}',
)  # fmt: skip


@pytest.mark.parametrize("sentences", [CHAT, (), ("alice refused 403",), ("alice connects /",)])
@pytest.mark.parametrize("payloads", [True, False])
def test_it_has_the_shape_of_a_har(sentences, payloads):
    jsonschema.validate(har(tape(*sentences), payloads=payloads), HAR)


def test_every_message_comes_back_as_it_was():
    found = tape(*CHAT)
    log = har(found)["log"]

    back = []
    for entry in log["entries"]:
        for message in entry["_webSocketMessages"] + entry["_goldentape"]["control"]:
            own = message["_goldentape"]
            is_text = message["opcode"] == 1 and "encoding" not in own
            payload = message["data"].encode() if is_text else base64.b64decode(message["data"])
            back.append((own["seq"], own["user"], entry["_connectionId"], own["t"], message["type"] == "send",
                         message["opcode"], payload))  # fmt: skip
            assert abs(message["time"] * 1e9 - (1_700_000_000_000_000_000 + own["t"])) < 1000

    assert sorted(back) == [
        (e.seq, e.user, e.connection, e.t, e.direction == 0, int(e.opcode), e.payload) for e in found.events()
    ]


def test_control_frames_are_no_messages():
    alice = har(tape(*CHAT))["log"]["entries"][0]

    assert {message["opcode"] for message in alice["_webSocketMessages"]} == {1, 2}
    assert [frame["opcode"] for frame in alice["_goldentape"]["control"]] == [9, 10, 8, 8]


def test_the_end_is_told_as_http_toolkit_tells_it():
    alice, bob, dave, again = har(tape(*CHAT))["log"]["entries"]

    assert (alice["_webSocketClose"]["code"], alice["_webSocketClose"]["reason"]) == (4001, "enough")
    assert bob["_webSocketClose"] == "aborted"
    assert "_webSocketClose" not in dave
    assert "code" not in again["_webSocketClose"] and again["_webSocketClose"]["reason"] == ""


def test_a_refused_handshake_has_its_answer():
    dave = har(tape(*CHAT))["log"]["entries"][2]

    assert (dave["response"]["status"], dave["response"]["content"]["text"]) == (302, "moved")
    assert dave["_webSocketMessages"] == []


def test_the_address_is_the_servers():
    alice = har(tape(*CHAT, upstream="wss://shop.example/live/"))["log"]["entries"][0]

    assert alice["request"]["url"] == "wss://shop.example/live/ws?room=1&room=2&empty="
    assert [(q["name"], q["value"]) for q in alice["request"]["queryString"]] == [
        ("room", "1"), ("room", "2"), ("empty", ""),
    ]  # fmt: skip


def test_what_har_has_no_place_for_is_under_goldentape():
    log = har(tape(*CHAT))["log"]

    assert [mark["mark"] for mark in log["_goldentape"]["marks"]] == ["begin", "fault_begin", "end"]
    assert log["_goldentape"]["http"][0]["target"] == "/login"
    assert log["_goldentape"]["state"] == "sealed" and len(log["_goldentape"]["head"]) == 64
    assert log["entries"][1]["_goldentape"]["ending"] == "reset"


def test_a_users_har_has_nothing_that_was_another_users():
    log = har(tape(*CHAT), user="carol")["log"]

    [entry] = log["entries"]
    assert [message["data"] for message in entry["_webSocketMessages"]] == ["as carol"]


def test_payloads_can_be_left_out():
    text = "".join(pieces(tape(*CHAT), payloads=False))

    assert "hello" not in text and "as carol" not in text and "AP8=" not in text


def test_a_payload_that_was_cut_says_how_long_it_was():
    alice = har(tape("alice > !truncated begin", "alice < !malformed !delivery_unknown x"))["log"]["entries"][0]
    cut, odd = (message["_goldentape"] for message in alice["_webSocketMessages"])

    assert (cut["size"], cut["flags"]) == (1005, ["truncated"])
    assert odd["flags"] == ["malformed", "delivery_unknown"]
