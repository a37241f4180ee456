"""What decode makes of whole conversations, with a toy protocol."""

from __future__ import annotations

import msgspec
import pytest

from weir.decode.core import Decoder
from weir.decode.rows import Malformed
from weir.decode.settings import DecodeSettings
from weir.directory import Directory
from weir.dissect.api import Exchange, Probe
from weir.dissect.flow_fields import FLOW_FIELDS
from weir.model.control import EndpointRecord, Redaction
from weir.model.flow import UDP, Side
from weir.model.segments import ACK, FIN, PSH, RST, SYN
from weir.testing.segments import NS, START, Connection, Segment, block, blocks, datagram, directed
from weir.testing.toy import Toy

C, S = Side.CLIENT, Side.SERVER
ASK, ANSWER = b"TOY 1 hello\n", b"TOY 1 world\n"
FIELDS = {field.name for field in FLOW_FIELDS}


class Listeners:
    version = 1

    def __init__(self, *places):
        self.places = places

    def lookup(self, address, port, ts_ns):
        listens = (address, port) in self.places
        return EndpointRecord(address="x", uid="x", port=port, listens=True, name="listener") if listens else None


class Run:
    """A decoder and all that it gave."""

    def __init__(self, settings=None, **options):
        self.settings = settings or DecodeSettings()
        self.decoder = Decoder(self.settings, [Toy()], **options)
        self.entries = []
        self.offset = 0

    def feed(self, *segments, **options):
        made = self.decoder.feed(block(segments, offset=self.offset, **options))
        self.offset += 1
        self.entries += made
        return made

    def end(self, **options):
        return self.feed(end=True, **options)

    @property
    def exchanges(self):
        return [e for e in self.entries if e["kind"] != "flow"]

    @property
    def flows(self):
        return [e for e in self.entries if e["kind"] == "flow"]


def conversation(connection=None):
    c = connection or Connection()
    return [*c.open(), *c.send(C, ASK), *c.send(S, ANSWER), *c.close()]


def decoded(segments, settings=None, **options):
    run = Run(settings, **options)
    run.feed(*segments)
    run.end()
    return run


def test_an_exchange_and_its_flow():
    run = decoded(conversation())
    (exchange,), (flow,) = run.exchanges, run.flows
    assert exchange["protocol"] == "toy"
    assert exchange["summary"] == "hello → world"
    assert exchange["toy_key"] == "1"
    assert exchange["src"] == {"ip": "10.0.0.1", "port": 40000}
    assert exchange["dst"] == {"ip": "10.0.0.2", "port": 8080}
    assert exchange["direction"] == "syn"
    assert exchange["elapsed_time"] == 1000
    assert exchange["flow_id"] == flow["flow_id"]
    assert exchange["community_id"] == flow["community_id"]
    assert exchange["node_name"] == "node-a"
    assert "version" not in exchange
    assert flow["protocol"] == "tcp"
    assert flow["version"] == 2
    assert flow["timestamp"] == START
    assert flow["elapsed_time"] == 7000
    assert flow["conn_state"] == "closed"
    assert flow["conn_end"] == "fin"
    assert flow["ok"] is True
    assert (flow["conn_local_pkts"], flow["conn_remote_pkts"]) == (5, 3)
    assert flow["conn_local_bytes"] == 5 * 54 + len(ASK)
    assert flow["conn_remote_bytes"] == 3 * 54 + len(ANSWER)
    assert flow["conn_l7_detected"] == ["toy"]
    assert flow["handshake_rtt"] == 2000
    assert "undecoded" not in flow


def test_flow_entries_carry_only_declared_fields():
    common = {
        "v", "id", "version", "node_name", "timestamp", "elapsed_time", "protocol", "kind", "flow_id", "community_id",
        "src", "dst", "direction", "ok", "summary", "weird", "transport",
    }
    run = decoded([*conversation(), datagram(directed(protocol=UDP), b"?")])
    assert len(run.flows) == 2
    for flow in run.flows:
        assert set(flow) <= common | FIELDS


