"""What a policy decides, who owns a flow, and what each shard hears of a ring."""

from __future__ import annotations

from typing import Any

import pytest

from weir.engine.api import Drop, EngineLimits
from weir.engine.pure import PureHeaderEngine
from weir.model.packets import LINKTYPE_BY_HATYPE, PacketBlock
from weir.model.segments import ACK, FIN, RST, SYN, SegmentBlock
from weir.testing.headers import A4, A6, B4, B6, Want, dropped, engine, fragments_of, request, response, run
from weir.testing.packets import START_NS, Seen, Segment, block, ethernet, icmp, ipv4, ipv6, rows, tcp, udp

SECOND = 1_000_000_000


def test_refused_flows_are_counted_packet_by_packet() -> None:
    assert run([request(), request()], Want(refused=Drop.NOT_TARGETED)) == ([], {Drop.NOT_TARGETED: 2})


def test_the_policy_is_asked_once_for_each_directed_flow() -> None:
    policy = Want()
    it = engine(policy)
    for n in range(3):
        it.segments(block([Seen(request(), START_NS + n), response(), request()]), 0, n)
    assert [(flow.sport, node, ts) for flow, node, ts in policy.asked] == [
        (40000, "node", START_NS), (80, "node", START_NS),
    ]
    policy.version += 1
    policy.refused = Drop.NOT_TARGETED
    assert it.segments(block([request()]), 0, 3) == []
    assert len(policy.asked) == 3


def test_scopes_are_kept_apart() -> None:
    policy = Want()
    it = engine(policy)
    made = [it.segments(block([request()], scope=scope), 0, n)[0] for n, scope in enumerate(("a", "b"))]
    assert [m.flows[0].scope for m in made] == ["a", "b"]
    assert len(policy.asked) == 2


def test_flows_are_bounded() -> None:
    it = engine(limits=EngineLimits(flows=10))
    for n in range(100):
        assert it.segments(block([request(sport=n + 1)]), 0, n)[0].count == 1
        assert it.held()["flows"] <= 10
    assert it.counts["filter.flows_forgotten"] == 99


def outline(*frames: bytes) -> tuple[list[Segment], dict[str, int]]:
    return run(frames, Want(outline=True))


@pytest.mark.parametrize("flags", [SYN, SYN | ACK, FIN | ACK, RST])
def test_an_outline_has_openings_and_closings_without_payload(flags: int) -> None:
    frame = request(b"SECRET", flags=flags)
    found, drops = outline(frame, request(), request())
    assert [(r.flags, r.payload, r.payload_wire, r.frame, r.frame_wire, r.outline) for r in found] == [
        (flags, b"", 6, frame[:54], 60, True)
    ]
    assert drops == {Drop.OUTLINE: 2}


def test_an_outline_lets_dns_through_whole() -> None:
    query = ethernet(ipv4(A4, B4, 17, udp(5000, 53, b"query")))
    answer = ethernet(ipv4(B4, A4, 6, tcp(53, 5000, b"answer")))
    found, drops = outline(query, answer, ethernet(ipv4(A4, B4, 17, udp(5000, 443, b"QUIC"))))
    assert [r.payload for r in found] == [b"query", b"answer"]
    assert drops == {Drop.OUTLINE: 1}


def test_an_outline_has_icmp_errors_without_what_they_quote() -> None:
    (row,), _ = outline(ethernet(ipv4("10.9.9.9", A4, 1, icmp(3, 3, ipv4(A4, B4, 17, udp(5000, 99, b"SECRET"))))))
    assert b"SECRET" not in row.frame
    assert row.flags == 0x0303


def test_what_an_outline_cuts_does_not_travel() -> None:
    (made,) = engine(Want(outline=True)).segments(block([request(b"SECRET", flags=SYN)]), 0, 0)
    assert made.count == 1
    assert b"SECRET" not in bytes(made.frames)


def ring(*seen: Seen, **fields: Any) -> PacketBlock:
    return block(seen, **{"layout": "tpacket3", "linktype": LINKTYPE_BY_HATYPE, **fields})


