"""Hosting stages in one process: start, signals, heartbeats, and a drain in the direction of the data."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from weir.bus.api import Bus
from weir.errors import WeirError
from weir.runtime.before import LastWord, absence, last_heartbeat_ns, last_word, leave_word
from weir.runtime.clock import Clock, SystemClock
from weir.runtime.health import Totals, beat, farewell
from weir.runtime.probes import serve_probes
from weir.runtime.service import Context, Service
from weir.runtime.settings import RuntimeSettings

log = logging.getLogger("weir.runtime")

CATCH_UP_POLL_S = 0.01


class Hosted(msgspec.Struct):
    """A stage in this process."""

    service: Service
    task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done()


class Host:
    """Runs stages until they end or `stop` is set, and drains them in the order in which data flows.

    `embedded` says that the bus lives in this process: what is on it would be lost, so each stage catches up with the
    one before it (within the deadline) before it is told to stop.
    """

    def __init__(
        self,
        stages: Sequence[tuple[type[Service], Any]],
        bus: Bus,
        settings: RuntimeSettings,
        *,
        embedded: bool,
        process: str,
        node: str,
        clock: Clock | None = None,
        shared: dict[str, Any] | None = None,
    ) -> None:
        self.bus = bus
        self.settings = settings
        self.stop = asyncio.Event()
        self.ready = asyncio.Event()
        self.failure: BaseException | None = None
        self._embedded = embedded
        self._clock = clock or SystemClock()
        self._shared = shared if shared is not None else {}
        self.hosted: list[Hosted] = []
        for service, stage_settings in stages:
            context = Context(
                bus=bus, clock=self._clock, instance=settings.instance, cluster=settings.cluster, process=process,
                node=node, shared=self._shared, embedded=embedded,
            )
            self.hosted.append(Hosted(service(stage_settings, context)))
        for hosted in self.hosted:
            hosted.service.check()
        contexts = [hosted.service.context for hosted in self.hosted]
        self.totals = Totals(process, [s.name for s, _ in stages], self._clock, contexts)
        self._data_dir: Path | None = None if embedded else self._shared.get("data_dir")
        self._shared["metrics_text"] = self._metrics_text

    def _metrics_text(self) -> bytes:
        from weir.runtime.metrics import metrics_text  # see `weir.runtime.probes`

        return metrics_text(self.totals)

    async def run(self) -> None:
        """Start the bus, run every stage, drain; raises the first stage's failure at the end."""
        try:
            # Before the bus is there, so that a process which waits for Kafka is seen to be alive, and not ready.
            async with serve_probes(self.settings.listen, self.totals, self.healthy, self.unready):
                if await self._start_bus():
                    await self._work()
        finally:
            self.totals.collect()
            await self.bus.stop(self.settings.drain_s)
        if self.failure is not None:
            if self._data_dir is not None:
                says = str(self.failure).replace("\nhint: ", "; ")
                leave_word(self._data_dir, LastWord(process=self.totals.process, at_ns=self._clock.now_ns(), says=says))
            raise self.failure

    async def _work(self) -> None:
        """Run every stage on a bus that is there, until the end."""
        quiet = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._beat(quiet))
            await self._launch(group)
            self.ready.set()
            await self._until_over()
            await self._drain()
            quiet.set()
        farewell(self.bus, self.totals.process)

    async def _beat(self, quiet: asyncio.Event) -> None:
        """Heartbeats, once it is known what they have to tell of the time before."""
        looking, over = asyncio.ensure_future(self._look_back()), asyncio.ensure_future(quiet.wait())
        try:
            await asyncio.wait({looking, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (looking, over):
                task.cancel()
            await asyncio.gather(looking, over, return_exceptions=True)
        await beat(self.bus, self.totals, self._clock, self.settings.heartbeat_s, quiet)

    async def _look_back(self) -> None:
        totals = self.totals
        if self._data_dir is not None and (word := last_word(self._data_dir, totals.process, totals.started_ns)):
            totals.before.append(word)
        missing = [hosted.service for hosted in self.hosted if hosted.service.misses()]
        if not missing or self._embedded:
            return
        since_ns = await last_heartbeat_ns(self.bus, totals.process)
        if 0 < since_ns < totals.started_ns:
            totals.before.append(absence(since_ns, totals.started_ns))
            for service in missing:
                seconds = max(1, round((totals.started_ns - since_ns) / 1e9))
                service.context.counts.lose(f"{service.name}.seconds_away", seconds)

    def unready(self) -> str:
        """Empty once every stage runs and until the process drains, else what it waits for."""
        if self.stop.is_set():
            return "draining"
        return "" if self.ready.is_set() else self.bus.trouble() or "starting"

    def healthy(self) -> str:
        """Empty if all is well, else what is wrong."""
        ended = [h.service.name for h in self.hosted if h.task is not None and h.task.done() and self.failure]
        return f"ended: {', '.join(ended)}" if ended else ""

    async def _start_bus(self) -> bool:
        """Connect, or give up because the process was told to stop."""
        start = asyncio.ensure_future(self.bus.start())
        stopped = asyncio.ensure_future(self.stop.wait())
        said = ""
        try:
            while not start.done() and not stopped.done():
                await asyncio.wait({start, stopped}, timeout=2.0, return_when=asyncio.FIRST_COMPLETED)
                if not start.done() and (trouble := self.bus.trouble()) != said:
                    said = trouble
                    log.warning("waiting for the bus: %s", trouble)
            if start.done():
                start.result()
                return not self.stop.is_set()
            return False
        finally:
            for task in (start, stopped):
                task.cancel()
            await asyncio.gather(start, stopped, return_exceptions=True)

    async def _launch(self, group: asyncio.TaskGroup) -> None:
        """Start the stages; first those that make configuration, so that nothing is read before it is known what is
        wanted."""
        first = [hosted for hosted in self.hosted if self._configures(hosted.service)]
        for hosted in first:
            hosted.task = group.create_task(self._guard(hosted.service), name=hosted.service.name)
        for hosted in first:
            ready = asyncio.ensure_future(hosted.service.context.ready.wait())
            assert hosted.task is not None
            await asyncio.wait({ready, hosted.task}, return_when=asyncio.FIRST_COMPLETED)
            ready.cancel()
        for hosted in self.hosted:
            if hosted.task is None:
                hosted.task = group.create_task(self._guard(hosted.service), name=hosted.service.name)

    def _configures(self, service: Service) -> bool:
        read = {topic for other in self.hosted for topic in other.service.reads if other.service is not service}
        return not service.consumes and bool(read & set(service.produces))

    async def _guard(self, service: Service) -> None:
        try:
            await service.run()
        except Exception as error:
            if self.failure is None:
                # Told by whoever called `run`: once.
                self.failure = _plain(error)
                log.info("%s failed; ending the process", service.name)
            else:
                log.error("%s failed, too: %s", service.name, error)
            self.stop.set()

    async def _until_over(self) -> None:
        """Wait for the end of the process: told to stop, or every stage came to its own end."""
        stopped = asyncio.ensure_future(self.stop.wait())
        try:
            tasks = {h.task for h in self.hosted if h.task is not None}
            while not stopped.done() and any(not t.done() for t in tasks):
                pending = {t for t in tasks if not t.done()}
                await asyncio.wait({stopped, *pending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            await asyncio.gather(stopped, return_exceptions=True)

    async def _drain(self) -> None:
        deadline = self._clock.monotonic() + self.settings.drain_s
        for hosted in self.hosted:
            if self._embedded and self.failure is None:
                await self._caught_up(hosted, deadline)
            hosted.service.context.stop.set()
            if hosted.task is None:
                continue
            await asyncio.wait({hosted.task}, timeout=max(deadline - self._clock.monotonic(), 0.05))
            if hosted.running:
                name = hosted.service.name
                log.warning("%s did not finish within %.0f s and is cut off", name, self.settings.drain_s)
                hosted.service.context.counts.lose(f"{name}.cut_off")
                hosted.task.cancel()

    async def _caught_up(self, hosted: Hosted, deadline: float) -> None:
        lags = hosted.service.context.lags
        while hosted.running and self._clock.monotonic() < deadline:
            if not any(n for read in lags.values() for n in read().values()):
                return
            await self._clock.sleep(CATCH_UP_POLL_S)


def _plain(error: Exception) -> Exception:
    """An error of weir's own without the groups around it: it is told in a line. What else failed with it, stays."""
    if isinstance(error, ExceptionGroup) and error.split(WeirError)[1] is None:
        return _plain(error.exceptions[0])
    return error


@contextlib.asynccontextmanager
async def signals(host: Host) -> AsyncIterator[None]:
    """SIGINT and SIGTERM drain; a second one ends at once."""
    loop = asyncio.get_running_loop()
    me = asyncio.current_task()

    def handle() -> None:
        if host.stop.is_set() and me is not None:
            me.cancel()
        host.stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, handle)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