def test_every_order_within_the_window_gives_the_same():
    c = Connection()
    handshake = c.open()
    a, b = c.send(C, b"TOY 1 hel"), c.send(C, b"lo\n")
    rest = [*c.send(S, ANSWER), *c.close()]
    run = decoded([*handshake, *b, *a, *rest])
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]


def test_the_syn_may_come_after_the_data():
    segments = conversation()
    run = decoded(segments[1:4] + segments[:1] + segments[4:])
    assert [e["id"] for e in run.exchanges] == [e["id"] for e in decoded(segments).exchanges]
    assert run.flows[0]["direction"] == "syn"


def test_a_lost_segment_is_a_gap_after_the_window_and_only_then():
    c = Connection()
    run = Run()
    run.feed(*c.open(), *c.send(C, ASK))
    lost = c.send(C, b"TOY 2 lost ")
    run.feed(*c.send(C, b"end\nTOY 3 again\n"), *c.send(S, ANSWER + b"TOY 3 yes\n"))
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    run.feed(clock_ns=c.ts_ns + 2 * NS)
    assert [e["summary"] for e in run.exchanges] == ["hello → world", "again → yes"]
    run.feed(*lost, *c.close())
    run.end()
    assert run.flows[0]["lost_bytes"] == len(b"TOY 2 lost ")
    assert run.decoder.counts["lost.gap_bytes"] == len(b"TOY 2 lost ")


@pytest.mark.parametrize("ticks", [False, True])
def test_timers_give_the_same_with_and_without_ticks(ticks):
    c = Connection(step=300_000_000)
    segments = [*c.open(), *c.send(C, b"TOY 1 "), *c.send(C, b"hello\n")]
    del segments[3]  # lost
    segments += c.send(C, b"TOY 2 b\nTOY 3 c\n", 4) + c.send(S, b"TOY 3 d\n") + c.close()
    c.ts_ns += 100 * NS
    again = Connection(isn=(7, 8), ts_ns=c.ts_ns)
    segments += conversation(again)
    run = Run()
    for segment in segments:
        run.feed(segment)
        if ticks:
            for late in range(1, 30):
                if segment is not segments[-1]:
                    run.feed(clock_ns=min(segment.ts_ns + late * NS // 7, segments[segments.index(segment) + 1].ts_ns))
    run.end()
    assert {e["summary"] for e in run.exchanges} == {"c → d", "b → ?", "hello → world"}
    reference = decoded(segments)
    assert sorted(run.entries, key=lambda e: (e["timestamp"], e["id"])) == sorted(
        reference.entries, key=lambda e: (e["timestamp"], e["id"])
    )


def test_a_snapped_packet_costs_what_was_cut_and_no_more():
    c = Connection()
    segments = c.open()
    (long,) = c.send(C, b"TOY 1 " + b"x" * 200 + b"\n")
    segments += [long.snapped(96), *c.send(C, b"TOY 2 b\n"), *c.send(S, b"TOY 1 a\nTOY 2 c\n"), *c.close()]
    run = decoded(segments)
    assert {(e["summary"], *e["incomplete"]) for e in run.exchanges} == {
        ("? → a", "request not seen"), ("? → c", "request not seen"),
    }
    assert run.flows[0]["lost_bytes"] == 207 - 96


def test_an_entry_that_lacks_something_is_a_poorer_version():
    c = Connection()
    run = decoded([*c.open(), *c.send(C, ASK), c.reset()])
    (half,) = run.exchanges
    assert half["incomplete"] == ["response not seen"]
    assert half["version"] == 0


def test_a_connection_without_its_beginning_is_joined():
    c = Connection()
    c.open()
    run = decoded([*c.send(C, ASK), *c.send(S, ANSWER), *c.close()])
    (exchange,) = run.exchanges
    assert exchange["direction"] == "port"
    assert exchange["id"] == decoded(conversation()).exchanges[0]["id"]


def test_a_joined_stream_is_recognised_at_a_later_segment():
    c = Connection()
    c.open()
    run = decoded([
        *c.send(S, b"the end of an answer that began before\n"),
        *c.send(C, ASK), *c.send(S, ANSWER), *c.close(),
    ])
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]


def test_a_joined_stream_is_given_up_after_so_many_segments():
    c = Connection()
    c.open()
    run = Run(DecodeSettings(identify_tries=4))
    run.feed(*c.send(S, b"nothing that anybody knows" * 10, 20), *c.send(C, ASK), *c.close())
    run.end()
    assert run.exchanges == []
    assert run.flows[0]["undecoded"] == "unrecognised"


@pytest.mark.parametrize(
    ("names", "client", "evidence"),
    [(Listeners((b"\n\0\0\x01", 40000)), 8080, "listener"), (None, 40000, "port")],
)
def test_who_is_the_client_without_a_syn(names, client, evidence):
    c = Connection()
    c.open()
    run = decoded([*c.send(S, b"?? binary ??"), *c.send(C, b"?? more ??")], names=names)
    assert (run.flows[0]["src"]["port"], run.flows[0]["direction"]) == (client, evidence)


def test_a_syn_is_better_evidence_than_a_listener():
    run = decoded(conversation(), names=Listeners((b"\n\0\0\x01", 40000)))
    assert run.flows[0]["direction"] == "syn"
    assert run.flows[0]["src"]["port"] == 40000
    assert run.flows[0]["src"]["name"] == "listener"


def test_the_syn_ack_alone_tells_the_client_and_both_beginnings():
    segments = conversation()[1:]
    run = decoded(segments)
    reference = decoded(conversation())
    assert [e["id"] for e in run.entries] == [e["id"] for e in reference.entries]
    assert run.flows[0]["direction"] == "syn"


def test_the_acknowledgement_tells_where_an_unseen_server_begins():
    c = Connection()
    syn, _, ack = c.open()
    run = Run()
    run.feed(syn, ack, *c.send(C, ASK), *c.send(S, ANSWER))
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]


