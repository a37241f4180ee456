"""What decode makes of datagrams."""

from __future__ import annotations

import pytest

from weir.decode.settings import DecodeSettings
from weir.model.flow import UDP
from weir.testing.decoding import ANSWER, ASK, Run, decoded
from weir.testing.segments import NS, START, Segment, datagram, directed


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
