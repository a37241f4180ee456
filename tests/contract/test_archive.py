"""Every archive gives the same answers: one suite, held against the ring in memory and ClickHouse over HTTP (chdb)."""

from __future__ import annotations

import itertools
import random
from typing import Any

import msgspec
import pytest

from weir.archive.api import Archive
from weir.query.structured import ORDERS, Order, Query, QueryError, cursor_of, position_of
from weir.testing.archives import BASE, HOUR, entry, every_page, ids


async def test_an_empty_archive_answers(archive: Archive) -> None:
    assert (await archive.query(Query())).entries == []
    assert (await archive.query(Query())).next == ""
    assert await archive.get("x") is None
    assert await archive.count(Query()) == 0
    assert await archive.statistics(Query()) == []
    assert (await archive.trim(before_ns=BASE, max_bytes=1)).entries == 0


async def test_an_entry_comes_back_whole(archive: Archive) -> None:
    whole = entry(
        "whole", nested={"list": [1, -2, 1.5, None, True, {"b": "c"}]}, text="ä\n\0€😀", big=2**63 - 1,
        request={"headers": {"x": "y" * 5000}, "body": {"data": b"\xff\xfe" * 100, "size": 200}},
    )
    await archive.insert([whole])
    assert await archive.get("whole") == whole
    assert (await archive.query(Query())).entries == [whole]


async def test_newest_first_and_by_id_within_one_time(archive: Archive) -> None:
    await archive.insert([entry("b"), entry("c", BASE + 1), entry("a"), entry("d", BASE - 1)])
    assert ids((await archive.query(Query())).entries) == ["c", "b", "a", "d"]


async def test_inserting_again_changes_nothing(archive: Archive) -> None:
    entries = [entry(f"e{n}", BASE + n) for n in range(50)]
    for _ in range(3):
        await archive.insert(entries)
    await archive.insert([entries[7], entries[7]])
    assert await archive.count(Query()) == 50
    assert len(await every_page(archive, Query(limit=7))) == 50
    assert (await archive.statistics(Query()))[0].entries == 50


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_highest_version_wins_in_any_order(archive: Archive, order: tuple[int, ...]) -> None:
    copies = [
        entry("x", BASE + 7, version=1, status_code=0, ok=None),
        entry("x", BASE + 3, version=3, status_code=500, ok=False),
        entry("x", BASE + 5, version=2, status_code=200),
    ]
    for place in order:
        await archive.insert([copies[place]])
    found = await archive.get("x")
    assert found is not None
    assert found["version"] == 3
    assert (await archive.query(Query())).entries == [copies[1]]
    assert await archive.count(Query()) == 1
    [group] = await archive.statistics(Query(), group_by=["status_code"])
    assert (group.key, group.entries, group.errors) == ((500,), 1, 1)
    assert await archive.count(Query(ok=True)) == 0
    assert (await archive.query(Query(ok=True))).entries == []


async def test_the_latest_of_a_flow_that_is_still_open_counts(archive: Archive) -> None:
    told = [
        entry("x", kind="flow", version=0, elapsed_time=0, summary="tcp open: 1"),
        entry("x", kind="flow", version=0, elapsed_time=5000, summary="tcp open: 2", conn_local_bytes=10),
        entry("x", kind="flow", version=0, elapsed_time=5000, summary="tcp open: 3", conn_local_bytes=10,
              conn_remote_bytes=30),
    ]
    for one in told:
        await archive.insert([one])
        assert await archive.get("x") == one
    assert (await archive.query(Query())).entries == [told[2]]
    assert (await archive.query(Query(text="open: 2"))).entries == []
    assert await archive.count(Query(text="open: 2")) == 0
    [group] = await archive.statistics(Query())
    assert (group.entries, group.bytes, group.flow_bytes) == (1, 0, 40)
    await archive.insert([entry("x", kind="flow", summary="tcp closed", elapsed_time=1)])
    assert await archive.count(Query(text="closed")) == 1


async def test_what_nobody_misses_is_left_out_unless_asked_for(archive: Archive) -> None:
    await archive.insert([
        entry("plain", BASE + 3), entry("probe", BASE + 2, tags=["probe"]),
        entry("front", BASE + 1, tags=["other", "service-view"]), entry("marked", tags=["other"]),
    ])
    assert ids((await archive.query(Query())).entries) == ["plain", "marked"]
    assert await archive.count(Query()) == 2
    assert (await archive.statistics(Query()))[0].entries == 2
    assert ids((await archive.query(Query(hidden=True))).entries) == ["plain", "probe", "front", "marked"]
    assert await archive.count(Query(hidden=True)) == 4
    assert (await archive.statistics(Query(hidden=True)))[0].entries == 4
    assert await archive.get("probe") is not None