def test_keep_alive_probes_change_nothing():
    c = Connection()
    segments = [*c.open(), *c.send(C, ASK)]
    segments += [
        c.segment(C, b"\0", ACK, seq=c.next[C] - 1), c.segment(C, b"", ACK, seq=c.next[C] - 1), c.segment(S),
        *c.send(S, ANSWER), c.segment(S, b"X", ACK, seq=c.next[S] - 1), *c.close(),
    ]
    run = decoded(segments)
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    assert "retransmissions" not in run.flows[0]
    assert "weird" not in run.flows[0]


def test_a_retransmission_that_differs_is_weird_and_the_first_copy_wins():
    c = Connection()
    start = c.next[C] + 1
    segments = [*c.open(), *c.send(C, ASK), c.segment(C, b"TOY 1 HELLO\n", seq=start), *c.send(S, ANSWER), *c.close()]
    run = decoded(segments)
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    assert run.flows[0]["retransmissions"] == 1
    assert "1 segments repeat bytes with other values" in run.flows[0]["weird"]


def test_sequence_numbers_wrap_in_the_middle_of_a_message():
    run = decoded(conversation(Connection(isn=(0xFFFFFFFA, 0xFFFFFFFE))))
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    assert run.flows[0]["conn_end"] == "fin"


def test_both_ends_may_close_at_once():
    c = Connection()
    segments = [*c.open(), *c.send(C, ASK), *c.send(S, ANSWER)]
    fins = [c.segment(C, flags=FIN | ACK), c.segment(S, flags=FIN | ACK)]
    run = decoded([*segments, *reversed(fins), c.segment(C), c.segment(S)])
    assert run.flows[0]["conn_end"] == "fin"
    assert len(run.flows) == 1


def test_a_half_closed_connection_goes_on_in_the_other_direction():
    c = Connection()
    run = Run()
    run.feed(*c.open(), *c.send(C, ASK), c.segment(C, flags=FIN | ACK))
    c.ts_ns += 600 * NS
    run.feed(*c.send(S, ANSWER))
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    run.end()
    assert run.flows[0]["conn_end"] == "capture_end"
    assert run.flows[0]["conn_state"] == "open"


def test_a_refused_connection():
    c = Connection()
    syn = c.segment(C, flags=SYN)
    rst = msgspec.structs.replace(c.segment(S, flags=RST | ACK, seq=0), seq=0)
    run = decoded([syn, rst])
    assert run.flows[0]["conn_end"] == "rst"
    assert run.flows[0]["ok"] is False


