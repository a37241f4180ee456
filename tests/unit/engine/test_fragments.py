from __future__ import annotations

import random
import struct

import pytest

from weir.engine.api import Drop, EngineLimits
from weir.engine.fragments import Fragments, Joined
from weir.net.ip import Ip, parse_ip
from weir.testing.packets import internet_checksum, ipv4, ipv6

A4, B4, A6, B6 = "10.0.0.1", "10.0.0.2", "2001:db8::1", "2001:db8::2"
RING = ("node", 0)
SECOND = 1_000_000_000
PAYLOAD = bytes(range(256)) * 12


def fragment4(offset: int, payload: bytes, more: bool, *, ident: int = 1, protocol: int = 17) -> bytes:
    return ipv4(A4, B4, protocol, payload, ident=ident, fragment=offset // 8 | (0x2000 if more else 0))


def fragment6(offset: int, payload: bytes, more: bool, *, ident: int = 1) -> bytes:
    chain = b"\x2c\x00\x01\x04" + bytes(4)
    return ipv6(A6, B6, 60, chain + struct.pack("!BBHI", 17, 0, offset | more, ident) + payload)


def pieces(make: object, size: int = 800) -> list[bytes]:
    assert callable(make)
    return [
        make(at, PAYLOAD[at : at + size], at + size < len(PAYLOAD)) for at in range(0, len(PAYLOAD), size)
    ]


def add(
    fragments: Fragments, packet: bytes, ts_ns: int = 0, *, place: object = 0, captured: int | None = None
) -> Joined | Drop:
    end = len(packet) if captured is None else captured
    ip = parse_ip(packet, 0, end, len(packet))
    assert isinstance(ip, Ip)
    return fragments.add(RING, (place,), ts_ns, packet, ip, end)


def joined(results: list[Joined | Drop]) -> bytes:
    (whole,) = [r for r in results if isinstance(r, Joined)]
    assert results[-1] is whole
    assert all(r is Drop.FRAGMENT_HELD for r in results[:-1])
    return whole.packet


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("make", "whole"),
    [
        (fragment4, ipv4(A4, B4, 17, PAYLOAD, ident=1)),
        (fragment6, ipv6(A6, B6, 60, b"\x11\x00\x01\x04" + bytes(4) + PAYLOAD)),
    ],
)
def test_any_order_gives_the_packet(make: object, whole: bytes, seed: int) -> None:
    order = pieces(make)
    random.Random(seed).shuffle(order)
    fragments = Fragments(EngineLimits())
    assert joined([add(fragments, p) for p in order]) == whole
    assert (len(fragments), fragments.held_bytes, fragments.lost) == (0, 0, 0)


def test_the_header_checksum_is_right() -> None:
    fragments = Fragments(EngineLimits())
    packet = joined([add(fragments, p) for p in pieces(fragment4)])
    assert internet_checksum(packet[:20]) == 0


def test_a_repetition_is_a_duplicate() -> None:
    first, second, *rest = pieces(fragment4)
    fragments = Fragments(EngineLimits())
    assert add(fragments, first) is Drop.FRAGMENT_HELD
    assert add(fragments, first) is Drop.DUPLICATE
    assert isinstance([add(fragments, p) for p in (second, *rest)][-1], Joined)


@pytest.mark.parametrize(
    "contradiction",
    [
        fragment4(8, b"x" * 16, True),
        fragment4(0, b"y" * 16, True),
        fragment4(0, b"x" * 24, True),
        fragment4(16, b"x" * 24, True),
        fragment4(8, b"x" * 8, False),
        fragment4(0, b"x" * 64, True),
    ],
)
def test_an_overlap_refuses_the_datagram_and_what_follows(contradiction: bytes) -> None:
    fragments = Fragments(EngineLimits())
    assert add(fragments, fragment4(0, b"x" * 16, True)) is Drop.FRAGMENT_HELD
    assert add(fragments, fragment4(24, b"x" * 16, True)) is Drop.FRAGMENT_HELD
    assert add(fragments, contradiction) is Drop.FRAGMENT_OVERLAP
    assert add(fragments, fragment4(16, b"x" * 8, True)) is Drop.FRAGMENT_OVERLAP
    assert add(fragments, fragment4(40, b"x" * 8, False)) is Drop.FRAGMENT_OVERLAP
    assert fragments.held_bytes == 0
    assert fragments.lost == 2


