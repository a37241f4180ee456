"""A process tells of the time before it: why its predecessor failed, and for how long nobody captured."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import HEALTH
from weir.errors import BusError
from weir.model.health import Heartbeat
from weir.runtime.before import TOLD_S, LastWord, last_word, leave_word
from weir.runtime.clock import SystemClock
from weir.runtime.run import Host
from weir.runtime.service import Service
from weir.runtime.settings import RuntimeSettings

NOON_NS = 1_700_049_600 * 10**9
S = 10**9


class Nothing(msgspec.Struct, frozen=True):
    pass


class Idle(Service):
    name = "idle"
    title = "waits"
    Settings = Nothing

    async def run(self) -> None:
        await self.context.stop.wait()


class Watching(Idle):
    name = "watching"

    def misses(self) -> bool:
        return True


class Losing(Idle):
    name = "idle"

    async def run(self) -> None:
        raise BusError("topics are gone: weir.rules", hint="Kafka has lost its data")


class Noon(SystemClock):
    """Its time of day stands still."""

    def now_ns(self) -> int:
        return NOON_NS


def host(stage: type[Service], bus: MemoryBus, **shared: Any) -> Host:
    return Host(
        [(stage, Nothing())], bus, RuntimeSettings(heartbeat_s=0.05), embedded=False, process="p", node="n",
        clock=Noon(), shared=shared,
    )  # fmt: skip


async def first_heartbeat(stage: type[Service], bus: MemoryBus, **shared: Any) -> Heartbeat:
    """Of a process that is then told to stop."""
    one = host(stage, bus, **shared)
    before = bus_heartbeat(await bus.read_compacted(HEALTH, 0))
    running = asyncio.ensure_future(one.run())
    table = await bus.table(HEALTH)
    version = 0
    while (found := bus_heartbeat(dict(table.items()))) is None or found == before:
        version = await asyncio.wait_for(table.changed(version), 5)
    one.stop.set()
    await running
    return found


def bus_heartbeat(beats: dict[bytes, Any]) -> Heartbeat | None:
    return beats.get(b"p")


async def bus_with(*beats: Heartbeat) -> MemoryBus:
    bus = MemoryBus()
    await bus.start()
    await bus.publish(HEALTH, [Record(beat.process.encode(), beat) for beat in beats])
    return bus


def beat(process: str, ago_s: int) -> Heartbeat:
    return Heartbeat(process=process, stages=["watching"], started_ns=1, sent_ns=NOON_NS - ago_s * S)


async def test_who_was_cut_down_is_missed_by_the_next_one() -> None:
    found = await first_heartbeat(Watching, await bus_with(beat("p", 90), beat("q", 5)))
    assert found.notes == ["nobody captured from 11:58:30 UTC to 12:00:00 UTC (90 s)"]
    assert found.lost == {"watching.seconds_away": 90}


async def test_who_said_that_it_ended_is_not_missed() -> None:
    bus = await bus_with(beat("p", 90))
    await bus.publish(HEALTH, [Record(b"p", None)])
    found = await first_heartbeat(Watching, bus)
    assert (found.notes, found.lost) == ([], {})


async def test_a_stage_that_resumes_where_it_was_misses_nothing() -> None:
    found = await first_heartbeat(Idle, await bus_with(beat("p", 90)))
    assert (found.notes, found.lost) == ([], {})


async def test_why_a_process_failed_is_told_by_the_next_one(tmp_path: Path) -> None:
    with pytest.raises(BusError):
        await host(Losing, await bus_with(), data_dir=tmp_path).run()
    found = await first_heartbeat(Idle, await bus_with(), data_dir=tmp_path)
    assert found.notes == ["began anew after 12:00:00 UTC: topics are gone: weir.rules; Kafka has lost its data"]
    again = await first_heartbeat(Idle, await bus_with(), data_dir=tmp_path)
    assert again.notes == []


@pytest.mark.parametrize("folder", ["absent/within", "file"])
async def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    word = LastWord(process="p", at_ns=NOON_NS, says="x")
    leave_word(tmp_path / folder, word)
    assert last_word(tmp_path / folder, "p", NOON_NS).endswith("x") == (folder != "file")


def test_another_s_and_an_old_word_are_not_told(tmp_path: Path) -> None:
    leave_word(tmp_path, LastWord(process="p", at_ns=NOON_NS, says="x"))
    assert last_word(tmp_path, "q", NOON_NS) == ""
    assert last_word(tmp_path, "p", NOON_NS + int(TOLD_S + 1) * S) == ""


def test_what_is_no_word_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "ended.json").write_bytes(b"{")
    assert last_word(tmp_path, "p", NOON_NS) == ""
