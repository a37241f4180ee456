from __future__ import annotations

from typing import Any

import pytest

from weir.bus.api import Batch, Received, Undecodable
from weir.model.counts import Counts
from weir.store.batches import Batches, Limits, weigh

LIMITS = Limits(entries=10, bytes=1 << 20, age_s=0.5)


def batch(partition: int, start: int, *values: Any) -> Batch:
    records = [Received(partition, start + n, b"", value) for n, value in enumerate(values)]
    return Batch(partition, records, start + len(values))


def entries(*names: str) -> list[dict[str, Any]]:
    return [{"id": name} for name in names]


def test_entries_and_marks_leave_together() -> None:
    batches = Batches(LIMITS, Counts())
    assert batches.empty
    batches.add(batch(0, 5, *entries("a", "b")), 1.0)
    batches.add(batch(1, 0, *entries("c")), 1.1)
    batches.add(batch(0, 7, *entries("d")), 1.2)
    insert = batches.take()
    assert [entry["id"] for entry in insert.entries] == ["a", "b", "c", "d"]
    assert insert.marks == {0: 8, 1: 1}
    assert batches.empty
    assert batches.take().marks == {}


def test_the_oldest_entry_decides_when_it_is_due() -> None:
    batches = Batches(LIMITS, Counts())
    batches.add(batch(0, 0, *entries("a")), 10.0)
    batches.add(batch(0, 1, *entries("b")), 10.4)
    assert batches.due_in(10.4) == pytest.approx(0.1)
    assert batches.due_in(11.0) == 0.0


def test_full_by_number_and_by_bytes() -> None:
    batches = Batches(LIMITS, Counts())
    batches.add(batch(0, 0, *entries(*"abcdefghi")), 0.0)
    assert not batches.full()
    batches.add(batch(0, 9, *entries("j")), 0.0)
    assert batches.full()
    large = Batches(LIMITS, Counts())
    large.add(batch(0, 0, {"id": "a", "request": {"body": {"text": "x" * (1 << 20)}}}), 0.0)
    assert large.full()


def test_what_is_no_entry_is_counted_and_marked() -> None:
    counts = Counts()
    batches = Batches(LIMITS, counts)
    batches.add(batch(0, 0, None, {"id": ""}, {"id": 5}, {"x": 1}, {"id": "a"}), 0.0)
    assert counts == {"lost.store.no_id": 4}
    insert = batches.take()
    assert insert.entries == [{"id": "a"}]
    assert insert.marks == {0: 5}


def test_what_a_newer_weir_made_is_waited_for() -> None:
    counts = Counts()
    batches = Batches(LIMITS, counts)
    batches.add(batch(0, 4, {"id": "a"}, Undecodable("version 2", 3, newer=True), {"id": "b"}), 0.0)
    batches.add(batch(1, 0, {"id": "c"}), 0.0)
    assert "version 2" in batches.newer
    insert = batches.take()
    assert insert.entries == [{"id": "a"}]
    assert insert.marks == {0: 5}
    assert not counts


def test_weights_follow_whatever_is_large() -> None:
    small = weigh({"id": "a"})
    assert small < 1000
    for large in (
        {"text": "x" * 5000}, {"request": {"body": {"data": b"x" * 5000}}}, {"answers": [{"data": "x" * 100}] * 50},
        {"numbers": [1] * 5000},
    ):
        assert 5000 <= weigh({"id": "a"} | large) - small <= 50_000
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"deeper": deep}
    assert weigh(deep) < 1000
