"""Cutting frames: whatever way the bytes are split, the frames are those of websockets' own parser."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from recorder.frames import MORE, WHOLE, FrameCutter

LENGTHS = [0, 1, 2, 3, 4, 5, 124, 125, 126, 127, 128, 300, 65535, 65536, 65537, 70000, 200_000]
FRAMES = st.lists(
    st.builds(
        lambda opcode, size, fin, seed: Frame(
            Opcode(opcode),
            (bytes([seed, size & 255]) * (min(size, 125 if opcode >= 8 else size) // 2 + 1))[
                : min(size, 125 if opcode >= 8 else size)
            ],
            fin or opcode >= 8,
        ),
        st.sampled_from([0, 1, 2, 8, 9, 10]),
        st.one_of(st.sampled_from(LENGTHS), st.integers(0, 400)),
        st.booleans(),
        st.integers(0, 255),
    ),
    max_size=6,
)


def reference(data: bytes, masked: bool) -> tuple[list[tuple[int, bytes]], bool]:
    """The frames that websockets' parser finds, and whether it found the bytes wrong."""
    reader = StreamReader()
    reader.feed_data(data)
    found = []
    while True:
        parser = Frame.parse(reader.read_exact, mask=masked, max_size=None)
        try:
            next(parser)
        except StopIteration as done:
            frame = done.value
            found.append((frame.fin << 7 | frame.opcode, bytes(frame.data)))
        except (ProtocolError, PayloadTooBig):
            return found, True
        else:
            return found, False


def joined(pieces) -> list[tuple[int, bytes]]:
    """Whole frames, large ones put together from their pieces."""
    found = []
    body = b""
    for first, payload, _, last in pieces:
        body += payload
        if last:
            found.append((first & 255, body))
            body = b""
    return found


def cut(data: bytes, masked: bool, places=()) -> tuple[list, FrameCutter]:
    cutter = FrameCutter(masked=masked)
    pieces = []
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    for start, end in itertools.pairwise(edges):
        pieces += cutter.feed(data[start:end])
    return pieces, cutter


@given(frames=FRAMES, masked=st.booleans(), places=st.lists(st.integers(0, 1 << 20), max_size=12))
def test_any_split_gives_the_frames_that_were_sent(frames, masked, places):
    data = b"".join(frame.serialize(mask=masked) for frame in frames)

    pieces, cutter = cut(data, masked, places)

    assert joined(pieces) == [(f.fin << 7 | f.opcode, bytes(f.data)) for f in frames] == reference(data, masked)[0]
    assert sum(piece[2] for piece in pieces) == cutter.offset == len(data)
    assert cutter.broken is None
    assert not cutter.inside


@given(data=st.binary(max_size=60), masked=st.booleans(), places=st.lists(st.integers(0, 60), max_size=5))
def test_any_bytes_give_the_frames_of_the_reference_and_break_where_it_does(data, masked, places):
    expected, wrong = reference(data, masked)

    pieces, cutter = cut(data, masked, places)

    assert joined(pieces) == expected
    assert cutter.broken is not None or not wrong


@given(frames=FRAMES, masked=st.booleans(), junk=st.binary(min_size=2, max_size=20))
def test_everything_before_a_malformed_frame_is_kept_and_the_place_is_known(frames, masked, junk):
    before = b"".join(frame.serialize(mask=masked) for frame in frames)

    pieces, cutter = cut(before + b"\x83" + junk, masked)

    assert len(joined(pieces)) == len(frames)
    assert cutter.broken == (len(before), "unknown opcode 3")
    assert cutter.feed(b"more") == []


@pytest.mark.parametrize(
    ("data", "masked", "why"),
    [
        (b"\x83\x00", False, "unknown opcode 3"),
        (b"\x0b\x00", False, "unknown opcode 11"),
        (b"\xc1\x00", False, "reserved bit without an extension that uses it"),
        (b"\x91\x00", False, "reserved bit without an extension that uses it"),
        (b"\x09\x00", False, "fragmented control frame"),
        (b"\x88\x7e\x00\x7e", False, "control frame of more than 125 bytes"),
        (b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", False, "length of more than 63 bits"),
        (b"\x81\x80aaaa", False, "frame of the server is masked"),
        (b"\x81\x00", True, "frame of the client is not masked"),
    ],
)
def test_each_way_to_break_the_protocol_has_its_word(data, masked, why):
    _, cutter = cut(data, masked)

    assert cutter.broken == (0, why)


def test_with_deflate_only_the_first_frame_of_a_message_may_have_rsv1():
    for first, fine in ((0xC1, True), (0xC2, True), (0x41, True), (0xC0, False), (0xC9, False), (0xE1, False)):
        cutter = FrameCutter(masked=False, rsv1=True)
        cutter.feed(bytes([first, 0]))
        assert (cutter.broken is None) is fine, hex(first)


def test_a_large_frame_comes_in_pieces_and_is_never_held():
    cutter = FrameCutter(masked=True)
    data = Frame(Opcode.BINARY, bytes(range(256)) * 4096).serialize(mask=True)

    pieces = []
    for start in range(0, len(data), 10_001):
        pieces += cutter.feed(data[start : start + 10_001])
        assert not cutter.state()[0] or len(cutter.state()[0]) < WHOLE

    assert joined(pieces) == [(0x82, bytes(range(256)) * 4096)]
    assert [bool(p[0] & MORE) for p in pieces] == [False] + [True] * (len(pieces) - 1)


@given(frames=FRAMES, masked=st.booleans(), place=st.integers(0, 1 << 20))
def test_a_restored_cutter_goes_on_where_the_state_was_taken(frames, masked, place):
    data = b"".join(frame.serialize(mask=masked) for frame in frames)
    place %= len(data) + 1
    first, second = FrameCutter(masked=masked), FrameCutter(masked=masked)

    pieces = first.feed(data[:place])
    second.restore(first.state())
    pieces += second.feed(data[place:])

    assert joined(pieces) == [(f.fin << 7 | f.opcode, bytes(f.data)) for f in frames]


def test_a_frame_that_comes_byte_by_byte_is_not_copied_again_and_again():
    cutter = FrameCutter(masked=False)
    data = Frame(Opcode.BINARY, bytes(WHOLE)).serialize(mask=False)

    pieces = [piece for byte in data for piece in cutter.feed(bytes([byte]))]

    assert joined(pieces) == [(0x82, bytes(WHOLE))]
