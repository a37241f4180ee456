"""What two vantages show of one conversation, however far one is behind the other, and when somebody looks."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from weir.decode.core import Decoder
from weir.decode.settings import DecodeSettings
from weir.decode.snapshot import restore, save
from weir.model.entry import EntryMap
from weir.model.flow import UDP, Side
from weir.model.segments import FIN, SYN
from weir.testing.segments import NS, START, Connection, Segment, block, datagram, directed
from weir.testing.toy import Toy

C, S = Side.CLIENT, Side.SERVER
ASK, ANSWER = b"TOY 1 hello\n", b"TOY 1 world\n"


class Nodes:
    """A decoder that is fed by two nodes; `node-b` is two seconds behind by its own clock."""

    def __init__(self) -> None:
        self.decoder = Decoder(DecodeSettings(), [Toy()])
        self.entries: list[EntryMap] = []
        self._offset = 0

    def feed(self, node: str, *segments: Segment, clock_ns: int | None = None, end: bool = False) -> None:
        skew = -2 * NS if node == "node-b" else 0
        rows = [segment.at(segment.ts_ns + skew) for segment in segments]
        clock = max([START, *(row.ts_ns for row in rows)]) if clock_ns is None else clock_ns + skew
        made = block(
            rows, node=node, partition=int(node == "node-b"), offset=self._offset, clock_ns=clock, end=end
        )
        self._offset += 1
        self.entries += self.decoder.feed(made)

    def taken_over(self) -> None:
        """Whoever comes next has the same state."""
        heir = Decoder(DecodeSettings(), [Toy()])
        restore(heir, save(self.decoder))
        self.decoder = heir

    def both_end(self) -> None:
        self.feed("node-a", clock_ns=START + 900 * NS, end=True)
        self.feed("node-b", clock_ns=START + 900 * NS, end=True)

    @property
    def flow(self) -> EntryMap:
        (flow,) = (entry for entry in self.entries if entry["kind"] == "flow")
        return flow


def slow(step: int = NS) -> list[Segment]:
    """A connection in which every packet takes a second."""
    c = Connection(step=step)
    return [*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), *c.close()]


@pytest.mark.parametrize("ahead", range(1, 8))
def test_the_owner_is_behind_when_another_vantage_shows_the_end(ahead: int) -> None:
    run, segments = Nodes(), slow()
    run.feed("node-a", *segments[:ahead])
    run.feed("node-b", *segments)
    run.taken_over()
    for segment in segments[ahead:]:
        run.feed("node-a", segment)
    run.both_end()
    assert (run.flow["conn_local_pkts"], run.flow["conn_remote_pkts"]) == (5, 3)
    assert "retransmissions" not in run.flow
    assert len(run.entries) == 2


@pytest.mark.parametrize("behind", range(8))
def test_another_vantage_goes_on_long_after_the_owner_showed_the_end(behind: int) -> None:
    run, segments = Nodes(), slow()
    run.feed("node-a", *segments[:1])
    run.feed("node-b", *segments[:behind])
    run.feed("node-a", *segments[1:])
    run.feed("node-a", clock_ns=START + 12 * NS)
    run.feed("node-b", *segments[behind:behind + 1])
    run.taken_over()
    run.feed("node-a", clock_ns=START + 600 * NS)
    for segment in segments[behind + 1:]:
        run.feed("node-b", segment)
    run.both_end()
    assert (run.flow["conn_local_pkts"], run.flow["conn_remote_pkts"]) == (5, 3)
    assert len(run.entries) == 2


def test_what_is_over_is_forgotten_once_everybody_has_shown_its_end_or_ended() -> None:
    for end in (False, True):
        run, segments = Nodes(), slow()
        run.feed("node-a", *segments)
        run.feed("node-b", *segments[:2])
        run.feed("node-a", clock_ns=START + 600 * NS)
        assert len(run.decoder.tombs) == 1
        run.feed("node-b", clock_ns=START + (10 if end else 600) * NS, end=end)
        run.feed("node-a", clock_ns=START + 700 * NS)
        assert run.decoder.tombs == {}


def test_repeats_of_the_vantage_that_counts_are_counted_even_if_another_one_is_ahead() -> None:
    run, segments = Nodes(), slow()
    run.feed("node-a", *segments[:1])
    run.feed("node-b", *segments)
    run.feed("node-a", *segments[1:4], segments[3], *segments[4:])
    run.both_end()
    assert run.flow["retransmissions"] == 1


def test_a_packet_that_claims_to_be_later_than_its_ring_keeps_nothing_open() -> None:
    run, segments = Nodes(), slow()
    run.feed("node-a", *segments[:-1])
    run.feed("node-b", segments[0])
    run.feed("node-b", segments[-2].at(START + 10**6 * NS), clock_ns=START + 9 * NS)
    run.feed("node-a", clock_ns=START + 60 * NS)
    assert run.flow["conn_end"] == "fin"


def test_what_another_vantage_shows_out_of_order_waits_until_the_owner_could_have_shown_it() -> None:
    run, segments = Nodes(), slow()
    run.feed("node-a", *segments[:3])
    run.feed("node-b", *segments[:3], segments[5])
    run.feed("node-a", clock_ns=START + int(3.9 * NS))
    run.feed("node-b", *segments[3:5], *segments[6:])
    run.feed("node-a", *segments[3:])
    run.both_end()
    assert [entry["summary"] for entry in run.entries if entry["kind"] != "flow"] == ["hello → world"]
    assert "lost_bytes" not in run.flow


def outlined(segments: list[Segment]) -> list[Segment]:
    """What a vantage passes on that is to keep the outline only."""
    return [
        msgspec.structs.replace(
            segment, flow=msgspec.structs.replace(segment.flow, outline=True), payload=b"", wire=segment.length
        )
        for segment in segments if segment.flags & (SYN | FIN)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_the_outline_of_another_vantage_takes_nothing_from_the_payload(seed: int) -> None:
    chance = random.Random(seed)
    run = Nodes()
    waiting = {"node-a": slow(), "node-b": outlined(slow())}
    while waiting := {node: segments for node, segments in waiting.items() if segments}:
        node = chance.choice(list(waiting))
        taken = chance.randrange(1, 9)
        run.feed(node, *waiting[node][:taken])
        waiting[node] = waiting[node][taken:]
        if chance.random() < 0.3:
            run.taken_over()
    run.both_end()
    flow = max((e for e in run.entries if e["kind"] == "flow"), key=lambda e: e.get("version", 1))
    assert len({e["id"] for e in run.entries}) == 2
    assert [e["summary"] for e in run.entries if e["kind"] != "flow"] == ["hello → world"]
    assert (flow["conn_local_pkts"], flow["conn_remote_pkts"], flow["conn_l7_detected"]) == (5, 3, ["toy"])


def test_datagrams_are_counted_where_the_owner_shows_them_even_if_another_vantage_is_faster() -> None:
    forth = directed(sport=5000, protocol=UDP)
    sent = [datagram(forth, b"TOY %d hello\n" % n, START + n * NS) for n in range(4)]
    run = Nodes()
    run.feed("node-a", sent[0])
    run.feed("node-b", *sent)
    run.feed("node-a", *sent[1:])
    run.both_end()
    flows = [entry for entry in run.entries if entry["kind"] == "flow"]
    assert [flow["flow_local_pkts"] + flow["flow_remote_pkts"] for flow in flows] == [4]


def test_what_waited_is_given_out_in_one_order_whenever_somebody_looks() -> None:
    c = Connection(step=200_000_000)
    sent = [c.segment(side, b"%d" % n) for n, side in enumerate((C, S, C, S))]
    sent.append(c.segment(C, b"last").at(START + 30 * NS))
    orders: list[list[bytes]] = []
    for ticks in (0, 1, 7):
        decoder = Decoder(DecodeSettings(), [Toy()])
        given: list[bytes] = []

        def note(flow: Any, end: int, data: bytes, *rest: Any, given: list[bytes] = given) -> None:
            given.append(data)

        decoder.talk.data = note  # type: ignore[method-assign]
        for n, segment in enumerate(sent):
            decoder.feed(block([segment], offset=10 * n))
            for tick in range(ticks):
                clock = segment.ts_ns + (tick + 1) * 250_000_000
                if n + 1 < len(sent) and clock <= sent[n + 1].ts_ns:
                    decoder.feed(block(offset=10 * n + 1 + tick, clock_ns=clock))
        orders.append(given)
    assert orders[0] == orders[1] == orders[2]
    assert len(orders[0]) == 5
