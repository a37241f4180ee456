from __future__ import annotations

import msgspec
import pytest
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from weir.dissect.hpack_state import TABLE_LIMIT, Table, decode, joined

# RFC 7541 Appendix C.4: requests with Huffman coding.
RFC_BLOCKS = [
    ("828684418cf1e3c2e5f23a6ba0ab90f4ff", [":method GET", ":scheme http", ":path /", ":authority www.example.com"]),
    (
        "828684be5886a8eb10649cbf",
        [":method GET", ":scheme http", ":path /", ":authority www.example.com", "cache-control no-cache"],
    ),
    (
        "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        [":method GET", ":scheme https", ":path /index.html", ":authority www.example.com", "custom-key custom-value"],
    ),
]


def pairs(table: Table, block: bytes) -> list[str]:
    read = decode(table, block)
    assert not read.error
    return [f"{name} {value}" for name, value in read.fields]


def saved(table: Table) -> Table:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(table), type=Table)


def test_the_blocks_of_the_rfc() -> None:
    table = Table()
    for block, fields in RFC_BLOCKS:
        assert pairs(table, bytes.fromhex(block)) == fields
        table = saved(table)
    assert table.entries == [
        (b"custom-key", b"custom-value"),
        (b"cache-control", b"no-cache"),
        (b":authority", b"www.example.com"),
    ]
    assert table.size == 164


def test_the_oldest_entries_are_evicted() -> None:
    encoder, table = Encoder(), Table()
    for i in range(300):
        fields = [(f"x-{i % 50}", "v" * (i % 40)), ("x-last", str(i))]
        assert decode(table, encoder.encode(fields)).fields == fields
        assert table.entries == list(encoder.header_table.dynamic_entries)
        assert table.size <= 4096


def test_the_size_changes() -> None:
    encoder, table = Encoder(), Table()
    for size in (4096, 100, 0, 2000):
        encoder.header_table_size = size
        for i in range(10):
            assert decode(table, encoder.encode([("x", str(i))])).fields == [("x", str(i))]
            assert table.entries == list(encoder.header_table.dynamic_entries)
        assert table.limit == size


def test_a_table_larger_than_we_keep() -> None:
    encoder, table = Encoder(), Table()
    encoder.header_table_size = 4 * TABLE_LIMIT
    first = [("x-first", "1")]
    encoder.encode(first)
    decode(table, encoder.encode([]))
    table = Table()
    encoder = Encoder()
    encoder.header_table_size = 4 * TABLE_LIMIT
    decode(table, encoder.encode(first))
    for i in range(100):
        decode(table, encoder.encode([(f"x-{i}", "v" * 1000)]))
    assert table.size <= TABLE_LIMIT
    read = decode(table, encoder.encode(first))
    assert (read.fields, read.unknown, read.error) == ([("?", "?")], True, "")
    assert decode(table, encoder.encode([("x-99", "v" * 1000)])).fields == [("x-99", "v" * 1000)]


@given(st.lists(st.lists(st.sampled_from([(f"x-{i}", "v" * 90 * i) for i in range(12)]), max_size=6), min_size=1),
       st.integers(0, 20))  # fmt: skip
def test_joined_anywhere_what_is_told_is_right(blocks: list[list[tuple[str, str]]], join: int) -> None:
    encoder, table = Encoder(), joined()
    for number, fields in enumerate(blocks):
        block = encoder.encode(fields)
        if number < join:
            continue
        read = decode(table, block)
        assert not read.error
        assert len(read.fields) == len(fields)
        for (name, value), (right_name, right_value) in zip(read.fields, fields, strict=True):
            assert name in (right_name, "?")
            assert value in (right_value, "?")
        assert read.unknown == any("?" in field for field in read.fields)
        table = saved(table)


def test_an_index_that_nobody_gave_is_an_error_unless_something_is_missing() -> None:
    table = Table()
    assert decode(table, b"\xbe").error
    assert table.partial
    assert decode(table, b"\xbe").fields == [("?", "?")]
    assert decode(table, b"\x80").error


def test_a_name_that_was_not_seen_takes_its_place() -> None:
    table = joined()
    assert decode(table, b"\x7e\x01v").fields == [("?", "v")]
    assert decode(table, b"\x40\x01n\x01w\xbf\xbe").fields == [("n", "w"), ("?", "v"), ("n", "w")]


def test_a_block_may_not_unfold_without_end() -> None:
    table = Table()
    decode(table, Encoder().encode([("x", "y" * 3000)]))
    assert decode(table, b"\xbe" * 1000, limit=100_000).error
    assert table.partial


@pytest.mark.parametrize("partial", [False, True])
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes(partial: bool, blocks: list[bytes]) -> None:
    table = joined() if partial else Table()
    for block in blocks:
        decode(table, block)
        assert table.size <= table.limit <= TABLE_LIMIT
        assert table.size == sum(32 + len(name) + len(value) for name, value in table.entries)
