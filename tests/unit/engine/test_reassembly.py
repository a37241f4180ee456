"""Each test is the transcript of one direction: what came, and what was given."""

from __future__ import annotations

import pytest

from weir.engine.reassembly import (
    PIECE_COST,
    RECENT,
    Chunk,
    Direction,
    Gap,
    accept,
    begin,
    rejoin,
    release,
    sequence_at,
    skim,
)

WINDOW = 100


class Transcript:
    """A direction with sequence numbers that count from `isn` + 1, and a clock that ticks with each segment."""

    def __init__(self, isn: int | None = 999) -> None:
        self.direction = Direction()
        self.isn = 999 if isn is None else isn
        self.now = 0
        if isn is not None:
            assert begin(self.direction, isn) == []

    def got(self, at: int, data: bytes, *, wire: int | None = None, fin: bool = False, repeated: bool = False) -> str:
        self.now += 1
        seq = (self.isn + 1 + at) & 0xFFFFFFFF
        length = len(data) if wire is None else wire
        return show(accept(self.direction, seq, data, length, self.now, self.now, fin, repeated))

    def waited(self) -> str:
        return show(release(self.direction, self.now + 1))

    def over(self, ceiling: int) -> str:
        return show(release(self.direction, -1, ceiling))


def show(pieces: list[Chunk | Gap]) -> str:
    """`0:abc` for bytes, `3-5` for a gap."""
    return " ".join(
        f"{p.offset}:{p.data.decode()}" if isinstance(p, Chunk) else f"{p.offset}-{p.offset + p.length}" for p in pieces
    )


def test_bytes_in_order_are_given_at_once():
    t = Transcript()
    assert t.got(0, b"abc") == "0:abc"
    assert t.got(3, b"def") == "3:def"
    assert t.direction.plain
    assert sequence_at(t.direction, 3) == 1003


def test_what_comes_early_waits_for_what_is_before():
    t = Transcript()
    assert t.got(3, b"def") == ""
    assert t.got(6, b"ghi") == ""
    assert not t.direction.plain
    assert t.got(0, b"abc") == "0:abc 3:def 6:ghi"
    assert t.direction.plain
    assert t.direction.waits == 0
    assert t.direction.since == -1


def test_capture_times_stay_with_their_bytes():
    t = Transcript()
    t.got(3, b"def")
    pieces = accept(t.direction, 1000, b"abc", 3, 77, 77, False, False)
    assert [p.timestamp for p in pieces] == [77, 1]


def test_a_retransmission_is_given_once_and_counted():
    t = Transcript()
    t.got(0, b"abc")
    assert t.got(0, b"abc") == ""
    assert t.direction.retransmissions == 1
    assert t.direction.conflicts == 0


def test_a_retransmission_of_what_waits_is_counted_too():
    t = Transcript()
    t.got(3, b"def")
    assert t.got(3, b"def") == ""
    assert t.direction.retransmissions == 1


def test_a_copy_from_another_vantage_is_no_retransmission():
    t = Transcript()
    t.got(0, b"abc", repeated=True)
    t.got(0, b"abc", repeated=True)
    t.got(3, b"d")
    t.got(3, b"d", repeated=True)
    assert (t.direction.retransmissions, t.direction.keep_alives) == (0, 0)


def test_a_retransmission_with_new_bytes_behind_gives_these():
    t = Transcript()
    t.got(0, b"abc")
    assert t.got(0, b"abcdef") == "3:def"
    assert t.direction.conflicts == 0


def test_the_first_copy_of_a_delivered_byte_wins_and_the_conflict_is_counted():
    t = Transcript()
    t.got(0, b"abc")
    assert t.got(1, b"XXdef") == "3:def"
    assert t.direction.conflicts == 1


def test_conflicts_are_seen_only_as_far_as_bytes_are_remembered():
    t = Transcript()
    t.got(0, b"a" * 10 + b"b" * RECENT)
    t.got(0, b"X" * 10 + b"b" * RECENT)
    assert t.direction.conflicts == 0
    assert len(t.direction.recent) == RECENT


@pytest.mark.parametrize(
    ("second", "expected", "conflicts"),
    [
        ((2, b"XXXX"), "0:ab 2:XX 4:efg", 1),      # before and into it: its own part before is new
        ((5, b"YYYY"), "0:abcd 4:efg 7:YY", 1),    # into it and behind
        ((3, b"ZZZZZZ"), "0:abc 3:Z 4:efg 7:ZZ", 1),  # around it
        ((5, b"f"), "0:abcd 4:efg", 0),            # inside, the same bytes
    ],
)
def test_of_bytes_that_wait_the_first_copy_wins(second, expected, conflicts):
    t = Transcript()
    t.got(4, b"efg")
    assert t.got(*second) == ""
    first = {2: b"ab", 5: b"abcd", 3: b"abc"}[second[0]]
    assert t.got(0, first) == expected
    assert t.direction.conflicts == conflicts


def test_a_segment_over_several_that_wait_fills_the_holes_between_them():
    t = Transcript()
    t.got(2, b"c")
    t.got(4, b"e")
    t.got(6, b"g")
    assert t.got(0, b"abcdefgh") == "0:ab 2:c 3:d 4:e 5:f 6:g 7:h"
    assert t.direction.conflicts == 0


def test_a_keep_alive_probe_is_nothing_new_whatever_its_byte():
    t = Transcript()
    t.got(0, b"abc")
    assert t.got(2, b"\0") == ""
    assert t.got(2, b"") == ""
    assert t.direction.keep_alives == 1
    assert (t.direction.retransmissions, t.direction.conflicts) == (0, 0)
    assert t.got(3, b"def") == "3:def"


def test_a_keep_alive_probe_before_any_data():
    t = Transcript()
    assert t.got(-1, b"\0") == ""
    assert t.got(0, b"abc") == "0:abc"


