"""How connections end, and what comes after."""

from __future__ import annotations

import msgspec

from weir.decode.settings import DecodeSettings
from weir.model.segments import ACK, FIN, RST, SYN
from weir.testing.decoding import ANSWER, ASK, C, Run, S, conversation, decoded
from weir.testing.segments import NS, START, Connection


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