@pytest.mark.parametrize("short_cut", [True, False])
def test_the_first_interface_owns_a_directed_flow(short_cut: bool) -> None:
    it = engine(short_cut=short_cut)
    first = ring(Seen(request(b"1"), interface=2), Seen(request(b"1"), interface=3), Seen(request(b"2"), interface=2))
    back = ring(Seen(response(b"3"), interface=3), Seen(response(b"3"), interface=2), Seen(request(b"2"), interface=3))
    found = [r.payload for n, b in enumerate((first, back)) for m in it.segments(b, 0, n) for r in rows(m)]
    assert found == [b"1", b"2", b"3"]
    assert dropped(it) == {Drop.DUPLICATE: 3}


@pytest.mark.parametrize("short_cut", [True, False])
@pytest.mark.parametrize(("pause", "passes"), [(SECOND, False), (SECOND + 1, True), (-SECOND - 1, True)])
def test_ownership_ends_a_second_after_the_last_packet(short_cut: bool, pause: int, passes: bool) -> None:
    it = engine(short_cut=short_cut)
    last = START_NS + 5 * SECOND
    it.segments(ring(Seen(request(), START_NS, interface=2), Seen(request(), last - 9, interface=2)), 0, 0)
    it.segments(ring(Seen(request(), last, interface=2)), 0, 1)
    made = it.segments(ring(Seen(request(), last + pause, interface=3)), 0, 2)
    assert sum(m.count for m in made) == passes


def test_ownership_holds_for_all_rings_of_a_node_and_not_for_others() -> None:
    it = engine()
    it.segments(ring(Seen(request(), interface=2)), 0, 0)
    assert sum(m.count for m in it.segments(ring(Seen(request(), interface=3), ring=1), 0, 1)) == 0
    assert sum(m.count for m in it.segments(ring(Seen(request(), interface=3), node="other"), 0, 2)) == 1


def test_ownership_outlives_a_change_of_what_is_wanted() -> None:
    policy = Want()
    it = engine(policy)
    it.segments(ring(Seen(request(), interface=2)), 0, 0)
    policy.version += 1
    assert sum(m.count for m in it.segments(ring(Seen(request(), interface=3)), 0, 1)) == 0


def test_an_icmp_error_may_come_from_elsewhere() -> None:
    error = ethernet(ipv4("10.9.9.9", A4, 1, icmp(3, 1, request()[14:])))
    (made,) = engine().segments(
        ring(Seen(request(), interface=2), Seen(error, interface=3), Seen(error, interface=4)), 0, 0
    )
    assert [r.protocol for r in rows(made)] == [6, 1]


def test_the_second_copy_on_loopback_is_a_duplicate() -> None:
    found, drops = run(
        [Seen(request(), hatype=772, pkttype=4), Seen(request(), hatype=772)], layout="tpacket3",
        linktype=LINKTYPE_BY_HATYPE,
    )
    assert [r.packet for r in found] == [1]
    assert drops == {Drop.DUPLICATE: 1}


def test_frames_of_a_ring_of_many_interfaces_are_all_ethernet() -> None:
    bare = ipv6(A6, B6, 6, tcp(1, 2, b"six"))
    it = engine()
    (made,) = it.segments(
        ring(
            Seen(request()),
            Seen(bare, hatype=65534, link_header=0, protocol=0x86DD, interface=5, wire=len(bare) + 10),
            Seen(b"whatever", hatype=801, link_header=0, protocol=0x00F5),
            Seen(request(b"later")),
        ), 0, 0,
    )
    assert made.linktype == 1
    found = rows(made)
    assert [r.payload for r in found] == [b"GET /", b"six", b"later"]
    assert found[1].frame == bytes(12) + b"\x86\xdd" + bare
    assert found[1].frame_wire == len(bare) + 24
    assert dropped(it) == {Drop.NOT_IP: 1}


