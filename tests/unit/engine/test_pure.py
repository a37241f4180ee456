from __future__ import annotations

import pytest

from weir.engine.api import Drop, EngineLimits
from weir.engine.shard import shard_of
from weir.model.flow import DirectedFlow
from weir.model.packets import LINKTYPE_LINUX_SLL2, LINKTYPE_RAW
from weir.model.segments import ACK, PSH
from weir.testing.headers import A4, A6, B4, B6, dropped, engine, fragments_of, request, response, run
from weir.testing.packets import START_NS, Seen, Segment, address, block, ethernet, icmp, ipv4, ipv6, rows, tcp, udp

SECOND = 1_000_000_000


def test_a_request_and_its_response() -> None:
    frames = [Seen(request(), START_NS), Seen(response(), START_NS + 7)]
    found, drops = run(frames)
    assert found == [
        Segment(A4, 40000, B4, 80, START_NS, 6, PSH | ACK, 5, 9, b"GET /", 5, frames[0].frame, 59, 0, False),
        Segment(B4, 80, A4, 40000, START_NS + 7, 6, ACK, 9, 6, b"200", 3, frames[1].frame, 57, 1, False),
    ]
    assert drops == {}


def test_the_segment_block_says_where_it_comes_from() -> None:
    packets = block([request()], ring=3, run=8, lost=2, end=True, scope="pod-1", sequence=4)
    (made,) = engine(shards=1).segments(packets, 7, 99)
    assert (made.node, made.ring, made.run, made.shard, made.shards) == ("node", 3, 8, 0, 1)
    assert (made.origin_partition, made.origin_offset, made.generation) == (7, 99, 4)
    assert (made.clock_ns, made.end, made.lost, made.linktype) == (packets.clock_ns, True, 2, 1)
    assert made.flows == [
        DirectedFlow(
            scope="pod-1", protocol=6, src=address(A4), sport=40000, dst=address(B4), dport=80, sample_rate=0.5
        )
    ]


def test_a_block_that_is_wanted_whole_is_not_copied() -> None:
    packets = block([request(), response()])
    (made,) = engine().segments(packets, 0, 0)
    assert made.frames is packets.data


@pytest.mark.parametrize("short_cut", [True, False])
def test_what_is_refused_does_not_travel(short_cut: bool) -> None:
    secret = ethernet(ipv4(A4, B4, 17, udp(9, 9, b"SECRET")), kind=0x0806)
    packets = block([request(), secret, request(b"more")])
    (made,) = engine(short_cut=short_cut).segments(packets, 0, 0)
    assert b"SECRET" not in bytes(made.frames)
    assert [r.payload for r in rows(made)] == [b"GET /", b"more"]


LINKS = {
    "vlan": (1, ethernet(ipv4(A4, B4, 6, tcp(1, 2, b"x")), tags=[(0x8100, 3)])),
    "qinq": (1, ethernet(ipv4(A4, B4, 6, tcp(1, 2, b"x")), tags=[(0x88A8, 3), (0x8100, 4)])),
    "raw": (LINKTYPE_RAW, ipv4(A4, B4, 6, tcp(1, 2, b"x"))),
    "cooked": (LINKTYPE_LINUX_SLL2, b"\x08\x00" + bytes(18) + ipv4(A4, B4, 6, tcp(1, 2, b"x"))),
    "options": (1, ethernet(ipv4(A4, B4, 6, tcp(1, 2, b"x", options=bytes(20)), options=bytes(40)))),
    "padding": (1, ethernet(ipv4(A4, B4, 6, tcp(1, 2, b"x"))) + bytes(5)),
}


@pytest.mark.parametrize(("link", "frame"), LINKS.values(), ids=LINKS)
def test_offsets_are_relative_to_the_network_header(link: int, frame: bytes) -> None:
    (row,), drops = run([frame], linktype=link)
    assert (row.src, row.sport, row.dst, row.dport, row.payload, row.payload_wire) == (A4, 1, B4, 2, b"x", 1)
    assert row.frame == frame
    assert not drops


