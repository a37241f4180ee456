"""Totals from the kernel's table: connections from before weir came, UDP, sizes of what is open."""

from __future__ import annotations

from typing import Any

import pytest

from weir.decode.core import Decoder
from weir.decode.rows import Malformed
from weir.decode.settings import DecodeSettings
from weir.decode.snapshot import restore, save
from weir.directory import Directory
from weir.model.control import EndpointRecord
from weir.model.entry import EntryMap
from weir.model.flow import UDP, DirectedFlow, Side
from weir.model.segments import ACK, FIN, SYN, SegmentBlock, Tally
from weir.testing.segments import NS, START, Connection, Segment, block, datagram, directed
from weir.testing.toy import Toy

C, S = Side.CLIENT, Side.SERVER
OUTLINE = directed(outline=True)
BACK = OUTLINE.reversed()
QUIC = directed(sport=40000, dport=443, protocol=UDP, outline=True)


def tally(
    flow: DirectedFlow, packets: int, size: int, last_s: float = 0, *, first_s: float = 0, flags: int = ACK,
    last: bool = False,
) -> tuple[DirectedFlow, Tally]:
    """Totals of a flow; times in seconds after the beginning."""
    return flow, Tally(
        flow=0, packets=packets, bytes=size, flags=flags, first_ns=START + int(first_s * NS),
        last_ns=START + int(last_s * NS), last=last,
    )


class Run:
    """A decoder, and all that it gave."""

    def __init__(self, **options: Any) -> None:
        self.decoder = Decoder(DecodeSettings(), [Toy()], **options)
        self.entries: list[EntryMap] = []
        self.offset = 0

    def feed(self, *segments: Segment, at: float | None = None, **options: Any) -> list[EntryMap]:
        """A block whose clock is `at` seconds after the beginning."""
        if at is not None:
            options["clock_ns"] = START + int(at * NS)
        self.offset += 1
        made = self.decoder.feed(block(segments, offset=self.offset, **options))
        self.entries += made
        return made

    def count(self, at: float, *tallies: tuple[DirectedFlow, Tally], **options: Any) -> list[EntryMap]:
        return self.feed(at=at, tallies=tallies, **options)

    def taken_over(self) -> None:
        heir = Decoder(DecodeSettings(), [Toy()])
        restore(heir, save(self.decoder))
        self.decoder = heir


def sizes(entry: EntryMap, prefix: str = "conn") -> tuple[int, ...]:
    """Packets and bytes of the client, then of the server."""
    return tuple(entry[f"{prefix}_{end}_{what}"] for end in ("local", "remote") for what in ("pkts", "bytes"))


def test_a_connection_from_before_is_told_from_its_totals() -> None:
    run = Run()
    run.count(5, tally(OUTLINE, 10, 1000, 4), tally(BACK, 20, 30_000, 4.5))
    (entry,) = run.feed(at=5.5)
    assert (entry["kind"], entry["version"], entry["conn_state"]) == ("flow", 0, "open")
    assert sizes(entry) == (10, 1000, 20, 30_000)
    assert (entry["timestamp"], entry["elapsed_time"]) == (START, 4_500_000)
    assert (entry["src"]["port"], entry["dst"]["port"]) == (40000, 8080)
    assert entry["summary"] == "tcp open: 30 packets, 31000 bytes"


def test_an_open_flow_is_told_again_only_when_it_changed_and_not_too_often() -> None:
    run = Run()
    told = []
    for second in range(1, 21):
        run.count(second, tally(OUTLINE, second, second * 100, second))
        told += [second] if run.feed(at=second + 0.5) else []
    assert told == [1, 6, 11, 16]
    assert [entry["conn_local_pkts"] for entry in run.entries] == [1, 6, 11, 16]
    assert len({entry["id"] for entry in run.entries}) == 1
    (rest,) = run.feed(at=30)
    assert rest["conn_local_pkts"] == 20
    run.count(40, tally(OUTLINE, 20, 2000, 20))
    assert run.feed(at=60) == []


def test_a_connection_that_was_seen_to_open_keeps_its_id_through_updates_and_its_end() -> None:
    run = Run()
    c = Connection(OUTLINE)
    (opening,) = run.feed(*c.open())
    run.count(5, tally(OUTLINE, 100, 9000, 4), tally(BACK, 90, 700_000, 4))
    (update,) = run.feed(at=6)
    c.ts_ns = START + 10 * NS
    run.feed(*c.close())
    assert run.feed(at=12) == []
    run.count(13, tally(OUTLINE, 151, 12_000, 10), tally(BACK, 121, 900_000, 10))
    run.feed(at=17)
    (end,) = run.feed(at=20)
    assert len({entry["id"] for entry in run.entries}) == 1
    assert [entry.get("version", 1) for entry in run.entries] == [0, 0, 0, 1]
    assert run.entries[0] == opening
    assert sizes(update) == (100, 9000, 90, 700_000)
    assert sizes(end) == (151, 12_000, 121, 900_000)
    assert (end["conn_state"], end["conn_end"]) == ("closed", "fin")