@pytest.mark.parametrize(("told", "tpid"), [(0, 0x8100), (0x8100, 0x8100), (0x88A8, 0x88A8)])
@pytest.mark.parametrize("short_cut", [True, False])
def test_a_tag_that_the_kernel_took_out_is_put_back(told: int, tpid: int, short_cut: bool) -> None:
    plain = request(b"untagged")
    seen = Seen(request(b"tagged"), wire=100, tag=(told, 0x2005))
    (made,) = engine(short_cut=short_cut).segments(ring(Seen(plain), seen, Seen(plain)), 0, 0)
    found = rows(made)
    assert [r.payload for r in found] == [b"untagged", b"tagged", b"untagged"]
    assert found[1].frame == seen.frame[:12] + tpid.to_bytes(2, "big") + b"\x20\x05" + seen.frame[12:]
    assert (found[1].frame_wire, found[0].frame) == (104, plain)


def test_fragments_without_a_link_header() -> None:
    pieces = [f[14:] for f in fragments_of(17, udp(7, 8, bytes(3000)), 1480)]
    (made,) = engine().segments(ring(*[Seen(p, hatype=65534, link_header=0) for p in pieces]), 0, 0)
    (row,) = rows(made)
    assert row.frame == bytes(12) + b"\x08\x00" + ipv4(A4, B4, 17, udp(7, 8, bytes(3000)), ident=1)


def passed_on(it: PureHeaderEngine, packets: PacketBlock) -> list[int]:
    return [m.shard for m in it.segments(packets, 0, 0)]


def test_every_shard_hears_the_clock() -> None:
    it = engine(shards=3)
    assert passed_on(it, block([], clock_ns=START_NS)) == [0, 1, 2]
    assert passed_on(it, block([], clock_ns=START_NS + SECOND // 2 - 1)) == []
    assert passed_on(it, block([], clock_ns=START_NS + SECOND // 2)) == [0, 1, 2]
    assert passed_on(it, block([], clock_ns=START_NS, ring=1)) == [0, 1, 2]
    assert passed_on(it, block([], clock_ns=START_NS + SECOND // 2 + 1, lost=1)) == [0, 1, 2]
    assert passed_on(it, block([], clock_ns=START_NS + SECOND // 2 + 2, run=2)) == [0, 1, 2]
    assert passed_on(it, block([], clock_ns=START_NS + SECOND // 2 + 3, run=2, end=True)) == [0, 1, 2]


def test_a_block_with_segments_passes_the_clock_on_too() -> None:
    it = engine(shards=3)
    passed_on(it, block([], clock_ns=START_NS))
    (shard,) = passed_on(it, block([request()], clock_ns=START_NS + SECOND // 4))
    others = [s for s in range(3) if s != shard]
    assert passed_on(it, block([], clock_ns=START_NS + SECOND // 2)) == others
    assert passed_on(it, block([], clock_ns=START_NS + SECOND * 3 // 4)) == [shard]


def test_a_segment_block_fits_its_topic() -> None:
    limits = EngineLimits(segment_bytes=4000)
    it = engine(limits=limits)
    (made,) = it.segments(block([request(sport=n) for n in range(1, 101)]), 0, 0)
    assert 0 < made.count < 100
    assert [r.packet for r in rows(made)] == list(range(made.count))
    assert len(made.flows) == made.count
    assert len(made.frames) + 51 * made.count + 128 * len(made.flows) <= limits.segment_bytes
    assert dropped(it) == {Drop.BLOCK_FULL: 100 - made.count}


def test_data_in_a_foreign_buffer() -> None:
    fragments = fragments_of(17, udp(7, 8, bytes(3000)), 1480)
    packets = block([request(), response(), ethernet(bytes(40), kind=0x0806), *fragments])
    view = block([], count=packets.count, data=memoryview(packets.data))

    def made(packets: PacketBlock) -> list[list[Segment]]:
        segments: list[SegmentBlock] = engine().segments(packets, 0, 0)
        return [rows(m) for m in segments]

    assert made(view) == made(packets)