def test_an_unanswered_syn_times_out_early():
    c = Connection()
    run = Run()
    run.feed(c.segment(C, flags=SYN))
    run.feed(clock_ns=START + 59 * NS)
    assert run.flows == []
    run.feed(clock_ns=START + 62 * NS)
    assert run.flows[0]["conn_end"] == "idle"
    assert run.flows[0]["ok"] is False


def test_a_reset_lets_late_segments_through_for_one_window():
    c = Connection()
    segments = [*c.open(), *c.send(C, ASK), *c.send(S, ANSWER)]
    run = decoded([*segments[:-1], c.reset(), segments[-1]])
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    assert len(run.flows) == 1
    assert run.flows[0]["conn_end"] == "rst"


def test_a_reset_with_an_old_sequence_number_is_not_believed():
    c = Connection()
    segments = [*c.open(), *c.send(C, ASK)]
    segments += [c.segment(C, flags=RST, seq=c.next[C] - 10), *c.send(S, ANSWER), *c.close()]
    run = decoded(segments)
    assert run.flows[0]["conn_end"] == "fin"
    assert run.flows[0]["weird"] == ["RST with an old sequence number"]


def test_a_silent_connection_is_over_and_what_comes_after_is_another():
    c = Connection()
    run = Run(DecodeSettings(tcp_idle_s=100))
    run.feed(*c.open(), *c.send(C, ASK))
    c.ts_ns += 101 * NS
    run.feed(*c.send(S, ANSWER), *c.send(C, b"TOY 2 b\n"), *c.send(S, b"TOY 2 c\n"))
    assert run.flows[0]["conn_end"] == "idle"
    run.end()
    assert {e["summary"] for e in run.exchanges} == {"hello → ?", "? → world", "b → c"}
    assert len(run.flows) == 2


def test_the_same_ports_used_again_are_another_connection():
    c = Connection()
    first = [*c.open(), *c.send(C, ASK)]
    again = Connection(isn=(77, 99), ts_ns=c.ts_ns)
    run = decoded([*first, *conversation(again)])
    assert [f["conn_end"] for f in run.flows] == ["reused", "fin"]
    assert len({f["id"] for f in run.flows}) == 2
    assert len({f["flow_id"] for f in run.flows}) == 1


def test_what_comes_late_of_a_closed_connection_opens_nothing():
    segments = conversation()
    run = Run()
    run.feed(*segments, clock_ns=START + 3 * NS)
    assert len(run.flows) == 1
    run.feed(*(s.at(START + 4 * NS) for s in segments))
    run.end()
    assert len(run.flows) == 1
    assert len(run.exchanges) == 1
    assert run.decoder.counts["decode.late"] == len(segments)


def test_nobody_knows_it():
    c = Connection()
    run = decoded([*c.open(), *c.send(C, b"\x16\x03" * 60), *c.send(S, b"no" * 10), *c.close()])
    flow = run.flows[0]
    assert flow["undecoded"] == "unrecognised"
    assert flow["first_bytes_client"] == "1603" * 32
    assert flow["first_bytes_server"] == (b"no" * 10).hex()
    assert run.decoder.counts["decode.undecoded{unrecognised}"] == 1


def test_too_few_bytes_to_recognise_anything():
    c = Connection()
    run = decoded([*c.open(), *c.send(C, b"TO"), *c.close()])
    assert run.flows[0]["undecoded"] == "too few bytes to recognise"
    assert run.flows[0]["first_bytes_client"] == b"TO".hex()


def test_a_protocol_may_be_recognised_over_several_segments():
    c = Connection()
    run = decoded([*c.open(), *c.send(C, ASK, 1), *c.send(S, ANSWER, 1), *c.close()])
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]


def test_a_dissector_that_raises_costs_its_flow():
    c, other = Connection(), Connection(directed(sport=40001))
    segments = [*c.open(), *c.send(C, b"TOY 1 BOOM\n"), *c.send(S, ANSWER), *c.close()]
    run = decoded([*segments, *conversation(other)])
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    broken = next(f for f in run.flows if f["src"]["port"] == 40000)
    assert broken["undecoded"] == "dissector toy failed"
    assert broken["weird"] == ["dissector toy failed"]
    assert broken["conn_end"] == "fin"
    assert run.decoder.counts["decode.dissector_failed{toy}"] == 1


