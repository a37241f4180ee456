"""Any bytes: an error for people or damage that is told, never an exception, never more than one buffer."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from weir.errors import SourceError
from weir.net.pcapfile import CHUNK, CaptureFile
from weir.net.records import packets
from weir.testing.capturefiles import Packet, pcap, pcapng

PACKETS = st.lists(
    st.tuples(st.integers(0, 2**32 * 10**9 - 1), st.binary(max_size=200)).map(
        lambda p: Packet(p[0], p[1], wire=len(p[1]) + 3)
    ),
    max_size=20,
)


def walk(data: bytes, cuts: list[int]) -> tuple[CaptureFile, bytes]:
    file, out, at = CaptureFile(), b"", 0
    for cut in [*sorted(min(c, len(data)) for c in cuts), len(data)]:
        out += b"".join(r.data for r in file.feed(data[at:cut]))
        at = cut
        assert 0 < len(file.room()) <= CHUNK
    return file, out


@given(st.binary(max_size=300), st.sampled_from([b"", pcap([]), pcap([], order=">"), pcapng([])]))
def test_random_bytes_never_raise_but_for_people(noise: bytes, head: bytes) -> None:
    try:
        file, out = walk(head + noise, [])
        file.finish()
    except SourceError:
        assert not head
        return
    assert len(list(packets(out))) == file.packets


@given(PACKETS, st.lists(st.integers(0, 3000)), st.sampled_from(["<", ">"]), st.booleans())
def test_any_pieces_give_the_same_packets(
    given_packets: list[Packet], cuts: list[int], order: str, modern: bool
) -> None:
    data = pcapng(given_packets, order=order) if modern else pcap(given_packets, order=order, nano=True)
    file, out = walk(data, cuts)
    file.finish()
    assert file.damage is None
    assert list(packets(out)) == [(p.ts_ns, p.wire, p.frame) for p in given_packets]


@given(PACKETS, st.integers(0, 2000), st.integers(0, 255), st.sampled_from(["<", ">"]), st.booleans())
def test_one_wrong_byte_costs_no_more_than_what_follows_it(
    given_packets: list[Packet], at: int, byte: int, order: str, modern: bool
) -> None:
    data = bytearray(pcapng(given_packets, order=order) if modern else pcap(given_packets, order=order, nano=True))
    at = min(at, len(data) - 1)
    data[at] = byte
    try:
        file, out = walk(bytes(data), [])
        file.finish()
    except SourceError:
        assert at < 24
        return
    seen = list(packets(out))
    assert len(seen) == file.packets
    if at >= 24 and not modern:
        before = 0
        position = 24
        for p in given_packets:
            position += 16 + len(p.frame)
            before += position <= at
        assert seen[:before] == [(p.ts_ns, p.wire, p.frame) for p in given_packets[:before]]
