from __future__ import annotations

from weir.capture.ring import Ring


def ring() -> Ring:
    return Ring(node="n1", ring=3, run=77)


def test_blocks_are_numbered_and_packets_counted() -> None:
    books = ring()
    blocks = [books.block(10, data=b"x", count=5), books.block(20), books.block(30, data=b"y", count=2, end=True)]
    assert [(b.sequence, b.first_index, b.count) for b in blocks] == [(0, 0, 5), (1, 5, 0), (2, 5, 2)]
    assert {(b.node, b.ring, b.run) for b in blocks} == {("n1", 3, 77)}
    assert [b.end for b in blocks] == [False, False, True]


def test_the_clock_never_goes_back() -> None:
    books = ring()
    assert [books.block(t).clock_ns for t in (10, 5, 12)] == [10, 10, 12]


def test_losses_are_told_once() -> None:
    books = ring()
    books.lose(4)
    books.lose(1)
    assert [books.block(1).lost, books.block(2).lost] == [5, 0]


def test_what_the_bus_refused_is_told_by_the_next_block_with_what_it_would_have_told() -> None:
    books = ring()
    books.lose(4)
    refused = books.block(1, data=b"x", count=10)
    books.refused(refused)
    following = books.block(2, data=b"y", count=1)
    assert (following.lost, following.first_index, following.sequence) == (14, 10, 1)


def test_a_block_bears_the_generation_in_force_and_its_interfaces() -> None:
    books = ring()
    books.generation = 9
    block = books.block(1, interfaces={2: "eth0"})
    assert (block.generation, block.interfaces) == (9, {2: "eth0"})