def test_a_closing_waits_no_longer_than_for_the_last_totals() -> None:
    run = Run()
    c = Connection(OUTLINE)
    run.feed(*c.open(), *c.close())
    run.count(1, tally(OUTLINE, 4, 216, last=True), tally(BACK, 2, 108, last=True))
    (end,) = run.feed(at=2)[-1:]
    assert (end["conn_end"], sizes(end)) == ("fin", (4, 216, 2, 108))


def test_without_a_kernel_that_counts_a_closing_waits_as_ever() -> None:
    run = Run()
    c = Connection(OUTLINE)
    run.feed(*c.open(), *c.close())
    (end,) = run.feed(at=2)[-1:]
    assert end["conn_end"] == "fin"


def test_whose_beginning_comes_after_its_totals_were_told_is_said_to_be_known_by_it() -> None:
    run = Run()
    run.count(5, tally(OUTLINE, 2, 120, 4))
    run.feed(at=6)
    run.feed(*Connection(OUTLINE, ts_ns=START + 7 * NS).open())
    assert [entry["direction"] for entry in run.entries] == ["port", "syn"]
    assert len({entry["id"] for entry in run.entries}) == 1


def test_late_totals_of_what_is_over_open_nothing() -> None:
    run = Run()
    c = Connection(OUTLINE)
    run.feed(*c.open(), *c.close())
    run.feed(at=3)
    before = len(run.entries)
    run.count(4, tally(OUTLINE, 4, 216, 0.006), tally(BACK, 2, 108, 0.006))
    run.count(200, tally(OUTLINE, 5, 260, 199, flags=SYN | ACK | FIN))
    run.feed(at=260)
    assert len(run.entries) == before
    assert run.decoder.flows == {}


def test_datagrams_are_told_while_they_go_on_and_once_more_at_the_end() -> None:
    run = Run()
    run.count(5, tally(QUIC, 10, 12_000, 4), tally(QUIC.reversed(), 30, 40_000, 4))
    run.count(100, tally(QUIC, 11, 13_000, 99))
    run.count(170, tally(QUIC, 11, 13_000, 99, last=True), tally(QUIC.reversed(), 30, 40_000, 4, last=True))
    run.feed(at=175)
    assert [entry["flow_state"] for entry in run.entries] == ["open", "open", "closed"]
    assert len({entry["id"] for entry in run.entries}) == 1
    end = run.entries[-1]
    assert (end["protocol"], end["transport"], end["flow_end"]) == ("udp", "udp", "idle")
    assert sizes(end, "flow") == (11, 13_000, 30, 40_000)
    assert end["elapsed_time"] == 99_000_000


def test_what_the_kernel_counted_before_it_forgot_is_added() -> None:
    run = Run()
    run.count(5, tally(OUTLINE, 10, 1000, 4))
    run.count(20, tally(OUTLINE, 3, 200, 20, first_s=15))
    run.count(25, tally(OUTLINE, 12, 800, 25, first_s=15))
    (entry,) = run.feed(at=30)[-1:]
    assert sizes(entry)[:2] == (22, 1800)


def test_small_differences_between_clocks_begin_nothing_anew() -> None:
    run = Run()
    run.count(5, tally(OUTLINE, 1, 100, 1, first_s=1))
    run.count(10, tally(OUTLINE, 2, 200, 9, first_s=1.000_01))
    entry = run.feed(at=20)[-1]
    assert sizes(entry)[:2] == (2, 200)
    assert entry["timestamp"] == START + NS


def test_totals_that_count_an_earlier_connection_are_not_believed() -> None:
    run = Run()
    run.feed(at=0)
    c = Connection(OUTLINE, ts_ns=START + 100 * NS)
    run.feed(*c.open())
    run.count(105, tally(OUTLINE, 1000, 99_000, 104, first_s=10))
    run.feed(at=110)
    assert [sizes(entry)[0] for entry in run.entries] == [1]


def test_only_the_node_that_owns_a_flow_is_believed() -> None:
    run = Run()
    run.count(5, tally(OUTLINE, 10, 1000, 4))
    run.count(5, tally(OUTLINE, 99, 9900, 4), node="node-b", partition=1)
    run.feed(at=6)
    run.count(6, tally(OUTLINE, 100, 9950, 5), node="node-b", partition=1)
    run.feed(at=20)
    assert [entry["conn_local_pkts"] for entry in run.entries] == [10]
    assert run.decoder.counts["decode.outline_copies"] == 2


