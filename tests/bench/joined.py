"""Stages joined by a bus: bytes on it, and what a real Kafka in between costs."""

from __future__ import annotations

import asyncio
import resource
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import inputs
from measure import Figure, Run, Skip, child, process_cpu_s
from reading import READ, START_PACKETS

from weir.bus.api import Received, Topic
from weir.bus.codec import decode, encode
from weir.bus.topics import ENTRIES, PACKETS, SEGMENTS
from weir.cli.offline import STAGES, Offline, with_files
from weir.model.health import Heartbeat
from weir.runtime.process import load_settings
from weir.testing.kafka.jars import KafkaMissing
from weir.testing.kafka.realkafka import RealKafka
from weir.testing.stages import Installation, heartbeats

TIMES_EMBEDDED = 2.0
COPIES, QUICK_COPIES = 10, 3
STAGES_JOINED = ("targets", "filter", "decode")
DEADLINE_S = 600.0


def bus(run: Run) -> Iterator[Figure]:
    """Every value that travels, encoded as it travels and read back; before the producer's compression."""
    sizes, captured = asyncio.run(_sizes(run))
    for topic in (PACKETS, SEGMENTS, ENTRIES):
        yield Figure(
            case="bus", what=f"bytes on {topic.name} per captured byte", value=sizes[topic.name] / captured, unit="B",
        )
    yield Figure(case="bus", what="bytes on the bus per captured byte", value=sizes.total() / captured, unit="B")


async def _sizes(run: Run) -> tuple[Counter[str], int]:
    sizes: Counter[str] = Counter()

    def travel(topic: Topic, value: object) -> object:
        encoded = encode(topic, value)
        sizes[topic.name] += len(encoded)
        return decode(topic, encoded)

    offline = Offline(load_settings(list(STAGES), with_files({}, [str(run.packets)]), environ={}))
    offset = 0
    async for block in offline.source.blocks():
        for record in offline.filter.step(Received(0, offset, b"", travel(PACKETS, block))):
            for entry in offline.decoder.feed(travel(SEGMENTS, record.value)):  # type: ignore[arg-type]
                travel(ENTRIES, entry)
        offset += 1
    captured = sum(len(frame) for _, frame in inputs.records(run.packets))
    return sizes, captured


def kafka(run: Run) -> Iterator[Figure]:
    """One process for each stage on a real Kafka, against one process without; start-up apart on both sides."""
    times = QUICK_COPIES if run.quick else COPIES
    files = inputs.copies(run.packets, times, run.folder)
    few = inputs.first(run.packets, START_PACKETS, run.folder / "few.pcap")
    embedded = child((*READ, *files)).cpu_s - child((*READ, few)).cpu_s
    try:
        node = RealKafka(run.folder / "kafka")
    except KafkaMissing as error:
        raise Skip(f"no real Kafka: {error}") from error
    node.format()
    node.start()
    try:
        spent = asyncio.run(_through_kafka(node.bootstrap, run, few, files, run.count * times))
    finally:
        node.stop()
        for file in files:
            file.unlink()
    on_disk = sum(log.stat().st_size for log in node.data.rglob("bench-*/*.log"))
    captured = sum(len(frame) for _, frame in inputs.records(run.packets)) * times
    yield Figure(
        case="kafka", what="bytes on the broker's disk per captured byte, as producers compress them",
        value=on_disk / captured, unit="B",
    )
    total = sum(spent.values())
    yield Figure(
        case="kafka", what=f"CPU of all weir processes, the file {times} times", value=total, unit="s",
        ratio=total / embedded, anchor="embedded", budget=f"<= {TIMES_EMBEDDED} x",
        holds=total <= TIMES_EMBEDDED * embedded,
        note=", ".join(f"{name} {cpu_s:.1f}" for name, cpu_s in spent.items()) + f"; embedded {embedded:.1f}",
    )


async def _through_kafka(bootstrap: str, run: Run, few: Path, files: list[Path], packets: int) -> dict[str, float]:
    """CPU seconds by stage."""
    installation = Installation(bootstrap, f"bench-{uuid.uuid4().hex[:6]}", run.folder / "stages", shards=1)
    with installation.running():
        async with installation.bus() as bus:
            installation.run("targets", "targets", "--targets.static", "all")
            for name in STAGES_JOINED[1:]:
                installation.run(name, name)
            await heartbeats(bus, lambda beats: len(beats) == len(STAGES_JOINED))
            first = await _capture(installation, "capture-few", [few])
            await heartbeats(bus, lambda beats: _decoded(beats) >= START_PACKETS, DEADLINE_S)
            before = {name: _cpu_s(installation, name) for name in STAGES_JOINED}
            took = await _capture(installation, "capture", files)
            await heartbeats(bus, lambda beats: _decoded(beats) >= packets, DEADLINE_S)
            spent = {name: _cpu_s(installation, name) - before[name] for name in STAGES_JOINED}
    return {"capture": took - first, **spent}


async def _capture(installation: Installation, name: str, files: list[Path]) -> float:
    """CPU seconds of one capture process that ends with its files. Nobody else ends meanwhile."""
    before = _children_cpu_s()
    stage = installation.run(name, "capture", "--capture.files", ",".join(map(str, files)))
    if await asyncio.to_thread(stage.wait, DEADLINE_S):
        raise RuntimeError(stage.output()[-500:])
    return _children_cpu_s() - before


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cpu_s(installation: Installation, name: str) -> float:
    process = installation.stages[name].process
    assert process is not None
    return process_cpu_s(process.pid)


def _decoded(beats: dict[str, Heartbeat]) -> int:
    return beats["decode"].counters.get("decode.segments", 0) if "decode" in beats else 0
