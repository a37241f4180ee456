"""Archives that are away, not made yet, closed to us or taken, and questions that take too long."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from weir.archive.api import ArchiveAway, TooLong
from weir.archive.clickhouse import ClickHouseArchive
from weir.archive.place import place_of
from weir.errors import ArchiveError
from weir.query.structured import Query
from weir.testing.archives import BASE, SERVER, databases, entry


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
