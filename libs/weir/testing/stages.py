"""Stages as processes of their own, as an operator runs them, for tests that join them by a real Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from weir.bus.kafka import KafkaBus
from weir.bus.settings import BusSettings
from weir.bus.topics import ENTRIES, HEALTH
from weir.model.entry import EntryMap
from weir.model.health import Heartbeat
from weir.testing.netns import Namespace

DEADLINE_S = 120.0


class Stage:
    """One `weir run …`."""

    def __init__(
        self, name: str, argv: list[str], env: dict[str, str], log: Path, where: Namespace | None = None
    ) -> None:
        self.name = name
        self.log = log
        command = [sys.executable, "-m", "weir.cli", *argv]
        self._command = command if where is None else where.command(*command)
        self._env = env
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL: nothing is flushed, marked or said."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        return self._end(signal.SIGTERM)

    def wait(self, timeout: float = DEADLINE_S) -> int:
        assert self.process is not None
        return self.process.wait(timeout)

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise AssertionError(f"{self.name} does not end:\n{self.output()[-2000:]}") from None


class Installation:
    """Processes of one instance on one Kafka."""

    def __init__(self, bootstrap: str, instance: str, folder: Path, *, shards: int = 3) -> None:
        self.instance = instance
        self.folder = folder
        self.settings = BusSettings(url=bootstrap, shards=shards)
        self._env = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")} | {
            "WEIR_BUS_URL": bootstrap,
            "WEIR_BUS_SHARDS": str(shards),
            "WEIR_BUS_SESSION_TIMEOUT_S": "3",
            "WEIR_INSTANCE": instance,
            "WEIR_RUNTIME_DATA_DIR": str(folder / "data"),
            "WEIR_RUNTIME_NODE": "node-1",
            "WEIR_RUNTIME_HEARTBEAT_S": "0.5",
        }
        self.stages: dict[str, Stage] = {}

    def create_topics(self) -> None:
        made = subprocess.run(
            [sys.executable, "-m", "weir.cli", "topics", "--create"], env=self._env, capture_output=True, text=True,
            timeout=DEADLINE_S, check=False,
        )
        assert made.returncode == 0, made.stderr

    def run(self, name: str, *argv: str, where: Namespace | None = None) -> Stage:
        """Start a process; `name` survives its restart (static membership, heartbeats). `where`: its network."""
        env = {**self._env, "WEIR_RUNTIME_PROCESS": name}
        stage = Stage(name, ["run", *argv], env, self.folder / f"{name}.log", where)
        self.stages[name] = stage
        stage.start()
        return stage

    def stop(self) -> None:
        """End all that still run, first those that were started last."""
        for stage in reversed(self.stages.values()):
            if stage.process is not None and stage.process.poll() is None:
                stage.stop()

    @contextlib.contextmanager
    def running(self) -> Iterator[Installation]:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.create_topics()
        try:
            yield self
        except BaseException as error:
            for stage in self.stages.values():
                error.add_note(f"---- {stage.name}\n{stage.output()[-3000:]}")
            raise
        finally:
            self.stop()

    @contextlib.asynccontextmanager
    async def bus(self) -> AsyncIterator[KafkaBus]:
        bus = KafkaBus(self.settings, instance=self.instance)
        try:
            await asyncio.wait_for(bus.start(), 30)
            yield bus
        finally:
            await bus.stop(5)


async def collect(
    bus: KafkaBus, enough: Callable[[dict[str, EntryMap]], bool], deadline_s: float = DEADLINE_S
) -> dict[str, EntryMap]:
    """Follow `entries` from the beginning until `enough` says so: the highest version of each id."""
    found: dict[str, EntryMap] = {}
    stream = bus.stream(ENTRIES, group=None)
    try:
        async with asyncio.timeout(deadline_s):
            async for batch in stream:
                for record in batch.records:
                    entry: EntryMap = record.value
                    have = found.get(entry["id"])
                    if have is None or entry.get("version", 1) >= have.get("version", 1):
                        found[entry["id"]] = entry
                if enough(found):
                    break
    except TimeoutError:
        raise AssertionError(f"only {len(found)} entries after {deadline_s:.0f} s") from None
    finally:
        await stream.close()
    return found


async def heartbeats(
    bus: KafkaBus, enough: Callable[[dict[str, Heartbeat]], bool], deadline_s: float = DEADLINE_S
) -> dict[str, Heartbeat]:
    """Follow `health` until `enough` says so: the newest heartbeat of each process."""
    table = await bus.table(HEALTH)
    try:
        until = time.monotonic() + deadline_s
        while True:
            version = table.version
            beats: dict[str, Heartbeat] = {key.decode(): beat for key, beat in table.items()}
            if enough(beats):
                return beats
            await asyncio.wait_for(table.changed(version), max(until - time.monotonic(), 0.01))
    finally:
        await table.close()
