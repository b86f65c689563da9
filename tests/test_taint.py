"""`taint`: leaks in every disguise are found, and what only looks like one is not."""

import base64
import gzip
import json
import string

import pytest
from agents import EVENTS, contract, expect, judge, talk, troubled
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from leaks import (
    BENIGN,
    CANARY,
    HIDE,
    LEAKS,
    MAIL,
    NAME,
    SENTENCE,
    TAINT,
    VALUES,
    b64,
    says,
    shows,
)


@pytest.mark.parametrize("how", HIDE)
@pytest.mark.parametrize("what", VALUES)
def test_a_value_is_found_however_it_is_hidden(what, how):
    value = VALUES[what]
    expect(
        TAINT, "fail", f"* {says('alice', f'it is {value}')}", says("bob", "hi"), f"* {shows('bob', HIDE[how](value))}"
    )


@pytest.mark.parametrize("what", VALUES)
@pytest.mark.parametrize("size", [1, 4, 9])
def test_a_value_is_found_over_the_seams_of_a_stream(what, size):
    text = f"I was told that it is {VALUES[what]} as of today."
    pieces = [shows("bob", text[i : i + size], run_id="r1") for i in range(0, len(text), size)]

    expect(TAINT, "fail", f"* {says('alice', VALUES[what])}", says("bob", "hi"), *pieces)


def test_the_pieces_of_a_leak_are_its_proof_and_no_more():
    expect(
        TAINT,
        "fail",
        f"* {says('alice', CANARY)}",
        says("bob", "hi"),
        shows("bob", "Well, the code is"),
        f"* {shows('bob', ' CNRY-0123')}",
        shows("eve", "45"),
        f"* {shows('bob', '456789')}",
        f"* {shows('bob', 'ab, as you')}",
        shows("bob", " wanted."),
    )


def test_streams_of_two_runs_are_two_texts():
    expect(
        TAINT,
        "fail",
        f"* {says('alice', CANARY)}",
        f"* {shows('bob', 'so CNRY-012', run_id='r1')}",
        shows("bob", "the weather is", run_id="r2"),
        f"* {shows('bob', '3456789ab.', run_id='r1')}",
    )


@pytest.mark.parametrize(
    "sentences",
    [
        [f"* {says('alice', name=NAME)}", f"* {shows('bob', data={'greets': NAME.upper()})}"],
        [f"* {says('alice', name=NAME)}", f"* {shows('bob', data=[[NAME]])}"],
        [f"* {says('alice', account=884120937)}", f"* {shows('bob', balance=884120937)}"],
        [f"* {says('alice', account=884120937)}", f"* {shows('bob', 'Balance of 884120937: none')}"],
        [f"* {says('alice', amount=48212.77)}", f"* {shows('bob', 'You owe 48,212.77 EUR')}"],
        [f"* {says('alice', MAIL)}", f"* {shows('bob', data={MAIL: 1})}"],  # the name of a member
        [f"* {says('alice', MAIL)}", f"* bob < (close 4000 no such user {MAIL})"],
        [f"* {says('alice', MAIL)}", f"* bob < {{no JSON: {MAIL}"],
        [f"* {says('alice', data={'deep': [{'er': MAIL}]})}", f"* {shows('bob', MAIL)}"],
        [f"* {says('alice', json.dumps({'variables': {'mail': MAIL}}))}", f"* {shows('bob', MAIL)}"],
        [f"* {says('alice', b64('my address is ' + MAIL))}", f"* {shows('bob', MAIL)}"],
        [
            f"* {shows('alice', type='tool_completed', data={'result': {'iban': 'DE89 3704 0044 0532 0130 00'}})}",
            f"* {shows('bob', 'to DE89 3704 0044 0532 0130 00, please')}",
        ],
        [f"* {shows('alice', type='tool_completed', data={'result': NAME})}", f"* {shows('bob', NAME)}"],
        [
            f"* {says('alice', 'the account of Ekström & Söhne is in arrears since Easter')}",
            f"* {shows('bob', 'note: account of EKSTRÖM & SÖHNE is in arrears since')}",
        ],
    ],
)
def test_values_of_all_kinds_are_found_in_all_places(sentences):
    expect(TAINT, "fail", says("bob", "hi"), *sentences)


@pytest.mark.parametrize("how", LEAKS)
def test_leaks_of_all_shapes_are_found(how):
    expect(TAINT, "fail", *LEAKS[how])


@pytest.mark.parametrize("what", BENIGN)
def test_look_alikes_pass(what):
    expect(TAINT, "pass", *BENIGN[what])


