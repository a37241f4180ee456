"""However a conversation is cut, shuffled, repeated, snapped or interrupted by a restart, the entries are the same, or
say what they lack; and nothing on the wire breaks anything."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from weir.decode.core import Decoder
from weir.decode.settings import DecodeSettings
from weir.decode.snapshot import restore, save
from weir.model.flow import UDP, Side
from weir.model.segments import SegmentBlock
from weir.testing.segments import NS, START, Connection, Segment, block, datagram, directed
from weir.testing.toy import Toy

C, S = Side.CLIENT, Side.SERVER
DEFAULTS = DecodeSettings()
SMALL = DecodeSettings(max_flows=16, max_closed=8, stream_buffer_bytes=4096, shard_buffer_bytes=65536)


def lines(texts: list[str]) -> bytes:
    return b"".join(b"TOY %d %s\n" % (n, t.encode()) for n, t in enumerate(texts))


@st.composite
def conversations(draw: st.DrawFn, close: bool = True) -> list[Segment]:
    texts = draw(st.lists(st.text("abc xyz", min_size=1, max_size=12), min_size=1, max_size=5))
    c = Connection(isn=(draw(st.sampled_from([1000, 0xFFFFFFF8])), 5), step=1000)
    size = draw(st.integers(1, 30))
    segments = c.open()
    segments += c.send(C, lines(texts), size)
    segments += c.send(S, lines([t.upper() for t in texts]), draw(st.integers(1, 30)))
    return segments + (c.close() if close else [])


@st.composite
def shuffled(draw: st.DrawFn, segments: list[Segment]) -> list[Segment]:
    """In another order, some of them twice."""
    repeated = draw(st.lists(st.sampled_from(segments), max_size=5))
    return draw(st.permutations(segments + repeated))


def run(batches: list[SegmentBlock], *, restart_after: set[int] = frozenset(), options=DEFAULTS) -> list[dict]:
    decoder, entries = Decoder(options, [Toy()]), []
    for number, batch in enumerate(batches):
        entries += decoder.feed(batch)
        if number in restart_after:
            saved = save(decoder)
            decoder = Decoder(options, [Toy()])
            restore(decoder, saved)
            assert save(decoder) == saved
    return entries


def one_by_one(segments: list[Segment]) -> list[SegmentBlock]:
    made = [block([s], offset=n, clock_ns=START) for n, s in enumerate(segments)]
    return [*made, block(offset=len(segments), end=True)]


def told(entries: list[dict]) -> dict[str, dict]:
    """Exchanges by id, without capture times, which depend on which copy of a byte came first."""
    kept = ("protocol", "summary", "toy_key", "src", "dst", "flow_id", "incomplete")
    return {e["id"]: {k: e.get(k) for k in kept} for e in entries if e["kind"] != "flow"}


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_order_within_the_window_gives_the_same_entries(data):
    segments = data.draw(conversations())
    expected = told(run(one_by_one(segments)))
    order = data.draw(shuffled(segments))
    found = run(one_by_one(order))
    assert told(found) == expected
    assert len([e for e in found if e["kind"] == "flow"]) == 1


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_restart_at_any_point_changes_nothing(data):
    segments = data.draw(st.permutations(data.draw(conversations())))
    batches = one_by_one(segments)
    points = data.draw(st.sets(st.integers(0, len(batches) - 1), max_size=4))
    assert run(batches, restart_after=points) == run(batches)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_what_is_lost_or_snapped_is_told(data):
    segments = data.draw(conversations())
    expected = told(run(one_by_one(segments)))
    kept = []
    for segment in segments:
        fate = data.draw(st.sampled_from(["whole", "whole", "snapped", "lost"]))
        if fate == "whole" or (segment.flags & 7 and fate == "lost"):
            kept.append(segment)
        elif fate == "snapped":
            kept.append(segment.snapped(data.draw(st.integers(0, 20))))
    found = told(run(one_by_one(kept)))
    for name, entry in found.items():
        if not entry["incomplete"]:
            assert entry == expected[name]


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_ticks_do_only_what_the_next_packet_would_have_done(data):
    """Two connections on one ring, shuffled, lossy and slow, so that every timer runs out somewhere."""
    quick = DecodeSettings(tcp_idle_s=8, syn_idle_s=4, linger_s=5)
    again = conversations()
    segments = [
        msgspec.structs.replace(s, flow=s.flow if n == 0 else msgspec.structs.replace(s.flow, scope="other"))
        for n in (0, 1) for s in data.draw(again)
    ]
    segments = data.draw(st.permutations(segments))[data.draw(st.integers(0, 3)):]
    now, plain, ticking = START, [], []
    for n, segment in enumerate(segments):
        later = now + data.draw(st.sampled_from([1000, NS // 3, NS, 2 * NS, 9 * NS, 20 * NS]))
        for tick in data.draw(st.lists(st.integers(now, later), max_size=3)):
            ticking.append(block(offset=len(ticking), clock_ns=tick))
        now = later
        plain.append(block([segment.at(now)], offset=n, clock_ns=now if data.draw(st.booleans()) else START))
        ticking.append(block([segment.at(now)], offset=len(ticking), clock_ns=now))
    plain.append(block(offset=len(plain), end=True, clock_ns=now))
    ticking.append(block(offset=len(ticking), end=True, clock_ns=now))

    def ordered(entries):
        return sorted(entries, key=lambda e: (e["id"], e["timestamp"], e["summary"]))

    assert ordered(run(plain, options=quick)) == ordered(run(ticking, options=quick))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_two_vantages_in_any_interleaving_give_each_id_once(data):
    segments = data.draw(conversations())
    skew = data.draw(st.sampled_from([0, -3 * NS, 50 * NS]))
    ids = []
    for _ in range(2):
        turns = data.draw(st.permutations([0] * len(segments) + [1] * len(segments)))
        copies = (iter(segments), iter([s.at(s.ts_ns + skew) for s in segments]))
        decoder, entries = Decoder(DecodeSettings(), [Toy()]), []
        for n, turn in enumerate(turns):
            entries += decoder.feed(block([next(copies[turn])], node=f"node-{turn}", partition=turn, offset=n))
        for turn in (0, 1):
            entries += decoder.feed(block(node=f"node-{turn}", partition=turn, offset=1000, end=True))
        assert len({e["id"] for e in entries}) == len(entries)
        ids.append(sorted(e["id"] for e in entries))
    assert ids[0] == ids[1]


PLACES = st.builds(
    directed, st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1"]), st.sampled_from([0, 53, 8080, 40000]),
    st.sampled_from(["10.0.0.1", "10.0.0.2"]), st.sampled_from([0, 53, 8080, 40001]),
    protocol=st.sampled_from([6, 6, 6, 17, 1]), outline=st.sampled_from([False, False, False, True]),
)
ANY = st.builds(
    Segment, flow=PLACES, ts_ns=st.integers(0, 200).map(lambda n: START + n * NS), payload=st.one_of(
        st.binary(max_size=40), st.sampled_from([b"TOY 1 x\n", b"TOY 1 BOOM\n", b"TOY 2 LEAVE toy\n", b"TOY 3"]),
    ),
    flags=st.one_of(st.integers(0, 63), st.just(16)), seq=st.one_of(st.integers(0, 60), st.integers(0, 0xFFFFFFFF)),
    ack=st.one_of(st.integers(0, 60), st.integers(0, 0xFFFFFFFF)), wire=st.sampled_from([-1, -1, -1, 60, 5000]),
    protocol=st.sampled_from([-1, -1, -1, 1]),
)


@given(st.lists(st.tuples(st.lists(ANY, max_size=8), st.integers(0, 2), st.booleans(), st.booleans()), max_size=12))
@settings(max_examples=250, deadline=None)
def test_any_segments_never_raise_and_keep_the_ceilings(batches):
    decoder = Decoder(SMALL, [Toy()])
    packets = 0
    for n, (segments, ring, end, restart) in enumerate(batches):
        sane = [
            msgspec.structs.replace(s, wire=max(s.wire, len(s.payload)) if s.wire >= 0 else -1) for s in segments
        ]
        packets += len(sane)
        for entry in decoder.feed(block(sane, offset=n, ring=ring, end=end)):
            assert entry["id"]
        assert len(decoder.flows) <= SMALL.max_flows
        assert len(decoder.tombs) <= SMALL.max_closed
        assert decoder.tcp.waiting == sum(d.waits for f in decoder.flows.values() for d in f.ends())
        assert decoder.tcp.waiting <= SMALL.shard_buffer_bytes
        timers = [key for v in decoder.vantages.values() for key in v.timers.keys()]  # noqa: SIM118
        assert sorted(timers) == sorted([*decoder.flows, *decoder.tombs])
        if restart:
            saved = save(decoder)
            decoder = Decoder(SMALL, [Toy()])
            restore(decoder, saved)
    for ring in range(3):
        decoder.feed(block(offset=100 + ring, ring=ring, end=True))
    assert decoder.flows == {}
    assert decoder.tcp.waiting == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=12), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_datagrams_of_two_vantages_give_each_id_once(rows, skew_s):
    forth = directed(sport=5000, protocol=UDP)
    asked = [datagram(forth, b"TOY %d ask\n" % n, START + n * NS) for n in range(4)]
    answered = [datagram(forth.reversed(), b"TOY %d answer\n" % n, START + n * NS + 1000) for n in range(4)]
    segments = [(answered if answer else asked)[n] for answer, n in dict.fromkeys(rows)]
    skew = min(skew_s, 2) * NS
    decoder = Decoder(DecodeSettings(), [Toy()])
    entries = decoder.feed(block(segments, offset=1))
    entries += decoder.feed(block([s.at(s.ts_ns + skew) for s in segments], node="node-b", partition=1, offset=1))
    for node, partition in (("node-a", 0), ("node-b", 1)):
        entries += decoder.feed(block(node=node, partition=partition, offset=2, end=True))
    assert len({e["id"] for e in entries}) == len(entries)
    assert entries[-1]["flow_local_pkts"] + entries[-1]["flow_remote_pkts"] == len(segments)
