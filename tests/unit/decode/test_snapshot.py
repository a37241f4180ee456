from __future__ import annotations

import pytest

from weir.decode.core import Decoder
from weir.decode.settings import DecodeSettings
from weir.decode.snapshot import CHUNK_BYTES, Unreadable, chunks_of, complete, restore, save
from weir.model.flow import Side
from weir.testing.segments import Connection, block
from weir.testing.toy import Toy

ASK = b"TOY 1 hello\n"


def decoder(*dissectors):
    return Decoder(DecodeSettings(), dissectors or [Toy()])


def saved_and_rest():
    """A snapshot in the middle of a request, and the block that completes it."""
    c = Connection()
    first = decoder()
    first.feed(block([*c.open(), *c.send(Side.CLIENT, ASK[:5])], offset=1))
    rest = [*c.send(Side.CLIENT, ASK[5:]), *c.send(Side.SERVER, b"TOY 1 world\n")]
    return save(first), block(rest, offset=2)


def test_what_is_restored_goes_on():
    saved, rest = saved_and_rest()
    second = decoder()
    restore(second, saved)
    assert [e["summary"] for e in second.feed(rest)] == ["hello → world"]
    assert second.origins.taken == {"node-a/0": {1: 2}}


@pytest.mark.parametrize(
    "damage",
    [lambda s: s[:-1], lambda s: s[:20] + b"?" + s[21:], lambda s: b"", lambda s: b"\0" * 100],
)
def test_a_damaged_snapshot_is_refused_and_nothing_of_it_taken(damage):
    saved, _ = saved_and_rest()
    second = decoder()
    with pytest.raises(Unreadable):
        restore(second, damage(saved))
    assert second.flows == {}


def test_a_snapshot_of_another_format_is_refused(monkeypatch):
    monkeypatch.setattr("weir.decode.snapshot.FORMAT", 2)
    saved, _ = saved_and_rest()
    monkeypatch.setattr("weir.decode.snapshot.FORMAT", 1)
    with pytest.raises(Unreadable, match="format 2, known is 1"):
        restore(decoder(), saved)


def test_a_dissector_that_is_gone_costs_its_flows_only():
    saved, rest = saved_and_rest()

    class Other(Toy):
        name = "other"

    second = decoder(Other())
    restore(second, saved)
    second.feed(rest)
    (flow,) = second.feed(block(offset=3, end=True))
    assert flow["undecoded"].startswith("state of toy not restored")
    assert second.counts["lost.decode.state_unreadable"] == 1


def test_chunks_come_together_again():
    data = bytes(range(256)) * 8192
    records = chunks_of(data, shard=3, slot=1, offset=77)
    assert len(records) == 4
    assert all(len(chunk.data) <= CHUNK_BYTES for chunk in records.values())
    (stored,) = complete(3, records)
    assert (stored.data, stored.slot, stored.offset, stored.chunks) == (data, 1, 77, 4)
    assert complete(2, records) == []


def test_the_latest_complete_snapshot_comes_first():
    old = chunks_of(b"a" * CHUNK_BYTES * 2, shard=0, slot=0, offset=10)
    new = chunks_of(b"b" * CHUNK_BYTES * 2, shard=0, slot=1, offset=20)
    assert [s.offset for s in complete(0, old | new)] == [20, 10]
    new.popitem()
    assert [s.offset for s in complete(0, old | new)] == [10]


def test_an_interrupted_snapshot_over_an_older_one_of_its_slot_is_not_mixed_with_it():
    old = chunks_of(b"a" * CHUNK_BYTES * 2, shard=0, slot=0, offset=10)
    new = chunks_of(b"b" * CHUNK_BYTES * 2, shard=0, slot=0, offset=20)
    first = next(iter(new))
    assert complete(0, old | {first: new[first]}) == []
    assert complete(0, {}) == []


def test_stale_chunks_of_a_longer_snapshot_do_no_harm():
    old = chunks_of(b"a" * CHUNK_BYTES * 3, shard=0, slot=0, offset=10)
    new = chunks_of(b"b", shard=0, slot=0, offset=20)
    assert [(s.offset, s.data) for s in complete(0, old | new)] == [(20, b"b")]