def test_a_dissector_that_gives_up_leaves_the_rest_counted():
    c = Connection()
    run = decoded([*c.open(), *c.send(C, b"TOY 1 GIVEUP\n"), *c.send(C, ASK), *c.close()])
    assert run.exchanges == []
    assert run.flows[0]["undecoded"] == "told to"


@pytest.mark.parametrize("name", [b"toy", b""])
def test_a_protocol_that_is_left_hands_its_rest_over(name):
    c = Connection()
    run = decoded([
        *c.open(), *c.send(C, b"TOY 9 LEAVE " + name + b"\nTOY 1 he"), *c.send(C, b"llo\n"), *c.send(S, ANSWER),
        *c.close(),
    ])
    (exchange,) = run.exchanges
    assert exchange["summary"] == "hello → world"


def test_leaving_for_nobody_and_leaving_for_ever():
    c, other = Connection(), Connection(directed(sport=40001))
    run = decoded([
        *c.open(), *c.send(C, b"TOY 9 LEAVE quic\n"), *c.close(),
        *other.open(), *other.send(C, b"TOY 9 LEAVE toy\n" * 100), *other.close(),
    ])
    assert [f["undecoded"] for f in run.flows] == [
        "left for quic, which nobody reads", "left its protocol 17 times",
    ]


class Closing(Toy):
    """Tells which ends were closed, and when it is recognised only by what the server says."""

    name = "closing"

    def probe(self, side, head, transport="tcp"):
        return Probe.YES if side is S else Probe.MAYBE

    def feed(self, state, data):
        return []

    def close(self, state, side, timestamp, reset=None):
        what = "all" if side is None else side.name
        return [Exchange(protocol="closing", offset=0, side=side or C, stream_id=len(what), summary=what)]


def test_a_dissector_is_told_of_each_end_once_even_if_it_came_later():
    c = Connection()
    run = Run()
    run.decoder.configure([Closing()], Redaction(), bodies=True)
    run.feed(*c.open(), *c.send(C, b"x"), c.segment(C, flags=FIN | ACK), *c.send(S, b"y"))
    assert [e["summary"] for e in run.exchanges] == ["CLIENT"]
    run.feed(c.segment(S, flags=FIN | ACK), c.segment(C))
    assert [e["summary"] for e in run.exchanges] == ["CLIENT", "SERVER"]
    run.end()
    assert [e["summary"] for e in run.exchanges] == ["CLIENT", "SERVER", "all"]


def test_an_outline_tells_openings_and_endings_and_reads_nothing():
    c = Connection(directed(outline=True))
    syn, syn_ack, _ = c.open()
    c.send(C, ASK * 1000)
    c.send(S, ANSWER)
    run = Run()
    opened = run.feed(syn, syn_ack)
    assert [(e["kind"], e["conn_state"]) for e in opened] == [("flow", "open")]
    assert opened[0]["version"] == 0
    assert opened[0]["handshake_rtt"] == 1000
    run.feed(*c.close())
    run.end()
    assert [e.get("version", 1) for e in run.flows] == [0, 1]
    assert len({e["id"] for e in run.flows}) == 1
    assert run.flows[1]["conn_end"] == "fin"
    assert run.flows[1]["undecoded"] == "outline"
    assert run.flows[1]["conn_local_bytes"] == len(ASK) * 1000
    assert run.exchanges == []


def test_payload_of_an_outline_is_not_read_even_if_it_comes():
    run = decoded(conversation(Connection(directed(outline=True))))
    assert run.exchanges == []
    assert "first_bytes_client" not in run.flows[-1]


def test_a_flow_that_becomes_targeted_is_joined_and_one_that_is_no_longer_is_left():
    c = Connection(directed(outline=True))
    run = Run()
    run.feed(*c.open(), *c.send(C, b"TOY 0 unseen\n"))
    c.flows = (directed(), directed().reversed())
    run.feed(*c.send(C, ASK), *c.send(S, ANSWER))
    run.feed(clock_ns=c.ts_ns + 2 * NS)
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    c.flows = (directed(outline=True), directed(outline=True).reversed())
    run.feed(*c.send(C, b"TOY 2 no\n"), *c.send(S, b"TOY 2 no\n"), *c.close())
    run.end()
    assert len(run.exchanges) == 1
    assert run.flows[-1]["undecoded"] == "outline"


