from __future__ import annotations

from weir.decode import origins
from weir.decode.origins import Origins
from weir.model.segments import SegmentBlock


def block(offset: int, node: str = "n", ring: int = 0, run: int = 1) -> SegmentBlock:
    return SegmentBlock(
        node=node, ring=ring, run=run, shard=0, shards=1, origin_partition=0, origin_offset=offset, clock_ns=1,
        linktype=1,
    )


def test_what_was_taken_is_known_again() -> None:
    it = Origins()
    assert not it.has(block(0))
    it.take(block(0))
    it.take(block(3))
    assert [it.has(block(n)) for n in (0, 3, 4)] == [True, True, False]


def test_rings_and_runs_are_told_apart() -> None:
    it = Origins()
    it.take(block(7))
    assert not it.has(block(3, ring=1))
    assert not it.has(block(3, node="other"))
    assert not it.has(block(0, run=2))
    it.take(block(0, run=2))
    assert it.has(block(7))
    assert it.has(block(0, run=2))


def test_it_is_bounded() -> None:
    it = Origins()
    for run in range(10):
        it.take(block(5, run=run))
    assert [run for run in range(10) if it.has(block(5, run=run))] == [6, 7, 8, 9]
    for ring in range(1, origins.MAX_RINGS + 10):
        it.take(block(0, ring=ring))
    assert len(it.taken) == origins.MAX_RINGS
    assert not it.has(block(5, run=9))