def test_a_second_end_is_a_contradiction() -> None:
    fragments = Fragments(EngineLimits())
    assert add(fragments, fragment4(64, b"x" * 8, False)) is Drop.FRAGMENT_HELD
    assert add(fragments, fragment4(80, b"x" * 8, False)) is Drop.FRAGMENT_OVERLAP


@pytest.mark.parametrize(
    "packet",
    [
        fragment4(0, b"", True),
        fragment4(0, b"x" * 15, True),
        fragment4(65_528, b"x" * 8, False),
        ipv6(A6, B6, 44, struct.pack("!BBHI", 17, 0, 65_528, 1) + b"x" * 8),
    ],
)
def test_impossible_fragments_are_refused(packet: bytes) -> None:
    fragments = Fragments(EngineLimits())
    assert add(fragments, packet) is Drop.FRAGMENT_REFUSED
    assert len(fragments) == 0


def test_a_snapped_fragment_is_refused() -> None:
    assert add(Fragments(EngineLimits()), fragment4(0, b"x" * 80, True), captured=60) is Drop.FRAGMENT_REFUSED


def test_interfaces_are_kept_apart() -> None:
    first, *rest = pieces(fragment4)
    fragments = Fragments(EngineLimits())
    add(fragments, first, place=1)
    assert all(add(fragments, p, place=2) is Drop.FRAGMENT_HELD for p in rest)
    assert isinstance(add(fragments, first, place=2), Joined)
    assert len(fragments) == 1


def test_protocols_are_kept_apart_in_ipv4() -> None:
    fragments = Fragments(EngineLimits())
    add(fragments, fragment4(0, b"x" * 8, True, protocol=17))
    assert add(fragments, fragment4(8, b"x" * 8, False, protocol=6)) is Drop.FRAGMENT_HELD


def test_expired_fragments_are_lost() -> None:
    fragments = Fragments(EngineLimits(fragment_ns=30 * SECOND))
    first, second, *_ = pieces(fragment4)
    add(fragments, first, 0)
    add(fragments, second, 20 * SECOND)
    fragments.expire(RING, 30 * SECOND)
    assert (len(fragments), fragments.lost) == (1, 0)
    fragments.expire(("node", 1), 90 * SECOND)
    assert len(fragments) == 1
    fragments.expire(RING, 30 * SECOND + 1)
    assert (len(fragments), fragments.lost, fragments.held_bytes) == (0, 2, 0)


def test_an_identification_is_used_again() -> None:
    fragments = Fragments(EngineLimits(fragment_ns=30 * SECOND))
    add(fragments, fragment4(0, b"old old ", True), 0)
    later = [add(fragments, p, 31 * SECOND) for p in pieces(fragment4)]
    assert joined(later) == ipv4(A4, B4, 17, PAYLOAD, ident=1)
    assert fragments.lost == 1


def test_the_oldest_goes_first() -> None:
    fragments = Fragments(EngineLimits(fragment_datagrams=2))
    for ident in (1, 2, 3):
        add(fragments, fragment4(0, b"x" * 8, True, ident=ident))
    assert (len(fragments), fragments.lost) == (2, 1)
    assert add(fragments, fragment4(8, b"x" * 8, False, ident=1)) is Drop.FRAGMENT_HELD
    assert isinstance(add(fragments, fragment4(8, b"x" * 8, False, ident=3)), Joined)


def test_bytes_are_bounded_however_small_the_fragments() -> None:
    limits = EngineLimits(fragment_bytes=20_000)
    fragments = Fragments(limits)
    for n in range(3000):
        add(fragments, fragment4(n % 50 * 16, b"x" * 8, True, ident=n // 50))
        assert fragments.held_bytes <= limits.fragment_bytes
    assert 0 < len(fragments) < 60
    assert fragments.lost > 2500
