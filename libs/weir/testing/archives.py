"""Entries and a server for tests of archives."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from weir.archive.api import Archive
from weir.query.structured import Query

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
"""A server on the folder that is its first argument: prints its port, and ends with its input."""

databases = itertools.count()
"""Numbers for databases of one server."""


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
