from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.buffer import MARKS, Buffer


def test_a_byte_has_the_time_of_its_segment() -> None:
    buffer = Buffer()
    buffer.append(b"abc", 100, 1)
    buffer.append(b"de", 103, 2)
    assert [buffer.time_at(at) for at in range(100, 106)] == [1, 1, 1, 2, 2, 2]
    assert buffer.take(4) == b"abcd"
    assert (buffer.offset, buffer.end, len(buffer)) == (104, 105, 1)
    assert buffer.time_at(104) == 2


def test_an_empty_buffer_takes_over_the_offset() -> None:
    buffer = Buffer()
    assert buffer.time_at(0) == 0
    buffer.append(b"abc", 0, 1)
    buffer.consume(3)
    buffer.append(b"x", 50, 9)
    assert (buffer.offset, buffer.end, buffer.time_at(50)) == (50, 51, 9)
    buffer.reset(7)
    assert (buffer.offset, len(buffer), buffer.times) == (7, 0, [])


def test_times_have_a_ceiling() -> None:
    buffer = Buffer()
    for n in range(5 * MARKS):
        buffer.append(b"x", n, n)
    assert len(buffer.times) <= MARKS
    assert buffer.time_at(0) == 0
    times = [buffer.time_at(n) for n in range(5 * MARKS)]
    assert times == sorted(times)
    assert all(time <= n for n, time in enumerate(times))
    assert times[-1] == 5 * MARKS - 1


@given(
    pieces=st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.integers(0, 12)), max_size=20),
    start=st.integers(0, 1000),
)
def test_bytes_offsets_and_times_agree_with_a_plain_list(pieces: list[tuple[bytes, int]], start: int) -> None:
    buffer = Buffer()
    plain: list[tuple[int, int, int]] = []
    offset, taken = start, b""
    for time, (data, consume) in enumerate(pieces):
        buffer.append(data, offset, time)
        plain += [(offset + n, byte, time) for n, byte in enumerate(data)]
        offset += len(data)
        n = min(consume, len(buffer))
        taken += buffer.take(n)
        del plain[:n]
        assert bytes(buffer.data) == bytes(byte for _, byte, _ in plain)
        assert all(buffer.time_at(at) == when for at, _, when in plain)
        buffer = msgspec.msgpack.decode(msgspec.msgpack.encode(buffer), type=Buffer)
    assert taken + bytes(buffer.data) == b"".join(data for data, _ in pieces)