def test_each_kind_of_value_is_reported_once_for_a_message_with_the_strongest_proof():
    talked = talk(
        says("alice", f"{SENTENCE}, says {MAIL} ({CANARY})"), shows("bob", f"{SENTENCE}, says {MAIL} ({CANARY})")
    )
    outcome = judge(contract(TAINT), talked.tape).outcome("it")

    [group] = outcome.groups
    assert group.count == 1
    [violation] = group.first
    assert violation.why.startswith("a canary of alice")
    assert "0123456789" not in str(violation)
    assert "erika" not in str(violation).lower()
    assert [w.role for w in violation.witness] == ["origin", "foreign"]
    assert violation.witness[1].user == "bob"


def test_the_way_of_decoding_and_the_place_are_told():
    hidden = b64("".join(f"%{byte:02x}" for byte in f"ask {MAIL}".encode()))
    talked = talk(says("alice", MAIL), shows("bob", data={"blob": [hidden]}))
    [group] = judge(contract(TAINT), talked.tape).outcome("it").groups

    assert "inside url in base64" in group.first[0].why
    assert "data.blob[0]" in group.first[0].why
    assert "at character 4" in group.first[0].why


def test_a_canary_is_never_set_aside():
    shared = TAINT.replace("gate: always", "shared_by: share, gate: always")
    base = EVENTS.replace("spans:", "  share: {dir: c2s}\nspans:")
    talked = [
        "alice > share t1 to=bob",
        says("alice", f"{CANARY} {MAIL}", thread_id="t1"),
        says("eve", CANARY),
        says("dora", CANARY),
        says("carl", CANARY),
        shows("bob", CANARY, thread_id="t1"),
    ]

    expect(shared, "fail", *talked, base=base)


def test_a_canary_that_only_the_server_spoke_belongs_to_whom_it_was_shown_first():
    expect(TAINT, "fail", f"* {shows('alice', CANARY)}", says("bob", "hi"), f"* {shows('bob', CANARY)}")


SHARED = TAINT.replace("gate: always", "shared_by: [share, shared], gate: always")
SHARING = EVENTS.replace("spans:", "  share: {dir: c2s}\n  shared: {}\nspans:")


@pytest.mark.parametrize(
    "verdict, sentences",
    [
        ("pass", ["alice > share t1 to=bob", says("alice", MAIL, thread_id="t1"), shows("bob", MAIL, thread_id="t1")]),
        ("pass", [says("alice", MAIL, thread_id="t1"), "bob < shared t1", shows("bob", MAIL, thread_id="t1")]),
        (
            "pass",
            [says("alice", thread_id="t1"), says("alice", MAIL), "bob < shared t1", shows("bob", MAIL, thread_id="t1")],
        ),
        (
            "pass",
            ["alice > share t1 team=blue", says("alice", MAIL, thread_id="t1"), shows("bob", MAIL, thread_id="t1")],
        ),
        (
            "fail",
            [
                "alice > share t1 to=eve",
                "eve > ask",
                says("alice", MAIL, thread_id="t1"),
                shows("bob", MAIL, thread_id="t1"),
            ],
        ),
        ("fail", ["alice > share t1 to=bob", says("alice", MAIL, thread_id="t2"), shows("bob", MAIL, thread_id="t3")]),
        ("fail", ["bob > share t1 to=bob", says("alice", MAIL, thread_id="t1"), shows("bob", MAIL, thread_id="t1")]),
        ("fail", [says("alice", MAIL, thread_id="t1"), shows("bob", MAIL, thread_id="t1"), "alice > share t1 to=bob"]),
    ],
)
def test_what_is_said_in_a_shared_thread_is_not_leaked_to_those_who_share_it(verdict, sentences):
    expect(SHARED, verdict, *sentences, base=SHARING)


def test_redacted_values_are_compared_by_their_digests():
    secret = "[r:key:" + "0123456789abcdef" * 2 + "]"
    other = "[r:key:" + "fedcba9876543210" * 2 + "]"

    expect(TAINT, "fail", f"* {says('alice', secret)}", f"* {shows('bob', f'the key {secret} is wrong')}")
    expect(TAINT, "pass", says("alice", secret), shows("bob", f"the key {other} is wrong"))
    expect(
        TAINT, "fail", f"alice connects /?token={secret}", shows("alice", "hi"), f"* {shows('bob', f'token={secret}')}"
    )
    expect(
        TAINT,
        "pass",
        f"alice connects /?token={secret}",
        f"bob connects /?token={secret}",
        shows("bob", f"token={secret}"),
    )


def test_whose_users_nobody_named_cannot_be_told_apart():
    expect(
        TAINT,
        "inconclusive",
        "connection:1 connects / rule=connection",
        says("alice", MAIL),
        shows("connection:1", MAIL),
    )


def test_in_a_hole_of_the_recording_the_user_may_have_said_it():
    lost = [says("bob", "hi"), 'mark gap {"why": "spool"}']

    expect(TAINT, "inconclusive", *lost, says("alice", NAME), shows("bob", NAME))
    expect(TAINT, "fail", *lost, says("alice", CANARY), shows("bob", CANARY))


