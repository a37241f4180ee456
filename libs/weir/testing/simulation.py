"""The whole of weir as processes that are killed, rolled, joined and delayed, in virtual time and from one seed.

`simulate(seed)` answers what the disturbed run left in the archive beside what an undisturbed one makes. Processes are
real `Host`s with the real services on a broker in memory; a kill cancels every task of a process at whatever await it
has reached, with nothing drained, and of what it had sent some is lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar
from unittest.mock import patch

import msgspec

from weir.archive.api import ArchiveAway, Trimmed
from weir.bus.memory import Limit, MemoryBroker
from weir.bus.topics import ENTRIES, PACKETS, SEGMENTS
from weir.capture.service import CaptureService
from weir.capture.settings import CaptureSettings
from weir.decode.service import DecodeService
from weir.decode.settings import DecodeSettings
from weir.filter.service import FilterService
from weir.filter.settings import FilterSettings
from weir.model.control import Control
from weir.model.entry import EntryMap
from weir.model.packets import PacketBlock
from weir.runtime.run import Host
from weir.runtime.service import Context, Service
from weir.runtime.settings import RuntimeSettings
from weir.store.service import StoreService
from weir.store.settings import StoreSettings
from weir.targets.service import KNOWN_ENDPOINTS, TargetsService
from weir.testing.simulation_bus import TroubledBus
from weir.testing.simulation_live import Live, LiveSource, Operator, live_scenario, undisturbed_live
from weir.testing.simulation_loop import OWNER, Tasks, VirtualClock, VirtualLoop, run_virtual
from weir.testing.simulation_traffic import CLUSTER, INSTANCE, Ring, Scenario, comparable, scenario, undisturbed

DEADLINE_S = 3600.0
"""Virtual seconds in which everything has to be in the archive."""
KEEP = 100_000


class Outcome(msgspec.Struct):
    expected: dict[str, EntryMap]
    found: dict[str, EntryMap]
    problems: list[str]
    """What went wrong besides: processes that failed, copies of one version that differ."""
    story: list[str]
    """What was done to the processes, and when."""


class Recorded:
    """An archive that outlives every process, and is away now and then."""

    def __init__(self, chance: random.Random, trouble: float) -> None:
        self.entries: list[EntryMap] = []
        self._chance = chance
        self._trouble = trouble

    async def insert(self, entries: Sequence[EntryMap]) -> None:
        """Kept in two steps: whoever dies in between has kept one half."""
        half = self._chance.randrange(len(entries) + 1)
        self.entries += entries[:half]
        if self._chance.random() < self._trouble:
            await asyncio.sleep(self._chance.random())
            if self._chance.random() < 0.3:
                raise ArchiveAway("away for now")
        self.entries += entries[half:]

    async def trim(self, *, before_ns: int = 0, max_bytes: int = 0) -> Trimmed:
        return Trimmed()

    def describe(self) -> str:
        return "recorded"

    async def close(self) -> None:
        return None


class Source:
    """Gives a node's rings as a file would, one ring ahead of the others or not."""

    name: ClassVar[str] = "simulation"
    live: ClassVar[bool] = False

    def __init__(self, settings: CaptureSettings, context: Context) -> None:
        self._rings: list[Ring] = context.shared["rings"]
        self._chance: random.Random = context.shared["chance"]
        self._generation = 0

    def follow(self, control: Control) -> None:
        self._generation = control.generation

    def refused(self, block: PacketBlock) -> None:
        raise AssertionError("a file waits")

    async def blocks(self) -> AsyncGenerator[PacketBlock]:
        await asyncio.sleep(self._chance.choice((0, 0, 1, 20)))
        waiting = [list(reversed(ring.blocks)) for ring in self._rings]
        while waiting := [blocks for blocks in waiting if blocks]:
            blocks = self._chance.choice(waiting)
            for _ in range(min(len(blocks), self._chance.choice((1, 5, 1000)))):
                yield msgspec.structs.replace(blocks.pop(), generation=self._generation)
                await asyncio.sleep(self._chance.choice((0, 0, 0.01, 0.3)))


