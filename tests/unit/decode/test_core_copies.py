"""What several vantages, or a bus that repeats itself, show of one conversation."""

from __future__ import annotations

from weir.testing.decoding import ASK, Run, conversation, decoded
from weir.testing.segments import NS, block


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
