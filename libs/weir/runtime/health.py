"""Heartbeats: what one process does, counted and lost, on `weir.health` every few seconds."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Sequence

from weir.bus.api import Bus, Record
from weir.bus.topics import HEALTH
from weir.model.health import Heartbeat
from weir.runtime.before import TOLD_S
from weir.runtime.clock import Clock
from weir.runtime.service import Context

LOST = "lost."


class Totals:
    """Adds up what the contexts of one process counted, and turns it into heartbeats."""

    def __init__(self, process: str, stages: Sequence[str], clock: Clock, contexts: Sequence[Context]) -> None:
        self.process = process
        self.stages = list(stages)
        self.counters: dict[str, int] = {}
        self.before: list[str] = []
        """What is to be told of the time before this process, while it is young."""
        self._clock = clock
        self._contexts = contexts
        self.started_ns = clock.now_ns()
        self._previous: tuple[float, dict[str, int]] = (clock.monotonic(), {})

    def collect(self) -> dict[str, int]:
        """Totals since the start, with what was counted since the last call taken in."""
        for context in self._contexts:
            for name, n in context.counts.take().items():
                self.counters[name] = self.counters.get(name, 0) + n
        return self.counters

    def lost(self) -> dict[str, int]:
        """Losses by place and reason."""
        return {name[len(LOST) :]: n for name, n in self.collect().items() if name.startswith(LOST)}

    def lag(self) -> dict[str, int]:
        return {
            f"{topic}/{partition}": n
            for context in self._contexts
            for topic, read in context.lags.items()
            for partition, n in read().items()
        }

    def heartbeat(self, bus: Bus, interval_s: float) -> Heartbeat:
        now = self._clock.monotonic()
        counters = dict(self.collect())
        then, before = self._previous
        elapsed = max(now - then, 1e-3)
        self._previous = (now, counters)
        notes = [f"{part}: {text}" for context in self._contexts for part, text in context.notes.items()]
        if self._clock.now_ns() - self.started_ns < TOLD_S * 1e9:
            notes += self.before
        if trouble := bus.trouble():
            notes.append(f"bus: {trouble}")
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Heartbeat(
            process=self.process,
            stages=self.stages,
            started_ns=self.started_ns,
            sent_ns=self._clock.now_ns(),
            interval_s=interval_s,
            mode={part: text for context in self._contexts for part, text in context.modes.items()},
            counters={k: v for k, v in counters.items() if not k.startswith(LOST)},
            rates={k: round((v - before.get(k, 0)) / elapsed, 3) for k, v in counters.items()},
            lost={k[len(LOST) :]: v for k, v in counters.items() if k.startswith(LOST)},
            lag=self.lag(),
            cpu_s=round(usage.ru_utime + usage.ru_stime, 3),
            rss_bytes=resident_bytes(),
            notes=notes,
            node=self._contexts[0].node if self._contexts else "",
        )


async def beat(bus: Bus, totals: Totals, clock: Clock, interval_s: float, stop: asyncio.Event) -> None:
    """Send heartbeats until `stop`; the process's tombstone is sent by `farewell`."""
    while not stop.is_set():
        record = Record(totals.process.encode(), totals.heartbeat(bus, interval_s))
        # A heartbeat that finds no room is not waited for: the next one tells more.
        bus.try_publish(HEALTH, record)
        try:
            async with asyncio.timeout(interval_s):
                await stop.wait()
        except TimeoutError:
            pass


def farewell(bus: Bus, process: str) -> None:
    """Say that the process ended on purpose."""
    bus.try_publish(HEALTH, Record(process.encode(), None))


def resident_bytes() -> int:
    """Resident memory of this process, bytes (/proc/self/statm, else the peak that getrusage tells)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