class Process:
    """One process of the installation; `start` after a kill makes it anew under the same name."""

    def __init__(self, cluster: Cluster, name: str, stages: Sequence[tuple[type[Service], Any]], **shared: Any) -> None:
        self.name = name
        self._cluster = cluster
        self._stages = stages
        self._shared = shared
        self.task: asyncio.Task[None] | None = None
        self._killed = False

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done()

    def start(self) -> None:
        cluster = self._cluster
        self._killed = False
        self.tasks: Tasks = set()
        self.bus = TroubledBus(
            cluster.broker, cluster.chance, trouble=cluster.trouble, late_s=cluster.late_s * cluster.chance.random()
        )
        settings = RuntimeSettings(instance=INSTANCE, cluster=CLUSTER, heartbeat_s=60)
        self.host = Host(
            self._stages, self.bus, settings, embedded=False, process=self.name, node="node", clock=VirtualClock(),
            shared={"archive": cluster.archive, "chance": cluster.chance, **self._shared},
        )
        token = OWNER.set(self.tasks)
        self.task = asyncio.ensure_future(self._run())
        OWNER.reset(token)

    async def _run(self) -> None:
        try:
            await self.host.run()
        except Exception as error:
            if not self._killed:
                self._cluster.problems.append(f"{self.name} failed: {error!r}")

    async def kill(self) -> None:
        """As SIGKILL does: nothing that it does from now on reaches anybody."""
        self._killed = True
        self.bus.crash()
        while tasks := [task for task in self.tasks if not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.001)

    async def end(self) -> None:
        """As SIGTERM does."""
        self.host.stop.set()
        if self.task is not None:
            await asyncio.wait({self.task}, timeout=120)
            if not self.task.done():
                self._cluster.problems.append(f"{self.name} did not end")
                await self.kill()


class PatientFilter(FilterService):
    """Sources of the simulation are silent for as long as they like."""

    silence_s = DEADLINE_S


class Cluster:
    """Everybody who takes part in one run."""

    def __init__(self, given: Scenario | Live, chance: random.Random, loop: VirtualLoop) -> None:
        self.chance = chance
        self.loop = loop
        self.problems: list[str] = []
        self.story: list[str] = []
        self.trouble = chance.choice((0.0, 0.1, 0.5))
        self.late_s = chance.choice((0.0, 1.0, 9.0))
        self.archive = Recorded(chance, self.trouble)
        self.broker = MemoryBroker(
            shards=chance.randrange(1, 4), redelivery=True, retain_records=KEEP, session_timeout_s=3.0,
            rebalance_timeout_s=6.0, limits={"packets": Limit(KEEP, 1 << 30), "segments": Limit(KEEP, 1 << 30)},
            now_ms=lambda: int(loop.time() * 1000),
        )
        decode = DecodeSettings(snapshot_interval_s=chance.choice((0.05, 1.0, 5.0)))
        self._kinds: dict[str, tuple[type[Service], Any]] = {
            "filter": (PatientFilter, FilterSettings()),
            "decode": (DecodeService, decode),
            "store": (StoreService, StoreSettings(batch_age_s=chance.choice((0.01, 0.2, 2.0)))),
        }
        shared: dict[str, Any] = {}
        self._operator: Operator | None = None
        self.targets: list[Process] = []
        if isinstance(given, Live):
            self._operator = shared["operator"] = Operator(given, self.broker, chance, self._worked_through)
        else:
            known = {KNOWN_ENDPOINTS: given.known}
            self.targets = [Process(self, "targets", [(TargetsService, given.targets)], **known)]
        self.workers = [Process(self, name, self._stages(name)) for name in self._names()]
        nodes = sorted({ring.node for ring in given.rings})
        self.captures = [
            Process(
                self, f"capture-{node}", [(CaptureService, CaptureSettings())],
                rings=[ring for ring in given.rings if ring.node == node], **shared,
            )
            for node in nodes
        ]

    def _names(self) -> list[str]:
        names = [f"{kind}-{n}" for kind in self._kinds for n in range(self.chance.randrange(1, 3))]
        if self.chance.random() < 0.3:
            names = ["filter+decode-0", *(n for n in names if n not in ("filter-0", "decode-0"))]
        return names

    def _stages(self, name: str) -> list[tuple[type[Service], Any]]:
        return [self._kinds[kind] for kind in name.rsplit("-", 1)[0].split("+")]

    async def run(self) -> None:
        everybody = [*self.targets, *self.workers, *self.captures]
        if self._operator is not None:
            await self._operator.start()
        self.chance.shuffle(everybody)
        for process in everybody:
            process.start()
            if self.chance.random() < 0.3:
                await asyncio.sleep(self.chance.choice((0.01, 1.0, 5.0)))
        await self._disturb()
        for process in (*self.targets, *self.workers):
            if not process.running:
                process.start()
        if not await self._finished():
            self.problems.append(f"not finished: {self._books()}")
        for process in reversed(everybody):
            await process.end()

    async def _disturb(self) -> None:
        guests = 0
        for _ in range(self.chance.choice((0, 1, 3, 8))):
            if self.chance.random() < 0.8:
                await self.loop.after(self.chance.choice((3, 20, 100, 400)) + self.chance.randrange(50))
            else:
                await asyncio.sleep(self.chance.choice((0.5, 4.0, 20.0)))
            what = self.chance.random()
            process = self.chance.choice([*self.targets, *self.workers])
            if what < 0.5 and process.running:
                self._tell("kill", process)
                await process.kill()
                if self.chance.random() < 0.8:
                    await asyncio.sleep(self.chance.choice((0.0, 0.5, 4.0)))
                    process.start()
            elif what < 0.7 and process.running:
                self._tell("roll", process)
                await process.end()
                process.start()
            elif what < 0.9:
                guests += 1
                name = f"{self.chance.choice(list(self._kinds))}-guest{guests}"
                self.workers.append(Process(self, name, self._stages(name)))
                self._tell("join", self.workers[-1])
                self.workers[-1].start()
            elif guests and process.name.rpartition("-")[2].startswith("guest"):
                self._tell("leave", process)
                await process.end()
                self.workers.remove(process)

    def _tell(self, what: str, process: Process) -> None:
        self.story.append(f"{self.loop.time():9.3f} s, step {self.loop.steps:6}: {what} {process.name}")

    async def _finished(self) -> bool:
        """Wait until every stage has marked all that the one before it published."""
        captures = [capture.task for capture in self.captures if capture.task is not None]
        await asyncio.wait(captures, timeout=DEADLINE_S)
        return all(task.done() for task in captures) and await self._worked_through()

    async def _worked_through(self) -> bool:
        """Wait until every stage has marked all that was published so far."""
        until = self.loop.time() + DEADLINE_S
        while not self._all_marked():
            if self.loop.time() > until or self.problems:
                return False
            await asyncio.sleep(0.5)
        return True

    def _all_marked(self) -> bool:
        return all(mark == end for _, mark, end in self._books())

    def _books(self) -> list[tuple[str, int, int]]:
        """By partition what is marked, and its end."""
        found = []
        for topic, stage in ((PACKETS, "filter"), (SEGMENTS, "decode"), (ENTRIES, "store")):
            state = self.broker.topic(INSTANCE, topic)
            marks = state.groups[f"{INSTANCE}.{stage}"].marks if f"{INSTANCE}.{stage}" in state.groups else {}
            found += [(f"{topic.name}/{n}", marks.get(n, 0), log.end) for n, log in enumerate(state.logs)]
        return found


