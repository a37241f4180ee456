"""Questions to an embedded archive of five million entries.

    python archive.py FOLDER ROWS           what the case `archive` runs as a process of its own

The rows are copies of some thousand entries, each with an id, a time and a latency of its own, so that filling takes
seconds; what is asked for is found by columns and by whole entries alike.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from measure import Figure, Run, Skip

from weir.archive.open import open_writer
from weir.query.structured import Query

ROWS, QUICK_ROWS = 5_000_000, 500_000
SEED = 5000
SPAN_NS = 6 * 3600 * 10**9
BASE = 1_767_225_600 * 10**9
LAST_HOUR = BASE + SPAN_NS - 3600 * 10**9
NEWEST_S, SCAN_S = 0.3, 1.5
TIMES = 5

GROW = """
import sys, chdb
folder, rows, seed, span = sys.argv[1], *map(int, sys.argv[2:])
copies = rows // seed
connection = chdb.connect(folder)
connection.query("SET max_insert_threads = 2, max_partitions_per_insert_block = 0, max_memory_usage = 4000000000")
names = [row.split(chr(9))[0] for row in connection.query("DESCRIBE weir.entries", "TSV").data().splitlines()]
changed = {
    "id": "concat(id, '-', toString(n))",
    "timestamp": f"timestamp + toIntervalNanosecond(n * {span // copies})",
    "elapsed_time": "elapsed_time + (n * 7919) % 50000",
    "entry": "replaceOne(entry, concat('\\"id\\":\\"', id), concat('\\"id\\":\\"', id, '-', toString(n)))",
}
columns = ", ".join(f"{changed.get(name, name)} AS new_{name}" for name in names)
step = 50
for first in range(1, copies, step):
    connection.query(
        f"INSERT INTO weir.entries ({', '.join(names)}) SELECT {columns} FROM weir.entries AS seed CROSS JOIN "
        f"(SELECT number + {first} AS n FROM numbers({min(step, copies - first)})) AS times "
        "WHERE NOT has(splitByChar('-', id), '') AND position(id, '-') = 0"
    )