@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_every_order_is_paged_through_and_each_entry_comes_once(archive: Archive, limit: int) -> None:
    chance = random.Random(5)
    for copy in range(3):
        await archive.insert([
            entry(f"e{n:02}", BASE + n // 2 * 1000 + copy, version=copy % 2 + 1, elapsed_time=n * 7 % 10 * 100 + copy,
                  ok=chance.choice([True, False, None]))
            for n in range(40)
        ])
    kept = (await archive.query(Query(limit=1000))).entries
    by_time = [(one["timestamp"], one["id"]) for one in kept]

    async def order(name: Order) -> list[dict[str, Any]]:
        found = await every_page(archive, Query(order=name, limit=limit))
        assert sorted(ids(found)) == sorted(ids(kept))
        return found

    assert [(one["timestamp"], one["id"]) for one in await order("oldest")] == sorted(by_time)
    slowest = [(one["elapsed_time"], one["timestamp"], one["id"]) for one in await order("slowest")]
    assert slowest == sorted(slowest, reverse=True)
    failed = [(one["ok"] is False, one["timestamp"], one["id"]) for one in await order("failed")]
    assert failed == sorted(failed, reverse=True)
    assert failed[0][0]
    assert not failed[-1][0]


async def test_orders_keep_to_conditions(archive: Archive) -> None:
    await archive.insert([
        entry(f"e{n}", BASE + n, elapsed_time=100 - n, status_code=200 + n % 2, ok=n % 3 > 0) for n in range(12)
    ])
    query = Query(since_ns=BASE + 2, until_ns=BASE + 9, filter="status_code == 201", limit=2)

    async def found(order: Order) -> list[str]:
        return ids(await every_page(archive, msgspec.structs.replace(query, order=order)))

    assert await found("newest") == ["e7", "e5", "e3"]
    assert await found("oldest") == await found("slowest") == ["e3", "e5", "e7"]
    assert await found("failed") == ["e3", "e7", "e5"]


async def test_a_cursor_belongs_to_its_order(archive: Archive) -> None:
    await archive.insert([entry(f"e{n}", BASE + n) for n in range(3)])
    for order in ORDERS:
        page = await archive.query(Query(order=order, limit=1))
        for other in ORDERS:
            if other != order:
                with pytest.raises(QueryError):
                    await archive.query(Query(order=other, limit=1, cursor=page.next))


@pytest.mark.parametrize("first", [0, 1])
async def test_of_two_vantages_the_earlier_copy_stays(archive: Archive, first: int) -> None:
    copies = [entry("x", BASE + 5_000, node_name="a"), entry("x", BASE + 9_000, node_name="b")]
    await archive.insert([copies[first]])
    await archive.insert([copies[1 - first]])
    assert (await archive.query(Query())).entries == [copies[0]]
    assert await archive.get("x") == copies[0]
    later = Query(since_ns=BASE + 8_000)
    assert (await archive.query(later)).entries == []
    assert await archive.count(later) == 0
    assert await archive.statistics(later) == []
    earlier = Query(until_ns=BASE + 8_000)
    assert await archive.count(earlier) == 1
    assert len((await archive.query(earlier)).entries) == 1