def simulate(seed: int) -> Outcome:
    """One run of a cluster that stays as it is; the same seed gives the same run."""
    chance = random.Random(seed)
    given = scenario(chance)
    return _outcome(given, undisturbed(given), chance, twice=given.twice)


def simulate_live(seed: int) -> Outcome:
    """One run of a cluster that changes."""
    chance = random.Random(seed)
    given = live_scenario(chance)
    return _outcome(given, undisturbed_live(given), chance, twice=True)


def _outcome(given: Scenario | Live, expected: list[EntryMap], chance: random.Random, *, twice: bool) -> Outcome:
    with _quiet(LiveSource if isinstance(given, Live) else Source):
        cluster = run_virtual(lambda loop: _run(given, chance, loop), chance)
    problems = list(cluster.problems)
    if not twice:
        problems += _unlike(cluster.archive.entries, expected)
    return Outcome(
        expected=comparable(expected, twice=twice),
        found=comparable(cluster.archive.entries, twice=twice),
        problems=problems,
        story=cluster.story,
    )


async def _run(given: Scenario | Live, chance: random.Random, loop: VirtualLoop) -> Cluster:
    cluster = Cluster(given, chance, loop)
    await cluster.run()
    cluster.broker.close()
    return cluster


def _unlike(entries: Sequence[EntryMap], expected: Sequence[EntryMap]) -> list[str]:
    """Copies of entries, of any version, that an undisturbed run does not make."""
    made: dict[str, list[EntryMap]] = {}
    for entry in expected:
        made.setdefault(entry["id"], []).append(entry)
    return [f"nobody should make {entry}" for entry in entries if entry not in made.get(entry["id"], [])]


@contextmanager
def _quiet(source: type[Source | LiveSource]) -> Iterator[None]:
    """Captures read from the simulation, and processes that are killed do not fill the terminal."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with patch("weir.capture.service.choose", lambda settings: source):
            yield
    finally:
        logging.disable(level)