def test_names_that_are_not_known_yet_are_used_as_soon_as_they_are():
    names = Directory()
    run = Run(names=names)
    names.put(b"1", EndpointRecord(address="10.0.0.2", uid="1", name="shop"))
    run.feed(*conversation())
    run.end()
    assert {entry["dst"]["name"] for entry in run.entries} == {"shop"}


def test_two_copies_of_a_connection_give_everything_once_in_either_order():
    segments = conversation()
    ids = []
    for first, second in (("node-a", "node-b"), ("node-b", "node-a")):
        run = Run()
        run.feed(*segments, node=first)
        run.feed(*(s.at(s.ts_ns + 7 * NS) for s in segments), node=second, partition=1)
        run.end(node=first)
        run.end(node=second, partition=1)
        assert (len(run.exchanges), len(run.flows)) == (1, 1)
        assert run.flows[0]["conn_local_pkts"] == 5
        assert "retransmissions" not in run.flows[0]
        ids.append(sorted(e["id"] for e in run.entries))
    assert ids[0] == ids[1]


def test_a_copy_that_comes_after_its_capture_ended_gives_nothing_again():
    segments = conversation()
    run = decoded(segments)
    run.feed(*segments, node="node-b", partition=1)
    run.end(node="node-b", partition=1)
    assert (len(run.exchanges), len(run.flows)) == (1, 1)


def test_another_vantage_fills_what_the_first_one_lost():
    segments = conversation()
    run = Run()
    run.feed(*(s for s in segments if s.payload != ASK))
    run.feed(*segments, node="node-b", partition=1)
    run.end()
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]


def test_directions_may_be_seen_by_different_nodes():
    segments = conversation()
    run = Run()
    for segment in segments:
        node = "node-a" if segment.flow.sport == 40000 else "node-b"
        run.feed(segment, node=node, partition=int(node == "node-b"))
    run.end()
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    assert (run.flows[0]["conn_local_pkts"], run.flows[0]["conn_remote_pkts"]) == (5, 3)
    assert "handshake_rtt" not in run.flows[0]


def test_repeated_blocks_are_dropped():
    run = Run()
    repeated = block(conversation(), offset=5)
    run.decoder.feed(repeated)
    assert run.decoder.feed(repeated) == []
    assert run.decoder.feed(block(conversation(), offset=4)) == []
    assert run.decoder.counts["decode.repeated"] == 2 * repeated.count


def test_the_flow_that_was_silent_for_longest_is_evicted():
    run = Run(DecodeSettings(max_flows=16))
    for n in range(17):
        c = Connection(directed(sport=41000 + n), ts_ns=START + n * 1000)
        run.feed(*c.open(), *c.send(C, ASK))
    assert [(f["conn_end"], f["src"]["port"]) for f in run.flows] == [("evicted", 41000)]
    assert len(run.decoder.flows) == 16
    assert run.decoder.counts["lost.flow_evicted"] == 1


def lossy(run, flow, size):
    """A connection of which a segment is missing, with `size` bytes behind it."""
    c = Connection(flow)
    run.feed(*c.open(), *c.send(C, ASK))
    c.send(C, b"lost")
    for segment in c.send(C, b"x" * size, 1000):
        run.feed(segment)


def test_what_waits_is_bounded_for_a_stream():
    run = Run(DecodeSettings(stream_buffer_bytes=8192))
    lossy(run, directed(), 6000)
    assert 0 < run.decoder.tcp.waiting <= 8192
    assert "lost.gap_bytes" not in run.decoder.counts
    lossy(run, directed(sport=40001), 20_000)
    assert run.decoder.tcp.waiting <= 8192
    assert run.decoder.counts["decode.reorder_overflow{stream}"] == 1
    assert run.decoder.counts["lost.gap_bytes"] == 4


