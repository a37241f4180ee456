"""Blocks that stop at a flow that is not settled, bare views, leaks, and what is forgotten with a node's last ring."""

from __future__ import annotations

from typing import Any

import pytest

from weir.engine.api import Drop
from weir.engine.pure import PureHeaderEngine
from weir.model.flow import DirectedFlow
from weir.model.packets import Promise
from weir.model.segments import ACK, FIN, SYN, SegmentBlock
from weir.testing.headers import A4, B4, Want, engine, fragments_of, request, response
from weir.testing.packets import START_NS, Seen, block, ethernet, icmp, ipv4, rows, tcp, udp


class Waits(Want):
    """Flows from these client ports are not settled."""

    def __init__(self, *ports: int, **fields: Any) -> None:
        super().__init__(**fields)
        self.ports = set(ports)

    def unsettled(self, flow: DirectedFlow, ts_ns: int) -> bool:
        return bool({flow.sport, flow.dport} & self.ports)


FRAMES = [request(b"%d" % n, sport=port) for n, port in enumerate((1, 2, 1, 3, 2, 1, 3))]


def payloads(made: list[SegmentBlock]) -> list[bytes]:
    return [row.payload for m in made for row in rows(m)]


def test_a_passage_stops_where_a_flow_is_not_settled_and_goes_on_there() -> None:
    policy = Waits(2, 3)
    it = engine(policy)
    passage = it.passage(block([Seen(f, START_NS + n) for n, f in enumerate(FRAMES)]), 3, 9)
    assert passage.go() is None
    assert (passage.waits[0].sport, passage.waits[1]) == (2, START_NS + 1)
    assert passage.go() is None
    policy.ports = {3}
    policy.version += 1
    policy.revision = 8
    assert passage.go() is None
    assert (passage.waits[0].sport, passage.waits[1]) == (3, START_NS + 3)
    assert it.counts["filter.segments"] == 0
    policy.ports = set()
    made = passage.go()
    assert made is not None
    assert payloads(made) == [b"%d" % n for n in range(7)]
    assert [row.packet for m in made for row in rows(m)] == list(range(7))
    assert (made[0].origin_partition, made[0].origin_offset, made[0].revision) == (3, 9, 8)
    assert it.counts == {"filter.packets": 7, "filter.segments": 7}


def test_what_waits_is_the_same_as_what_did_not() -> None:
    patient, plain = engine(Waits(2, 3), shards=3), engine(Want(), shards=3)
    b = block(FRAMES)
    passage = patient.passage(b, 0, 0)
    while (made := passage.go()) is None:
        patient._policy.ports.discard(passage.waits[0].sport)  # type: ignore[attr-defined]
    assert made == plain.segments(b, 0, 0)
    assert patient.counts == plain.counts


def test_other_rings_go_on_meanwhile() -> None:
    policy = Waits(2)
    it = engine(policy)
    held = it.passage(block(FRAMES), 0, 0)
    assert held.go() is None
    assert payloads(it.segments(block([request(b"x", sport=9)], ring=1), 0, 1)) == [b"x"]
    policy.ports.clear()
    made = held.go()
    assert made is not None
    assert len(payloads(made)) == 7


def test_a_datagram_of_fragments_may_wait() -> None:
    policy = Waits(5)
    it = engine(policy)
    passage = it.passage(block(fragments_of(17, udp(5, 99, bytes(3000)), 1480)), 0, 0)
    assert passage.go() is None
    policy.ports.clear()
    made = passage.go()
    assert made is not None
    assert payloads(made) == [bytes(3000)]
    assert it.held()["fragments"] == 0


def test_segments_do_not_wait() -> None:
    assert len(payloads(engine(Waits(1, 2, 3)).segments(block(FRAMES), 0, 0))) == 7


def bare(*frames: bytes) -> list[tuple[int, bytes]]:
    made = engine(Want(bare=True)).segments(block(frames), 0, 0)
    assert all(flow.bare and flow.outline for m in made for flow in m.flows)
    return [(row.flags, row.payload) for m in made for row in rows(m)]


def test_a_bare_view_has_openings_and_closings_alone() -> None:
    assert bare(request(flags=SYN), request(b"x"), response(b"y"), request(b"z", flags=FIN | ACK)) == [
        (SYN, b""), (FIN | ACK, b""),
    ]
    query = ethernet(ipv4(A4, B4, 17, udp(5000, 53, b"query")))
    over_tcp = ethernet(ipv4(A4, B4, 6, tcp(5000, 53, b"query", flags=SYN)))
    refused = ethernet(ipv4("10.9.9.9", A4, 1, icmp(3, 3, ipv4(A4, B4, 17, udp(5000, 99)))))
    assert bare(query, over_tcp, refused) == [(SYN, b"")]


