from __future__ import annotations

import random
import struct

import pytest

from weir.capture.split import split
from weir.model.packets import (
    LINKTYPE_ETHERNET,
    LINKTYPE_LINUX_SLL,
    LINKTYPE_LINUX_SLL2,
    LINKTYPE_NULL,
    LINKTYPE_RAW,
)
from weir.net.records import Records, packets
from weir.testing.packets import block, ethernet, ipv4, ipv6, tcp, udp

RINGS = 4


def records(frames: list[bytes], linktype: int = LINKTYPE_ETHERNET) -> Records:
    data = bytes(block(frames).data)
    return Records(linktype=linktype, data=data, count=len(frames), low_ns=0, high_ns=0)


def ring_of(frame: bytes, linktype: int = LINKTYPE_ETHERNET, rings: int = RINGS) -> int:
    parts = split(records([frame], linktype), rings)
    assert sorted(count for _, count in parts) == [0] * (rings - 1) + [1]
    return next(n for n, (_, count) in enumerate(parts) if count)


def v4(a: str, ap: int, b: str, bp: int, protocol: int = 6, **more: int) -> bytes:
    transport = tcp(ap, bp, b"x") if protocol == 6 else udp(ap, bp, b"x")
    return ipv4(a, b, protocol, transport, **more)


WRAP = {
    LINKTYPE_ETHERNET: ethernet,
    LINKTYPE_RAW: lambda ip: ip,
    LINKTYPE_NULL: lambda ip: struct.pack("<I", 2) + ip,
    LINKTYPE_LINUX_SLL: lambda ip: bytes(14) + struct.pack("!H", 0x0800) + ip,
    LINKTYPE_LINUX_SLL2: lambda ip: struct.pack("!H", 0x0800) + bytes(18) + ip,
}


@pytest.mark.parametrize("linktype", WRAP)
def test_both_directions_go_into_one_ring_and_conversations_are_spread(linktype: int) -> None:
    wrap = WRAP[linktype]
    rings = []
    for port in range(20000, 20400):
        there = wrap(v4("10.0.0.1", port, "10.0.0.2", 80))
        back = wrap(v4("10.0.0.2", 80, "10.0.0.1", port))
        assert ring_of(there, linktype) == ring_of(back, linktype)
        rings.append(ring_of(there, linktype))
    assert all(60 < rings.count(n) < 140 for n in range(RINGS))


@pytest.mark.parametrize("rings", [2, 3, 4, 8])
@pytest.mark.parametrize("step", [1, 2, 4, 64])
def test_ports_in_step_with_the_number_of_rings_are_spread_all_the_same(rings: int, step: int) -> None:
    seen = [ring_of(ethernet(v4("127.0.0.1", 10000 + n * step, "127.0.0.1", 80)), rings=rings) for n in range(400)]
    assert all(seen.count(n) > 400 / rings / 3 for n in range(rings))


def test_addresses_alone_spread_too() -> None:
    rng = random.Random(1)
    seen = [
        ring_of(ethernet(ipv6(f"fd00::{rng.randrange(1 << 16):x}", "fd00::1", 6, tcp(80, 80)), 0x86DD))
        for _ in range(200)
    ]
    assert all(seen.count(n) > 20 for n in range(RINGS))


def test_ipv6_both_directions_and_in_each_link_layer() -> None:
    for port in range(20000, 20050):
        there = ethernet(ipv6("fd00::1", "fd00::2", 6, tcp(port, 443)), 0x86DD)
        back = ethernet(ipv6("fd00::2", "fd00::1", 6, tcp(443, port)), 0x86DD)
        assert ring_of(there) == ring_of(back)


def test_tags_and_options_change_nothing() -> None:
    for port in range(20000, 20030):
        plain = v4("10.0.0.1", port, "10.0.0.2", 80)
        optional = ipv4("10.0.0.1", "10.0.0.2", 6, tcp(port, 80), options=b"\x01\x01\x01\x00")
        tagged = ethernet(plain, tags=[(0x88A8, 5), (0x8100, 6)])
        assert ring_of(ethernet(plain)) == ring_of(ethernet(optional)) == ring_of(tagged)


def test_all_fragments_of_a_datagram_go_together() -> None:
    for n in range(1, 30):
        first = ethernet(v4(f"10.0.0.{n}", 5000, "10.0.1.1", 53, 17, ident=n, fragment=0x2000))
        later = ethernet(ipv4(f"10.0.0.{n}", "10.0.1.1", 17, b"\x12\x34rest", ident=n, fragment=0x00B9))
        assert ring_of(first) == ring_of(later)


@pytest.mark.parametrize("port", [4789, 6081, 8472])
def test_directions_of_a_tunnel_meet_though_their_outer_ports_differ(port: int) -> None:
    for n in range(1, 30):
        there = ethernet(v4(f"10.0.0.{n}", 40000 + n, "10.0.1.1", port, 17))
        back = ethernet(v4("10.0.1.1", 50000 + 3 * n, f"10.0.0.{n}", port, 17))
        assert ring_of(there) == ring_of(back)


def test_order_and_bytes_are_kept_and_nothing_is_lost() -> None:
    rng = random.Random(7)
    frames = [ethernet(v4("10.0.0.1", rng.randrange(1, 60000), "10.0.0.2", 80)) for _ in range(300)]
    given = records(frames)
    parts = split(given, RINGS)
    assert sum(count for _, count in parts) == 300
    for number, (data, count) in enumerate(parts):
        mine = [f for f in frames if ring_of(f) == number]
        assert [f for _, _, f in packets(data)] == mine
        assert count == len(mine)


def test_one_ring_is_passed_through() -> None:
    given = records([b"x", b"y"])
    assert split(given, 1) == [(given.data, 2)]


@pytest.mark.parametrize("linktype", [*WRAP, 228, 229, 108, 147, 105])
def test_what_is_cut_or_no_ip_goes_somewhere(linktype: int) -> None:
    rng = random.Random(linktype)
    whole = WRAP.get(linktype, ethernet)(v4("10.0.0.1", 1, "10.0.0.2", 2))
    frames = [whole[:n] for n in range(len(whole))] + [rng.randbytes(n) for n in range(80)]
    assert sum(count for _, count in split(records(frames, linktype), RINGS)) == len(frames)
