"""The spool: records come back as they were appended, and a torn or bent tail is cut."""

import os
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recorder.spool import HANDED_OVER, HEADER, Kind, Record, SpoolWriter, parse, segments

RECORDS = st.lists(
    st.builds(
        Record,
        st.sampled_from(list(Kind)).map(int),
        st.sampled_from([0, HANDED_OVER]),
        st.integers(0, 2**32 - 1),
        st.integers(0, 2**63),
        st.binary(max_size=40),
    ),
    max_size=8,
)


def written(directory: Path, records: list[Record], segment_bytes: int = 1 << 20) -> bytes:
    directory.mkdir(exist_ok=True)
    for _, path in segments(directory):
        path.unlink()
    spool = SpoolWriter(directory, segment_bytes=segment_bytes)
    for r in records:
        spool.append(r.kind, r.conn, r.t, r.body, r.flags)
    spool.close()
    return b"".join(path.read_bytes() for _, path in segments(directory))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS)
def test_what_was_appended_is_read_back(tmp_path, records):
    data = written(tmp_path / "s", records)

    assert [r for r, _ in parse(data)] == records


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS, segment_bytes=st.integers(1, 200))
def test_segments_together_hold_every_record_in_order(tmp_path, records, segment_bytes):
    data = written(tmp_path / "s", records, segment_bytes)

    assert [r for r, _ in parse(data)] == records


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS, cut=st.integers(0, 600))
def test_a_torn_tail_leaves_a_prefix(tmp_path, records, cut):
    data = written(tmp_path / "s", records)[:cut]

    kept = [r for r, _ in parse(data)]

    assert kept == records[: len(kept)]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS.filter(bool), data=st.data())
def test_a_flipped_bit_ends_the_log_at_its_record(tmp_path, records, data):
    raw = bytearray(written(tmp_path / "s", records))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    ends = [end for _, end in parse(raw)]
    hit = next(i for i, end in enumerate(ends) if bit // 8 < end)

    raw[bit // 8] ^= 1 << bit % 8

    assert [r for r, _ in parse(raw)] == records[:hit]


def test_a_segment_is_private_and_never_overwritten(tmp_path):
    old = os.umask(0)
    try:
        SpoolWriter(tmp_path).close()
    finally:
        os.umask(old)

    [(number, path)] = segments(tmp_path)
    assert number == 1
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        SpoolWriter(tmp_path)


def test_storage_that_takes_half_a_record_is_an_error(tmp_path):
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    spool = SpoolWriter(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HEADER.size + 50, before[1]))
    try:
        with pytest.raises(OSError):
            spool.append(Kind.C2S, 1, 1, bytes(100))
            spool.append(Kind.C2S, 1, 2, bytes(100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert not list(parse(segments(tmp_path)[0][1].read_bytes()))


@pytest.mark.parametrize("durable", [False, True])
def test_where_no_descriptor_is_left_a_segment_goes_on_until_there_is_one(tmp_path, durable):
    spool = SpoolWriter(tmp_path, segment_bytes=100, durable=durable)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        for k in range(5):
            spool.append(Kind.C2S, 1, k, b"x" * 60)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    spool.append(Kind.C2S, 1, 5, b"x" * 60)
    spool.append(Kind.C2S, 1, 6, b"y")
    spool.close()

    assert [[r.t for r, _ in parse(path.read_bytes())] for _, path in segments(tmp_path)] == [[0, 1, 2, 3, 4, 5], [6]]
