from __future__ import annotations

import asyncio
from typing import Any

from weir.archive.memory import SLICE, MemoryArchive
from weir.query.structured import Query


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"{number:06}", "timestamp": number, "protocol": "http", "kind": "exchange", "flow_id": "f"} | more


async def test_the_oldest_make_room_and_are_counted() -> None:
    gone: list[int] = []
    archive = MemoryArchive(10, dropped=gone.append)
    await archive.insert([entry(n) for n in range(8)])
    assert gone == []
    await archive.insert([entry(n) for n in range(8, 25)])
    assert sum(gone) == 15
    assert await archive.count(Query()) == 10
    assert (await archive.query(Query())).entries[-1]["id"] == "000015"
    assert await archive.get("000014") is None


async def test_bytes_are_bounded_too() -> None:
    archive = MemoryArchive(1000, 200_000)
    await archive.insert([entry(n, body=b"x" * 10_000) for n in range(100)])
    assert await archive.size_bytes() <= 200_000
    assert 10 <= await archive.count(Query()) <= 19


async def test_one_entry_above_the_limit_is_not_kept() -> None:
    archive = MemoryArchive(1000, 50_000)
    await archive.insert([entry(1), entry(2, body=b"x" * 60_000)])
    assert await archive.size_bytes() == 0


async def test_the_size_is_right_after_everything_left() -> None:
    archive = MemoryArchive(100)
    await archive.insert([entry(n) for n in range(50)] + [entry(n, version=2, x="fuller") for n in range(50)])
    await archive.trim(before_ns=1000)
    assert await archive.size_bytes() == 0
    assert await archive.count(Query()) == 0


async def test_a_long_search_lets_others_run_and_survives_what_they_change() -> None:
    archive = MemoryArchive(SLICE * 4)
    await archive.insert([entry(n) for n in range(SLICE * 4)])
    search = asyncio.create_task(archive.query(Query(text="nothing like this")))
    count = asyncio.create_task(archive.count(Query(until_ns=SLICE * 4)))
    await asyncio.sleep(0)
    assert not search.done()
    await archive.insert([entry(n) for n in range(SLICE * 4, SLICE * 5)])
    assert (await search).entries == []
    assert SLICE * 3 <= await count <= SLICE * 4
