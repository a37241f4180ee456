from __future__ import annotations

import itertools

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from weir.archive.walk import FACTOR, FIRST_ROWS, Hour, parts, stretches
from weir.query.structured import Order, Position, Query

HOUR = 3600 * 10**9
DAY = tuple(Hour(number * HOUR, number * HOUR + HOUR - 1, 1_000_000) for number in range(24))


def ranges(asked: list[Query]) -> list[tuple[int, int]]:
    return [(one.since_ns, one.until_ns) for one in asked]


@st.composite
def hours(draw: st.DrawFn) -> list[Hour]:
    made = []
    for number in draw(st.lists(st.integers(0, 30), unique=True, max_size=8)):
        last = number * HOUR + draw(st.integers(0, HOUR - 1))
        made.append(Hour(number * HOUR, last, draw(st.integers(1, 50 * FIRST_ROWS))))
    return made


@given(
    hours(), st.sampled_from(["newest", "oldest", "failed"]), st.integers(0, 20 * HOUR), st.integers(0, 20 * HOUR),
    st.none() | st.integers(0, 31 * HOUR),
)
def test_stretches_follow_one_another_and_leave_nothing_out(
    held: list[Hour], order: Order, since: int, length: int, at: int | None
) -> None:
    query = Query(since_ns=since, until_ns=since + length if length else 0, order=order, filter="http")
    before = Position(at, "id") if at is not None else None
    asked = stretches(query, before, held)
    for one in asked:
        assert msgspec.structs.replace(one, since_ns=query.since_ns, until_ns=query.until_ns) == query
    in_time = ranges(asked if order == "oldest" else asked[::-1])
    assert in_time[0][0] == query.since_ns
    assert in_time[-1][1] == query.until_ns
    for (_, until), (since, _) in itertools.pairwise(in_time):
        assert until == since > 0  # an end at 0 would be none


def test_the_first_stretch_is_short_and_each_is_longer() -> None:
    asked = ranges(stretches(Query(), None, DAY))
    assert asked[0] == (24 * HOUR - HOUR // 10, 0)
    assert asked[-1][0] == 0
    lengths = [until - since for since, until in asked[1:-1]]
    assert lengths == sorted(lengths)
    assert len(asked) <= 2 + len(DAY) * 1_000_000 // FIRST_ROWS // FACTOR
    assert sum(lengths) < 24 * HOUR


def test_the_oldest_are_looked_for_at_the_other_end() -> None:
    asked = ranges(stretches(Query(order="oldest"), None, DAY))
    assert asked[0] == (0, HOUR // 10)
    assert asked[-1][1] == 0


def test_a_later_page_begins_where_the_one_before_ended() -> None:
    back = ranges(stretches(Query(), Position(5 * HOUR - 1, "id"), DAY))
    assert back[0] == (5 * HOUR - HOUR // 10, 0)
    forth = ranges(stretches(Query(order="oldest"), Position(5 * HOUR, "id"), DAY))
    assert forth[0] == (0, 5 * HOUR + HOUR // 10)


def test_little_is_asked_at_once() -> None:
    few = [Hour(0, HOUR - 1, FIRST_ROWS), Hour(HOUR, 2 * HOUR - 1, FIRST_ROWS // FACTOR)]
    assert ranges(stretches(Query(), None, few)) == [(0, 0)]
    assert ranges(stretches(Query(), None, [])) == [(0, 0)]
    assert ranges(stretches(Query(since_ns=HOUR, until_ns=HOUR + HOUR // 20), None, DAY)) == [
        (HOUR, HOUR + HOUR // 20)]


def test_what_failed_comes_before_the_rest() -> None:
    assert parts(Query(), None) == (None,)
    assert parts(Query(order="failed"), None) == (True, False)
    assert parts(Query(order="failed"), Position(1, "id", 1)) == (True, False)
    assert parts(Query(order="failed"), Position(1, "id", 0)) == (False,)
