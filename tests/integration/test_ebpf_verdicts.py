"""The program in the kernel against what the stages behind it decide: directory, selector and vantage."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Iterator

import pytest

from weir.capture.bpf import syscall
from weir.capture.bpf.layout import FLOW, Flow, FlowKey, Verdict, flow_key, wide
from weir.capture.bpf.selection import Selection
from weir.capture.bpf.socketfilter import EVERY_CONVERSATION, KernelFilter
from weir.directory import Directory
from weir.directory.ranges import Ranges
from weir.directory.selector import compile_targets
from weir.directory.vantage import View, node_number, view
from weir.model.control import Control, EndpointRecord
from weir.model.flow import DirectedFlow
from weir.net.target import parse_target
from weir.testing.netns import joined, may_make_namespaces
from weir.testing.owners import SHOWN
from weir.testing.packets import icmp, ipv4, ipv6, tcp, udp

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not may_make_namespaces(), reason="needs root"),
]

SNAPLEN = 262_144
NODES = ("n1", "n2", "n3")
PORTS = (53, 80, 443, 8080, 40_000)
FOUR = [f"10.{a}.{b}.{c}" for a in (0, 1) for b in (0, 1) for c in (1, 2, 3)]
SIX = [f"fd00::{a}:{b}" for a in (0, 1) for b in (1, 2, 3)]


@contextlib.contextmanager
def filtering(selection: Selection, node: str = "n1") -> Iterator[KernelFilter]:
    kernel = KernelFilter(node=node_number(node), snaplen=SNAPLEN, flow_entries=16_384)
    try:
        kernel.apply(selection.changes())
        yield kernel
    finally:
        kernel.close()


def run(kernel: KernelFilter, packet: bytes, interface: int = 1) -> int:
    """What the program keeps of an IP packet. The kernel's test run shows it without its link header."""
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    return syscall.run_program(kernel.descriptor, bytes(12) + kind + packet, interface=interface)[0]


def targets(rng: random.Random, most: int) -> list[str]:
    pool = [
        *FOUR, *SIX, "10.0.0.0/16", "10.1.0.0/24", "10.0.0.0/8", "fd00::/112", "::/0", "10.0.1.1:80", "[fd00::1]:443",
        "port:8080", "port:443",
    ]
    return rng.sample(pool, rng.randrange(most))


def endpoints(rng: random.Random) -> dict[bytes, EndpointRecord]:
    records = {}
    places = [*rng.sample(FOUR, 6), *rng.sample(SIX, 3), "10.0.0.0/16", "10.1.0.0/24", "10.1.0.0/16", "fd00::/112"]
    for n, address in enumerate(places):
        for port in rng.sample((0, 0, *PORTS), rng.randrange(3)):
            records[f"{address}:{port}/{n}".encode()] = EndpointRecord(
                address=address, uid=str(n), port=port, node=rng.choice(("", *NODES)), targeted=rng.random() < 0.4,
                captured=rng.random() < 0.7, front=rng.random() < 0.15, until_ns=rng.choice((0, 0, 0, 1)),
                revision=n,
            )
    return records


def packets(rng: random.Random) -> Iterator[tuple[DirectedFlow, bytes, int, int]]:
    """Flow, packet, TCP flags, type of ICMP (-1 for others)."""
    for _ in range(60):
        four = rng.random() < 0.6
        src, dst = rng.sample(FOUR if four else SIX, 2)
        family = socket.AF_INET if four else socket.AF_INET6
        ends = socket.inet_pton(family, src), socket.inet_pton(family, dst)
        protocol = rng.choice((6, 6, 17, 1 if four else 58))
        sport, dport, flags, kind = rng.choice(PORTS), rng.choice(PORTS), rng.randrange(64), -1
        if protocol == 6:
            body = tcp(sport, dport, b"x" * rng.randrange(50), flags=flags, options=bytes(4 * rng.randrange(3)))
        elif protocol == 17:
            body = udp(sport, dport, bytes(rng.randrange(50)))
        else:
            sport = dport = 0
            kind = rng.randrange(256)
            body = icmp(kind, 0, bytes(28))
        flow = DirectedFlow(protocol=protocol, src=ends[0], dst=ends[1], sport=sport, dport=dport)
        if four:
            yield flow, ipv4(src, dst, protocol, body, options=bytes(4 * rng.randrange(3))), flags, kind
        else:
            following, body = extended(rng, protocol, body)
            yield flow, ipv6(src, dst, following, body), flags, kind


def extended(rng: random.Random, following: int, body: bytes) -> tuple[int, bytes]:
    """Extension headers in front of `body`."""
    for _ in range(rng.choice((0, 0, 1, 3))):
        kind = rng.choice((0, 43, 60, 51, 44))
        if kind == 44:
            body = bytes((following, 0, 0, 0, 0, 0, 0, 1)) + body
        elif kind == 51:
            body = bytes((following, 2)) + bytes(14) + body
        else:
            more = rng.randrange(2)
            body = bytes((following, more)) + bytes(6 + 8 * more) + body
        following = kind
    return following, body


