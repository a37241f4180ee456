"""What decode keeps is bounded, and what it drops is counted."""

from __future__ import annotations

from weir.decode.settings import DecodeSettings
from weir.dissect.api import Probe
from weir.model.control import Redaction
from weir.testing.decoding import ASK, C, Run, conversation
from weir.testing.segments import NS, START, Connection, directed
from weir.testing.toy import Toy


def test_the_flow_that_was_silent_for_longest_is_evicted():
    run = Run(DecodeSettings(max_flows=16))
    for n in range(17):
        c = Connection(directed(sport=41000 + n), ts_ns=START + n * 1000)
        run.feed(*c.open(), *c.send(C, ASK))
    assert [(f["conn_end"], f["src"]["port"]) for f in run.flows] == [("evicted", 41000)]
    assert len(run.decoder.flows) == 16
    assert run.decoder.counts["lost.decode.flow_evicted"] == 1


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
    assert "lost.decode.gap_bytes" not in run.decoder.counts
    lossy(run, directed(sport=40001), 20_000)
    assert run.decoder.tcp.waiting <= 8192
    assert run.decoder.counts["decode.reorder_overflow{stream}"] == 1
    assert run.decoder.counts["lost.decode.gap_bytes"] == 4


def test_what_waits_is_bounded_for_a_shard_and_the_oldest_goes_first():
    run = Run(DecodeSettings(shard_buffer_bytes=65536))
    for n in range(30):
        lossy(run, directed(sport=41000 + n), 5000)
        assert run.decoder.tcp.waiting <= 65536
    assert run.decoder.counts["decode.reorder_overflow{shard}"] == run.decoder.counts["lost.decode.gap_bytes"] / 4 > 0
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