def test_padding_is_no_payload() -> None:
    frame = request(b"") + bytes(6)
    found, _ = run([frame, frame])
    assert [(r.payload, r.payload_wire, r.frame) for r in found] == [(b"", 0, frame)] * 2


def test_ipv6_and_udp() -> None:
    frame = ethernet(ipv6(A6, B6, 0, b"\x11\x00" + bytes(6) + udp(53, 4000, b"answer")), kind=0x86DD)
    (row,), _ = run([frame])
    assert (row.src, row.sport, row.dst, row.dport, row.protocol) == (A6, 53, B6, 4000, 17)
    assert (row.payload, row.flags, row.seq, row.ack) == (b"answer", 0, 0, 0)


@pytest.mark.parametrize("captured", [54, 60, 90])
def test_snapped_packets_keep_their_length_on_the_wire(captured: int) -> None:
    frame = request(b"x" * 100)
    found, _ = run([Seen(frame[:captured], wire=len(frame))] * 2)
    assert [(r.payload, r.payload_wire, r.frame_wire) for r in found] == [(b"x" * (captured - 54), 100, 154)] * 2


@pytest.mark.parametrize("version", [4, 6])
def test_big_tcp(version: int) -> None:
    segment = tcp(1, 2, b"x" * 80_000)
    packet = ipv4(A4, B4, 6, segment, total=0) if version == 4 else ipv6(A6, B6, 6, segment, length=0)
    frame = ethernet(packet, kind=0x0800 if version == 4 else 0x86DD)
    found, _ = run([frame, Seen(frame[:200], wire=len(frame))])
    assert [r.payload_wire for r in found] == [80_000, 80_000]
    assert [len(r.payload) for r in found] == [80_000, 200 - (54 if version == 4 else 74)]


TUNNELS = {
    "vxlan": ipv4("1.1.1.1", "2.2.2.2", 17, udp(5, 4789, b"\x08" + bytes(7) + request())),
    "vxlan, flannel": ipv4("1.1.1.1", "2.2.2.2", 17, udp(5, 8472, b"\x08" + bytes(7) + request())),
    "geneve": ipv4("1.1.1.1", "2.2.2.2", 17, udp(5, 6081, b"\x01\0\x65\x58" + bytes(8) + request())),
    "gre": ipv4("1.1.1.1", "2.2.2.2", 47, b"\0\0\x08\0" + request()[14:]),
    "gre, key, ethernet": ipv4("1.1.1.1", "2.2.2.2", 47, b"\x20\0\x65\x58abcd" + request()),
    "ipip": ipv4("1.1.1.1", "2.2.2.2", 4, request()[14:]),
    "vxlan in ipip": ipv4(
        "3.3.3.3", "4.4.4.4", 4, ipv4("1.1.1.1", "2.2.2.2", 17, udp(5, 4789, b"\x08" + bytes(7) + request()))
    ),
}


@pytest.mark.parametrize("outer", TUNNELS.values(), ids=TUNNELS)
def test_a_tunnel_counts_as_what_is_inside(outer: bytes) -> None:
    it = engine()
    packets = block([ethernet(outer), request(b"bare")])
    (made,) = it.segments(packets, 0, 0)
    assert [(r.src, r.sport, r.dst, r.dport, r.payload) for r in rows(made)] == [
        (A4, 40000, B4, 80, b"GET /"), (A4, 40000, B4, 80, b"bare"),
    ]
    assert len(made.flows) == 1
    assert it.counts["filter.tunnel"] == 1


def test_ipv6_in_ipv4() -> None:
    (row,), _ = run([ethernet(ipv4("1.1.1.1", "2.2.2.2", 41, ipv6(A6, B6, 6, tcp(1, 2, b"x"))))])
    assert (row.src, row.dst, row.payload) == (A6, B6, b"x")


@pytest.mark.parametrize("payload", [b"\x08" + bytes(7) + b"no ethernet frame, no packet", b"just a datagram", b"\x08"])
def test_what_only_looks_like_a_tunnel_is_a_datagram(payload: bytes) -> None:
    (row,), _ = run([ethernet(ipv4(A4, B4, 17, udp(5, 4789, payload)))])
    assert (row.dport, row.payload) == (4789, payload)