def test_another_ring_of_the_same_node_may_tell() -> None:
    run = Run()
    c = Connection(OUTLINE)
    run.feed(*c.open(), ring=3)
    run.count(5, tally(OUTLINE, 50, 5000, 4), ring=0)
    run.feed(at=6, ring=3)
    assert [entry["conn_local_pkts"] for entry in run.entries] == [1, 50]


def test_the_view_that_shows_more_takes_over_from_one_with_totals_alone() -> None:
    bare = directed(bare=True)
    run = Run()
    run.count(5, tally(bare, 10, 1000, 4))
    run.count(6, tally(OUTLINE, 12, 1200, 4), node="node-b", partition=1)
    run.count(7, tally(bare, 99, 9999, 6))
    run.feed(at=9, node="node-b", partition=1)
    assert [(entry["node_name"], entry["conn_local_pkts"]) for entry in run.entries] == [("node-b", 12)]


def test_what_both_nodes_tell_of_a_flow_has_one_id() -> None:
    """The one with totals alone comes first, and has told of it: of another time, and without its beginning."""
    bare = directed(bare=True)
    run = Run()
    run.count(100, tally(bare, 10, 1000, 99, first_s=70))
    run.feed(at=101)
    c = Connection(OUTLINE)
    run.feed(*c.open(), at=1, node="node-b", partition=1)
    run.count(2, tally(OUTLINE, 12, 1200, 1), node="node-b", partition=1)
    run.feed(*c.close(), at=200, node="node-b", partition=1)
    run.feed(at=230, node="node-b", partition=1)
    told = [(entry["node_name"], entry.get("version", 1)) for entry in run.entries]
    assert (told[0], told[-1]) == (("node-a", 0), ("node-b", 1))
    assert len({entry["id"] for entry in run.entries}) == 1


def test_a_total_is_not_told_before_the_packets_that_it_counts() -> None:
    """The kernel's table is read while the block that holds them is open: whose beginning was seen keeps its id."""
    counted, plain = Run(), Run()
    c = Connection(OUTLINE, ts_ns=START + 10 * NS)
    opening, closing = c.open(), c.close()
    counted.count(9.9, tally(OUTLINE, 2, 120, 10.001, first_s=10))
    assert counted.feed(at=9.95) == []
    for run in (counted, plain):
        run.feed(*opening)
        run.feed(*closing)
        run.feed(at=40)
    assert {entry["id"] for entry in counted.entries} == {entry["id"] for entry in plain.entries}
    assert counted.entries[-1]["direction"] == "syn"


def test_no_name_is_read_where_only_totals_are_kept() -> None:
    bare = directed(sport=5000, protocol=UDP, bare=True)
    run = Run()
    run.feed(datagram(bare, b"TOY 1 hello\n"), datagram(bare.reversed(), b"TOY 1 world\n"), end=True)
    (entry,) = run.entries
    assert (entry["kind"], entry["undecoded"]) == ("flow", "outline")
    assert "first_bytes_client" not in entry


def test_what_is_seen_in_front_of_a_service_says_so() -> None:
    names = Directory()
    names.put(b"s", EndpointRecord(address="10.0.0.2", uid="s", name="shop", role="service", front=True))
    run = Run(names=names)
    run.count(5, tally(directed(bare=True), 10, 1000, 4))
    (entry,) = run.feed(at=6)
    assert entry["tags"] == ["service-view"]
    assert entry["dst"]["role"] == "service"


def test_totals_survive_a_change_of_owner() -> None:
    plain, moved = Run(), Run()
    steps: list[tuple[float, tuple[Any, ...]]] = [
        (5, (tally(OUTLINE, 10, 1000, 4), tally(BACK, 5, 500, 4))), (8, (tally(OUTLINE, 20, 2000, 8),)),
        (14, ()), (20, (tally(OUTLINE, 2, 200, 19, first_s=18),)), (40, ()),
    ]
    for at, tallies in steps:
        plain.count(at, *tallies)
        moved.count(at, *tallies)
        moved.taken_over()
    assert moved.entries == plain.entries
    assert sizes(moved.entries[-1]) == (22, 2200, 5, 500)


def test_open_flows_from_totals_are_bounded() -> None:
    run = Run()
    run.decoder.settings = DecodeSettings(max_flows=16)
    for n in range(100):
        run.count(5, tally(directed(sport=1000 + n, outline=True), 1, 100, 4))
        assert len(run.decoder.flows) <= 16


def test_a_total_of_no_flow_is_refused_before_anything_is_taken() -> None:
    made = block(offset=1, tallies=[tally(OUTLINE, 1, 100)])
    broken = SegmentBlock(
        **{name: getattr(made, name) for name in SegmentBlock.__struct_fields__ if name != "flows"}, flows=[]
    )
    run = Run()
    with pytest.raises(Malformed):
        run.decoder.feed(broken)
    assert run.decoder.origins.taken == {}
