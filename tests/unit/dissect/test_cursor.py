from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.cursor import Cursor, Invalid, NeedMore

DATA = bytes(range(1, 13))
READS: dict[str, tuple[Callable[[Cursor], object], object, int]] = {
    "u8": (Cursor.u8, 0x01, 1),
    "u16": (Cursor.u16, 0x0102, 2),
    "u24": (Cursor.u24, 0x010203, 3),
    "u32": (Cursor.u32, 0x01020304, 4),
    "u64": (Cursor.u64, 0x0102030405060708, 8),
    "u16le": (Cursor.u16le, 0x0201, 2),
    "u24le": (Cursor.u24le, 0x030201, 3),
    "u32le": (Cursor.u32le, 0x04030201, 4),
    "u64le": (Cursor.u64le, 0x0807060504030201, 8),
    "i16": (Cursor.i16, 0x0102, 2),
    "i32": (Cursor.i32, 0x01020304, 4),
    "i64": (Cursor.i64, 0x0102030405060708, 8),
    "take": (lambda c: c.take(3), b"\1\2\3", 3),
}


@pytest.mark.parametrize("name", READS)
def test_reads_what_is_there_and_asks_for_what_is_not(name: str) -> None:
    read, value, size = READS[name]
    cursor = Cursor(bytearray(DATA))
    assert read(cursor) == value
    assert (cursor.read, cursor.left) == (size, len(DATA) - size)
    for short in range(size):
        with pytest.raises(NeedMore) as asked:
            read(Cursor(DATA[:short]))
        assert asked.value.total == size
        with pytest.raises(Invalid):
            read(Cursor(DATA[:short], closed=True))


def test_negative_numbers() -> None:
    assert Cursor(b"\xff\xfe").i16() == -2
    assert Cursor(b"\xff" * 4).i32() == -1
    assert Cursor(b"\xff" * 8).i64() == -1


def test_asks_for_the_total_from_the_frame_s_beginning() -> None:
    cursor = Cursor(DATA, 4)
    cursor.take(3)
    with pytest.raises(NeedMore) as asked:
        cursor.take(100)
    assert asked.value.total == 103


def test_a_part_is_closed_and_passed_over() -> None:
    cursor = Cursor(DATA)
    part = cursor.sub(4)
    assert cursor.u8() == 5
    assert part.u24() == 0x010203
    assert part.peek(9) == b"\4"
    with pytest.raises(Invalid):
        part.u16()
    assert part.rest() == b"\4"


def test_negative_length_is_invalid() -> None:
    with pytest.raises(Invalid):
        Cursor(DATA).take(-1)


def test_varint() -> None:
    assert Cursor(b"\x00").varint() == 0
    assert Cursor(b"\xac\x02").varint() == 300
    assert Cursor(b"\xff" * 9 + b"\x01").varint() == (1 << 64) - 1
    for bad in (b"\xff" * 9 + b"\x02", b"\x80" * 10, b"\xff" * 11):
        with pytest.raises(Invalid):
            Cursor(bad).varint()
    with pytest.raises(NeedMore):
        Cursor(b"\x80").varint()


def test_lines() -> None:
    cursor = Cursor(b"a b\r\nc\n\nrest")
    assert [cursor.line(), cursor.line(), cursor.line()] == [b"a b", b"c", b""]
    with pytest.raises(NeedMore):
        cursor.line()
    with pytest.raises(Invalid):
        Cursor(b"rest", closed=True).line()
    for data in (b"12345", b"12345\n"):
        with pytest.raises(Invalid):
            Cursor(data).line(4)
    assert Cursor(b"1234\n").line(4) == b"1234"


@given(data=st.binary(max_size=40), names=st.lists(st.sampled_from([*READS, "varint", "line"]), max_size=12))
def test_nothing_else_is_ever_raised(data: bytes, names: list[str]) -> None:
    for closed in (False, True):
        cursor = Cursor(data, closed=closed)
        for name in names:
            try:
                READS[name][0](cursor) if name in READS else getattr(cursor, name)()
            except (NeedMore, Invalid):
                break
            assert 0 <= cursor.pos <= len(data)