def test_tunnels_in_tunnels_end() -> None:
    packet = request()[14:]
    for _ in range(30):
        packet = ipv4("1.1.1.1", "2.2.2.2", 4, packet)
    found, drops = run([ethernet(packet)])
    assert not found
    assert drops == {Drop.OTHER_TRANSPORT: 1}


def test_fragments_are_one_datagram() -> None:
    payload = bytes(range(250)) * 16
    pieces = fragments_of(17, udp(7, 8, payload), 1480)
    before, after = request(b"before"), request(b"after")
    found, drops = run([before, pieces[1], pieces[0], pieces[2], after])
    assert [r.payload for r in found] == [b"before", payload, b"after"]
    whole = found[1]
    assert (whole.packet, whole.sport, whole.dport, whole.payload_wire) == (3, 7, 8, len(payload))
    assert whole.frame == ethernet(ipv4(A4, B4, 17, udp(7, 8, payload), ident=1))
    assert whole.frame_wire == len(whole.frame)
    assert drops == {Drop.FRAGMENT_HELD: 2}


def test_fragments_may_come_in_several_blocks() -> None:
    it = engine()
    made = [it.segments(block([piece]), 0, n) for n, piece in enumerate(fragments_of(17, udp(7, 8, bytes(3000)), 1480))]
    assert [row.payload for row in rows(made[2][0])] == [bytes(3000)]
    assert it.held() == {"flows": 1, "fragments": 0, "fragment_bytes": 0}


@pytest.mark.parametrize("inner_first", [True, False])
def test_fragments_and_tunnels(inner_first: bool) -> None:
    datagram = udp(7, 8, bytes(3000))
    if inner_first:
        inner = fragments_of(17, datagram, 1480)
        frames = [ethernet(ipv4("1.1.1.1", "2.2.2.2", 17, udp(5, 4789, b"\x08" + bytes(7) + f))) for f in inner]
    else:
        outer = udp(5, 4789, b"\x08" + bytes(7) + ethernet(ipv4("1.1.1.1", "2.2.2.2", 17, datagram)))
        frames = fragments_of(17, outer, 1480)
    found, drops = run(frames)
    assert [(r.sport, r.dport, r.payload) for r in found] == [(7, 8, bytes(3000))]
    assert drops == {Drop.FRAGMENT_HELD: 2}


def test_fragments_expire_on_the_clock_of_their_ring() -> None:
    it = engine(limits=EngineLimits(fragment_ns=SECOND))
    first, *rest = fragments_of(17, udp(7, 8, bytes(3000)), 1480)
    it.segments(block([first]), 0, 0)
    it.segments(block([], clock_ns=START_NS + 9 * SECOND, ring=1), 0, 1)
    assert it.held()["fragments"] == 1
    it.segments(block([], clock_ns=START_NS + 2 * SECOND), 0, 2)
    assert it.held()["fragments"] == 0
    assert it.counts["lost.filter.fragments"] == 1
    assert it.segments(block([Seen(f, START_NS + 2 * SECOND) for f in rest]), 0, 3) == []
    assert dropped(it) == {Drop.FRAGMENT_HELD: 3}


QUOTED = ipv4(A4, B4, 17, udp(5000, 53, b"x" * 40))


@pytest.mark.parametrize(
    ("frame", "protocol", "flags"),
    [
        (ethernet(ipv4("10.9.9.9", A4, 1, icmp(3, 3, QUOTED[:28]))), 1, 0x0303),
        (ethernet(ipv4("10.9.9.9", A4, 1, icmp(11, 0, QUOTED))), 1, 0x0B00),
        (ethernet(ipv6(B6, A6, 58, icmp(1, 4, ipv6(A6, B6, 17, udp(5000, 53, b"x")))), kind=0x86DD), 58, 0x0104),
    ],
)
def test_an_icmp_error_is_about_a_flow(frame: bytes, protocol: int, flags: int) -> None:
    (row,), _ = run([frame])
    assert (row.protocol, row.flags, row.payload, row.payload_wire) == (protocol, flags, b"", 0)
    assert (row.sport, row.dport) == (5000, 53)
    assert (row.src, row.dst) == ((A4, B4) if protocol == 1 else (A6, B6))
    assert row.frame == frame


