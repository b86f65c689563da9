"""What a credential is worth."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from recorder.credential import judge

KEY = b"a shared secret of thirty-two bytes!"
NOW = 1_000_000.0
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def token(claims: dict, key: object = KEY, algorithm: str = "HS256", **more: object) -> str:
    return jwt.encode({"sub": "alice", **claims}, key, algorithm=algorithm, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("claims", "kind", "expires"),
    [
        ({}, "valid", None),
        ({"exp": 1_000_001}, "valid", 1_000_001),
        ({"exp": 1_000_000}, "expired", 1_000_000),
        ({"exp": 1_000_000.9}, "expired", 1_000_000),
        ({"exp": -1}, "expired", -1),
        ({"nbf": 1_000_001}, "expired", None),
        ({"nbf": 999_999, "exp": 1_000_001}, "valid", 1_000_001),
    ],
)
def test_the_time_decides_between_valid_and_expired(claims, kind, expires):
    for key in (None, KEY):
        judged = judge(token(claims), key, NOW)

        assert (judged.kind, judged.expires) == (kind, expires)
        assert judged.claims["sub"] == "alice"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "a.b.c",
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJIUzI1NiJ9.e30",
        "....",
        "é.ü.ñ",
        "eyJ" + "[" * 9000 + ".a.b",
    ],
)
def test_what_is_no_jwt_is_malformed(text):
    judged = judge(text, KEY, NOW)

    assert judged.kind == "malformed"
    assert not judged.claims


@pytest.mark.parametrize("exp", ["soon", True, [1], float("inf"), 1e300])
def test_an_expiry_that_is_no_date_is_malformed(exp):
    body = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).rstrip(b"=").decode()
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()

    assert judge(f"{head}.{body}.c2ln", None, NOW).kind == "malformed"


def test_a_signature_is_only_judged_with_a_key():
    forged = token({"exp": 1_000_001}, key=b"another secret of thirty-two bytes..")

    assert judge(forged, None, NOW).kind == "valid"
    assert judge(forged, KEY, NOW).kind == "bad_signature"


def test_a_forged_token_still_says_who_it_claims_to_be():
    assert judge(token({}, key=b"another secret of thirty-two bytes.."), KEY, NOW).claims["sub"] == "alice"


def test_a_key_file_may_end_in_a_line_break():
    assert judge(token({}), KEY + b"\n", NOW).kind == "valid"


def test_a_public_key_checks_rsa_and_is_never_an_hmac_secret():
    good = token({}, RSA, "RS256")
    head, body, _ = good.split(".")
    confused = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode() + "." + body
    mac = hmac.digest(PUBLIC, confused.encode(), hashlib.sha256)
    confused += "." + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()

    assert judge(good, PUBLIC, NOW).kind == "valid"
    assert judge(confused, PUBLIC, NOW).kind == "bad_signature"
    assert judge(f"{head}.{body}.", PUBLIC, NOW).kind == "bad_signature"


def test_a_token_without_a_signature_does_not_pass_where_a_key_is_given():
    unsigned = token({}, None, "none")

    assert judge(unsigned, None, NOW).kind == "valid"
    for key in (KEY, PUBLIC, b"{}", b"{broken", b""):
        assert judge(unsigned, key, NOW).kind == "bad_signature"


def test_a_set_of_keys_is_searched_by_key_id():
    one, two = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    keys = [
        json.loads(jwt.algorithms.ECAlgorithm.to_jwk(k.public_key())) | {"kid": kid, "alg": "ES256"}
        for kid, k in (("one", one), ("two", two))
    ]
    document = json.dumps({"keys": keys}).encode()

    assert judge(token({}, two, "ES256", headers={"kid": "two"}), document, NOW).kind == "valid"
    assert judge(token({}, two, "ES256", headers={"kid": "one"}), document, NOW).kind == "bad_signature"
    assert judge(token({}, two, "ES256"), document, NOW).kind == "valid"


def test_the_credential_itself_is_not_kept():
    credential = token({})

    assert credential not in repr(judge(credential, KEY, NOW))
    assert credential.split(".")[2] not in repr(judge(credential, KEY, NOW))
