"""Who the user of a connection is."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

import jwt
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldentape.errors import InputError
from recorder.identity import Found, Identifier

KEY = b"a shared secret of thirty-two bytes!"
NOW = 1_000_000.0


@dataclass
class Request:
    target: str = "/ws"
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "GET"


def token(sub: object = "alice", key: bytes = KEY, **claims: object) -> str:
    return jwt.encode({"sub": sub, **claims}, key, algorithm="HS256")


def who(*rules: str, target: str = "/ws", key: bytes | None = None, **headers: str) -> Found:
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Identifier(rules, key, lambda: NOW).handshake(Request(target, named))


def says(rule: str, payload: bytes, opcode: int = 1) -> Found | None:
    return Identifier([rule], None, lambda: NOW).message(payload, opcode)


NOBODY = Found(None, "connection", "none", None)
ALICE = token()
KUBERNETES = "base64url.bearer.authorization.k8s.io." + base64.urlsafe_b64encode(ALICE.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("rule", "request_parts", "user"),
    [
        ("header:X-User", {"x_user": "bob"}, "bob"),
        ("header:X-User", {"X_USER": "  bob "}, "bob"),
        ("header:X-User", {"x_users": "bob"}, None),
        ("header:X-User", {"x_user": ""}, None),
        ("header:X-User", {"x_user": "x" * 257}, None),
        ("query:user", {"target": "/ws?a=1&user=bob%20b"}, "bob b"),
        ("query:user", {"target": "/ws?USER=bob"}, None),
        ("query:user", {"target": "/ws?user="}, None),
        ("cookie:uid", {"cookie": "a=1; uid=bob; b=2"}, "bob"),
        ("cookie:uid", {"cookie": 'uid="b%40c"'}, "b@c"),
        ("cookie:uid", {"cookie": "xuid=bob; uid"}, None),
        ("path:^/u/([^/]+)", {"target": "/u/bob/ws?x=/u/eve"}, "bob"),
        ("path:(?P<room>\\d+)/(?P<user>\\w+)$", {"target": "/7/bob"}, "bob"),
        ("path:bob|eve", {"target": "/ws/bob"}, "bob"),
        ("path:^/u/([^/]+)", {"target": "/x/bob"}, None),
        ("jwt:header:Authorization:sub", {"authorization": f"Bearer {ALICE}"}, "alice"),
        ("jwt:header:Authorization:sub", {"authorization": f"bearer  {ALICE}"}, "alice"),
        ("jwt:header:X-Token:sub", {"x_token": ALICE}, "alice"),
        ("jwt:query:t:sub", {"target": f"/ws?t={ALICE}"}, "alice"),
        ("jwt:cookie:t:sub", {"cookie": f"t={ALICE}"}, "alice"),
        ("jwt:subprotocol:sub", {"sec_websocket_protocol": f"v4.channel.k8s.io, {KUBERNETES}"}, "alice"),
        ("jwt:subprotocol:sub", {"sec_websocket_protocol": f"chat,{ALICE}"}, "alice"),
        ("jwt:query:t:user.id", {"target": "/ws?t=" + token(user={"id": 7})}, "7"),
        ("jwt:query:t:https://x.example/uid", {"target": "/ws?t=" + token(**{"https://x.example/uid": "u1"})}, "u1"),
        ("jwt:query:t:a.b", {"target": "/ws?t=" + token(**{"a.b": "flat"})}, "flat"),
        ("jwt:query:t:groups", {"target": "/ws?t=" + token(groups=["x"])}, None),
        ("jwt:query:t:admin", {"target": "/ws?t=" + token(admin=True)}, None),
    ],
)
def test_a_rule_reads_its_place_and_nothing_else(rule, request_parts, user):
    found = who(rule, **request_parts)

    assert found.user == user
    assert found.rule == (rule if user is not None else "connection")


@pytest.mark.parametrize(
    "request_parts",
    [
        {"authorization": f"Bearer {ALICE}"},
        {"target": f"/ws?token={ALICE}"},
        {"target": f"/ws?access_token={ALICE}"},
        {"target": f"/ws?jwt={ALICE}"},
        {"cookie": f"theme=dark; anything={ALICE}"},
        {"sec_websocket_protocol": f"chat, {KUBERNETES}"},
        {"target": "/ws?user_id=alice"},
    ],
)
def test_without_rules_the_usual_places_are_tried(request_parts):
    assert who(**request_parts).user == "alice"


def test_without_a_hit_the_connection_is_a_user_of_its_own():
    assert who() == NOBODY
    assert who("header:X-User") == NOBODY
    assert who(authorization="Basic YWxpY2U6cHc=", cookie="theme=dark") == NOBODY


def test_rules_are_tried_in_order():
    found = who("header:X-User", "query:user", target="/ws?user=bob")
    both = who("header:X-User", "query:user", target="/ws?user=bob", x_user="alice")

    assert (found.user, found.rule) == ("bob", "query:user")
    assert both.user == "alice"


def test_the_class_of_the_credential_and_its_expiry_are_told():
    late = who("jwt:query:t:sub", target="/ws?t=" + token(exp=5))
    good = who("jwt:query:t:sub", target="/ws?t=" + token(exp=2_000_000), key=KEY)
    forged = who("jwt:query:t:sub", target="/ws?t=" + token(key=b"x" * 40), key=KEY)

    assert late == Found("alice", "jwt:query:t:sub", "expired", 5)
    assert good == Found("alice", "jwt:query:t:sub", "valid", 2_000_000)
    assert forged == Found("alice", "jwt:query:t:sub", "bad_signature", None)


def test_a_malformed_credential_names_nobody_and_is_told():
    assert who(authorization="Bearer not-a-jwt") == Found(None, "connection", "malformed", None)
    assert who(target="/ws?token=x&user_id=bob") == Found("bob", "query:user_id", "malformed", None)


def test_half_a_character_is_no_name_for_no_tape_could_hold_it():
    # PyJWT reads JSON as Python does: "\\ud800" is let through.
    halves = token("\ud800x"), token("x\udfff")

    found = [who("jwt:query:token:sub", "query:user_id", target=f"/?token={t}&user_id=ann") for t in halves]

    assert [f.user for f in found] == ["ann", "ann"]
    assert [f.credential for f in found] == ["valid", "valid"]


def test_a_jwt_without_the_claim_leaves_the_name_to_the_next_rule():
    anonymous = jwt.encode({"exp": 2_000_000}, KEY, algorithm="HS256")

    found = who("jwt:query:t:sub", "query:u", target=f"/ws?t={anonymous}&u=bob")

    assert found == Found("bob", "query:u", "valid", 2_000_000)


def test_users_behind_one_address_are_not_merged():
    assert who(x_forwarded_for="10.0.0.1") == NOBODY


# Messages


@pytest.mark.parametrize(
    ("rule", "payload", "user"),
    [
        ("message:user", b'{"user":"bob"}', "bob"),
        ("message:payload.user.id", b'{"type":"connection_init","payload":{"user":{"id":7}}}', "7"),
        ("message:/payload/0/u", b'{"payload":[{"u":"bob"}]}', "bob"),
        ("message:a[1]", b'{"a":["x","bob"]}', "bob"),
        ("message:**.user_id", b'{"a":[{"b":{"user_id":"bob"}}]}', "bob"),
        ("message:*_id", b'{"user_id":"bob"}', "bob"),
        ("message:**", b'["bob"]', None),
        ("message:token", b'40{"token":"bob"}', "bob"),
        ("message:user", b'40/admin,{"user":"bob"}', "bob"),
        ("message:[1].user", b'42["auth",{"user":"bob"}]', "bob"),
        ("message:user", b'{"other":"bob"}', None),
        ("message:user", b'{"x":"user"}', None),
        ("message:user", b'{"user":', None),
        ("message:user", b"", None),
        ("message:user", b'{"user":["bob"]}', None),
        ("message:größe", '{"größe":"bob"}'.encode(), "bob"),
        ("message:größe", json.dumps({"größe": "bob"}).encode(), "bob"),
        ('message:a"b', json.dumps({'a"b': "bob"}).encode(), "bob"),
    ],
)
def test_a_message_rule_finds_its_path(rule, payload, user):
    found = says(rule, payload)

    assert (found and found.user) == user


def test_a_message_rule_reads_msgpack_too():
    assert says("message:auth.user", msgpack.packb({"auth": {"user": "bob"}}), 2).user == "bob"
    assert says("message:user", b"\xc1\xff user", 2) is None


def test_a_jwt_in_a_message_names_the_user_and_its_class():
    rule = "jwt:message:data.token:sub"

    fresh = says(rule, json.dumps({"type": "token_refresh", "data": {"token": "Bearer " + token(exp=5)}}).encode())
    broken = says(rule, b'{"data":{"token":"nope"}}')

    assert fresh == Found("alice", rule, "expired", 5)
    assert broken == Found(None, "connection", "malformed", None)


def test_only_message_rules_ask_for_messages():
    assert Identifier(["header:X-User", "message:user"], None, lambda: NOW).wants_messages
    assert not Identifier(["header:X-User"], None, lambda: NOW).wants_messages
    assert not Identifier([], None, lambda: NOW).wants_messages


def test_a_later_message_may_name_another_user():
    identifier = Identifier(["message:user"], None, lambda: NOW)

    names = [identifier.message(json.dumps({"user": u}).encode(), 1) for u in ("alice", "bob")]

    assert [n and n.user for n in names] == ["alice", "bob"]


@given(st.binary(max_size=200), st.sampled_from([1, 2]))
def test_no_message_makes_a_rule_fail(payload, opcode):
    says("message:**", payload, opcode)
    says("jwt:message:a[0]:sub", payload, opcode)


def test_a_deep_message_is_no_name():
    assert says("message:user", b'{"user":' + b"[" * 100_000) is None
    assert says("message:**.user", b'{"a":' * 500 + b'{"user":"bob"}' + b"}" * 500) is not None


# Bad rules


@pytest.mark.parametrize(
    "rule",
    ["", "header", "header:", "header:X Y", "header:Ä", "cookie:a b", "cookie:", "query:", "jwt", "jwt:header:X",
     "jwt:header::sub", "jwt:query:t:", "jwt:path:x:sub", "path:", "path:(", "path:*", "message:", "message:a..b",
     "subprotocol:x", "ip:1", "Header:X", "jwt:subprotocol:", "jwt:message:a..b:sub"],
)  # fmt: skip
def test_a_bad_rule_is_refused_with_one_line_that_names_it(rule):
    with pytest.raises(InputError) as refused:
        Identifier([rule], None, lambda: NOW)

    line = str(refused.value)
    assert "\n" not in line
    assert rule.split(":")[-1] in line or "path" in line
