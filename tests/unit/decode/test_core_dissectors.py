"""How decode finds the dissector of a conversation, and what it does with one that fails, gives up or leaves."""

from __future__ import annotations

import pytest

from weir.dissect.api import Exchange, Probe
from weir.model.control import Redaction
from weir.model.segments import ACK, FIN
from weir.testing.decoding import ANSWER, ASK, C, Run, S, conversation, decoded
from weir.testing.segments import Connection, directed
from weir.testing.toy import Toy


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
