"""Which interface of a node shows a directed flow, packet by packet."""

from __future__ import annotations

import pytest

from weir.engine.owners import OWNERSHIP_NS, Known, sequence_behind
from weir.model.flow import DirectedFlow
from weir.model.segments import ACK, FIN, PSH, RST, SYN
from weir.testing.owners import SHOWN


@pytest.mark.parametrize("name", SHOWN)
def test_who_shows_a_flow(name: str) -> None:
    known = Known(DirectedFlow(protocol=6, src=b"aaaa", dst=b"bbbb"), 0)
    told = [
        known.owned_by(interface, n, sequence_behind(seq, length, flags), flags)
        for n, (interface, seq, length, flags, _) in enumerate(SHOWN[name])
    ]
    assert told == [taken for *_, taken in SHOWN[name]]


def test_without_sequence_numbers_an_interface_waits_for_a_second() -> None:
    known = Known(DirectedFlow(protocol=17, src=b"aaaa", dst=b"bbbb"), 0)
    assert known.owned_by(1, 0, -1, 0)
    assert not known.owned_by(2, OWNERSHIP_NS, -1, 0)
    assert known.owned_by(2, OWNERSHIP_NS + 1, -1, 0)
    assert not known.owned_by(1, OWNERSHIP_NS + 2, -1, 0)


@pytest.mark.parametrize(
    ("seq", "length", "flags", "behind"),
    [(5, 0, ACK, 5), (5, 0, SYN, 6), (5, 3, PSH, 8), (5, 3, FIN | ACK, 9), (0xFFFFFFFE, 4, ACK, 2), (5, 0, RST, 5)],
)
def test_the_number_behind_a_segment(seq: int, length: int, flags: int, behind: int) -> None:
    assert sequence_behind(seq, length, flags) == behind


def test_what_the_kernel_chose_is_taken_in_any_order_unless_it_came_through_a_tunnel() -> None:
    """Blocks of two rings: the one with the news is read first."""
    known = Known(DirectedFlow(protocol=6, src=b"aaaa", dst=b"bbbb"), 0)
    assert known.owned_by(2, 0, 20, ACK, True)
    assert known.owned_by(1, 1, 10, ACK, True)
    assert not known.owned_by(2, 1, 10, ACK, False)
    known.tunnelled = True
    assert not known.owned_by(2, 2, 10, ACK, True)
