from __future__ import annotations

import struct

import pytest

from weir.net.ip import Flaw
from weir.net.transport import Segment, gre_tunnel, icmp_error, parse_ports, parse_tcp, parse_udp, udp_tunnel
from weir.testing.packets import tcp, udp


def test_tcp() -> None:
    data = b"??" + tcp(40000, 80, b"hello", flags=0x18, seq=7, ack=9, options=b"\x01" * 12)
    assert parse_tcp(data, 2, len(data), len(data)) == Segment(40000, 80, 34, 39, 0x18, 7, 9)


def test_an_acknowledgement_without_the_flag_is_none() -> None:
    data = tcp(1, 2, flags=0x02, ack=99)
    found = parse_tcp(data, 0, 20, 20)
    assert isinstance(found, Segment)
    assert found.ack == 0


@pytest.mark.parametrize(
    ("header", "end", "stop", "flaw"),
    [
        (tcp(1, 2), 20, 19, Flaw.MALFORMED),
        (tcp(1, 2), 19, 20, Flaw.CUT),
        (tcp(1, 2, options=bytes(8)), 24, 28, Flaw.CUT),
        (tcp(1, 2, options=bytes(8)), 28, 24, Flaw.MALFORMED),
        (tcp(1, 2)[:12] + b"\x40" + bytes(7), 20, 20, Flaw.MALFORMED),
    ],
)
def test_tcp_flaws(header: bytes, end: int, stop: int, flaw: Flaw) -> None:
    assert parse_tcp(header, 0, end, stop) is flaw


@pytest.mark.parametrize(("length", "stop"), [(None, 13), (0, 20), (9, 9), (5000, 20)])
def test_udp_length(length: int | None, stop: int) -> None:
    data = udp(53, 4000, b"hello", length=length) + b"padding"
    assert parse_udp(data, 0, 20, 20) == Segment(53, 4000, 8, stop)


@pytest.mark.parametrize(
    ("length", "end", "stop", "flaw"), [(7, 20, 20, Flaw.MALFORMED), (20, 20, 7, Flaw.MALFORMED), (20, 7, 20, Flaw.CUT)]
)
def test_udp_flaws(length: int, end: int, stop: int, flaw: Flaw) -> None:
    assert parse_udp(udp(1, 2, bytes(12), length=length), 0, end, stop) is flaw


def test_ports() -> None:
    assert parse_ports(b"\x00\x35\x10\x00", 0, 4) == (53, 4096)
    assert parse_ports(b"\x00\x35\x10", 0, 3) is Flaw.CUT


def test_icmp_errors_are_those_that_quote() -> None:
    assert [kind for kind in range(256) if icmp_error(4, kind)] == [3, 4, 5, 11, 12]
    assert [kind for kind in range(256) if icmp_error(6, kind)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("port", "header", "found"),
    [
        (4789, b"\x08" + bytes(7), (0x6558, 8)),
        (8472, b"\x88\x00\x12\x34\x00\x00\x01\x00", (0x6558, 8)),
        (4789, bytes(8), None),
        (4789, b"\x08" + bytes(6) + b"\x01", None),
        (4790, b"\x08" + bytes(7), None),
        (4789, b"\x08" + bytes(6), None),
        (6081, b"\x00\x00\x65\x58" + bytes(4), (0x6558, 8)),
        (6081, b"\x02\x00\x65\x58" + bytes(12), (0x6558, 16)),
        (6081, b"\x00\x00\x86\xdd" + bytes(4), (0x86DD, 8)),
        (6081, b"\x02\x00\x65\x58" + bytes(11), None),
        (6081, b"\x40\x00\x65\x58" + bytes(4), None),
        (6081, b"\x00\x00\x12\x34" + bytes(4), None),
    ],
)
def test_udp_tunnels(port: int, header: bytes, found: tuple[int, int] | None) -> None:
    assert udp_tunnel(port, header, 0, len(header)) == found


@pytest.mark.parametrize(
    ("flags", "kind", "size", "at"),
    [
        (0, 0x0800, 4, 4),
        (0x2000, 0x6558, 8, 8),
        (0xB000, 0x86DD, 16, 16),
        (0xB000, 0x86DD, 15, None),
        (0x4000, 0x0800, 16, None),
        (0x0001, 0x0800, 16, None),
        (0, 0x880B, 16, None),
        (0, 0x0800, 3, None),
    ],
)
def test_gre(flags: int, kind: int, size: int, at: int | None) -> None:
    packet = struct.pack("!HH", flags, kind).ljust(size, b"\0")[:size]
    found = gre_tunnel(packet, 0, len(packet))
    assert found == (None if at is None else (kind, at))
