"""Live capture on a veth between two network namespaces."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.capture.service import CaptureService
from weir.capture.settings import CaptureSettings
from weir.errors import SourceError
from weir.model.control import Control
from weir.model.packets import LINKTYPE_BY_HATYPE, LINKTYPE_ETHERNET
from weir.runtime.service import Context
from weir.testing.live import DEFAULTS, MINE, Capture, capturing, connect, mine, send, told
from weir.testing.netns import Namespace, joined, may_make_namespaces
from weir.testing.packets import ethernet, icmp, ipv4, ipv6, tcp, udp

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
]

FIN, SYN, RST, ACK = 1, 2, 4, 16


@pytest.fixture(params=["ebpf", "classic"])
def pair(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Namespace, Namespace]]:
    monkeypatch.setitem(DEFAULTS, "filter", request.param)
    with joined("left", "right") as ends:
        yield ends


def numbered(count: int, size: int = 200) -> list[bytes]:
    return [
        ethernet(ipv4("192.0.2.1", "192.0.2.2", 17, udp(1000 + n % 500, 4000, n.to_bytes(4, "big") + bytes(size))))
        for n in range(count)
    ]


async def test_every_packet_arrives_whole_and_in_order(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    sent = numbered(20_000)
    async with capturing(right, ring_blocks=64) as capture:
        title = "eBPF: everything" if DEFAULTS["filter"] == "ebpf" else "classic BPF by libpcap 1."
        assert capture.mode().startswith(f"af_packet on {right.interface}, {title}")
        await asyncio.to_thread(send, left, sent)
        await capture.until_frames(len(sent))
    assert mine(capture) == sent
    stamps = [f.ts_ns for b in capture.blocks for f in told(b)]
    assert all(abs(t - time.time_ns()) < 60 * 10**9 for t in stamps)
    assert {b.linktype for b in capture.blocks} == {LINKTYPE_ETHERNET}
    assert {n for b in capture.blocks for n in b.interfaces.values()} == {right.interface}
    assert capture.context.counts["lost.capture.kernel"] == 0


async def test_every_connection_is_seen_from_its_opening_to_its_closing(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    async with capturing(right) as capture:
        port = connect(left, right, 50)
        await capture.until(lambda: _flags(capture, port, FIN) >= 100)
    assert _flags(capture, port, SYN) == 100
    assert _flags(capture, port, FIN) == 100


def _flags(capture: Capture, port: int, flag: int) -> int:
    return sum(
        1
        for f in capture.frames()
        if f[12:14] == b"\x08\x00" and f[23] == 6 and port in struct.unpack_from("!HH", f, 34) and f[47] & flag
    )


@pytest.mark.parametrize("interface", ["any", "veth"])
async def test_rings_share_conversations_whole(pair: tuple[Namespace, Namespace], interface: str) -> None:
    left, right = pair
    interfaces = (right.interface if interface == "veth" else "any",)
    async with capturing(right, rings=3, interfaces=interfaces) as capture:
        assert " in 3 rings" in capture.mode()
        port = connect(left, right, 60)
        await capture.until(lambda: _flags(capture, port, FIN) >= 120)
    rings: dict[frozenset[int], set[int]] = {}
    for b in capture.blocks:
        for told_frame in told(b):
            f = bytes(b.data[told_frame.at : told_frame.at + told_frame.captured])
            if f[12:14] == b"\x08\x00" and f[23] == 6:
                rings.setdefault(frozenset(struct.unpack_from("!HH", f, 34)), set()).add(b.ring)
    assert len(rings) == 60
    assert all(len(r) == 1 for r in rings.values())
    assert len(set().union(*rings.values())) > 1
    assert {b.linktype for b in capture.blocks} == {LINKTYPE_ETHERNET if interface == "veth" else LINKTYPE_BY_HATYPE}


async def test_loopback_is_seen_once(pair: tuple[Namespace, Namespace]) -> None:
    _, right = pair
    async with capturing(right, interfaces=("lo",)) as capture:
        with right.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for n in range(30):
                s.sendto(b"loop%03d" % n, ("127.0.0.1", 9))
        await capture.until_frames(30)
    assert [f[42:49] for f in capture.frames() if f[42:46] == b"loop"] == [b"loop%03d" % n for n in range(30)]


async def test_a_quiet_ring_ticks_and_its_clock_stays_behind_what_comes(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    async with capturing(right, tick_s=0.2) as capture:
        await capture.until(lambda: sum(1 for b in capture.blocks if not b.count) >= 3)
        send(left, numbered(5))
        await capture.until(lambda: len(mine(capture)) == 5)
        seen = len(capture.blocks)
        await capture.until(lambda: len(capture.blocks) >= seen + 2)
    clock = 0
    for b in capture.blocks:
        assert all(f.ts_ns >= clock for f in told(b))
        assert b.clock_ns >= clock
        clock = b.clock_ns
    ticks = [b for b in capture.blocks if not b.count]
    assert all(b.data == b"" for b in ticks)
    assert [b.sequence for b in capture.blocks] == list(range(len(capture.blocks)))
    assert time.time_ns() - clock < 5 * 10**9


def outline_frames() -> tuple[list[bytes], list[bytes]]:
    """IPv4 and IPv6 frames that the outline keeps, and that it drops."""
    keep, drop = [], []

    def both(protocol: int, payload: bytes, wanted: list[bytes]) -> None:
        wanted.append(ethernet(ipv4("192.0.2.1", "192.0.2.2", protocol, payload)))
        wanted.append(ethernet(ipv6("fd99::1", "fd99::2", protocol, payload), 0x86DD))

    for flags in range(64):
        both(6, tcp(5000, 80, b"payload", flags=flags), keep if flags & (SYN | FIN | RST) else drop)
    for sport, dport in ((5000, 53), (53, 5000)):
        both(17, udp(sport, dport, b"dns"), keep)
        both(6, tcp(sport, dport, b"dns"), keep)
    both(17, udp(5000, 443, b"quic"), drop)
    for kind in range(256):
        error4, error6 = kind in (3, 4, 5, 11, 12), kind < 128
        (keep if error4 else drop).append(ethernet(ipv4("192.0.2.1", "192.0.2.2", 1, icmp(kind, 0, bytes(28)))))
        (keep if error6 else drop).append(ethernet(ipv6("fd99::1", "fd99::2", 58, icmp(kind, 0, bytes(48))), 0x86DD))
    return keep, drop


@pytest.mark.parametrize("interface", ["any", "veth"])
async def test_the_outline_keeps_exactly_openings_closings_dns_and_icmp_errors(
    pair: tuple[Namespace, Namespace], interface: str
) -> None:
    left, right = pair
    keep, drop = outline_frames()
    interfaces = (right.interface if interface == "veth" else "any",)
    async with capturing(right, control=None, interfaces=interfaces) as capture:
        assert "openings and closings" in capture.mode()
        send(left, [*drop, *keep])
        await capture.until(lambda: len(mine(capture)) >= len(keep))
    assert mine(capture) == (
        [f if b"dns" in f or f[23] == 1 or f[20] == 58 else f.removesuffix(b"payload") for f in keep]
        if DEFAULTS["filter"] == "ebpf" else keep
    ), "eBPF cuts what openings and closings carry"


async def test_tagged_frames_are_filtered_by_their_network_header_and_the_tag_stays_with_the_packet(
    pair: tuple[Namespace, Namespace],
) -> None:
    left, right = pair
    syn = ipv4("192.0.2.1", "192.0.2.2", 6, tcp(5000, 80, flags=SYN))
    data = ipv4("192.0.2.1", "192.0.2.2", 6, tcp(5000, 80, b"data"))
    async with capturing(right, control=None) as capture:
        send(left, [ethernet(data, tags=[(0x8100, 7)]), ethernet(syn, tags=[(0x8100, 7)])])
        await capture.until(lambda: len(mine(capture)) >= 1)
    assert mine(capture) == [ethernet(syn)], "the kernel takes the tag out of the frame"
    assert 0x8100_0007 in {f.tag for b in capture.blocks for f in told(b)}


async def test_a_changed_document_swaps_the_filter_of_the_running_ring(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    data = ethernet(ipv4("192.0.2.1", "192.0.2.2", 17, udp(5000, 4000, b"data")))
    other = ethernet(ipv4("192.0.2.9", "192.0.2.2", 17, udp(5000, 4000, b"other")))
    syn = ethernet(ipv4("192.0.2.1", "192.0.2.2", 6, tcp(5000, 80, flags=SYN)))
    async with capturing(right, control=None) as capture:
        send(left, [data, other, syn])
        await capture.until(lambda: mine(capture) == [syn])
        await capture.control(Control(generation=2, outline=False, targets=["192.0.2.1"]))
        await capture.until(lambda: "1 target" in capture.mode())
        send(left, [other, data, syn])
        await capture.until(lambda: mine(capture) == [syn, data, syn])
        await capture.control(Control(generation=3, capture=False))
        await capture.until(lambda: "switched off" in capture.mode())
        send(left, [data, syn])
        await capture.control(Control(generation=4, outline=False, targets=["all"]))
        await capture.until(lambda: "everything" in capture.mode())
        send(left, [other])
        await capture.until(lambda: mine(capture) == [syn, data, syn, other])
    assert [b.generation for b in capture.blocks if MINE in bytes(b.data)] == [0, 2, 4]
    assert len({b.run for b in capture.blocks}) == 1


async def test_own_ends_are_not_captured(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    theirs = ethernet(ipv4("192.0.2.1", "192.0.2.2", 6, tcp(9092, 5000, b"application")))
    own = ethernet(ipv4("192.0.2.1", "192.0.2.2", 6, tcp(5000, 9092, b"weir to kafka")))
    back = ethernet(ipv4("192.0.2.2", "192.0.2.1", 6, tcp(9092, 5000, b"kafka to weir")))
    hub = ethernet(ipv4("192.0.2.1", "192.0.2.7", 6, tcp(5000, 8899, b"page")))
    async with capturing(right, exclude=("192.0.2.2:9092",), own=["0.0.0.0:8899"]) as capture:
        send(left, [own, back, hub, theirs])
        await capture.until(lambda: len(mine(capture)) >= 1)
    assert mine(capture) == [theirs]


async def test_packets_are_cut_to_the_snap_length_and_say_how_long_they_were(
    pair: tuple[Namespace, Namespace],
) -> None:
    left, right = pair
    async with capturing(right, snaplen=64) as capture:
        send(left, numbered(3))
        await capture.until(lambda: len(mine(capture)) == 3)
    whole = len(numbered(1)[0])
    assert (64, whole) in {(f.captured, f.wire) for b in capture.blocks for f in told(b)}


async def test_what_the_kernel_drops_is_counted_and_told(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    sent = numbered(6000, 400)
    async with capturing(right, ring_blocks=2, block_bytes=1 << 17) as capture:
        send(left, sent)  # holds this thread, so the ring is not emptied meanwhile
        await capture.until(lambda: capture.context.counts["lost.capture.kernel"] > 0)
        await capture.until(lambda: sum(b.lost for b in capture.blocks) > 0)
    lost = capture.context.counts["lost.capture.kernel"]
    assert sum(b.lost for b in capture.blocks) == lost
    assert len(mine(capture)) + lost >= len(sent)
    assert len(mine(capture)) < len(sent)


async def test_what_the_bus_refuses_is_counted_and_told(
    pair: tuple[Namespace, Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = pair
    async with capturing(right) as capture:
        refused: list[int] = []

        def refuse(topic: Any, record: Record) -> bool:
            refused.append(record.value.count)
            return False

        with monkeypatch.context() as full:
            full.setattr(capture.bus, "try_publish", refuse)
            send(left, numbered(100))
            await capture.until(lambda: sum(refused) >= 100)
        send(left, numbered(1))
        await capture.until(lambda: len(mine(capture)) == 1)
        lost = capture.context.counts["lost.capture.bus"]
    assert lost == sum(refused) >= 100
    first = next(b for b in capture.blocks if b.lost)
    assert first.lost == lost
    assert first.first_index >= 100


async def test_an_unknown_interface_is_told_with_those_that_exist(pair: tuple[Namespace, Namespace]) -> None:
    _, right = pair
    with right.entered():
        service = CaptureService(
            CaptureSettings(interfaces=("eth99",)), Context(bus=MemoryBus(instance="weir", shards=1))
        )
        with pytest.raises(SourceError, match="no interface 'eth99'") as caught:
            await service.run()
    assert right.interface in caught.value.hint
    assert "any" in caught.value.hint


async def test_an_interface_that_goes_down_is_noted_and_captured_again_when_it_is_back(
    pair: tuple[Namespace, Namespace],
) -> None:
    left, right = pair
    async with capturing(right) as capture:
        right.run("ip", "link", "set", right.interface, "down")
        await capture.until(lambda: "went down" in str(capture.context.notes))
        right.run("ip", "link", "set", right.interface, "up")
        await capture.until(lambda: bool(_sent(left)) and bool(mine(capture)))


def _sent(where: Namespace) -> bool:
    """A frame that may find no carrier yet."""
    with contextlib.suppress(OSError):
        send(where, numbered(1))
    return True


async def test_an_interface_that_is_removed_ends_its_ring_and_the_capture(pair: tuple[Namespace, Namespace]) -> None:
    _, right = pair
    capture = Capture(right, CaptureSettings(interfaces=(right.interface,), ring_blocks=8))
    with right.entered():
        running = asyncio.ensure_future(capture.service.run())
        collecting = asyncio.ensure_future(capture.collect())
        await capture.until(lambda: bool(capture.mode()))
        right.run("ip", "link", "delete", right.interface)
        with pytest.raises(SourceError, match="was removed"):
            await asyncio.wait_for(running, 5)
        await capture.until(lambda: bool(capture.blocks) and capture.blocks[-1].end)
        collecting.cancel()
        await asyncio.gather(collecting, return_exceptions=True)


async def test_a_removed_interface_gives_what_it_showed_and_its_clock_goes_on_with_the_others(
    pair: tuple[Namespace, Namespace],
) -> None:
    left, right = pair
    async with capturing(right, interfaces=(right.interface, "lo"), retire_ms=400, tick_s=0.1) as capture:
        send(left, numbered(50))
        right.run("ip", "link", "delete", right.interface)
        await capture.until(lambda: len(mine(capture)) == 50)
        await capture.until(lambda: "was removed" in capture.context.notes.get(f"capture.{right.interface}", ""))
        last = [block for block in capture.blocks if block.ring == 0][-1]
        await capture.until(lambda: [b for b in capture.blocks if b.ring == 0][-1].clock_ns > last.clock_ns + 2 * 10**9)
        assert not any(block.end for block in capture.blocks)
    assert sorted(block.ring for block in capture.blocks if block.end) == [0, 1]


async def test_without_libpcap_everything_is_handed_on_and_said(
    pair: tuple[Namespace, Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    from weir.capture.bpf import libpcap

    left, right = pair
    monkeypatch.setattr(libpcap, "_NAMES", ("libnothing.so",))
    libpcap._library.cache_clear()
    try:
        async with capturing(right, control=None, filter="classic") as capture:
            assert "no kernel filter (libpcap is not installed" in capture.mode()
            send(left, numbered(3))
            await capture.until(lambda: len(mine(capture)) == 3)
    finally:
        libpcap._library.cache_clear()


@contextlib.contextmanager
def tun(where: Namespace) -> Iterator[int]:
    """A device without link headers (Documentation/networking/tuntap.rst); what is written to it is received there."""
    iff_tun, iff_no_pi, tunsetiff = 0x0001, 0x1000, 0x400454CA
    with where.entered():
        device = os.open("/dev/net/tun", os.O_RDWR)
        try:
            fcntl.ioctl(device, tunsetiff, struct.pack("16sH22x", b"tun0", iff_tun | iff_no_pi))
            where.run("ip", "link", "set", "tun0", "up")
            yield device
        finally:
            os.close(device)


@pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="needs /dev/net/tun")
@pytest.mark.parametrize("interface", ["any", "tun0"])
async def test_a_device_without_link_headers_is_filtered_and_read_alike(
    pair: tuple[Namespace, Namespace], interface: str
) -> None:
    _, right = pair
    syns = [ipv4("192.0.2.1", "192.0.2.2", 6, tcp(n, 80, flags=SYN)) for n in range(1, 6)]
    syns += [ipv6("fd99::1", "fd99::2", 6, tcp(n, 80, flags=SYN)) for n in range(1, 6)]
    data = ipv4("192.0.2.1", "192.0.2.2", 6, tcp(1, 80, b"data"))
    with tun(right) as device:
        async with capturing(right, control=None, interfaces=(interface,)) as capture:
            for packet in (data, *syns):
                os.write(device, packet)
            await capture.until(lambda: set(syns) <= set(capture.frames()))
    assert data not in capture.frames()
    assert {b.linktype for b in capture.blocks} == {LINKTYPE_BY_HATYPE}


def test_a_process_without_the_right_is_told_what_it_lacks() -> None:
    done = subprocess.run(
        ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", sys.executable, "-c",
         "from weir.capture.permission import require_capture; require_capture()"],
        capture_output=True, text=True, timeout=60,
    )
    assert "PermissionMissing" in done.stderr
    assert "lacks the capability CAP_NET_RAW" in done.stderr
    assert "hint: sudo setcap cap_net_raw+ep" in done.stderr
