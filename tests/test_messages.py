"""Joining messages: fragments, control frames between them, compression, bounds, and what is left of broken ones."""

import hashlib
import itertools
import tracemalloc
import zlib
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spools import frame
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from goldentape.event import Direction, Flag
from recorder.inflate import Extensions
from recorder.messages import STREAM, Stream, close_flags

CAP = 1 << 24
TAKEOVER = Extensions(deflate=True)
FRESH = Extensions(deflate=True, client_takeover=False, server_takeover=False)


def stream(extensions=Extensions(), cap=CAP, direction=Direction.S2C) -> Stream:  # noqa: B008
    return Stream(direction, extensions, cap)


def short(messages) -> list[tuple[int, bytes]]:
    return [(opcode, payload) for opcode, payload, *_ in messages]


SENT = st.lists(
    st.tuples(
        st.sampled_from([1, 2]),
        st.lists(st.binary(max_size=300), min_size=1, max_size=4),
        st.sampled_from([0, 8, 9, 10]),
        st.binary(max_size=100),
    ),
    max_size=6,
)


@given(sent=SENT, deflate=st.sampled_from([None, TAKEOVER, FRESH]), to_server=st.booleans(), data=st.data())
def test_messages_come_out_as_they_were_sent_in_any_split_and_from_any_kept_state(sent, deflate, to_server, data):
    direction = Direction.C2S if to_server else Direction.S2C
    extension = PerMessageDeflate(False, deflate is FRESH, 15, 15) if deflate else None
    wire, expected = b"", []
    for opcode, parts, control, note in sent:
        for i, part in enumerate(parts):
            last = i == len(parts) - 1
            one = Frame(Opcode(0 if i else opcode), part, last)
            wire += one.serialize(mask=to_server, extensions=[extension] if extension else None)
            if control and not last:
                wire += frame(control, note, mask=to_server)
                expected.append((control, note))
        expected.append((opcode, b"".join(parts)))
    edges = sorted({0, len(wire), *data.draw(st.lists(st.integers(0, len(wire)), max_size=6))})

    current, found = stream(deflate or Extensions(), direction=direction), []
    for start, end in itertools.pairwise(edges):
        found += current.feed(wire[start:end])
        restored = stream(deflate or Extensions(), direction=direction)
        restored.restore(current.state())
        current = restored

    assert short(found) == expected
    assert sum(message[3] for message in found) == len(wire)
    assert current.broken is None


def test_a_message_knows_its_frames_and_bytes_on_the_wire():
    one = stream()
    wire = frame(1, b"ab", mask=False, fin=False) + frame(9, b"!", mask=False) + frame(0, b"c", mask=False)

    assert list(one.feed(wire)) == [(9, b"!", 1, 3, 1, 0, None), (1, b"abc", 3, 7, 2, 0, None)]


def test_compressed_messages_are_flagged_and_sized_as_the_application_sent_them():
    extension = PerMessageDeflate(False, False, 15, 15)
    wire = Frame(Opcode.TEXT, b"x" * 1000).serialize(mask=False, extensions=[extension])

    [(opcode, payload, size, on_wire, frames, flags, digest)] = stream(TAKEOVER).feed(wire)

    assert (opcode, payload, size, on_wire, frames, flags, digest) == (1, b"x" * 1000, 1000, len(wire), 1, 32, None)


@pytest.mark.parametrize("size", [99, 100, 101, 300_000])
@pytest.mark.parametrize("deflate", [False, True])
def test_what_is_beyond_the_cap_is_counted_and_hashed(size, deflate):
    text = ("é" * size)[:size].encode()[:size]
    extension = PerMessageDeflate(False, False, 15, 15)
    wire = Frame(Opcode.BINARY, text).serialize(mask=False, extensions=[extension] if deflate else None)

    [message] = stream(TAKEOVER if deflate else Extensions(), cap=100).feed(wire)

    assert message[1] == text[:100]
    assert message[2] == size
    assert bool(message[5] & Flag.TRUNCATED) is (size > 100)
    assert message[6] == (hashlib.sha256(text).digest() if size > 100 else None)


@pytest.mark.parametrize("cap", range(10, 20))
def test_a_cut_text_ends_at_a_character(cap):
    text = "aé€😀" * 5

    [message] = stream(cap=cap).feed(frame(1, text.encode(), mask=False))

    assert text.startswith(message[1].decode())
    assert len(message[1]) > cap - 4
    assert message[5] == Flag.TRUNCATED


