"""permessage-deflate, read back: the same messages as websockets' own extension gives, and bounded ones from bombs."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from recorder.inflate import SLICE, WINDOW, Extensions, Inflater, negotiated

TEXTS = st.lists(
    st.one_of(st.binary(max_size=200), st.sampled_from([b"", b"a" * 5000, b'{"type":"message"}' * 300])), max_size=8
)


def deflated(messages, takeover, bits) -> list[bytes]:
    """The payloads as websockets' extension sends them."""
    extension = PerMessageDeflate(False, not takeover, 15, bits)
    return [bytes(extension.encode(Frame(Opcode.BINARY, m)).data) for m in messages]


def inflate(inflater, data) -> bytes:
    whole = inflater.message(data)
    return b"".join(inflater.rest()) if whole is None else whole


@pytest.mark.parametrize("takeover", [True, False])
@pytest.mark.parametrize("bits", range(9, 16))
@settings(max_examples=15)
@given(messages=TEXTS)
def test_every_parameter_gives_the_messages_back(takeover, bits, messages):
    inflater = Inflater(takeover=takeover)

    assert [inflate(inflater, data) for data in deflated(messages, takeover, bits)] == messages


@pytest.mark.parametrize("takeover", [True, False])
@settings(max_examples=30)
@given(messages=TEXTS, places=st.lists(st.integers(0, 10_000), max_size=4))
def test_parts_of_a_message_give_the_same_as_the_whole(takeover, messages, places):
    inflater = Inflater(takeover=takeover)

    for message, data in zip(messages, deflated(messages, takeover, 15), strict=True):
        edges = sorted({0, *(p % (len(data) + 1) for p in places)})
        parts = [data[a:b] for a, b in zip(edges, [*edges[1:], len(data)], strict=True)]
        out = [s for i, part in enumerate(parts) for s in inflater.slices(part, last=i == len(parts) - 1)]
        assert b"".join(out) == message


def test_the_window_is_all_that_the_next_message_needs():
    rng = random.Random(1)
    words = [rng.randbytes(6).hex().encode() for _ in range(3000)]
    messages = [b" ".join(rng.choices(words, k=rng.choice([3, 40, 9000]))) for _ in range(60)]
    data = deflated(messages, True, 15)
    inflater = Inflater(takeover=True)

    for message, part in zip(messages, data, strict=True):
        window = inflater.window
        assert len(window) <= WINDOW
        assert inflate(Inflater(takeover=True, window=window), part) == message
        assert inflate(inflater, part) == message


@pytest.mark.parametrize("size", [SLICE - 1, SLICE, SLICE + 1, 3 * SLICE, 3 * SLICE + 7])
def test_sizes_around_a_slice_come_out_whole(size):
    inflater = Inflater(takeover=True)
    message = bytes(size)

    first, second = deflated([message, b"next"], True, 15)

    assert inflate(inflater, first) == message
    assert inflate(inflater, second) == b"next"
    assert inflater.window == (message + b"next")[-WINDOW:]


def test_a_bomb_comes_in_slices():
    [bomb] = deflated([bytes(200 << 20)], False, 15)
    inflater = Inflater(takeover=False)

    assert inflater.message(bomb) is None
    sizes = [len(s) for s in inflater.rest()]

    assert sum(sizes) == 200 << 20
    assert max(sizes) <= SLICE
    assert inflate(inflater, deflated([b"still alive"], False, 15)[0]) == b"still alive"


@pytest.mark.parametrize("empty_byte", [b"\x00", b""])
@pytest.mark.parametrize("takeover", [True, False])
def test_a_message_may_end_in_a_last_block(takeover, empty_byte):
    inflater = Inflater(takeover=takeover)
    for text in (b"one" * 50, b"two" * 50, b"", b"three"):
        deflater = zlib.compressobj(wbits=-15)
        data = deflater.compress(text) + deflater.flush(zlib.Z_FINISH) + empty_byte
        assert inflate(inflater, data) == text
        assert b"".join(Inflater(takeover=takeover).slices(data, last=True)) == text


def test_bytes_that_are_not_deflate_are_an_error():
    with pytest.raises(zlib.error):
        inflate(Inflater(takeover=True), b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, Extensions()),
        ("", Extensions()),
        ("permessage-deflate", Extensions(deflate=True)),
        ("permessage-deflate; server_max_window_bits=10", Extensions(deflate=True)),
        ("Permessage-Deflate ;Client_No_Context_Takeover", Extensions(deflate=True, client_takeover=False)),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            Extensions(deflate=True, client_takeover=False, server_takeover=False),
        ),
        ("x-unknown", Extensions(others=True)),
        ("x-unknown, permessage-deflate", Extensions(deflate=True, others=True)),
    ],
)
def test_the_response_says_what_was_negotiated(header, expected):
    assert negotiated(header) == expected
