from __future__ import annotations

import asyncio
from typing import Any

import pytest

from weir.bus.api import Batch, Received, Record, Topic, Undecodable
from weir.bus.topics import DEAD, SEGMENTS
from weir.errors import Quarantined
from weir.runtime.quarantine import Quarantine
from weir.runtime.service import Context


class Published:
    """The part of a bus that a quarantine uses."""

    def __init__(self) -> None:
        self.letters: list[Any] = []

    async def publish(self, topic: Topic, records: list[Record]) -> None:
        assert topic is DEAD
        self.letters += [record.value for record in records]


def context() -> tuple[Context, Published]:
    bus = Published()
    return Context(bus=bus), bus  # type: ignore[arg-type]


def batch(*values: object) -> Batch:
    return Batch(2, [Received(2, 10 + n, b"k", value) for n, value in enumerate(values)], 10 + len(values))


async def test_good_batches_pass_as_they_are() -> None:
    given = batch("a", "b")
    ctx, bus = context()
    assert await Quarantine(ctx, "decode").sift(SEGMENTS, given) is given
    assert bus.letters == []


async def test_garbage_is_referred_to_and_left_out() -> None:
    ctx, bus = context()
    sifted = await Quarantine(ctx, "decode").sift(SEGMENTS, batch("a", Undecodable("not MessagePack", 7), "c"))
    assert [r.value for r in sifted.records] == ["a", "c"]
    assert sifted.next_offset == 13
    (letter,) = bus.letters
    assert (letter.topic, letter.partition, letter.offset, letter.reason, letter.size, letter.stage) == (
        "segments", 2, 11, "not MessagePack", 7, "decode",
    )
    assert ctx.counts == {"lost.decode.undecodable": 1}


async def test_a_newer_version_is_waited_for_with_the_mark_held() -> None:
    ctx, bus = context()
    sifting = asyncio.ensure_future(
        Quarantine(ctx, "decode").sift(SEGMENTS, batch("a", Undecodable("version 2", 9, newer=True), "c"))
    )
    while not ctx.notes:
        await asyncio.sleep(0)
    assert "upgrade" in ctx.notes["decode.segments"]
    assert not sifting.done()
    ctx.stop.set()
    sifted = await sifting
    assert [r.value for r in sifted.records] == ["a"]
    assert sifted.next_offset == 11
    assert bus.letters == []
    assert ctx.notes == {}


async def test_too_much_garbage_stops_the_stage() -> None:
    ctx, _ = context()
    quarantine = Quarantine(ctx, "decode", max_share=0.1, at_least=3)
    bad = Undecodable("garbage", 1)
    await quarantine.sift(SEGMENTS, batch(*["fine"] * 100))
    await quarantine.sift(SEGMENTS, batch(*[bad] * 8))
    with pytest.raises(Quarantined):
        await quarantine.sift(SEGMENTS, batch(*[bad] * 8))