print(connection.query("SELECT count() FROM weir.entries", "TSV").data().strip())
connection.close()
"""

PATH = "/api/v2/serv"

QUESTIONS: tuple[tuple[str, Callable[[int], Query], float | None], ...] = (
    ("newest 100", lambda n: Query(), NEWEST_S),
    ("newest 100 of `http && status_code >= 500`", lambda n: Query(filter=f"http && status_code >= {503 - n}"),
     NEWEST_S),
    ('newest 100 of `path.startsWith("/api/v2")`', lambda n: Query(filter=f'path.startsWith("{PATH[: 7 + n]}")'),
     NEWEST_S),
    ('newest 100 of a header, `request.headers["x-tenant"] == "t7"`',
     lambda n: Query(filter=f'request.headers["x-tenant"] == "t{7 + n}"'), NEWEST_S),
    ("failed first", lambda n: Query(order="failed", filter=f"status_code != {n}"), NEWEST_S),
    ("slowest first", lambda n: Query(order="slowest", filter=f"status_code != {n}"), None),
    ("no match by columns, `http && status_code == 599`", lambda n: Query(filter=f"http && status_code == {599 - n}"),
     SCAN_S),
    ('no match by path, `path.startsWith("/nothing")`', lambda n: Query(filter=f'path.startsWith("/nothing{n}")'),
     SCAN_S),
    ("no match by a text anywhere", lambda n: Query(text=f"nothing{n}"), SCAN_S),
    ('no match by a header in the last hour, `request.headers["x-tenant"] == "none"`',
     lambda n: Query(filter=f'request.headers["x-tenant"] == "none{n}"', since_ns=LAST_HOUR), None),
)
"""What is asked, the n-th time in other words: ClickHouse remembers where a condition holds nowhere."""


def archive(run: Run) -> Iterator[Figure]:
    """Wall time of questions while nobody else asks; medians."""
    if find_spec("chdb") is None:
        raise Skip("chdb is not installed (pip install 'weir[embedded]')")
    rows = QUICK_ROWS if run.quick else ROWS
    argv = [sys.executable, __file__, str(run.folder / "archive"), str(rows)]
    told = json.loads(subprocess.run(argv, check=True, capture_output=True, timeout=600).stdout.splitlines()[-1])
    for what, took_s, budget in told["questions"]:
        yield Figure(
            case="archive", what=what, value=took_s, unit="s", note=f"{told['rows']:,} entries",
            budget=f"<= {budget} s" if budget else "", holds=took_s <= budget if budget else None,
        )


def _entry(number: int, chance: random.Random) -> dict[str, Any]:
    service, version = f"service-{number % 40}", chance.choice(["v1", "v1", "v1", "v2"])
    failed = number % 997 == 0
    path = f"/api/{version}/{service}/items/{chance.randrange(10**6)}"
    return {
        "v": 1, "id": f"{number:032x}", "timestamp": BASE + number * 1000,
        "elapsed_time": chance.randrange(200, 90_000),
        "protocol": "http", "kind": "exchange", "flow_id": f"{number % 700:024x}", "transport": "tcp",
        "node_name": f"node-{number % 9}", "method": chance.choice(["GET", "GET", "POST"]), "path": path,
        "url": f"http://{service}.shop{path}", "status_code": 503 if failed else 200, "ok": not failed,
        "summary": f"GET {path}",
        "src": {"ip": f"10.0.{number % 200}.7", "port": 40000 + number % 9999, "name": f"web-{number % 60}",
                "namespace": "shop", "workload": f"deployment/web-{number % 12}", "role": "pod"},
        "dst": {"ip": f"10.1.{number % 200}.9", "port": 8080, "name": f"{service}-{number % 3}", "namespace": "shop",
                "service": {"name": service, "namespace": "shop"}, "workload": f"deployment/{service}", "role": "pod"},
        "request": {"size": 300, "headers": {
            "host": f"{service}.shop", "user-agent": "Mozilla/5.0 (X11; Linux x86_64) weir", "accept": "*/*",
            "x-tenant": f"t{number % 100}", "x-request-id": f"{chance.getrandbits(128):032x}"}},
        "response": {"size": 900, "headers": {"content-type": "application/json", "server": "nginx", "date": "x" * 29},
                     "body": {"size": 120, "text": json.dumps({"item": number, "name": "x" * 80})}},
    }


async def _seed(folder: Path) -> None:
    chance = random.Random(7)
    made = await open_writer("chdb", folder, "127.0.0.1", 0)
    try:
        await made.insert([_entry(number, chance) for number in range(SEED)])
    finally:
        await made.close()


async def _ask(folder: Path) -> list[tuple[str, float, float | None]]:
    made = await open_writer("chdb", folder, "127.0.0.1", 0)
    grouped = ("src.service.name", "dst.service.name", "call")
    more: tuple[tuple[str, Callable[[int], Awaitable[Any]]], ...] = (
        ("count of `failed`", lambda n: made.count(Query(filter=f"failed && status_code != {n}"))),
        ("statistics of an hour by service",
         lambda n: made.statistics(Query(since_ns=LAST_HOUR - n), group_by=grouped)),
        ("statistics of everything by service", lambda n: made.statistics(Query(), group_by=grouped)),
        ("values of status_code", lambda n: made.values(Query(), "status_code")),
        ("one entry by id", lambda n: made.get(f"{77 + n:032x}-99")),
    )
    try:
        found = [
            (what, await _timed(lambda n, query=query: made.query(query(n))), budget)
            for what, query, budget in QUESTIONS
        ]
        return found + [(what, await _timed(question), None) for what, question in more]
    finally:
        await made.close()


async def _timed(question: Callable[[int], Awaitable[Any]]) -> float:
    took = []
    for number in range(TIMES):
        begun = time.monotonic()
        await question(number)
        took.append(time.monotonic() - begun)
    return statistics.median(took)


def main() -> None:
    folder, rows = Path(sys.argv[1]), int(sys.argv[2])
    held = rows
    if not (folder / "archive.rows").exists():
        asyncio.run(_seed(folder))
        argv = [sys.executable, "-c", GROW, str(folder / "archive"), str(rows), str(SEED), str(SPAN_NS)]
        held = int(subprocess.run(argv, check=True, capture_output=True, timeout=400).stdout.split()[-1])
        (folder / "archive.rows").write_text(str(held))
    sys.stdout.write(json.dumps({"rows": held, "questions": asyncio.run(_ask(folder))}) + "\n")


if __name__ == "__main__":
    main()