class Model:
    """What is kept, from the parts that `filter` is made of."""

    def __init__(self, control: Control, own: list[str], records: dict[bytes, EndpointRecord], node: str) -> None:
        self.control, self.node = control, node
        self.directory = Directory()
        for key, record in records.items():
            self.directory.put(key, record)
        self.targets, _ = compile_targets(control.targets)
        self.excluded, _ = compile_targets(control.excluded)
        self.own, _ = compile_targets(own)
        self.ranges = Ranges(control.pod_ranges)

    def verdict(self, flow: DirectedFlow) -> Verdict:
        now = time.time_ns()
        if self.own.wanted(flow):
            return Verdict.MINE
        src, dst = (self.directory.lookup(*end, now) for end in ((flow.src, flow.sport), (flow.dst, flow.dport)))
        excluded = self.excluded.wanted(flow)
        targeted = not excluded and (
            self.targets.wanted(flow) or any(end is not None and end.targeted for end in (src, dst))
        )
        if not (targeted or self.control.outline) and not (self._unsure(flow, now) and not excluded):
            return Verdict.NONE
        if view(flow.src, src, flow.dst, dst, self.node) is View.BARE:
            return Verdict.BARE if targeted or self.control.outline else Verdict.NONE
        if targeted:
            return Verdict.PASS
        if not excluded and self._unsure(flow, now):
            return Verdict.HOLD
        return Verdict.SHAPE

    def _unsure(self, flow: DirectedFlow, now: int) -> bool:
        return self.control.pods and any(
            address in self.ranges and not self.directory.known(address, port, now)
            for address, port in ((flow.src, flow.sport), (flow.dst, flow.dport))
        )


def kept(verdict: Verdict, flow: DirectedFlow, packet: bytes, flags: int, kind: int) -> int:
    """Bytes of the packet that pass; the program answers with the snap length for all of it."""
    if verdict in (Verdict.PASS, Verdict.HOLD):
        return SNAPLEN
    if verdict in (Verdict.MINE, Verdict.NONE):
        return 0
    if verdict is Verdict.SHAPE:
        if flow.protocol in (6, 17) and 53 in (flow.sport, flow.dport):
            return SNAPLEN
        if (flow.protocol == 1 and kind in (3, 4, 5, 11, 12)) or (flow.protocol == 58 and kind < 128):
            return SNAPLEN
    if flow.protocol != 6 or not flags & 7:
        return 0
    return len(packet.rstrip(b"x"))


@pytest.mark.parametrize("seed", range(150))
def test_the_program_decides_as_the_stages_behind_it(seed: int) -> None:
    rng = random.Random(seed)
    control = Control(
        generation=1, targets=[*targets(rng, 4), *(["all"] if rng.random() < 0.1 else [])], excluded=targets(rng, 3),
        outline=rng.random() < 0.8, pods=rng.random() < 0.5,
        pod_ranges=rng.sample(["10.0.0.0/16", "10.1.1.0/24", "fd00::/112", "10.0.0.3"], rng.randrange(3)),
    )
    own = rng.sample(["10.0.0.1:443", "port:40000", "10.1.1.0/24", "fd00::1:2"], rng.randrange(3))
    records, node = endpoints(rng), rng.choice(NODES)
    selection = Selection([parse_target(text) for text in own])
    model = Model(control, own, records, node)
    # What was there before has to leave no trace.
    selection.adopt(Control(generation=0, targets=targets(rng, 3), excluded=targets(rng, 3)))
    selection.learn((key, EndpointRecord(address=rng.choice(FOUR), uid="x", targeted=True)) for key in records)
    with filtering(selection, node) as kernel:
        selection.adopt(control)
        selection.learn(records.items())
        kernel.apply(selection.changes())
        for flow, packet, flags, kind in packets(rng):
            verdict = model.verdict(flow)
            got = run(kernel, packet)
            value = kernel.flows.get(
                flow_key(FlowKey(wide(flow.src), wide(flow.dst), flow.sport, flow.dport, flow.protocol))
            )
            assert value is not None
            told = Verdict(Flow(*FLOW.unpack(value)).verdict)
            assert (told, got) == (verdict, kept(verdict, flow, packet, flags, kind)), (flow, control, own)


def everything(**fields: object) -> Selection:
    selection = Selection()
    selection.adopt(Control(generation=1, targets=["all"], **fields))  # type: ignore[arg-type]
    return selection


