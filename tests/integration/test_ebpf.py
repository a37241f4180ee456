"""The kernel filter at work on live traffic: exact targets that change, outlines with totals, each packet once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from weir.model.control import Control, EndpointRecord
from weir.model.packets import TALLY_LAST
from weir.testing.live import ALL, Capture, capturing, connect, mine, send
from weir.testing.netns import Namespace, joined, may_make_namespaces
from weir.testing.packets import ethernet, ipv4, ipv6, tcp, udp

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root and iproute2 for network namespaces"),
]

FIN, SYN, RST = 1, 2, 4
PODS = Control(generation=1, pods=True)
HERE = Path(__file__)


@pytest.fixture
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    with joined("left", "right") as ends:
        yield ends


def pod(address: str, revision: int, *, targeted: bool = True, port: int = 0, **more: object) -> EndpointRecord:
    fields = {"address": address, "uid": address, "port": port, "targeted": targeted, "revision": revision, **more}
    return EndpointRecord(**fields)  # type: ignore[arg-type]


def data(host: str, text: bytes, port: int = 4000) -> bytes:
    if ":" in host:
        return ethernet(ipv6("fd99::99", host, 17, udp(5000, port, text)), 0x86DD)
    return ethernet(ipv4("192.0.2.99", host, 17, udp(5000, port, text)))


async def test_targets_come_and_go_while_packets_run(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    hosts = ["192.0.2.1", "192.0.2.2", "fd99::1", "fd99::2"]
    expected: list[bytes] = []
    async with capturing(right, PODS, filter="ebpf") as capture:
        assert {b.promise for b in capture.blocks} <= {"exact"}

        async def round_of(name: bytes, wanted: set[tuple[str, int]]) -> None:
            sent = [(host, port, data(host, name, port)) for host in hosts for port in (80, 4000)]
            expected.extend(frame for host, port, frame in sent if {(host, port), (host, 0)} & wanted)
            send(left, [frame for _, _, frame in sent])
            await capture.until(lambda: len(mine(capture)) >= len(expected))

        await round_of(b"none", set())
        one, two = pod("192.0.2.1", 1), pod("fd99::2", 2, port=80)
        await capture.endpoints(one, two, pod("192.0.2.2", 2, targeted=False))
        assert capture.context.gauges["capture.targets"]() == 2
        await round_of(b"two", {("192.0.2.1", 0), ("fd99::2", 80)})
        await capture.endpoints(pod("192.0.2.1", 3, targeted=False), pod("192.0.2.2", 3))
        await round_of(b"swapped", {("192.0.2.2", 0), ("fd99::2", 80)})
        await capture.endpoints(pod("192.0.2.2", 4, until_ns=1))
        await round_of(b"ended", {("fd99::2", 80)})
        await capture.endpoints(pod("192.0.2.77", 5), gone=(two,))
        await round_of(b"gone", set())
    assert mine(capture) == expected


async def test_a_change_of_targets_leaves_no_gap(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    always = [data("192.0.2.1", b"%06d" % n) for n in range(12_000)]
    texts = (["192.0.2.1"], ["192.0.2.0/24"], ["port:4000", "192.0.2.9"], ["all"], ["192.0.2.1:4000", "10.0.0.0/8"])
    async with capturing(right, Control(generation=1, targets=texts[0]), filter="ebpf", ring_blocks=64) as capture:
        sending = asyncio.ensure_future(asyncio.to_thread(send, left, always))
        generation = 1
        while not sending.done() or generation < 20:
            generation += 1
            control = Control(generation=generation, targets=texts[generation % len(texts)])
            await capture.control(control)
            await capture.endpoints(pod("192.0.2.1", generation, targeted=bool(generation % 2)))
        await sending
        await capture.until(lambda: len(mine(capture)) >= len(always))
    assert mine(capture) == always


def total(frames: list[bytes]) -> dict[tuple[object, ...], tuple[int, int]]:
    """Packets and bytes (IP length) of each directed flow, counted from whole frames."""
    packets: Counter[tuple[object, ...]] = Counter()
    sizes: Counter[tuple[object, ...]] = Counter()
    for frame in frames:
        if frame[12:14] != b"\x08\x00" or frame[23] not in (6, 17):
            continue
        at = 14 + (frame[14] & 15) * 4
        mapped = bytes(10) + b"\xff\xff"
        key = (mapped + frame[26:30], mapped + frame[30:34], *struct.unpack_from("!HH", frame, at), frame[23])
        packets[key] += 1
        sizes[key] += int.from_bytes(frame[16:18], "big")
    return {key: (count, sizes[key]) for key, count in packets.items()}


@contextlib.contextmanager
def unfiltered(where: Namespace) -> Iterator[list[bytes]]:
    """All that the interface shows, by a socket without a filter."""
    frames: list[bytes] = []
    with where.entered():
        reader = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        reader.setsockopt(socket.SOL_SOCKET, 33, 1 << 27)
        reader.bind((where.interface, 3))
    with reader:
        yield frames
        reader.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                frames.append(reader.recv(1 << 17))


async def test_an_outline_passes_openings_and_counts_the_rest_exactly(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    with right.entered():
        server = socket.create_server((right.address, 0))
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        silent.bind((right.address, 0))
    with left.entered():
        early = socket.create_connection(server.getsockname())
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    accepted, _ = server.accept()
    with server, silent, early, sender, accepted, unfiltered(right) as reference:
        async with capturing(right, control=None, filter="ebpf", tally_s=0.1) as capture:
            connect(left, right, 40, size=200)
            for n in range(50):
                early.sendall(bytes(40_000))
                assert len(accepted.recv(40_000, socket.MSG_WAITALL)) == 40_000
                sender.sendto(bytes(n), silent.getsockname())
            # A closed connection is quiet for two seconds before its totals are final.
            await capture.until(lambda: sum(t[3] & TALLY_LAST for t in capture.tallies().values()) >= 80, 20)
            told = capture.tallies()
    counted = total(reference)
    assert {key: value[:2] for key, value in told.items() if key[4] in (6, 17)} == counted
    assert len(counted) == 80 + 2 + 1
    kept = total(capture.frames())
    assert all(f[47] & (FIN | SYN | RST) for f in capture.frames() if f[12:14] == b"\x08\x00" and f[23] == 6)
    assert not [key for key in kept if key[4] == 17]
    passed = sum(len(f) for f in capture.frames())
    assert passed < 0.05 * sum(size for _, size in counted.values())


class Bridge:
    """A node with two pods on a bridge, each on a veth of its own."""

    def __init__(self) -> None:
        mark = secrets.token_hex(3)
        self.node = Namespace(f"weir-{mark}-node", "br0", "10.78.0.254", "")
        self.pods = [Namespace(f"weir-{mark}-pod{n}", "eth0", f"10.78.0.{n}", "") for n in (1, 2)]

    def __enter__(self) -> Bridge:
        for one in (self.node, *self.pods):
            _ip("netns", "add", one.name)
            _ip("-n", one.name, "link", "set", "lo", "up")
        _ip("-n", self.node.name, "link", "add", "br0", "type", "bridge")
        _ip("-n", self.node.name, "addr", "add", f"{self.node.address}/24", "dev", "br0")
        _ip("-n", self.node.name, "link", "set", "br0", "up")
        for n, one in enumerate(self.pods):
            _ip(
                "link", "add", f"veth{n}", "netns", self.node.name, "type", "veth", "peer", "name", "eth0", "netns",
                one.name,
            )
            _ip("-n", self.node.name, "link", "set", f"veth{n}", "master", "br0", "up")
            _ip("-n", one.name, "addr", "add", f"{one.address}/24", "dev", "eth0")
            _ip("-n", one.name, "link", "set", "eth0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.node, *self.pods):
            one.end()
            _ip("netns", "delete", one.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=30)


async def test_on_any_each_packet_is_seen_once_and_counted_once() -> None:
    with Bridge() as bridge, unfiltered(bridge.pods[1]) as reference:
        one, two = bridge.pods
        settings = {"filter": "ebpf", "tally_s": 0.1, "interfaces": ("any",), "ring_blocks": 64}
        async with capturing(bridge.node, ALL, **settings) as capture:
            connect(one, two, 100, size=20_000)
            await capture.until(lambda: _closings(capture) >= 200)
        async with capturing(bridge.node, None, **settings) as outlined:
            connect(one, two, 100, size=20_000)
            await outlined.until(lambda: sum(1 for t in outlined.tallies().values() if t[2] & FIN) >= 200)
    ip = [frame for frame in reference if frame[12:14] == b"\x08\x00"]
    kept, told = total(capture.frames()), outlined.tallies()
    assert kept == {key: value for key, value in total(ip).items() if key in kept}
    assert len(kept) == 200
    assert {key: value[:2] for key, value in told.items() if key[4] == 6} == {
        key: value for key, value in total(ip).items() if key not in kept
    }
    assert capture.context.counts["capture.kernel.copies"] > 1000


def _closings(capture: Capture) -> int:
    return sum(1 for f in capture.frames() if f[12:14] == b"\x08\x00" and f[23] == 6 and f[47] & FIN)


async def test_loopback_of_any_is_seen_once(pair: tuple[Namespace, Namespace]) -> None:
    _, right = pair
    async with capturing(right, ALL, filter="ebpf", interfaces=("any",)) as capture:
        with right.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for n in range(30):
                s.sendto(b"loop%03d" % n, ("127.0.0.1", 9))
        await capture.until(lambda: sum(f[42:46] == b"loop" for f in capture.frames()) >= 30)
    assert [f[42:49] for f in capture.frames() if f[42:46] == b"loop"] == [b"loop%03d" % n for n in range(30)]


async def test_a_node_sheds_whole_conversations_above_its_ceiling_and_says_so(
    pair: tuple[Namespace, Namespace],
) -> None:
    left, right = pair
    frames = [data("192.0.2.1", bytes(1000), 4000 + n) for n in range(200)]
    settings = {"filter": "ebpf", "ceiling_bytes_s": 50_000, "tick_s": 0.1}
    async with capturing(right, Control(generation=1, targets=["192.0.2.1"]), **settings) as capture:
        counts, notes = capture.context.counts, capture.context.notes
        for _ in range(200):
            send(left, frames)
            with contextlib.suppress(TimeoutError):
                await capture.until(lambda: counts["lost.capture.ceiling"] > 0, 0.1)
            if counts["lost.capture.ceiling"]:
                break
        assert "0.05 MB/s" in notes["capture.ceiling"]
        assert capture.context.gauges["capture.share"]() < 1
        await capture.until(lambda: "capture.ceiling" not in notes, 60)
        seen = len(mine(capture))
        send(left, frames)
        await capture.until(lambda: len(mine(capture)) == seen + len(frames))
    assert counts["capture.shed_bytes"] == 1028 * counts["lost.capture.ceiling"]


async def test_a_bus_that_fills_up_gets_fewer_conversations_instead_of_torn_ones(
    pair: tuple[Namespace, Namespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = pair
    frames = [data("192.0.2.1", bytes(100), 4000 + n) for n in range(400)]
    settings = {"filter": "ebpf", "ceiling_bytes_s": 0, "tick_s": 0.1}
    async with capturing(right, Control(generation=1, targets=["192.0.2.1"]), **settings) as capture:
        notes, gauges = capture.context.notes, capture.context.gauges
        monkeypatch.setattr(capture.bus, "room", lambda: 0.4)
        await capture.until(lambda: gauges["capture.share"]() < 0.6)
        monkeypatch.setattr(capture.bus, "room", lambda: 0.6)
        assert notes["capture.ceiling"].startswith("the bus takes less than is captured (60% of its queue waits)")
        send(left, frames)
        await capture.until(lambda: capture.context.counts["lost.capture.ceiling"] > 0)
        monkeypatch.undo()
        await capture.until(lambda: "capture.ceiling" not in notes, 60)
        kept = {frame[36:38] for frame in mine(capture)}
        assert 0 < len(kept) < 400
        send(left, frames)
        await capture.until(lambda: len(mine(capture)) == len(kept) + len(frames))


CHILD = """
import asyncio, ctypes, json, struct, sys
from weir.bus.memory import MemoryBus
from weir.capture.bpf.choose import choose_filter
from weir.capture.settings import CaptureSettings
from weir.runtime.service import Context
if sys.argv[1] == "seccomp":
    import platform
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    code = b"".join(struct.pack("HBBI", *i) for i in (
        (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)))
    libc, program = ctypes.CDLL(None), ctypes.create_string_buffer(code)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, struct.pack("HxxxxxxQ", 4, ctypes.addressof(program)), 0, 0) == 0