def test_a_lost_segment_becomes_a_gap_when_waiting_is_over():
    t = Transcript()
    t.got(0, b"abc")
    t.got(6, b"ghi")
    assert t.got(12, b"mno") == ""
    assert show(release(t.direction, 2)) == ""
    assert show(release(t.direction, 3)) == "3-6 6:ghi"
    assert t.waited() == "9-12 12:mno"
    assert t.direction.lost == 6
    assert t.direction.plain


def test_what_arrived_first_decides_how_long_is_waited():
    t = Transcript()
    t.got(12, b"mno")
    t.got(6, b"ghi")
    assert show(release(t.direction, 2)) == "0-6 6:ghi 9-12 12:mno"


def test_the_ceiling_gives_up_the_first_gap_first():
    t = Transcript()
    t.got(3, b"def")
    t.got(9, b"jkl")
    cost = 3 + PIECE_COST
    assert t.direction.waits == 2 * cost
    assert t.over(2 * cost) == ""
    assert t.over(cost) == "0-3 3:def"
    assert t.direction.waits == cost


def test_a_snapped_segment_moves_on_by_its_length_on_the_wire():
    t = Transcript()
    assert t.got(0, b"abc", wire=10) == "0:abc 3-10"
    assert t.got(10, b"xyz") == "10:xyz"
    assert t.direction.lost == 7


def test_a_snapped_segment_of_which_nothing_was_captured_is_a_gap():
    t = Transcript()
    assert t.got(0, b"", wire=10) == "0-10"


def test_a_snapped_segment_waits_like_any_other():
    t = Transcript()
    assert t.got(3, b"d", wire=3) == ""
    assert t.got(0, b"abc") == "0:abc 3:d 4-6"


def test_sequence_numbers_wrap():
    t = Transcript(isn=0xFFFFFFFD)
    assert t.got(0, b"abcd") == "0:abcd"
    assert t.got(8, b"ijk") == ""
    assert t.got(4, b"efgh") == "4:efgh 8:ijk"
    assert sequence_at(t.direction, 0) == 0xFFFFFFFE
    assert sequence_at(t.direction, 4) == 2
    assert t.got(0, b"abcd") == ""
    assert t.direction.retransmissions == 1


def test_more_than_two_gigabytes_may_be_lost():
    t = Transcript()
    t.got(0, b"abc")
    assert t.got(5 << 29, b"xyz") == ""
    assert t.waited() == f"3-{5 << 29} {5 << 29}:xyz"


def test_a_joined_direction_waits_for_what_may_come_before():
    t = Transcript(isn=None)
    assert t.got(100, b"abc") == ""
    assert t.got(97, b"xyz") == ""
    assert t.direction.held
    assert t.waited() == "0:xyz 3:abc"
    assert sequence_at(t.direction, 0) == 1000 + 97
    assert t.direction.lost == 0
    assert t.got(103, b"def") == "6:def"


def test_the_syn_of_a_direction_may_come_after_its_data():
    t = Transcript(isn=None)
    assert t.got(3, b"def") == ""
    assert t.got(0, b"abc") == ""
    assert show(begin(t.direction, 999)) == "0:abc 3:def"
    assert t.direction.plain
    assert t.direction.isn == 999


def test_bytes_before_the_syn_are_nobodys():
    t = Transcript(isn=None)
    t.got(-1, b"\0abc")
    assert show(begin(t.direction, 999)) == "0:abc"


def test_the_fin_ends_a_direction_where_it_lies():
    t = Transcript()
    assert t.got(0, b"abc", fin=True) == "0:abc"
    assert t.direction.ended
    assert t.got(3, b"more") == ""
    assert t.direction.ended


def test_a_fin_waits_for_the_bytes_before_it():
    t = Transcript()
    assert t.got(3, b"def", fin=True) == ""
    assert not t.direction.ended
    assert t.got(0, b"abc") == "0:abc 3:def"
    assert t.direction.ended
    assert t.direction.since == -1


def test_what_is_missing_before_a_fin_becomes_a_gap():
    t = Transcript()
    t.got(0, b"abc")
    assert t.got(6, b"", fin=True) == ""
    assert t.waited() == "3-6"
    assert t.direction.ended


def test_bytes_behind_a_fin_are_not_given():
    t = Transcript()
    t.got(3, b"", fin=True)
    assert t.got(0, b"abcdef") == "0:abc"
    assert t.direction.ended


def test_a_fin_alone_in_a_joined_direction_ends_it():
    t = Transcript(isn=None)
    assert t.got(50, b"", fin=True) == ""
    assert t.waited() == ""
    assert t.direction.ended


def test_a_second_fin_elsewhere_is_a_conflict():
    t = Transcript()
    t.got(3, b"", fin=True)
    t.got(5, b"", fin=True)
    assert t.direction.conflicts == 1
    assert t.direction.fin == 3


def test_skimming_counts_without_keeping():
    t = Transcript()
    t.got(5, b"waits")
    skim(t.direction, 1020, 10, False, False)
    assert (t.direction.offset, t.direction.waits, t.direction.since) == (30, 0, -1)
    skim(t.direction, 1020, 10, False, False)
    assert t.direction.retransmissions == 1
    skim(t.direction, 1100, 0, True, False)
    assert (t.direction.offset, t.direction.ended) == (100, True)


def test_rejoining_forgets_the_position_but_not_the_counts():
    t = Transcript()
    t.got(0, b"abc")
    t.got(0, b"abc")
    rejoin(t.direction)
    assert (t.direction.seq, t.direction.isn, t.direction.retransmissions) == (-1, -1, 1)
    assert t.got(50, b"xyz") == ""
    assert t.waited() == "0:xyz"