def test_what_waits_is_bounded_for_a_shard_and_the_oldest_goes_first():
    run = Run(DecodeSettings(shard_buffer_bytes=65536))
    for n in range(30):
        lossy(run, directed(sport=41000 + n), 5000)
        assert run.decoder.tcp.waiting <= 65536
    assert run.decoder.counts["decode.reorder_overflow{shard}"] == run.decoder.counts["lost.gap_bytes"] / 4 > 0
    waits = [f.low.waits + f.high.waits > 0 for f in run.decoder.flows.values()]
    assert waits == sorted(waits)
    run.end()
    assert run.decoder.tcp.waiting == 0


def test_the_more_flows_are_open_the_less_is_kept_of_what_is_not_recognised():
    class Undecided(Toy):
        def probe(self, side, head, transport="tcp"):
            return Probe.MAYBE

    settings = DecodeSettings(identify_bytes=4096, shard_buffer_bytes=65536)
    run = Run(settings)
    run.decoder.configure([Undecided()], Redaction(), bodies=True)
    for n in range(40):
        c = Connection(directed(sport=41000 + n))
        run.feed(*c.open(), *c.send(C, b"x" * 4000, 100))
        kept = sum(len(early.data) for flow in run.decoder.flows.values() for early in flow.early)
        assert kept <= 3 * settings.shard_buffer_bytes
    assert run.decoder.counts["decode.undecoded{unrecognised}"] > 20


def test_memory_of_closed_flows_is_bounded():
    run = Run(DecodeSettings(max_closed=4))
    for n in range(10):
        run.feed(*conversation(Connection(directed(sport=41000 + n))))
    run.end()
    assert len(run.decoder.tombs) == 4
    assert run.decoder.flows == {}


def test_of_a_node_that_ended_nothing_is_kept_once_the_others_are_beyond_it():
    run = Run()
    for n in range(5):
        later = n * 600 * NS
        c = Connection(directed(sport=41000 + n), ts_ns=START + later)
        run.feed(*conversation(c), node=f"node-{n}", clock_ns=START + later + NS)
        run.feed(node=f"node-{n}", clock_ns=START + later + NS, end=True)
        assert len(run.decoder.tombs) == 1
        assert len(run.decoder.vantages) == 1
    run.feed(node="last", clock_ns=START + 3600 * NS)
    assert run.decoder.tombs == {}
    assert list(run.decoder.vantages) == ["last/0"]


def test_what_ended_is_remembered_while_another_node_may_still_show_it():
    run = Run()
    run.feed(clock_ns=START - NS, node="behind")
    run.feed(*conversation(), end=True)
    run.feed(clock_ns=START, node="behind")
    assert len(run.decoder.tombs) == 1
    run.feed(*conversation(), node="behind")
    assert len(run.flows) == 1
    run.feed(clock_ns=START + 60 * NS, node="behind")
    assert run.decoder.tombs == {}


def test_closed_flows_are_forgotten_after_a_while():
    run = Run()
    run.feed(*conversation())
    run.feed(clock_ns=START + 5 * NS)
    assert len(run.decoder.tombs) == 1
    run.feed(clock_ns=START + 60 * NS)
    assert run.decoder.tombs == {}
    assert all(not len(v.timers) for v in run.decoder.vantages.values())


def test_datagrams_are_exchanged():
    forth = directed(sport=5000, protocol=UDP)
    run = Run()
    run.feed(datagram(forth, ASK), datagram(forth.reversed(), ANSWER, START + 1_000_000))
    run.feed(clock_ns=START + 62 * NS)
    (exchange,), (flow,) = run.exchanges, run.flows
    assert exchange["transport"] == "udp"
    assert exchange["summary"] == "hello → world"
    assert flow["protocol"] == "udp"
    assert flow["flow_end"] == "idle"
    assert flow["flow_l7_detected"] == ["toy"]
    assert (flow["flow_local_pkts"], flow["flow_remote_pkts"]) == (1, 1)