def leaks(*frames: bytes, promise: Promise = "exact", excused: bool = False, **policy: Any) -> dict[str, int]:
    want = Want(**policy)
    want.excuses = excused
    it = engine(want)
    made = it.segments(block(frames, promise=promise), 0, 0)
    found = {name[14:-1]: n for name, n in it.counts.items() if name.startswith("filter.leaked")}
    assert not found or payloads(made) == []
    return found


QUIC = ethernet(ipv4(A4, B4, 17, udp(5000, 443, b"QUIC")))
QUERY = ethernet(ipv4(A4, B4, 17, udp(5000, 53, b"query")))


@pytest.mark.parametrize("promise", ["exact", "outline"])
def test_payload_that_the_source_promised_to_keep_back_is_a_leak(promise: Promise) -> None:
    assert leaks(request(), request(), QUIC, outline=True, promise=promise) == {"outline": 3}
    for reason in (Drop.NOT_TARGETED, Drop.OWN_TRAFFIC):
        assert leaks(request(), request(), QUIC, refused=reason, promise=promise) == {str(reason): 3}


def test_a_bare_view_with_payload_is_a_leak_of_an_exact_source() -> None:
    assert leaks(request(), QUERY, bare=True) == {"bare": 2}
    assert leaks(request(), QUERY, bare=True, promise="outline") == {}


@pytest.mark.parametrize("short_cut", [True, False])
def test_payload_from_before_the_vantage_moved_is_taken(short_cut: bool) -> None:
    frames = [request(b"", flags=SYN), request(b"1"), request(b"2"), request(b"", flags=ACK)]

    def found(promise: Promise = "exact", *, excused: bool = True, elsewhere: bool = True) -> list[bytes]:
        want = Want(bare=True, elsewhere=elsewhere)
        want.excuses = excused
        made = engine(want, short_cut=short_cut).segments(block(frames, promise=promise), 0, 0)
        seen = [row.payload for m in made for row in rows(m) if row.payload]
        assert all(any(flow.bare == bare for m in made for flow in m.flows) for bare in ((True, False) if seen else ()))
        return seen

    assert found() == [b"1", b"2"]
    assert found(excused=False) == found(elsewhere=False) == found("outline") == found("") == []


def test_what_is_no_leak() -> None:
    opening = [request(b"", flags=SYN), request(b"x", flags=FIN | ACK), request(b"", flags=ACK), QUERY]
    assert leaks(*opening, outline=True) == {}
    assert leaks(request(), QUIC, promise="") == leaks(request(), QUIC, promise="", outline=True) == {}
    assert leaks(request(), QUIC) == {}
    assert leaks(request(), QUIC, outline=True, excused=True) == {}
    assert leaks(request(), refused=Drop.SAMPLED_OUT) == {}
    assert leaks(*fragments_of(17, udp(5, 99, bytes(3000)), 1480), outline=True) == {}
    tunnel = ethernet(ipv4("10.8.0.1", "10.8.0.2", 17, udp(1, 4789, b"\x08" + bytes(7) + request())))
    assert leaks(tunnel, outline=True) == {}


def flows(it: PureHeaderEngine) -> int:
    return it.held()["flows"]


def test_a_nodes_flows_are_forgotten_with_its_last_ring() -> None:
    it = engine()
    for ring in (0, 1):
        it.segments(block([request(sport=1), request(sport=2)], ring=ring, scope="pod" if ring else ""), 0, ring)
    it.segments(block([request(sport=1)], node="other"), 0, 3)
    assert flows(it) == 5
    it.segments(block([], ring=0, end=True), 0, 4)
    assert flows(it) == 5
    it.segments(block([], ring=1, end=True), 0, 5)
    assert flows(it) == 1
    assert payloads(it.segments(block([request(b"x")], ring=1), 0, 6)) == [b"x"]


def test_memory_stays_flat_over_many_files() -> None:
    it = engine()
    for n in range(50):
        for frames, end in ((FRAMES, False), (fragments_of(17, bytes(3000), 1480)[:1], False), ([], True)):
            it.segments(block(frames, node=f"file{n}", end=end), 0, n)
        assert it.held() == {"flows": 0, "fragments": 0, "fragment_bytes": 0}
    assert not it._known
    assert not it._passed
    assert not it._rings
    assert it.counts["lost.filter.fragments"] == 50
