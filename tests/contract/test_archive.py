"""Every archive gives the same answers: one suite, held against the ring in memory and ClickHouse over HTTP (chdb)."""

from __future__ import annotations

import asyncio
import itertools
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weir.archive import questions
from weir.archive.api import Archive, ArchiveAway, Statistics, TooLong
from weir.archive.clickhouse import ClickHouseArchive
from weir.archive.memory import MemoryArchive
from weir.archive.place import place_of
from weir.errors import ArchiveError
from weir.query.match import predicate
from weir.query.row import row_of
from weir.query.structured import ORDERS, Order, Query, QueryError, cursor_of, position_of

HOUR = 3600 * 10**9
BASE = 1_700_000_000 * 10**9 // HOUR * HOUR
PASSWORD = "a password & more?"

SERVER = """
import asyncio, sys
from pathlib import Path
from weir.archive.chdb_server import Engine, Server

async def main():
    server = Server(Engine(Path(sys.argv[1])), "weir", sys.argv[2])
    await server.start("127.0.0.1", 0)
    print(server.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await server.close()

asyncio.run(main())
"""

databases = itertools.count()


@pytest.fixture(scope="session")
def chdb_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if find_spec("chdb") is None:
        pytest.skip("chdb is not installed (extra `embedded`)")
    folder = tmp_path_factory.mktemp("chdb")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder), PASSWORD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    yield f"http://weir:a%20password%20%26%20more%3F@127.0.0.1:{int(server.stdout.readline())}"
    server.stdin.close()
    assert server.wait(30) == 0


@pytest.fixture(params=["memory", pytest.param("chdb", marks=pytest.mark.chdb)])
async def archive(request: pytest.FixtureRequest) -> AsyncIterator[Archive]:
    made: Archive
    if request.param == "memory":
        made = MemoryArchive(1_000_000, 1 << 30)
    else:
        made = ClickHouseArchive(place_of(f"{request.getfixturevalue('chdb_url')}/t{next(databases)}"))
    yield made
    await made.close()


def entry(name: str, at: int = BASE, **more: Any) -> dict[str, Any]:
    made = {
        "v": 1, "id": name, "timestamp": at, "protocol": "http", "kind": "exchange", "flow_id": "f1",
        "src": {"ip": "10.0.0.1", "port": 4000, "name": "cart", "namespace": "shop"},
        "dst": {"ip": "10.0.0.2", "port": 80, "name": "checkout", "namespace": "shop"},
        "elapsed_time": 1000, "method": "GET", "path": "/api", "status_code": 200, "ok": True, "summary": "GET /api",
    }
    return made | more


def ids(entries: list[dict[str, Any]]) -> list[str]:
    return [one["id"] for one in entries]


async def every_page(archive: Archive, query: Query) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = await archive.query(msgspec.structs.replace(query, cursor=cursor))
        assert len(page.entries) <= query.limit
        found += page.entries
        if not page.next:
            return found
        cursor = page.next


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


@pytest.mark.chdb
async def test_a_question_that_takes_too_long_is_stopped_and_says_so(chdb_url: str) -> None:
    made = ClickHouseArchive(place_of(f"{chdb_url}/t{next(databases)}"))
    await made.insert([entry(f"e{n}", BASE + n, url="x" * 2000) for n in range(20_000)])
    made.longest_s = 0.001
    with pytest.raises(TooLong, match="stopped"):
        await made.query(Query(filter='url.matches("(x+x+)+y")'))
    made.longest_s = 30
    assert await made.count(Query()) == 20_000
    await made.close()


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


async def test_unknown_groups_are_refused(archive: Archive) -> None:
    with pytest.raises(QueryError, match=r"no value|cannot be grouped"):
        await archive.statistics(Query(), group_by=["entry; DROP TABLE entries"])


async def test_a_foreign_cursor_is_refused(archive: Archive) -> None:
    for cursor in ("x", "!!!", "LTE6YQ", cursor_of(position_of("MTpi")) + "%"):
        with pytest.raises(QueryError, match="none of ours"):
            await archive.query(Query(cursor=cursor))


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


WORDS = ["cart", "checkout", "Ärger", "x_y", "50%", "", "a'b", "Payments", "ünit"]


def random_entry(chance: random.Random, number: int) -> dict[str, Any]:
    def peer() -> dict[str, Any]:
        return {
            "ip": f"10.0.0.{chance.randrange(4)}", "port": chance.randrange(3), "name": chance.choice(WORDS),
            "namespace": chance.choice(["shop", "pay", ""]), "service": {"name": chance.choice(WORDS)},
        }

    made = {
        "v": 1, "id": f"{chance.randrange(60):03}", "timestamp": BASE + chance.randrange(40) * 250_000_000,
        "version": chance.randrange(1, 4), "protocol": chance.choice(["http", "dns", "grpc"]),
        "kind": chance.choice(["exchange", "flow"]), "flow_id": f"f{chance.randrange(3)}", "src": peer(), "dst": peer(),
        "elapsed_time": chance.choice([0, 1, 5, 999, chance.randrange(10**6)]), "method": chance.choice(["GET", "PUT"]),
        "path": "/" + chance.choice(WORDS), "status_code": chance.choice([0, 200, 404, 500]),
        "ok": chance.choice([True, False, None]), "summary": " ".join(chance.choices(WORDS, k=3)),
        "sample_rate": chance.choice([1.0, 0.5, 0.3, 0.01]), "request": {"size": chance.randrange(10**6)},
        "response": {"size": chance.randrange(10**6)}, "number": number, "conn_local_bytes": chance.randrange(10**6),
        "tags": chance.choice([[], [], [], ["probe"], ["service-view"], ["other"], ["other", "probe"]]),
    }
    for name in chance.sample(sorted(set(made) - {"id", "timestamp"}), chance.randrange(4)):
        del made[name]
    return made