def test_a_datagram_that_two_vantages_show_counts_once_and_one_sent_twice_twice():
    forth = directed(sport=5000, protocol=UDP)
    twice = [datagram(forth, ASK), datagram(forth, ASK, START + 1000)]
    run = Run()
    run.feed(*twice)
    run.feed(*(s.at(s.ts_ns + NS) for s in twice), node="node-b", partition=1)
    (flow,) = run.decoder.flows.values()
    end = flow.client
    assert flow.counts[end] == 2
    assert run.decoder.counts["decode.copies"] == 2


@pytest.mark.parametrize("late", [False, True])
def test_copies_of_datagrams_give_the_same_ids_once_in_either_order(late):
    forth = directed(sport=5000, protocol=UDP)
    segments = [datagram(forth, ASK), datagram(forth.reversed(), ANSWER, START + 1_000_000)]
    ids = []
    for first, second in (("node-a", "node-b"), ("node-b", "node-a")):
        run = Run()
        run.feed(*segments, node=first, end=late)
        run.feed(*(s.at(s.ts_ns + NS) for s in segments), node=second, partition=1)
        run.end(node=first)
        run.end(node=second, partition=1)
        assert (len(run.exchanges), len(run.flows)) == (1, 1)
        ids.append(sorted(e["id"] for e in run.entries))
    assert ids[0] == ids[1]


def test_a_snapped_datagram_is_marked():
    forth = directed(sport=5000, protocol=UDP)
    long = Segment(flow=forth, ts_ns=START, payload=ASK, wire=500)
    run = decoded([datagram(forth.reversed(), ANSWER), long])
    assert run.exchanges[0]["incomplete"] == ["datagram cut by the snap length"]


def test_datagrams_that_nobody_knows():
    forth = directed(sport=5000, protocol=UDP)
    run = Run(DecodeSettings(identify_tries=3))
    run.feed(*(datagram(forth, b"quic %d" % n, START + n) for n in range(10)))
    run.end()
    assert run.flows[0]["undecoded"] == "unrecognised"
    assert bytes.fromhex(run.flows[0]["first_bytes_client"]).startswith(b"quic 0quic 1")
    assert run.flows[0]["flow_local_pkts"] == 10


def test_an_icmp_error_is_noted_on_the_flow_it_is_about():
    forth = directed(sport=5000, protocol=UDP)
    error = Segment(flow=forth, ts_ns=START + 1, protocol=1, flags=3 << 8 | 3)
    run = decoded([datagram(forth, ASK), error])
    assert run.flows[0]["weird"] == ["icmp: port unreachable"]
    assert run.flows[0]["ok"] is False
    assert run.flows[0]["flow_local_pkts"] == 1


def test_ends_that_are_the_same_place_do_no_harm():
    flow = directed("10.0.0.1", 80, "10.0.0.1", 80)
    run = decoded(conversation(Connection(flow)))
    assert len(run.flows) >= 1


def test_data_with_the_syn_and_the_fin():
    c = Connection()
    syn = c.segment(C, ASK, SYN)
    answer = c.segment(S, flags=SYN | ACK)
    fin = c.segment(S, ANSWER, FIN | ACK | PSH)
    run = decoded([syn, answer, c.segment(C), fin, c.segment(C, flags=FIN | ACK), c.segment(S)])
    assert [e["summary"] for e in run.exchanges] == ["hello → world"]
    assert run.flows[0]["conn_end"] == "fin"


@pytest.mark.parametrize("column", ["seq", "flow", "payload_len"])
def test_columns_that_do_not_fit_are_refused_and_nothing_is_taken(column):
    run = Run()
    good = block(conversation())
    with pytest.raises(Malformed):
        run.decoder.feed(msgspec.structs.replace(good, **{column: b"\xff" * 5}))
    with pytest.raises(Malformed):
        run.decoder.feed(msgspec.structs.replace(good, flows=[]))
    assert len(run.decoder.feed(good)) == 1


def test_blocks_of_any_size_give_the_same():
    segments = [s for n in range(3) for s in conversation(Connection(directed(sport=41000 + n)))]
    reference = decoded(segments).entries
    for size in (1, 2, 7):
        run = Run()
        for part in blocks(segments, size):
            run.entries += run.decoder.feed(part)
        run.offset = 1000
        run.end()
        assert sorted(e["id"] for e in run.entries) == sorted(e["id"] for e in reference)