def test_paths_and_events_say_what_is_searched_and_what_is_a_source():
    sources = '[{dir: c2s, paths: ["data.private.**"]}]'
    narrow = f"{{kind: taint, sources: {sources}, sinks: {{except: agent_error, ignore: [quote]}}}}"
    secret = {"data": {"private": {"mail": MAIL}}}

    expect(narrow, "fail", says("alice", **secret), shows("bob", MAIL))
    expect(narrow, "pass", says("alice", MAIL), shows("bob", MAIL))
    expect(narrow, "pass", says("alice", **secret), shows("bob", quote=MAIL))
    expect(narrow, "pass", says("alice", **secret), shows("bob", MAIL, type="agent_error"))


def test_what_the_contract_calls_public_is():
    public = TAINT.replace("common_to: 3", f"common_to: 3, values: ['{SENTENCE}', {MAIL}], paths: ['profile.**']")

    expect(public, "pass", says("alice", f"{SENTENCE} {MAIL}"), shows("bob", f"{SENTENCE}: {MAIL}"))
    expect(public, "pass", says("alice", profile={"name": NAME}), shows("bob", NAME))
    expect(public, "pass", says("alice", NAME), shows("bob", profile={"name": NAME}))
    expect(public, "fail", says("alice", "Max Mustermann"), shows("bob", "Max Mustermann"))


def test_fewer_decoders_find_less():
    plain = TAINT.replace("gate: always", "decode: [json], gate: always")

    expect(plain, "pass", says("alice", MAIL), shows("bob", b64(f"see {MAIL}")))
    expect(plain, "fail", says("alice", MAIL), shows("bob", json.dumps({"a": "\\u0065" + MAIL[1:]})))


def test_gzip_and_hex_are_read_on_demand():
    more = TAINT.replace("gate: always", "decode: [hex, gzip], gate: always")

    expect(more, "fail", says("alice", MAIL), shows("bob", f"see {MAIL}".encode().hex()))
    expect(
        more,
        "fail",
        says("alice", MAIL),
        shows("bob", base64.b64encode(gzip.compress(f"see {MAIL}".encode())).decode()),
    )


def test_what_was_set_aside_is_counted_by_its_reason():
    talked = talk(
        says("alice", SENTENCE),
        says("bob", SENTENCE[:60]),
        shows("bob", SENTENCE[:60]),
        shows("eve", MAIL),
        says("alice", MAIL),
        shows("bob", MAIL),
        says("alice", "ok"),
    )
    tally = judge(contract(TAINT), talked.tape).outcome("it").tally

    assert tally.suppressed["the server's"] == 1
    assert tally.passed_over["too short"] > 0
    [line] = tally.suppressions
    assert line.startswith("the server's: er…rg of alice from #") and "shown to bob at #" in line


ALPHABET = string.ascii_lowercase + string.digits


LAYERS = {"JSON in JSON in a text": 2, "base64 of JSON": 2, "base64 of base64": 2, "percent-encoded base64 of JSON": 3}


@given(
    st.text("0123456789abcdef", min_size=12, max_size=12),
    st.lists(st.sampled_from([how for how in HIDE if how != "in other case"]), max_size=4),
    st.sampled_from(["canary", "key"]),
)
def test_a_planted_value_is_found_through_any_chain_of_encodings(digits, chain, what):
    assume(sum(LAYERS.get(how, 1) for how in chain) <= 4)
    assume(what == "canary" or (len(set(digits)) > 6 and sum(d.isdigit() for d in digits) >= 4))
    value = f"CNRY-{digits}" if what == "canary" else f"user_{digits}"
    hidden = value
    for how in chain:
        hidden = HIDE[how](hidden)
    talked = talk(says("alice", f"remember {value} for me"), says("bob", "hi"), shows("bob", hidden))
    verdict = judge(contract(TAINT), talked.tape)

    assert verdict.outcome("it").verdict == "fail", (hidden, troubled(verdict))


WORDS = st.text(ALPHABET, min_size=2, max_size=10)
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["alice", "bob", "eve"]), st.booleans(), st.lists(WORDS, max_size=12), st.integers(0, 10**12)
    ),
    max_size=12,
)


@settings(max_examples=50)
@given(MESSAGES)
def test_users_who_have_nothing_in_common_leak_nothing(messages):
    sentences = []
    for who, by_server, found, number in messages:
        # What a user says and is shown has the user's own letter in every word.
        text = " ".join(word + who for word in found)
        sentences.append((shows if by_server else says)(who, text, n=f"{number}{who}"))
    verdict = judge(contract(TAINT), talk(says("alice", "hello"), shows("bob", "hello"), *sentences).tape)

    assert verdict.outcome("it").verdict == "pass", troubled(verdict)
