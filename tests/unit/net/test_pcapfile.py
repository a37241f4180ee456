from __future__ import annotations

import struct

import pytest

from weir.errors import SourceError
from weir.model.packets import LINKTYPE_RAW
from weir.net.pcapfile import CHUNK, CaptureFile
from weir.net.records import MAX_CAPLEN, packets, pcap_header
from weir.testing.capturefiles import Packet, pcap

START = 1_700_000_000_123_456_000
PACKETS = [
    Packet(START, b"a" * 60),
    Packet(START + 1000, b"b" * 61, wire=1514),
    Packet(START + 5_000_000_000, b""),
    Packet(START + 6_000_000_000, b"c" * 70_000),
]


def read(data: bytes, chunk: int = 1 << 20) -> tuple[CaptureFile, list[tuple[int, int, bytes]]]:
    file = CaptureFile("x.pcap")
    found: list[tuple[int, int, bytes]] = []
    for at in range(0, len(data), chunk):
        for records in file.feed(data[at : at + chunk]):
            part = list(packets(records.data))
            assert len(part) == records.count
            assert min(t for t, _, _ in part) == records.low_ns
            assert max(t for t, _, _ in part) == records.high_ns
            found += part
    file.finish()
    return file, found


def expected(given: list[Packet]) -> list[tuple[int, int, bytes]]:
    return [(p.ts_ns, p.wire or len(p.frame), p.frame) for p in given]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nano", [False, True])
@pytest.mark.parametrize("chunk", [1, 7, 1000, 1 << 20])
def test_both_byte_orders_and_resolutions_in_any_pieces(order: str, nano: bool, chunk: int) -> None:
    given = PACKETS[:3] if chunk == 1 else PACKETS
    file, found = read(pcap(given, order=order, nano=nano), chunk)
    assert found == expected(given)
    assert file.packets == len(given)
    assert file.damage is None
    assert file.title == f"pcap, {'little' if order == '<' else 'big'}-endian, {'ns' if nano else 'µs'}"


def test_nanoseconds_are_kept() -> None:
    _, found = read(pcap([Packet(START + 789, b"x")], nano=True))
    assert found[0][0] == START + 789


def test_layout_records_is_a_nanosecond_file_without_its_header() -> None:
    records = CaptureFile().feed(pcap(PACKETS))
    assert pcap_header(1) + records[0].data == pcap(PACKETS, nano=True)


def test_a_file_without_packets_is_one() -> None:
    file, found = read(pcap([]))
    assert (found, file.packets, file.damage) == ([], 0, None)


@pytest.mark.parametrize(("field", "linktype"), [(1, 1), (12, LINKTYPE_RAW), (14, LINKTYPE_RAW), (0x24000001, 1)])
def test_link_types_are_canonical(field: int, linktype: int) -> None:
    assert CaptureFile().feed(pcap(PACKETS[:1], linktype=field))[0].linktype == linktype


def test_packets_out_of_order_keep_their_order_and_their_extremes_are_told() -> None:
    given = [Packet(START + n * 1000, b"x") for n in (5, 2, 9, 1, 7)]
    file, found = read(pcap(given))
    assert found == expected(given)
    assert file.damage is None


@pytest.mark.parametrize("nano", [False, True])
def test_a_fraction_that_runs_over_is_carried(nano: bool) -> None:
    data = bytearray(pcap([Packet(1_000_000_000, b"x")], nano=nano))
    units = 10**9 if nano else 10**6
    struct.pack_into("<I", data, 28, units + units // 2)
    records = CaptureFile().feed(bytes(data))[0]
    assert [t for t, _, _ in packets(records.data)] == [2_500_000_000]
    assert records.high_ns == 2_500_000_000


@pytest.mark.parametrize("left", [1, 15, 16, 17, 75])
def test_a_cut_file_gives_what_is_before_the_cut(left: int) -> None:
    whole = pcap(PACKETS[:1])
    file, found = read(whole + pcap(PACKETS[1:2])[24:][:left])
    assert found == expected(PACKETS[:1])
    assert file.damage is not None
    assert file.damage.reason == "truncated"
    assert file.damage.at == len(whole)
    assert str(len(whole)) in file.damage.text


@pytest.mark.parametrize("caplen", [MAX_CAPLEN + 1, 0x7FFFFFFF, 0xFFFFFFFF])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_lie_about_a_length_ends_the_file_there(caplen: int, order: str) -> None:
    whole = pcap(PACKETS[:2], order=order)
    lying = struct.pack(order + "IIII", 0, 0, caplen, caplen) + bytes(1000)
    file, found = read(whole + lying + pcap(PACKETS[:1], order=order)[24:])
    assert found == expected(PACKETS[:2])
    assert file.damage is not None
    assert (file.damage.reason, file.damage.at) == ("length", len(whole))
    assert str(caplen) in file.damage.text
    assert file.feed(b"more") == []


def test_the_longest_possible_packet_is_read() -> None:
    given = [Packet(START, bytes(MAX_CAPLEN)), Packet(START, b"x")] * 9
    _, found = read(pcap(given))
    assert found == expected(given)


def test_memory_is_one_buffer_whatever_is_fed() -> None:
    file = CaptureFile()
    file.feed(pcap([]))
    record = pcap([Packet(START, bytes(40_000))])[24:]
    for _ in range(200):
        file.feed(record)
        assert 0 < len(file.room()) <= CHUNK
    assert file.packets == 200


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xd4\xc3", "ends inside its file header, after 2 bytes"),
        (pcap([])[:23], "ends inside its file header, after 23 bytes"),
        (b"#!/bin/sh\n", "is not a capture file: it begins with 23 21 2f 62"),
        (b"x", "is not a capture file"),
        (b"\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x01\x02\x03\x04", "byte-order magic is 01020304"),
        (b"\x0a\x0d\x0d\x0a\x1c\x00", "ends inside its file header"),
    ],
)
def test_what_is_no_capture_file_is_an_error_with_a_hint(data: bytes, words: str) -> None:
    with pytest.raises(SourceError) as caught:
        read(data)
    assert words in caught.value.message
    assert caught.value.message.startswith("x.pcap ")
    assert caught.value.hint
