"""The header engine on packets that nobody sends, and its short cut against its general way."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from weir.engine.api import Decision, Drop, EngineLimits
from weir.engine.pure import PureHeaderEngine
from weir.engine.shard import shard_of
from weir.model import packets
from weir.model.flow import DirectedFlow
from weir.model.packets import PacketBlock
from weir.model.segments import SegmentBlock
from weir.testing.packets import START_NS, Seen, block, ethernet, icmp, ipv4, ipv6, rows, tcp, udp

LINKS = [
    packets.LINKTYPE_NULL, packets.LINKTYPE_ETHERNET, packets.LINKTYPE_RAW, packets.LINKTYPE_LOOP,
    packets.LINKTYPE_LINUX_SLL, packets.LINKTYPE_IPV4, packets.LINKTYPE_IPV6, packets.LINKTYPE_LINUX_SLL2,
    packets.LINKTYPE_BY_HATYPE, 147,
]
LAYOUTS = ["records", "tpacket3"]
PAIRS4 = st.sampled_from([("10.0.0.1", "10.0.0.2")] * 3 + [("10.0.0.2", "10.0.0.1")])
PAIRS6 = st.sampled_from([("2001:db8::1", "2001:db8::2"), ("2001:db8::2", "2001:db8::1")])
PORTS = st.sampled_from([(40002, 80)] * 6 + [(80, 40002), (40001, 80), (40000, 80), (40000, 53), (40000, 4789)])
"""Few, so that a flow comes up again within a block; passed whole, passed as an outline, refused, DNS, a tunnel."""
TELLING = [12, 13, 14, 16, 17, 20, 21, 23, 46, 47]
"""Offsets of what the short cut looks at: EtherType, lengths, fragment, protocol, data offset, flags."""
SMALL = st.binary(max_size=60)


class Rule:
    """Decides by the ports: some flows pass whole, some as an outline, some not at all."""

    generation = revision = 0

    def __init__(self) -> None:
        self.version = 0

    def decide(self, flow: DirectedFlow, node: str, ts_ns: int) -> Decision:
        kind = (flow.sport + flow.dport + self.version) % 5
        if kind == 0:
            return Decision(flow, Drop.NOT_TARGETED)
        fields = {name: getattr(flow, name) for name in ("scope", "protocol", "src", "sport", "dst", "dport")}
        return Decision(DirectedFlow(**fields, outline=kind == 1))

    def unsettled(self, flow: DirectedFlow, ts_ns: int) -> bool:
        return False

    def excused(self, flow: DirectedFlow, promise: packets.Promise, ts_ns: int) -> bool:
        return False


@st.composite
def segments(draw: st.DrawFn) -> bytes:
    options = b"\x01" * (4 * draw(st.sampled_from([0, 0, 0, 3, 10])))
    return tcp(
        *draw(PORTS), draw(SMALL), flags=draw(st.integers(0, 255)), seq=draw(st.integers(0, 2**32 - 1)),
        ack=draw(st.integers(0, 2**32 - 1)), options=options,
    )


@st.composite
def networks(draw: st.DrawFn, depth: int = 2) -> tuple[int, bytes]:
    """EtherType and packet."""
    kind = draw(st.sampled_from(["tcp", "tcp", "tcp", "udp", "icmp", "tunnel", "ipip", "other"]))
    protocol, payload = 6, b""
    if kind == "udp":
        protocol, payload = 17, udp(*draw(PORTS), draw(SMALL))
    elif kind == "icmp":
        protocol, payload = 1, icmp(draw(st.sampled_from([3, 8, 11])), 0, draw(networks(0))[1] if depth else b"")
    elif kind == "tunnel" and depth:
        inner = ethernet(draw(networks(depth - 1))[1])
        protocol, payload = 17, udp(1, 4789, b"\x08" + bytes(7) + inner)
    elif kind == "ipip" and depth:
        protocol, payload = 4, draw(networks(depth - 1))[1]
    elif kind == "other":
        protocol, payload = draw(st.integers(0, 255)), draw(SMALL)
    else:
        payload = draw(segments())
    if draw(st.integers(0, 4)) == 0:
        if protocol == 1:
            protocol = 58
        return 0x86DD, ipv6(*draw(PAIRS6), protocol, payload)
    return 0x0800, ipv4(
        *draw(PAIRS4), protocol, payload, ident=draw(st.integers(0, 2)),
        fragment=draw(st.sampled_from([0, 0, 0, 0x4000, 0x8000, 0x2000, 1])),
        options=bytes(draw(st.sampled_from([0, 0, 0, 4]))),
        total=draw(st.sampled_from([None, None, None, None, None, 0, 20, 40, 60, 5000])),
    )


@st.composite
def plain(draw: st.DrawFn) -> bytearray:
    """What the short cut is for, the same two flows again and again, sometimes with a byte that changes it."""
    there = draw(st.booleans())
    packet = ipv4(
        *(("10.0.0.1", "10.0.0.2") if there else ("10.0.0.2", "10.0.0.1")), 6,
        tcp(
            *((40002, 80) if there else (80, 40002)), draw(SMALL), flags=draw(st.integers(0, 255)),
            seq=draw(st.integers(0, 2**32 - 1)), ack=draw(st.integers(0, 2**32 - 1)),
            options=b"\x01" * draw(st.sampled_from([0, 12, 40])),
        ),
    )
    frame = bytearray(ethernet(packet) + bytes(draw(st.sampled_from([0, 6]))))
    if draw(st.integers(0, 2)) == 0:
        frame[draw(st.sampled_from(TELLING))] = draw(st.sampled_from([0, 4, 17, 20, 0x20, 0x40, 0x46, 0x50, 0xF0]))
    return frame


@st.composite
def odd(draw: st.DrawFn) -> bytearray:
    """All other kinds of packets, some of them damaged."""
    kind, packet = draw(networks())
    tags = draw(st.sampled_from([[], [], [], [(0x8100, 1)]]))
    frame = bytearray(ethernet(packet, kind, tags) + bytes(draw(st.sampled_from([0, 0, 6]))))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        frame[draw(st.integers(0, len(frame) - 1))] = draw(st.integers(0, 255))
    return frame


@st.composite
def frames(draw: st.DrawFn) -> Seen:
    frame = draw(st.one_of(plain(), plain(), odd()))
    wire = len(frame)
    if draw(st.integers(0, 3)) == 0:
        frame = frame[: draw(st.one_of(st.integers(50, 70), st.integers(0, len(frame))))]
    return Seen(
        bytes(frame), START_NS + draw(st.integers(-3, 3)) * 600_000_000, wire, draw(st.integers(1, 2)),
        draw(st.sampled_from([1, 1, 1, 772])), draw(st.sampled_from([0, 0, 4])),
        tag=draw(st.sampled_from([None, None, None, (0, 5), (0x88A8, 5)])),
    )


def checked(it: PureHeaderEngine, taken: PacketBlock, offset: int) -> list[SegmentBlock]:
    """One block through the engine, held to all that must be true whatever was in it."""
    made = it.segments(taken, 0, offset)
    assert len({m.shard for m in made}) == len(made)
    for m in made:
        found = rows(m)
        assert [r.packet for r in found] == sorted({r.packet for r in found})
        assert all(0 <= r.packet < taken.count for r in found)
        assert all(shard_of(flow, m.shards) == m.shard for flow in m.flows)
        assert set(memoryview(m.flow).cast("I")) == set(range(len(m.flows)))
        assert len(set(m.flows)) == len(m.flows)
    counts = it.counts
    drops = {name[15:-1]: n for name, n in counts.items() if name.startswith("filter.dropped{")}
    assert set(drops) <= set(Drop)
    assert counts["filter.packets"] == counts["filter.segments"] + sum(drops.values())
    held = it.held()
    assert held["fragment_bytes"] <= 4096
    assert held["fragments"] <= 8
    return made


def engine(policy: Rule, **options: Any) -> PureHeaderEngine:
    limits = EngineLimits(flows=16, fragment_bytes=4096, fragment_datagrams=8)
    return PureHeaderEngine(policy, limits=limits, **options)


@given(st.lists(st.lists(frames(), max_size=12), max_size=4), st.sampled_from(LAYOUTS), st.integers(1, 3))
@settings(max_examples=300)
def test_the_short_cut_is_the_general_way(batches: list[list[Seen]], layout: str, shards: int) -> None:
    policy = Rule()
    short, general = engine(policy, shards=shards), engine(policy, shards=shards, short_cut=False)
    for offset, batch in enumerate(batches):
        taken = block(batch, layout=layout)
        assert checked(short, taken, offset) == checked(general, taken, offset)
        assert short.counts == general.counts
        assert short.held() == general.held()
        policy.version += offset % 2


@given(
    st.lists(st.binary(max_size=120), max_size=8), st.sampled_from(LINKS), st.sampled_from(LAYOUTS),
    st.sampled_from([1, 772, 65534, 801]), st.integers(0, 60), st.sampled_from([0x0800, 0x86DD, 0x0806]),
)
@settings(max_examples=300)
def test_any_bytes_are_accounted_for(
    junk: list[bytes], link: int, layout: str, hatype: int, link_header: int, protocol: int
) -> None:
    seen = [Seen(j, hatype=hatype, link_header=link_header, protocol=protocol) for j in junk]
    checked(engine(Rule(), shards=2), block(seen, layout=layout, linktype=link), 0)


@given(
    st.binary(max_size=400), st.integers(-2, 2**40), st.sampled_from(LINKS), st.sampled_from(LAYOUTS),
    st.integers(-(2**63), 2**63 - 1),
)
@settings(max_examples=300)
def test_any_block_is_accounted_for(data: bytes, count: int, link: int, layout: str, clock_ns: int) -> None:
    taken = block([], data=data, count=count, linktype=link, layout=layout, clock_ns=clock_ns)
    checked(engine(Rule(), shards=2), taken, 0)


@given(st.lists(frames(), min_size=1, max_size=6), st.randoms(use_true_random=False), st.sampled_from(LINKS))
@settings(max_examples=200)
def test_flipped_bits_are_accounted_for(seen: list[Seen], rng: random.Random, link: int) -> None:
    whole = block(seen, layout="tpacket3")
    data = bytearray(whole.data)
    for _ in range(rng.randrange(8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    checked(engine(Rule(), shards=2), block([], data=bytes(data), count=len(seen), linktype=link, layout="tpacket3"), 0)


@given(
    st.binary(min_size=1, max_size=3000), st.lists(st.integers(1, 300), max_size=20), st.booleans(),
    st.randoms(use_true_random=False),
)
def test_any_order_of_fragments_gives_the_datagram(
    payload: bytes, cuts: list[int], six: bool, rng: random.Random
) -> None:
    datagram = udp(7, 10, payload)
    edges = [0, *sorted({c * 8 for c in cuts if c * 8 < len(datagram)}), len(datagram)]
    pieces = []
    for start, stop in pairwise(edges):
        more, part = stop < len(datagram), datagram[start:stop]
        if six:
            head = bytes((17, 0)) + (start | more).to_bytes(2, "big") + bytes(4)
            pieces.append(ethernet(ipv6("::1", "::2", 44, head + part), 0x86DD))
        else:
            field = start // 8 | (0x2000 if more else 0)
            pieces.append(ethernet(ipv4("10.0.0.1", "10.0.0.2", 17, part, fragment=field)))
    once = list(pieces)
    rng.shuffle(once)
    last = once.pop()
    stream = [*once, *rng.sample(once, rng.randrange(len(once) + 1)), last] if once else [last]
    it = PureHeaderEngine(Rule(), shards=1)
    found = [r for n, piece in enumerate(stream) for m in it.segments(block([piece]), 0, n) for r in rows(m)]
    assert [(r.sport, r.dport, r.payload) for r in found] == [(7, 10, payload)]
    assert it.held()["fragments"] == 0