def test_a_cut_text_that_was_never_utf8_is_malformed():
    for bad in (b"a" * 50 + b"\xff" + b"a" * 50, b"a" * 100 + b"\xe2\x82"):
        [message] = stream(cap=10).feed(frame(1, bad, mask=False))
        assert message[5] == Flag.TRUNCATED | Flag.MALFORMED


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (frame(0, b"x", mask=False), "continuation without a message"),
        (frame(1, b"x", mask=False, fin=False) + frame(1, b"y", mask=False), "new message inside a fragmented one"),
    ],
)
def test_frames_in_the_wrong_order_break_the_stream_where_they_are(wire, why):
    one = stream()
    before = frame(1, b"fine", mask=False) + frame(9, b"", mask=False)
    start = len(before) + (len(frame(1, b"x", mask=False)) if "inside" in why else 0)

    assert short(one.feed(before + wire + before)) == [(1, b"fine"), (9, b"")]
    assert one.broken == (start, why)
    assert list(one.feed(before)) == []


def test_bytes_that_do_not_inflate_break_the_stream():
    one = stream(TAKEOVER)
    before = frame(1, b"fine", mask=False)

    assert short(one.feed(before + frame(1, b"\xff\xff\xff", mask=False, rsv1=True) + before)) == [(1, b"fine")]
    assert one.broken == (len(before), "bytes that do not inflate")


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("size", [0, 50, 200_000])
def test_the_message_that_the_end_cuts_is_kept_as_far_as_it_came(deflate, size):
    one = stream(TAKEOVER if deflate else Extensions())
    extension = PerMessageDeflate(False, False, 15, 15)
    text = b"ab" * (size // 2)
    wire = frame(1, b"whole", mask=False) + Frame(Opcode.TEXT, text, False).serialize(
        mask=False, extensions=[extension] if deflate else None
    )

    assert short(one.feed(wire + b"\x80\x7e")) == [(1, b"whole")]
    message = one.end()

    assert message is not None
    assert text.startswith(message[1])
    assert len(message[1]) > len(text) - 100
    assert message[5] & Flag.MALFORMED


def test_half_a_frame_at_the_end_is_kept_too():
    one = stream(direction=Direction.C2S)
    assert list(one.feed(frame(1, b"0123456789", mask=True)[:-3])) == []

    message = one.end()

    assert message is not None
    assert message[1] == b"0123456"
    assert stream().end() is None


@pytest.mark.parametrize(
    ("payload", "flag"),
    [
        (b"", 0),
        (b"\x03\xe8", 0),
        (b"\x03\xe8bye", 0),
        (b"\x0f\xa0", 0),
        (b"\x03", Flag.MALFORMED),
        (b"\x00\x00", Flag.MALFORMED),
        (b"\x03\xed", Flag.MALFORMED),
        (b"\x03\xee", Flag.MALFORMED),
        (b"\x03\xf7", Flag.MALFORMED),
        (b"\x13\x88", Flag.MALFORMED),
        (b"\x03\xe8\xff", Flag.MALFORMED),
    ],
)
def test_close_payloads_that_the_protocol_forbids_are_flagged(payload, flag):
    assert close_flags(payload) == flag
    [message] = stream().feed(frame(8, payload, mask=False) if flag == 0 else bytes([0x88, len(payload)]) + payload)
    assert message[5] == flag


@contextmanager
def at_most(limit: int):
    """Python may not hold more than `limit` bytes more than before at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def test_a_million_fragments_of_one_byte_are_one_message():
    one = stream()
    wire = frame(1, b"a", mask=False, fin=False) + frame(0, b"b", mask=False, fin=False) * 1_000_000

    with at_most(16 << 20):
        found = [m for start in range(0, len(wire), 65_536) for m in one.feed(wire[start : start + 65_536])]
        found += one.feed(frame(0, b"", mask=False))

    assert [(m[2], m[4]) for m in found] == [(1_000_001, 1_000_002)]


@pytest.mark.parametrize("fragments", [1, 50])
def test_a_deflate_bomb_is_counted_and_hashed_in_bounded_memory(fragments):
    mebibytes = 300
    deflater, digest = zlib.compressobj(wbits=-15), hashlib.sha256()
    bomb = b""
    for _ in range(mebibytes):
        bomb += deflater.compress(bytes(1 << 20))
        digest.update(bytes(1 << 20))
    bomb += deflater.flush(zlib.Z_SYNC_FLUSH)[:-4]
    step = len(bomb) // fragments + 1
    parts = [bomb[i : i + step] for i in range(0, len(bomb), step)]
    wire = b"".join(
        frame(0 if i else 2, part, mask=False, fin=i == len(parts) - 1, rsv1=not i) for i, part in enumerate(parts)
    )
    one = stream(TAKEOVER, cap=1 << 20)

    with at_most(16 << 20):
        [message] = one.feed(wire)

    assert message[2] == mebibytes << 20
    assert message[5] == Flag.TRUNCATED | Flag.COMPRESSED
    assert message[6] == digest.digest()


def test_a_huge_message_streams_through_and_cannot_be_kept_meanwhile():
    one = stream(cap=1000)
    wire = frame(2, bytes(5 * STREAM), mask=False)

    assert list(one.feed(wire[:STREAM])) == []
    assert one.state() is None
    [message] = one.feed(wire[STREAM:])

    assert message[2] == 5 * STREAM
    assert one.state() is not None
