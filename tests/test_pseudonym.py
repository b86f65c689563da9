"""Keyed digests and their key's file."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from goldentape.errors import InputError
from recorder.pseudonym import PLACEHOLDER, Pseudonyms, load_key


def test_a_placeholder_is_the_documented_digest():
    key = bytes(range(32))
    expected = hmac.digest(key, b"gt1\x00secret", hashlib.sha256).hex()[:32]

    assert Pseudonyms(key).placeholder("jwt", b"secret") == f"[r:jwt:{expected}]".encode()


def test_one_value_has_one_digest_under_one_key_only():
    a, b = Pseudonyms(b"a" * 32), Pseudonyms(b"b" * 32)

    assert a.digest(b"x") == a.digest(b"x") != a.digest(b"y")
    assert a.digest(b"x") != b.digest(b"x")
    assert a.fingerprint != b.fingerprint


def test_a_placeholder_does_not_tell_the_length():
    p = Pseudonyms(b"k" * 32)

    assert len({len(p.placeholder("secret", b"x" * n)) for n in (1, 10, 1000)}) == 1
    assert PLACEHOLDER.fullmatch(p.placeholder("secret", b"x"))


def test_a_new_key_is_random_private_and_read_back(tmp_path):
    one, two = tmp_path / "a.key", tmp_path / "b.key"

    keys = [load_key(one, create=True), load_key(two, create=True)]

    assert keys[0] != keys[1]
    assert [load_key(one, create=False), load_key(two, create=True)] == keys
    assert one.stat().st_mode & 0o777 == 0o600
    assert one.stat().st_size == 32


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [(b"k" * 32, 0o644, "chmod"), (b"k" * 31, 0o600, "31 bytes"), (b"k" * 33, 0o600, "32"), (b"", 0o600, "32")],
)
def test_a_key_file_that_will_not_do_is_refused(tmp_path, content, mode, said):
    file = tmp_path / "k"
    file.write_bytes(content)
    file.chmod(mode)

    for create in (False, True):
        with pytest.raises(InputError, match=said) as refused:
            load_key(file, create)
        assert str(file) in str(refused.value)


def test_a_missing_key_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.key"):
        load_key(tmp_path / "no.key", create=False)
    with pytest.raises(InputError):
        load_key(tmp_path, create=False)
