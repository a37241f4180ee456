"""Every archive counts alike: groups, buckets, weights and values of fields."""

from __future__ import annotations

from typing import Any

import pytest

from weir.archive.api import Archive, Statistics
from weir.query.structured import Query, QueryError
from weir.testing.archives import BASE, entry


async def test_roles_can_be_grouped_by(archive: Archive) -> None:
    await archive.insert([
        entry("a", src={"role": "pod"}, dst={"role": "service"}), entry("b", src={"role": "pod"}), entry("c"),
    ])
    groups = await archive.statistics(Query(), group_by=["src_role", "dst_role"])
    assert sorted(group.key for group in groups) == [("", ""), ("pod", ""), ("pod", "service")]


async def test_statistics_group_by_what_the_filter_language_names(archive: Archive) -> None:
    await archive.insert([
        entry("a", src={"name": "cart", "service": {"name": "carts"}, "node": "n1"}, http_version="2"),
        entry("b", src={"ip": "10.0.0.9", "port": 7}, dst={}, status_code=503, path="é" * 3000, protocol="grpc"),
        entry("c", kind="flow", protocol="tcp", src={"ip": "10.0.0.9", "port": 8}, status_code=404),
    ])

    async def keys(*group_by: str) -> list[tuple[Any, ...]]:
        return sorted(group.key for group in await archive.statistics(Query(), group_by=group_by))

    assert await keys("src.service") == await keys("src.service.name") == [("",), ("carts",)]
    assert await keys("src.node", "call") == [("", 0), ("", 1), ("n1", 1)]
    assert await keys("status_code / 100") == [(2,), (4,), (5,)]
    assert await keys('src.name == "" ? src.ip : src.name') == [("10.0.0.9",), ("cart",)]
    assert await keys("src.port", "http2") == [(0, 1), (7, 0), (8, 0)]
    assert await keys("request.headers[\"none\"]") == [("",)]
    assert ("é" * 512,) in await keys('path + ""')
    [everything] = await archive.statistics(Query())
    assert everything.protocols == ["grpc", "http", "tcp"]


@pytest.mark.parametrize(
    "name", ["timestamp", "namespaces", "request.headers", "sample_rate", "a; DROP TABLE x", "nonsense", ""]
)
async def test_what_has_no_key_is_not_grouped_by(archive: Archive, name: str) -> None:
    with pytest.raises(QueryError):
        await archive.statistics(Query(), group_by=[name])


async def test_groups_by_whole_entries_count_each_once(archive: Archive) -> None:
    await archive.insert([
        entry("x", BASE + shift, version=shift, src={"node": f"n{shift}"}, status_code=500) for shift in (1, 3, 2)
    ])
    [group] = await archive.statistics(Query(filter="src.port == 0"), group_by=["src.node"])
    assert (group.key, group.entries) == (("n3",), 1)


async def test_values_of_fields_are_counted(archive: Archive) -> None:
    await archive.insert([
        entry(f"e{n}", BASE + n, status_code=200 + n % 3 % 2, src={"namespace": "shop", "labels": {"app": "a"}},
              dns_questions=["a.b", "c"] if n % 2 else [], request={"headers": {"host": "x" * 1000, "b": "1"}})
        for n in range(9)
    ])
    assert await archive.values(Query(), "status_code") == [(200, 6), (201, 3)]
    assert await archive.values(Query(until_ns=BASE + 2), "status_code") == [(200, 1), (201, 1)]
    assert await archive.values(Query(), "src.namespace") == [("shop", 9)]
    assert await archive.values(Query(), "dns_questions") == [("a.b", 4), ("c", 4)]
    assert await archive.values(Query(), "request.headers") == [("b", 9), ("host", 9)]
    assert await archive.values(Query(), "request.headers[\"host\"]") == [("x" * 512, 9)]
    assert await archive.values(Query(), "namespaces") == [("shop", 9)]
    assert await archive.values(Query(filter="status_code == 1"), "status_code") == []
    for name in ("timestamp", "sample_rate", "nonsense"):
        with pytest.raises(QueryError):
            await archive.values(Query(), name)


async def test_unknown_groups_are_refused(archive: Archive) -> None:
    with pytest.raises(QueryError, match=r"no value|cannot be grouped"):
        await archive.statistics(Query(), group_by=["entry; DROP TABLE entries"])


async def test_statistics_weigh_by_sample_rate(archive: Archive) -> None:
    await archive.insert([
        entry("a", elapsed_time=100, request={"size": 10}, response={"size": 5}),
        entry("b", elapsed_time=200, sample_rate=0.1, ok=False),
        entry("c", elapsed_time=0),
    ])
    [group] = await archive.statistics(Query())
    assert group == Statistics(
        count=12.0, entries=3, errors=10.0, p50_us=200, p95_us=200, p99_us=200, bytes=15, protocols=["http"],
    )


async def test_statistics_by_bucket_and_key(archive: Archive) -> None:
    await archive.insert([
        *(entry(f"a{n}", BASE + n, elapsed_time=n + 1) for n in range(100)),
        *(entry(f"b{n}", BASE + 10**9 + n, status_code=500, ok=False) for n in range(3)),
        entry("c", BASE + 10**9, status_code=404),
    ])
    groups = await archive.statistics(Query(), group_by=["status_code", "dst_name"], bucket_ns=10**9)
    assert [(g.since_ns - BASE, g.key, g.entries) for g in groups] == [
        (0, (200, "checkout"), 100), (10**9, (500, "checkout"), 3), (10**9, (404, "checkout"), 1)
    ]
    assert (groups[0].p50_us, groups[0].p95_us, groups[0].p99_us) == (50, 95, 99)
    assert len(await archive.statistics(Query(), group_by=["status_code"], limit=2)) == 2