def test_an_icmp_error_shares_the_flow_and_the_shard() -> None:
    it = engine(shards=16)
    error = ethernet(ipv4("10.9.9.9", B4, 1, icmp(3, 1, response()[14:54])))
    with_rows = [m for m in it.segments(block([request(), response(), error]), 0, 0) if m.count]
    assert [[r.protocol for r in rows(m)] for m in with_rows] == [[6, 6, 1]]
    assert [flow.sport for flow in with_rows[0].flows] == [40000, 80]
    assert memoryview(with_rows[0].flow).cast("I").tolist() == [0, 1, 1]


@pytest.mark.parametrize("shards", [1, 3, 16])
def test_both_directions_are_in_the_shard_of_the_flow(shards: int) -> None:
    frames = [f for port in range(1000, 1040) for f in (request(sport=port), response(sport=port))]
    made = engine(shards=shards).segments(block(frames), 0, 0)
    assert [m.shard for m in made] == list(range(shards))
    for m in made:
        assert all(shard_of(flow, shards) == m.shard for flow in m.flows)
        assert [r.packet for r in rows(m)] == sorted(r.packet for r in rows(m))
    found = sorted((r for m in made for r in rows(m)), key=lambda r: r.packet)
    assert [r.frame for r in found] == frames


DROPS = {
    Drop.NOT_IP: ethernet(bytes(40), kind=0x0806),
    Drop.MALFORMED_LINK: b"\x02" * 9,
    Drop.MALFORMED_IP: ethernet(ipv4(A4, B4, 6, b"", total=5)),
    Drop.MALFORMED_TRANSPORT: ethernet(ipv4(A4, B4, 6, bytes(12))),
    Drop.SNAPPED_HEADERS: Seen(request()[:50], wire=59),
    Drop.OTHER_TRANSPORT: ethernet(ipv4(A4, B4, 132, bytes(40))),
    Drop.ICMP_OTHER: ethernet(ipv4(A4, B4, 1, icmp(8, 0, bytes(40)))),
    Drop.FRAGMENT_REFUSED: ethernet(ipv4(A4, B4, 17, bytes(9), fragment=0x2000)),
    Drop.FRAGMENT_HELD: ethernet(ipv4(A4, B4, 17, bytes(8), fragment=0x2000)),
}


@pytest.mark.parametrize(("reason", "frame"), DROPS.items(), ids=[d.value for d in DROPS])
def test_reasons(reason: Drop, frame: Seen | bytes) -> None:
    assert run([frame]) == ([], {reason: 1})


@pytest.mark.parametrize(
    ("quoted", "reason"),
    [
        (b"", Drop.MALFORMED_TRANSPORT),
        (QUOTED[:21], Drop.MALFORMED_TRANSPORT),
        (ipv4(A4, B4, 1, icmp(8, 0)), Drop.ICMP_OTHER),
        (ipv4(A4, B4, 17, bytes(20), fragment=5), Drop.ICMP_OTHER),
    ],
)
def test_icmp_errors_about_nothing(quoted: bytes, reason: Drop) -> None:
    assert run([ethernet(ipv4(B4, A4, 1, icmp(3, 3, quoted)))]) == ([], {reason: 1})


def test_an_unknown_link_type() -> None:
    assert run([request()], linktype=147) == ([], {Drop.UNKNOWN_LINK: 1})


def test_a_block_that_announces_more_than_it_has() -> None:
    it = engine()
    whole = block([request(), request()])
    it.segments(block([], count=5, data=whole.data[:-1]), 0, 0)
    assert dropped(it) == {Drop.MALFORMED_BLOCK: 4}