def test_a_share_keeps_conversations_whole() -> None:
    half = 0
    with filtering(everything()) as kernel:
        for share in (EVERY_CONVERSATION // 2, 0, EVERY_CONVERSATION):
            kernel.share(share)
            for n in range(400):
                there = run(kernel, ipv4(FOUR[0], FOUR[1], 17, udp(1000 + n, 80, bytes(9))))
                back = run(kernel, ipv4(FOUR[1], FOUR[0], 17, udp(80, 1000 + n, bytes(9))))
                assert there == back
                if share not in (0, EVERY_CONVERSATION):
                    half += bool(there)
                else:
                    assert there == (SNAPLEN if share else 0)
        stats = kernel.stats()
    assert 150 < half < 250
    assert stats.shed == 2 * (400 - half) + 800
    assert stats.shed_bytes == 37 * stats.shed


def test_an_interface_owns_a_flow_until_a_second_after_its_last_packet() -> None:
    with joined("left", "right") as (left, _), left.entered():
        other = socket.if_nametoindex(left.interface)
        packet = ipv4(FOUR[0], FOUR[1], 17, udp(1, 2, b"x"))
        back = ipv4(FOUR[1], FOUR[0], 17, udp(2, 1, b"x"))
        with filtering(everything()) as kernel:
            assert run(kernel, packet) == SNAPLEN
            owned = time.monotonic()
            assert run(kernel, packet, other) == 0
            assert run(kernel, back, other) == SNAPLEN, "each direction has its own"
            while not run(kernel, packet, other):
                assert time.monotonic() - owned < 5
            assert time.monotonic() - owned > 0.9
            assert run(kernel, packet) == 0
            assert kernel.stats().copies >= 2


@pytest.mark.parametrize("name", SHOWN)
def test_an_interface_with_news_owns_the_flow_at_once(name: str) -> None:
    with joined("left", "right") as (left, _), left.entered():
        other = socket.if_nametoindex(left.interface)
        with filtering(everything()) as kernel:
            told = [
                bool(run(kernel, ipv4(FOUR[0], FOUR[1], 6, tcp(1, 2, bytes(length), flags=flags, seq=seq)),
                         other if interface == 2 else 1))
                for interface, seq, length, flags, _ in SHOWN[name]
            ]
    assert told == [taken for *_, taken in SHOWN[name]]


def test_what_an_interface_aside_shows_is_a_copy() -> None:
    selection = everything()
    selection.set_aside([1])
    packet = ipv4(FOUR[0], FOUR[1], 17, udp(1, 2, b"x"))
    with filtering(selection) as kernel:
        assert run(kernel, packet) == 0
        selection.set_aside([])
        kernel.apply(selection.changes())
        assert run(kernel, packet) == SNAPLEN
        assert kernel.stats().copies == 1


def test_later_fragments_go_with_the_first_one() -> None:
    selection = Selection()
    selection.adopt(Control(generation=1, targets=["port:8080"]))
    first, more = udp(5000, 8080, bytes(16)), 0x2000
    with filtering(selection) as kernel:
        for src, dst in ((FOUR[0], FOUR[1]), (FOUR[1], FOUR[2])):
            assert run(kernel, ipv4(src, dst, 17, first, ident=7, fragment=more)) == SNAPLEN
            assert run(kernel, ipv4(src, dst, 17, bytes(8), ident=7, fragment=3)) == SNAPLEN
            assert run(kernel, ipv4(src, dst, 17, bytes(8), ident=8, fragment=3)) == 0
        for offset, keep in ((0, SNAPLEN), (2 << 3, SNAPLEN)):
            header = bytes((17, 0)) + (offset | (not offset)).to_bytes(2, "big") + b"\0\0\0\x09"
            assert run(kernel, ipv6(SIX[0], SIX[1], 44, header + (bytes(16) if offset else first))) == keep
        key = flow_key(FlowKey(wide(socket.inet_aton(FOUR[0])), wide(socket.inet_aton(FOUR[1])), 5000, 8080, 17))
        assert Flow(*FLOW.unpack(kernel.flows.get(key) or b"")).packets == 2


@pytest.mark.parametrize("packet", [bytes(40), b"\x42" + bytes(30), b"\x64" + bytes(40)])
def test_nonsense_passes_nowhere(packet: bytes) -> None:
    with filtering(everything()) as kernel:
        assert syscall.run_program(kernel.descriptor, bytes(12) + b"\x08\x00" + packet)[0] == 0


def test_an_update_of_ten_thousand_addresses_is_complete() -> None:
    records = {
        b"%d" % n: EndpointRecord(address=f"10.{n >> 8}.{n & 255}.9", uid=str(n), targeted=True) for n in range(10_000)
    }
    selection = Selection()
    with filtering(selection) as kernel:
        selection.learn(records.items())
        kernel.apply(selection.changes())
        wanted = range(0, 10_100, 7)
        kept = [n for n in wanted if run(kernel, ipv4("10.200.0.1", f"10.{n >> 8}.{n & 255}.9", 17, udp(1, 2)))]
        assert kept == [n for n in wanted if n < 10_000]
        selection.learn((key, None) for key in records)
        kernel.apply(selection.changes())
        assert not any(run(kernel, ipv4("10.200.0.1", f"10.{n >> 8}.{n & 255}.9", 17, udp(1, 2))) for n in wanted)