async def test_pages_stay_in_place_while_entries_arrive(archive: Archive) -> None:
    await archive.insert([entry(f"e{n:03}", BASE + n // 3) for n in range(100)])
    expected = ids((await archive.query(Query(limit=100))).entries)
    found: list[str] = []
    query = Query(limit=9)
    for turn in itertools.count():
        page = await archive.query(query)
        found += ids(page.entries)
        if not page.next:
            break
        await archive.insert([entry(f"new{turn}", BASE + 1000 + turn)])
        query = Query(limit=9, cursor=page.next)
    assert found == expected


async def test_the_last_full_page_has_no_next(archive: Archive) -> None:
    await archive.insert([entry(f"e{n}", BASE + n) for n in range(10)])
    page = await archive.query(Query(limit=10))
    assert len(page.entries) == 10
    assert page.next == ""
    first = await archive.query(Query(limit=9))
    assert first.next
    assert ids((await archive.query(Query(limit=9, cursor=first.next))).entries) == ["e0"]


async def test_pages_over_copies_of_the_same_entries(archive: Archive) -> None:
    for shift in range(30):
        await archive.insert([entry(f"e{n}", BASE + n * 10_000 + shift) for n in range(20)])
    assert ids(await every_page(archive, Query(limit=3))) == [f"e{n}" for n in reversed(range(20))]


async def test_a_page_of_large_entries_ends_early(archive: Archive) -> None:
    archive.page_bytes = 100_000  # type: ignore[attr-defined]
    noise = random.Random(1)
    await archive.insert([entry(f"e{n:02}", BASE + n, noise=noise.randbytes(30_000)) for n in range(20)])
    await archive.insert([entry("huge", BASE + 100, noise=noise.randbytes(300_000))])
    first = await archive.query(Query(limit=1000))
    assert ids(first.entries) == ["huge"]
    second = await archive.query(Query(limit=1000, cursor=first.next))
    assert 1 < len(second.entries) <= 4
    assert len(await every_page(archive, Query(limit=1000))) == 21


async def test_one_insert_may_span_weeks(archive: Archive) -> None:
    await archive.insert([entry(f"h{hour:03}", BASE + hour * HOUR) for hour in range(400)])
    assert await archive.count(Query()) == 400
    assert ids((await archive.query(Query(limit=2))).entries) == ["h399", "h398"]
    assert ids((await archive.query(Query(since_ns=BASE + 5 * HOUR, until_ns=BASE + 7 * HOUR))).entries) == [
        "h006", "h005"
    ]


HOSTILE = ["' OR 1=1 --", "\\", "{text:String}", "%", "_", "\n", "\t", "\x00", "\\'", "a'b", "ÄÖ", "İ", "ß", "\ud800"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_text_is_only_text(archive: Archive, text: str) -> None:
    await archive.insert([entry("with", summary=f"see {text} here"), entry("without", BASE + 1, summary="nothing")])
    everything = Query(text=text, protocols=("http", text), names=(text, "cart"))
    assert ids((await archive.query(everything)).entries) == (["without", "with"] if text == "\n" else ["with"])
    assert (await archive.query(Query(flow_id=text))).entries == []
    assert (await archive.query(Query(namespaces=(text,)))).entries == []
    assert await archive.get(text) is None


async def test_odd_maps_are_kept(archive: Archive) -> None:
    odd: list[dict[str, Any]] = [
        {"id": "bare"},
        {"id": "types", "timestamp": "x", "src": 1, "dst": ["a"], "request": None, "status_code": "200", "ok": 1,
         "elapsed_time": -5, "version": -1, "sample_rate": "no", "path": b"bytes", "protocol": None},
        {"id": "numbers", "timestamp": 2**70, "status_code": 2**40, "elapsed_time": 2**80, "version": 2**40,
         "sample_rate": -1.0, "src": {"port": 10**9}, "request": {"size": 2**70}, "x": float("nan")},
        {"id": "texts", "summary": "\ud800 lone", "path": "p" * 100_000, "timestamp": BASE},
    ]
    await archive.insert(odd)
    found = (await archive.query(Query())).entries
    assert ids(found) == ["numbers", "texts", "types", "bare"]
    assert await archive.count(Query()) == 4
    assert sum(group.entries for group in await archive.statistics(Query(), group_by=["status_code"])) == 4


async def test_a_foreign_cursor_is_refused(archive: Archive) -> None:
    for cursor in ("x", "!!!", "LTE6YQ", cursor_of(position_of("MTpi")) + "%"):
        with pytest.raises(QueryError, match="none of ours"):
            await archive.query(Query(cursor=cursor))


async def test_trim_by_age_drops_whole_old_hours(archive: Archive) -> None:
    await archive.insert([entry(f"h{hour}", BASE + hour * HOUR + HOUR // 2) for hour in range(5)])
    gone = await archive.trim(before_ns=BASE + 3 * HOUR)
    assert gone.entries == 3
    assert gone.bytes > 0
    assert ids((await archive.query(Query())).entries) == ["h4", "h3"]
    assert (await archive.trim(before_ns=BASE + 3 * HOUR)).entries == 0


async def test_trim_by_size_drops_the_oldest(archive: Archive) -> None:
    for hour in range(4):
        noise = random.Random(hour)
        await archive.insert([
            entry(f"h{hour}-{n}", BASE + hour * HOUR + n, noise=noise.randbytes(2000)) for n in range(100)
        ])
    size = await archive.size_bytes()
    await archive.trim(max_bytes=size)
    assert await archive.count(Query()) == 400
    await archive.trim(max_bytes=size * 6 // 10)
    assert await archive.size_bytes() <= size * 6 // 10
    left = ids((await archive.query(Query(limit=1000))).entries)
    assert 100 <= len(left) <= 300
    assert left[0] == "h3-99"
    assert len(left) == len({name for name in left if name >= min(left)})
