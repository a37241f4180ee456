"""The archives that are held to one suite: the ring in memory, and ClickHouse over HTTP (chdb)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec

import pytest

from weir.archive.api import Archive
from weir.archive.clickhouse import ClickHouseArchive
from weir.archive.memory import MemoryArchive
from weir.archive.place import place_of
from weir.testing.archives import PASSWORD, SERVER, databases


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
