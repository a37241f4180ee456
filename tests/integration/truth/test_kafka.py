"""The same entries, field by field, from processes that are joined by a real Kafka as from one process without any."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections import Counter
from pathlib import Path

import pytest

from weir.archive.open import open_reader
from weir.cli.offline import STAGES, read_entries, with_files
from weir.model.entry import EntryMap
from weir.query.structured import MAX_LIMIT, Query
from weir.runtime.process import load_settings
from weir.testing.pytest_kafka import SecuredKafka
from weir.testing.stages import Installation, collect, heartbeats

KEY = "for-tests"
PACKETS = 125_558
"""Of the bench file; each becomes a segment."""
BENCH = Path(__file__).parents[4] / "shared" / "bench" / "http.pcap.zst"

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.corpora,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not BENCH.exists(), reason="the folder with foreign captures is absent"),
]


@pytest.fixture(scope="module")
def embedded() -> dict[str, EntryMap]:
    flags = with_files({"targets.redaction_key": KEY}, [str(BENCH)])
    entries = asyncio.run(read_entries(load_settings(list(STAGES), flags, environ={})))
    assert len({entry["id"] for entry in entries}) == len(entries)
    return {entry["id"]: entry for entry in entries}


@pytest.fixture
def installation(kafka: SecuredKafka, tmp_path: Path) -> Installation:
    return Installation(kafka.bootstrap, f"t{uuid.uuid4().hex[:8]}", tmp_path)


def test_the_bench_file_gives_exactly_its_exchanges(embedded: dict[str, EntryMap]) -> None:
    exchanges = [entry for entry in embedded.values() if entry["protocol"] == "http"]
    assert len(exchanges) == 40_013
    assert Counter(e["method"] for e in exchanges) == {"GET": 36_812, "POST": 3_201}
    assert Counter(e["status_code"] for e in exchanges) == {200: 34_811, 201: 3_201, 404: 1_601, 500: 400}
    assert all(e["response"]["body"]["size"] for e in exchanges if e["status_code"] == 200)
    assert not any(e.get("incomplete") or e.get("weird") for e in exchanges)


async def test_four_rings_two_filters_two_decoders(installation: Installation, embedded: dict[str, EntryMap]) -> None:
    with installation.running():
        async with installation.bus() as bus:
            installation.run("targets", "targets", "--targets.static", "all", "--targets.redaction-key", KEY)
            for name in ("filter-1", "filter-2", "decode-1", "decode-2"):
                installation.run(name, name.split("-")[0])
            await heartbeats(bus, lambda beats: len(beats) == 5)
            capture = installation.run("capture", "capture", "--capture.files", str(BENCH), "--capture.rings", "4")
            found = await collect(bus, lambda entries: len(entries) >= len(embedded))
            assert capture.wait() == 0
            # A rebalance delivers some of them again: then they are counted twice, and told under the same ids.
            beats = await heartbeats(bus, lambda beats: min(done(beats, "filter"), done(beats, "decode")) >= PACKETS)
    assert of_instance(found, installation.instance) == embedded
    for stage, counter in (("filter", "filter.segments"), ("decode", "decode.segments")):
        shares = [beats[f"{stage}-{n}"].counters.get(counter, 0) / PACKETS for n in (1, 2)]
        assert min(shares) >= 0.2, f"{stage} shared its work {shares}"


def of_instance(entries: dict[str, EntryMap], instance: str) -> dict[str, EntryMap]:
    """Entries of a test's own instance, told as those of the default one."""
    assert {entry["instance"] for entry in entries.values()} == {instance}
    return {key: {**entry, "instance": "weir"} for key, entry in entries.items()}


def done(beats: dict[str, object], stage: str) -> int:
    """Segments that both processes of a stage have done."""
    return sum(
        getattr(beat, "counters").get(f"{stage}.segments", 0)  # noqa: B009
        for name, beat in beats.items()
        if name.startswith(stage)
    )


@pytest.mark.chdb
async def test_nothing_is_lost_or_doubled_when_stages_are_killed(
    installation: Installation, embedded: dict[str, EntryMap]
) -> None:
    """SIGKILL to filter, decode and store in the middle, and a decoder that joins and leaves."""
    pytest.importorskip("chdb")
    chdb = ("--store.archive", "chdb", "--store.listen", f"127.0.0.1:{free_port()}")
    with installation.running():
        async with installation.bus() as bus:
            installation.run("targets", "targets", "--targets.static", "all", "--targets.redaction-key", KEY)
            args = {
                "filter": ("filter",),
                "decode": ("decode", "--decode.snapshot-interval-s", "0.5"),
                "store": ("store", *chdb),
            }
            for name, argv in args.items():
                installation.run(name, *argv)
            await heartbeats(bus, lambda beats: len(beats) == 4)
            installation.run("capture", "capture", "--capture.files", str(BENCH), "--capture.rings", "4")
            for n, name in enumerate(args):
                await collect(bus, lambda entries, n=n: len(entries) >= 5_000 * (n + 1))  # type: ignore[misc]
                installation.stages[name].kill()
                installation.run(name, *args[name])
            joining = installation.run("decode-2", *args["decode"])
            await collect(bus, lambda entries: len(entries) >= 25_000)
            joining.stop()
            found = await collect(bus, lambda entries: len(entries) >= len(embedded))
            stored = await archived(installation, len(embedded))
    assert of_instance(found, installation.instance) == embedded
    assert of_instance(stored, installation.instance) == embedded


async def archived(installation: Installation, count: int) -> dict[str, EntryMap]:
    """What the archive holds once it holds `count` entries."""
    archive = open_reader("chdb", installation.folder / "data")
    try:
        async with asyncio.timeout(90):
            while await archive.count(Query()) < count:
                await asyncio.sleep(0.2)
            found: dict[str, EntryMap] = {}
            cursor = ""
            while True:
                page = await archive.query(Query(limit=MAX_LIMIT, cursor=cursor))
                doubled = [entry["id"] for entry in page.entries if entry["id"] in found]
                assert not doubled
                found |= {entry["id"]: entry for entry in page.entries}
                cursor = page.next
                if not cursor:
                    return found
    finally:
        await archive.close()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_output_of_read_is_the_contract(embedded: dict[str, EntryMap], tmp_path: Path) -> None:
    """`weir read -o json` prints what is published, one entry a line."""
    import subprocess
    import sys

    env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")} | {"WEIR_TARGETS_REDACTION_KEY": KEY}
    told = subprocess.run(
        [sys.executable, "-m", "weir.cli", "read", str(BENCH), "-o", "json", "-q"], env=env, capture_output=True,
        check=True, timeout=120,
    )
    printed = {entry["id"]: entry for entry in map(json.loads, told.stdout.splitlines())}
    assert printed.keys() == embedded.keys()
    some = next(iter(embedded))
    assert printed[some]["summary"] == embedded[some]["summary"]
