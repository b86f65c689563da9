"""Socket.IO's frames as values: what the protocol's own parser would read, and what it would refuse."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldentape.socket_io import ENGINE, PACKETS, decode_attachment, decode_socket_io, encode_socket_io

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMESPACES = st.just("/") | st.text("abc/-?=0", max_size=5).map(lambda text: f"/{text}")


@pytest.mark.parametrize(
    "text, value",
    [
        ('0{"sid":"x","upgrades":[]}', {"engine": "open", "data": {"sid": "x", "upgrades": []}}),
        ("1", {"engine": "close"}),
        ("2", {"engine": "ping"}),
        ("2probe", {"engine": "ping", "data": "probe"}),
        ("3probe", {"engine": "pong", "data": "probe"}),
        ("5", {"engine": "upgrade"}),
        ("6", {"engine": "noop"}),
        ("40", {"packet": "connect", "namespace": "/"}),
        ("40/admin,", {"packet": "connect", "namespace": "/admin"}),
        ('40/admin,{"token":"t"}', {"packet": "connect", "namespace": "/admin", "data": {"token": "t"}}),
        ("41/admin", {"packet": "disconnect", "namespace": "/admin"}),
        ('44{"message":"no"}', {"packet": "connect_error", "namespace": "/", "data": {"message": "no"}}),
        ('42["a,b",1]', {"packet": "event", "namespace": "/", "attachments": 0, "event": "a,b", "args": [1]}),
        (
            '42/admin,7["say","hi"]',
            {"packet": "event", "namespace": "/admin", "attachments": 0, "id": 7, "event": "say", "args": ["hi"]},
        ),
        ("430[]", {"packet": "ack", "namespace": "/", "attachments": 0, "id": 0, "args": []}),
        (
            '452-/a,13["b",{"_placeholder":true,"num":0}]',
            {"packet": "event", "namespace": "/a", "attachments": 2, "id": 13, "event": "b",
             "args": [{"_placeholder": True, "num": 0}]},
        ),
    ],
)  # fmt: skip
def test_each_kind_of_packet_has_its_value(text, value):
    engine = value.get("engine", "message")
    whole = {"type": value.get("packet", engine), "engine": engine, **value}

    assert decode_socket_io(text) == (whole, None)
    assert decode_socket_io(text.encode()) == (whole, None)
    assert decode_socket_io(encode_socket_io(whole)) == (whole, None)


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "Engine.IO's digits"), ("7", "Engine.IO's digits"), ("hello", "Engine.IO's digits"),
        ("4", "Socket.IO's digits"), ("47", "Socket.IO's digits"), ("0{", "not JSON"), ("0", "not JSON"),
        ("42", "without its list"), ("43", "without its list"), ("42{}", "begins with its name"),
        ("42[]", "begins with its name"), ("42[true]", "begins with its name"), ("42[{}]", "a text or a number"),
        ('42["x"', "not JSON"), ('43{"a":1}', "a list of arguments"), ('45["x"]', "number of its attachments"),
        ('450-["x"]', "number of its attachments"), ('42' + "9" * 16 + '["x"]', "16 digits"),
        (b"42\xff", "not UTF-8"), ('42["x",NaN]', "NaN"),
    ],
)  # fmt: skip
def test_what_is_no_packet_has_a_reason_and_no_value(text, why):
    value, problem = decode_socket_io(text)

    assert value is None and problem.kind == "undecodable"
    assert why in problem.why


def test_a_key_that_comes_twice_is_told_and_the_last_one_counts():
    value, problem = decode_socket_io('42["x",{"a":1,"a":2}]')

    assert value["args"] == [{"a": 2}] and problem.kind == "ambiguous"


def test_a_binary_message_is_an_attachment_whatever_its_bytes_are():
    assert decode_attachment(b"42\xff") == (
        {"type": "attachment", "engine": "message", "data": {"$bytes": "3432ff"}}, None,
    )  # fmt: skip


@given(st.binary())
def test_an_attachment_is_written_as_it_was(data):
    assert encode_socket_io(decode_attachment(data)[0]) == data


@given(JSON)
def test_what_is_no_packet_is_written_all_the_same(value):
    assert isinstance(encode_socket_io(value), bytes)


@given(st.sampled_from(["event", "ack"]), NAMESPACES, st.none() | st.integers(0, 10**15 - 1), st.lists(JSON), st.text())
def test_what_was_packed_comes_out_again(packet, namespace, id, args, name):
    data = [name, *args] if packet == "event" else args
    where = "" if namespace == "/" else f"{namespace},"
    text = f"4{PACKETS.index(packet)}{where}{'' if id is None else id}{json.dumps(data)}"

    value, problem = decode_socket_io(text)

    assert problem is None
    assert (value["packet"], value["namespace"], value.get("id"), value["args"]) == (packet, namespace, id, args)
    assert value.get("event") == (name if packet == "event" else None)
    assert decode_socket_io(encode_socket_io(value)) == (value, None)


@given(st.text() | st.binary() | st.from_regex(r"\A4[0-6](\d-)?(/a,)?\d{0,3}[\[{].*"))
def test_every_text_has_a_value_or_a_reason(text):
    value, problem = decode_socket_io(text)

    assert (value is None) == (problem is not None and problem.kind == "undecodable")
    assert value is None or value["engine"] in ENGINE
