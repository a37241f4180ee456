"""The examples of deploy/examples, as their README tells to run them, on a real Kafka that weir has filled."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import msgpack
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from weir.bus.api import Record
from weir.bus.topics import ENTRIES
from weir.cli.demo import RECORDING
from weir.cli.offline import STAGES, read_entries, with_files
from weir.model.entry import EntryMap
from weir.runtime.process import load_settings
from weir.testing.pytest_kafka import SecuredKafka
from weir.testing.stages import Installation

EXAMPLES = Path(__file__).parents[3] / "deploy/examples"
LONGEST = 15
"""Lines of the consumer that are not blank."""
DEADLINE_S = 60
CLICKHOUSE = '''
import sys, time
from chdb.session import Session
session = Session(sys.argv[1])
entries, queue, reader = filter(str.strip, sys.stdin.read().split(";"))
session.query(entries)
try:
    session.query(queue)
except Exception as error:
    # The embedded engine makes the table and has no threads that would read it in the background.
    assert "Shutdown was called" in str(error), error
read = reader.partition(" AS\\n")[2] + "SETTINGS stream_like_engine_allow_direct_select = 1"
want, end = sys.argv[2], time.monotonic() + 60
while str(session.query("SELECT count() || ':' || sum(version) FROM entries FINAL", "TSV")).strip() != want:
    assert time.monotonic() < end, str(session.query("SELECT * FROM system.kafka_consumers FORMAT Vertical"))
    session.query("INSERT INTO entries " + read)
print(session.query("SELECT protocol, kind, method, path, status_code, ok, version, src FROM entries FINAL", "TSV"))
session.query(reader)
session.close()
'''
"""The statements of clickhouse.sql, the view's question asked by hand: a server asks it whenever something comes."""

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def entries() -> list[EntryMap]:
    """What weir makes of the demo's recording; small, and made anew from the packets."""
    flags = with_files({}, [str(RECORDING)])
    return asyncio.run(read_entries(load_settings(list(STAGES), flags, environ={})))[:300]


@pytest.fixture
async def topic(kafka: SecuredKafka, tmp_path: Path, entries: list[EntryMap]) -> str:
    """The topic `entries` of an installation; a third came twice, and each first in a poorer version."""
    installation = Installation(kafka.bootstrap, f"x{uuid.uuid4().hex[:8]}", tmp_path, shards=2)
    installation.folder.mkdir(exist_ok=True)
    installation.create_topics()
    async with installation.bus() as bus:
        poorer = [{**entry, "version": 0} for entry in entries]
        await bus.publish(ENTRIES, [Record(e["flow_id"].encode(), e) for e in [*poorer, *entries, *entries[::3]]])
        await bus.flush()
    return f"{installation.instance}.entries"


@contextmanager
def example(name: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_consumer_is_short() -> None:
    assert len([line for line in (EXAMPLES / "follow.py").read_text().splitlines() if line.strip()]) <= LONGEST


async def test_a_consumer_prints_each_call_once_in_each_version(
    kafka: SecuredKafka, topic: str, entries: list[EntryMap]
) -> None:
    calls = [e for e in entries if e["protocol"] == "http"]
    wanted = Counter(f"{e.get('method')} {e.get('path')} {e.get('status_code')}" for e in calls)
    for call in calls:
        if call.get("version", 1) > 0:  # the poorer version was printed before
            wanted[f"{call.get('method')} {call.get('path')} {call.get('status_code')}"] += 1
    with example("follow.py", kafka.bootstrap, topic) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while len(lines) < wanted.total():
            lines.append((await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), DEADLINE_S)).rstrip())
        assert Counter(lines) == wanted
        await marker(kafka, topic)
        assert (await asyncio.to_thread(process.stdout.readline)).rstrip() == "END /marker 299"


async def marker(kafka: SecuredKafka, topic: str) -> None:
    """An entry that shows that nothing more came before it."""
    last = {"v": 1, "id": "marker", "timestamp": 1, "protocol": "http", "method": "END", "path": "/marker",
            "status_code": 299}  # fmt: skip
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for partition in sorted(await producer.partitions_for(topic)):
            await producer.send_and_wait(topic, msgpack.packb(last), partition=partition)


async def json_lines(kafka: SecuredKafka, topic: str, count: int) -> list[bytes]:
    found: list[bytes] = []
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    async with consumer, asyncio.timeout(DEADLINE_S):
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [record.value for record in records]
    return found


@pytest.mark.chdb
@pytest.mark.skipif(find_spec("chdb") is None, reason="needs weir[embedded]")
async def test_clickhouse_reads_the_topic_of_json(
    kafka: SecuredKafka, topic: str, entries: list[EntryMap], tmp_path: Path
) -> None:
    published = 2 * len(entries) + len(entries[::3])
    sql = (EXAMPLES / "clickhouse.sql").read_text().replace("127.0.0.1:9092", kafka.bootstrap)
    sql = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    # The recording's time is fixed: kept whatever the day is.
    sql = sql.replace("weir.entries.json", f"{topic}.json").replace("INTERVAL 7 DAY", "INTERVAL 50 YEAR")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(f"{topic}.json", 3, 1)])
    await admin.close()
    with example("as_json.py", kafka.bootstrap, topic):
        await json_lines(kafka, f"{topic}.json", published)
        wanted = f"{len(entries)}:{sum(entry.get('version', 1) for entry in entries)}"
        found = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", CLICKHOUSE, str(tmp_path / "db"), wanted], input=sql,
            capture_output=True, text=True, timeout=150,
        )
        assert found.returncode == 0, found.stderr[-3000:]
    rows = Counter(tuple(line.split("\t")) for line in found.stdout.splitlines() if line)
    assert rows == Counter(row(entry) for entry in entries)


def row(entry: EntryMap) -> tuple[str, ...]:
    ok = {True: "true", False: "false", None: "\\N"}[entry.get("ok")]
    src = entry["src"].get("name") or entry["src"].get("ip", "")
    return (entry["protocol"], entry["kind"], entry.get("method", ""), entry.get("path", ""),
            str(entry.get("status_code", 0)), ok, str(entry.get("version", 1)), src)  # fmt: skip
