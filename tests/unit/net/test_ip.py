from __future__ import annotations

import struct

import pytest

from weir.net.ip import Flaw, Ip, checksum, parse_ip
from weir.testing.packets import address, ipv4, ipv6

A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"


def parsed(packet: bytes, captured: int | None = None, before: int = 3) -> Ip | Flaw:
    data = b"\xee" * before + packet
    end = before + (len(packet) if captured is None else captured)
    return parse_ip(data, before, end, before + len(packet))


def test_ipv4() -> None:
    ip = parsed(ipv4(A4, B4, 6, b"x" * 30))
    assert ip == Ip(4, 3, 6, address(A4), address(B4), 23, 53)


def test_ipv4_with_options_and_padding() -> None:
    ip = parsed(ipv4(A4, B4, 17, b"x" * 9, options=b"\x01" * 8) + b"pad pad")
    assert isinstance(ip, Ip)
    assert (ip.payload_at, ip.stop) == (3 + 28, 3 + 37)


@pytest.mark.parametrize("packet", [ipv4(A4, B4, 6, b"x" * 90_000, total=0), ipv6(A6, B6, 6, b"x" * 90_000, length=0)])
def test_length_0_reaches_as_far_as_the_packet_did(packet: bytes) -> None:
    ip = parsed(packet, captured=200)
    assert isinstance(ip, Ip)
    assert ip.stop == 3 + len(packet)


def test_a_snapped_payload_keeps_its_length_on_the_wire() -> None:
    ip = parsed(ipv4(A4, B4, 6, b"x" * 1000), captured=60)
    assert isinstance(ip, Ip)
    assert ip.stop == 3 + 1020


@pytest.mark.parametrize(("offset", "more"), [(0, True), (1480, True), (2960, False)])
def test_ipv4_fragment(offset: int, more: bool) -> None:
    ip = parsed(ipv4(A4, B4, 17, b"x" * 16, ident=77, fragment=offset // 8 | (0x2000 if more else 0)))
    assert isinstance(ip, Ip)
    assert ip.fragment is not None
    assert (ip.fragment.ident, ip.fragment.offset, ip.fragment.more) == (77, offset, more)


def test_dont_fragment_is_no_fragment() -> None:
    ip = parsed(ipv4(A4, B4, 17, b"x" * 16, fragment=0x4000))
    assert isinstance(ip, Ip)
    assert ip.fragment is None


EXTENSIONS = {
    "hop by hop": (0, b"\x06\x00" + bytes(6), 8),
    "destination, long": (60, b"\x06\x02" + bytes(22), 24),
    "routing": (43, b"\x06\x02" + bytes(22), 24),
    "authentication": (51, b"\x06\x04" + bytes(22), 24),
    "atomic fragment": (44, b"\x06\x00" + bytes(6), 8),
    "mobility": (135, b"\x06\x00" + bytes(6), 8),
}


@pytest.mark.parametrize(("kind", "header", "length"), EXTENSIONS.values(), ids=EXTENSIONS)
def test_ipv6_extension(kind: int, header: bytes, length: int) -> None:
    assert parsed(ipv6(A6, B6, kind, header + b"payload")) == Ip(
        6, 3, 6, address(A6), address(B6), 43 + length, 43 + length + 7
    )


def test_ipv6_extensions_stack() -> None:
    chain = b"\x3c\x00" + bytes(6) + b"\x11\x01" + bytes(14)
    ip = parsed(ipv6(A6, B6, 0, chain + b"payload"))
    assert isinstance(ip, Ip)
    assert (ip.protocol, ip.payload_at) == (17, 43 + 24)


def test_ipv6_fragment_behind_an_extension() -> None:
    chain = b"\x2c\x00" + bytes(6) + struct.pack("!BBHI", 17, 0, 1480 | 1, 99)
    ip = parsed(ipv6(A6, B6, 0, chain + b"x" * 16))
    assert isinstance(ip, Ip)
    assert ip.fragment is not None
    assert ip.protocol == 17
    assert (ip.fragment.ident, ip.fragment.offset, ip.fragment.more) == (99, 1480, True)
    assert (ip.fragment.next_at, ip.fragment.header_end) == (43, 51)


def test_authentication_header_in_ipv4() -> None:
    ip = parsed(ipv4(A4, B4, 51, b"\x06\x04" + bytes(22) + b"payload"))
    assert isinstance(ip, Ip)
    assert (ip.protocol, ip.payload_at) == (6, 47)


MALFORMED = {
    "nothing": b"",
    "version 5": b"\x55" + bytes(40),
    "short header length": b"\x44" + ipv4(A4, B4, 6, b"x" * 20)[1:],
    "total below header": ipv4(A4, B4, 6, b"x" * 20, total=19),
    "header beyond total": b"\x4f" + ipv4(A4, B4, 6, b"x" * 10)[1:],
    "too short for IPv4": ipv4(A4, B4, 6, b"")[:15],
    "too short for IPv6": ipv6(A6, B6, 6, b"")[:30],
    "extension beyond the packet": ipv6(A6, B6, 0, b"\x06\x09" + bytes(6)),
    "extensions without end": ipv6(A6, B6, 0, b"\x00\x00" + bytes(598)),
    "extension without room": ipv6(A6, B6, 0, b"\x06"),
}


@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED)
def test_malformed(packet: bytes) -> None:
    assert parsed(packet) is Flaw.MALFORMED


@pytest.mark.parametrize(
    ("packet", "captured"),
    [
        (ipv4(A4, B4, 6, b"x" * 20), 10),
        (ipv4(A4, B4, 6, b"x" * 20, options=bytes(12)), 24),
        (ipv6(A6, B6, 6, b"x" * 20), 39),
        (ipv6(A6, B6, 0, b"\x06\x01" + bytes(30)), 41),
        (ipv6(A6, B6, 0, b"\x06\x01" + bytes(30)), 50),
        (ipv6(A6, B6, 44, struct.pack("!BBHI", 17, 0, 1, 9) + bytes(16)), 44),
    ],
)
def test_cut(packet: bytes, captured: int) -> None:
    assert parsed(packet, captured) is Flaw.CUT


def test_checksum() -> None:
    header = bytearray(ipv4(A4, B4, 6, b"", options=b"\x07\x04\x04\x00"))
    wanted = bytes(header[10:12])
    header[10:12] = b"\0\0"
    assert checksum(bytes(header)).to_bytes(2, "big") == wanted