context = Context(bus=MemoryBus(instance="weir", shards=1))
chosen = choose_filter(CaptureSettings(), context, [])
print(json.dumps([chosen.name, context.modes["capture.filter"], chosen.promise]))
"""


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("seccomp", "the capability is held, but a seccomp profile refuses bpf(2)"),
        ("capability", "this process lacks the capability CAP_BPF"),
    ],
)
def test_where_ebpf_is_refused_classic_bpf_takes_over_and_says_why(how: str, reason: str) -> None:
    command = [sys.executable, "-c", CHILD, how]
    if how == "capability":
        cut = "-bpf,-sys_admin"
        command = ["setpriv", "--bounding-set", cut, "--inh-caps", cut, *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ), check=False)
    assert done.stdout, done.stderr
    assert f'["classic", "classic: no eBPF, {reason}"' in done.stdout


def test_net_raw_and_bpf_are_enough() -> None:
    """The verifier is stricter with a process that lacks CAP_PERFMON, which the containers of the chart do."""
    only = "-all,+net_raw,+bpf"
    command = ["setpriv", "--bounding-set", only, "--inh-caps", only, sys.executable, "-c", CHILD, "nothing"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=dict(os.environ), check=False)
    assert done.stdout == '["ebpf", "ebpf", "exact"]\n', done.stderr


async def test_without_ebpf_rules_for_pods_let_all_of_ip_through(pair: tuple[Namespace, Namespace]) -> None:
    left, right = pair
    async with capturing(right, PODS, filter="classic") as capture:
        assert "all of IP (rules for pods need eBPF" in capture.mode()
        send(left, [data("192.0.2.1", b"unknown")])
        await capture.until(lambda: len(mine(capture)) == 1)
    assert {b.promise for b in capture.blocks} == {""}
    async with capturing(right, None, filter="classic") as capture:
        send(left, [ethernet(ipv4("192.0.2.1", "192.0.2.2", 6, tcp(5000, 80, flags=SYN)))])
        await capture.until(lambda: len(mine(capture)) == 1)
    assert {b.promise for b in capture.blocks} == {"outline"}
