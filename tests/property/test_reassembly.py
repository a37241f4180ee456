"""Any cutting, order and repetition of a direction's bytes gives the same bytes."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from weir.engine.reassembly import PIECE_COST, Chunk, Direction, accept, begin, release

CEILING = 4096


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[int, bytes, list[tuple[int, int]]]:
    """An initial sequence number, the bytes, and ranges of them in the order in which they come."""
    isn = draw(st.sampled_from([0, 999, 0xFFFFFFF0, 0xFFFFFFFF, 0x7FFFFFF8]))
    data = draw(st.binary(min_size=1, max_size=60))
    cuts = sorted(draw(st.sets(st.integers(0, len(data)), max_size=8)) | {0, len(data)})
    ranges = list(itertools.pairwise(cuts))
    extra = draw(st.lists(st.tuples(st.integers(0, len(data)), st.integers(0, len(data))), max_size=5))
    ranges += [(a, b) for a, b in extra if a < b]
    return isn, data, draw(st.permutations(ranges))


@given(deliveries(), st.booleans(), st.integers(-1, 10))
def test_any_order_gives_the_bytes(delivery, fin, syn_at):
    isn, data, ranges = delivery
    direction, pieces = Direction(), []
    if syn_at < 0:
        begin(direction, isn)
    for number, (a, b) in enumerate(ranges):
        if number == syn_at and direction.isn < 0:
            pieces += begin(direction, isn)
        pieces += accept(
            direction, (isn + 1 + a) & 0xFFFFFFFF, data[a:b], b - a, number, number, fin and b == len(data), False
        )
    if direction.isn < 0:
        pieces += begin(direction, isn)
    assert all(isinstance(p, Chunk) for p in pieces)
    assert [p.offset for p in pieces] == sorted({p.offset for p in pieces})
    assert b"".join(p.data for p in pieces) == data
    assert direction.ended is fin
    assert (direction.conflicts, direction.waits, direction.since) == (0, 0, -1)


@given(
    st.lists(
        st.tuples(
            st.integers(-70, 70), st.binary(max_size=30), st.integers(0, 40), st.booleans(), st.booleans(),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.integers(0, 0xFFFFFFFF),
    st.booleans(),
)
def test_no_segments_break_it(rows, isn, opened):
    """Offsets only rise, pieces touch each other, and what waits is accounted for."""
    direction, at = Direction(), 0
    if opened:
        begin(direction, isn)
    for number, (where, data, more, fin, repeated, give_up) in enumerate(rows):
        pieces = accept(
            direction, (isn + where) & 0xFFFFFFFF, data, len(data) + more, number, number, fin, repeated
        )
        if give_up:
            pieces += release(direction, number + 1)
        pieces += release(direction, -1, CEILING)
        for piece in pieces:
            assert piece.offset == at
            at += len(piece.data) if isinstance(piece, Chunk) else piece.length
        assert direction.waits == sum(len(w.data) + PIECE_COST for w in direction.waiting) <= CEILING
        ends = [(w.offset, w.offset + w.length) for w in direction.waiting]
        assert all(a < b for a, b in ends)
        assert all(b <= c for (_, b), (c, _) in itertools.pairwise(ends))
        assert direction.plain == (
            direction.seq >= 0 and not direction.held and not direction.waiting and direction.fin < 0
        )
    release(direction, 1 << 62)
    assert (direction.waits, direction.since) == (0, -1)
