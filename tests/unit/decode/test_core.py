"""What decode makes of whole conversations, with a toy protocol."""

from __future__ import annotations

import msgspec
import pytest

from weir.decode.rows import Malformed
from weir.decode.settings import DecodeSettings
from weir.directory import Directory
from weir.dissect.flow_fields import FLOW_FIELDS
from weir.model.control import EndpointRecord
from weir.model.flow import UDP
from weir.model.segments import ACK, FIN, PSH, SYN
from weir.testing.decoding import ANSWER, ASK, C, Listeners, Run, S, conversation, decoded
from weir.testing.segments import NS, START, Connection, block, blocks, datagram, directed

FIELDS = {field.name for field in FLOW_FIELDS}


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
    assert run.decoder.counts["lost.decode.gap_bytes"] == len(b"TOY 2 lost ")


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
