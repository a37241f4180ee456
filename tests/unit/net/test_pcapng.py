from __future__ import annotations

import struct

import pytest

from weir.model.packets import LINKTYPE_LINUX_SLL, LINKTYPE_RAW
from weir.net.pcapfile import CaptureFile
from weir.net.records import MAX_CAPLEN, Records, packets
from weir.testing.capturefiles import Packet, block, enhanced, interface, option, pcapng, section

START = 1_700_000_000_123_456_789
SECOND = 10**9


def read(data: bytes, chunk: int = 1 << 20) -> tuple[CaptureFile, list[Records]]:
    file, found = CaptureFile("x.pcapng"), []
    for at in range(0, len(data), chunk):
        found += file.feed(data[at : at + chunk])
    file.finish()
    return file, found


def frames(found: list[Records]) -> list[tuple[int, int, int, bytes]]:
    """Link type, stamp, length on the wire, frame."""
    return [(r.linktype, *p) for r in found for p in packets(r.data)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("chunk", [1, 13, 1 << 20])
def test_enhanced_packets_in_both_byte_orders_and_any_pieces(order: str, chunk: int) -> None:
    given = [Packet(START + n, b"x" * n, wire=1514) for n in range(1, 40)]
    file, found = read(pcapng(given, order=order), chunk)
    assert frames(found) == [(1, p.ts_ns, 1514, p.frame) for p in given]
    assert file.damage is None
    assert file.packets == 39
    assert file.title == f"pcapng, {'little' if order == '<' else 'big'}-endian, 1 interfaces"


@pytest.mark.parametrize(
    ("resolution", "stamp", "nanoseconds"),
    [
        (None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (0, 1_700_000_000, 1_700_000_000 * SECOND),
        (3, 1_700_000_000_123, 1_700_000_000_123 * 10**6),
        (9, START, START),
        (12, 1_700_000 * 10**12 + 1999, 1_700_000 * SECOND + 1),
        (0x80 | 10, 1_700_000_000 * 1024 + 512, 1_700_000_000 * SECOND + SECOND // 2),
        (0x80 | 32, (1_700_000_000 << 32) + (1 << 30), 1_700_000_000 * SECOND + SECOND // 4),
        (0x7F, 1 << 63, 0),
    ],
)
def test_each_resolution(resolution: int | None, stamp: int, nanoseconds: int) -> None:
    _, found = read(section() + interface(resolution=resolution) + enhanced(stamp, b"x"))
    assert found[0].low_ns == found[0].high_ns == nanoseconds
    assert frames(found)[0][1] == nanoseconds


@pytest.mark.parametrize(("offset", "expected"), [(3600, 3601 * SECOND), (-5, 0), (1 << 40, (1 << 32) * SECOND - 1)])
def test_an_offset_of_the_clock_is_added_and_stays_within_what_a_record_can_say(offset: int, expected: int) -> None:
    _, found = read(section() + interface(offset_s=offset) + enhanced(10**6, b"x"))
    assert frames(found)[0][1] == expected


def test_each_interface_has_its_link_type_and_resolution() -> None:
    data = section() + interface(1) + interface(LINKTYPE_LINUX_SLL, resolution=9) + interface(12, resolution=3)
    data += enhanced(10**6, b"a") + enhanced(2 * SECOND, b"b", number=1) + enhanced(3000, b"c", number=2)
    data += enhanced(4 * 10**6, b"d")
    file, found = read(data)
    assert frames(found) == [
        (1, SECOND, 1, b"a"), (1, 4 * SECOND, 1, b"d"),
        (LINKTYPE_LINUX_SLL, 2 * SECOND, 1, b"b"), (LINKTYPE_RAW, 3 * SECOND, 1, b"c"),
    ]
    assert file.packets == 4


def test_a_new_section_may_turn_the_byte_order_and_begins_with_no_interface() -> None:
    data = section() + interface() + enhanced(10**6, b"a")
    data += section(">") + interface(101, order=">") + enhanced(2 * 10**6, b"b", order=">")
    file, found = read(data)
    assert frames(found) == [(1, SECOND, 1, b"a"), (101, 2 * SECOND, 1, b"b")]
    file, _ = read(data + section() + enhanced(1, b"c"))
    assert file.damage is not None
    assert "interface 0, which was not declared" in file.damage.text


def test_simple_packets_have_the_stamp_before_them_and_are_cut_by_the_snap_length() -> None:
    data = section() + interface(snaplen=4) + enhanced(7 * 10**6, b"a") + block(3, struct.pack("<I", 100) + b"bcde")
    assert frames(read(data)[1]) == [(1, 7 * SECOND, 1, b"a"), (1, 7 * SECOND, 100, b"bcde")]


def test_old_packet_blocks_are_read() -> None:
    body = struct.pack("<HHIIII", 0, 3, 0, 5 * 10**6, 2, 90) + b"hi"
    assert frames(read(section() + interface() + block(2, body))[1]) == [(1, 5 * SECOND, 90, b"hi")]


def test_what_the_recorder_lost_is_told_by_its_last_statistics() -> None:
    def statistics(number: int, *options: bytes) -> bytes:
        return block(5, struct.pack("<III", number, 0, 0) + b"".join(options))

    data = section() + interface() + interface()
    data += statistics(0, option(4, bytes(8)), option(5, struct.pack("<Q", 3)))
    data += statistics(0, option(5, struct.pack("<Q", 10)), option(7, struct.pack("<Q", 2)))
    data += statistics(1, option(5, struct.pack("<Q", 1))) + statistics(9, option(5, struct.pack("<Q", 1)))
    file, _ = read(data)
    assert file.lost == 13
    assert read(data + section() + interface() + statistics(0, option(5, struct.pack("<Q", 4))))[0].lost == 17


def test_unknown_blocks_are_skipped_however_long_they_are() -> None:
    data = section() + interface() + block(0x0BAD, bytes(5_000_000)) + enhanced(10**6, b"a") + block(4, bytes(100))
    for chunk in (100_000, 1 << 20, 1 << 23):
        file, found = read(data, chunk)
        assert [f[3] for f in frames(found)] == [b"a"]
        assert file.damage is None


def test_options_behind_a_packet_are_no_part_of_it() -> None:
    data = section() + interface() + enhanced(10**6, b"abc", options=option(1, b"a comment") + option(0, b""))
    assert frames(read(data)[1]) == [(1, SECOND, 3, b"abc")]


def _changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + struct.pack("<I", value) + data[at + 4 :]


HEAD = section() + interface() + enhanced(10**6, b"first")
SECOND_PACKET = enhanced(2 * 10**6, b"second")


@pytest.mark.parametrize(
    ("tail", "reason", "words"),
    [
        (_changed(SECOND_PACKET, 4, 8), "structure", "length of 8 bytes"),
        (_changed(SECOND_PACKET, 4, 0xFFFFFFF0), "length", "4294967280"),
        (_changed(SECOND_PACKET, len(SECOND_PACKET) - 4, 44), "structure", "two different lengths"),
        (_changed(SECOND_PACKET, 20, MAX_CAPLEN + 1), "length", str(MAX_CAPLEN + 1)),
        (_changed(SECOND_PACKET, 20, 200), "length", "200"),
        (_changed(SECOND_PACKET, 8, 1), "structure", "interface 1"),
        (block(6, bytes(8)), "structure", "too short"),
        (block(0x0A0D0D0A, bytes(16)), "structure", "byte-order magic"),
        (SECOND_PACKET[:30], "truncated", "breaks off"),
        (block(0x0BAD, bytes(100))[:50], "truncated", "breaks off"),
    ],
)
def test_damage_ends_the_file_where_it_is(tail: bytes, reason: str, words: str) -> None:
    file, found = read(HEAD + tail + bytes(0 if reason == "truncated" else 2_000_000))
    assert [f[3] for f in frames(found)] == [b"first"]
    assert file.damage is not None
    assert file.damage.reason == reason
    assert words in file.damage.text
    if reason != "truncated":
        assert file.damage.at == len(HEAD)


def test_a_file_cannot_make_us_keep_interfaces_without_end() -> None:
    file, _ = read(section() + interface() * 65_536)
    assert file.damage is None
    file, _ = read(section() + interface() * 65_537)
    assert file.damage is not None
    assert "more than 65536 interfaces" in file.damage.text