def random_query(chance: random.Random) -> Query:
    def some(values: list[str]) -> tuple[str, ...]:
        return tuple(chance.sample(values, chance.randrange(1, 3))) if chance.random() < 0.3 else ()

    at = BASE + chance.randrange(40) * 250_000_000
    return Query(
        protocols=some(["http", "dns", "grpc", "none"]), kinds=some(["exchange", "flow"]),
        since_ns=at if chance.random() < 0.3 else 0, until_ns=at + 10**9 if chance.random() < 0.3 else 0,
        text=chance.choice([*WORDS, "CART", "10.0.0.1", "404", "/50", "t\nc"]) if chance.random() < 0.4 else "",
        flow_id="f1" if chance.random() < 0.2 else "", names=some(WORDS), namespaces=some(["shop", "pay", ""]),
        ok=chance.choice([None, None, True, False]), hidden=chance.random() < 0.5, limit=chance.choice([7, 20, 1000]),
    )


def truth(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What an archive holds after these inserts, newest first, by the contract's words alone."""
    kept: dict[str, dict[str, Any]] = {}
    for one in entries:
        old = kept.get(one["id"])
        if old is None or (one.get("version", 1), -one["timestamp"]) > (old.get("version", 1), -old["timestamp"]):
            kept[one["id"]] = one
    return sorted(kept.values(), key=lambda one: (one["timestamp"], one["id"]), reverse=True)


@pytest.mark.parametrize("seed", range(6))
async def test_random_entries_and_questions_agree_with_the_contract(
    archive: Archive, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half of the time there are more copies than are named one by one.
    monkeypatch.setattr(questions, "MAX_COPIES", 3 if seed % 2 else 4000)
    chance = random.Random(seed)
    # Copies that are equal in everything that decides must be equal in everything, as they are on the wire.
    unique = {
        (one["id"], one["timestamp"], one.get("version", 1)): one
        for one in (random_entry(chance, number) for number in range(150))
    }
    entries = [*unique.values(), *chance.choices(list(unique.values()), k=40)]
    chance.shuffle(entries)
    reference = MemoryArchive()
    await reference.insert(entries)
    for start in range(0, len(entries), 50):
        await archive.insert(entries[start : start + 50])
    held = truth(entries)
    for _ in range(25):
        query = random_query(chance)
        wanted = predicate(query)
        expected = [one for one in held if wanted(row_of(one))]
        assert await every_page(archive, query) == expected, query
        assert await archive.count(query) == len(expected), query
        group_by = chance.sample(["protocol", "status_code", "ok", "dst_name", "method"], chance.randrange(3))
        bucket = chance.choice([0, 10**9])
        found = await archive.statistics(query, group_by=group_by, bucket_ns=bucket)
        assert found == await reference.statistics(query, group_by=group_by, bucket_ns=bucket), query
        assert sum(group.entries for group in found) == len(expected)


@pytest.mark.chdb
async def test_two_writers_may_make_the_schema_at_once(chdb_url: str) -> None:
    place = place_of(f"{chdb_url}/t{next(databases)}")
    first, second = ClickHouseArchive(place), ClickHouseArchive(place)
    await asyncio.gather(first.insert([entry("a")]), second.insert([entry("b")]))
    assert await first.count(Query()) == await second.count(Query()) == 2
    await first.close()
    await second.close()


@pytest.mark.chdb
async def test_a_reader_says_that_nothing_is_there_yet_and_reads_when_it_is(chdb_url: str) -> None:
    place = place_of(f"{chdb_url}/t{next(databases)}")
    reader, writer = ClickHouseArchive(place, writes=False), ClickHouseArchive(place)
    with pytest.raises(ArchiveAway, match="no entries table yet"):
        await reader.query(Query())
    await writer.insert([entry("a")])
    assert await reader.count(Query()) == 1
    await reader.close()
    await writer.close()


@pytest.mark.chdb
async def test_a_wrong_password_is_refused_without_being_shown(chdb_url: str) -> None:
    archive = ClickHouseArchive(place_of(chdb_url.replace("more%3F", "hunter2")))
    with pytest.raises(ArchiveError) as refused:
        await archive.count(Query())
    assert not isinstance(refused.value, ArchiveAway)
    assert "hunter2" not in str(refused.value)
    await archive.close()


async def test_a_server_that_is_away_is_told_so() -> None:
    archive = ClickHouseArchive(place_of("http://127.0.0.1:9/weir"))
    with pytest.raises(ArchiveAway, match=r"127\.0\.0\.1:9"):
        await archive.insert([entry("a")])
    await archive.close()


@pytest.mark.chdb
def test_a_second_process_is_told_that_the_folder_is_taken(tmp_path: Path) -> None:
    if find_spec("chdb") is None:
        pytest.skip("chdb is not installed (extra `embedded`)")
    first = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(tmp_path), "x"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdout is not None
    assert first.stdin is not None
    first.stdout.readline()
    second = subprocess.run(
        [sys.executable, "-c", SERVER, str(tmp_path), "x"], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    first.stdin.close()
    assert first.wait(30) == 0
    assert second.returncode != 0
    assert "only one process may use it" in second.stderr
