"""Publishes who is who to `endpoints` and what is wanted to `control`: reads rules and follows Kubernetes."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from weir.bus.api import Record, Table
from weir.bus.topics import CONTROL, ENDPOINTS, RULES
from weir.errors import SettingsError
from weir.model.control import Control, EndpointRecord, Rule
from weir.runtime.service import Context, Service
from weir.targets.cluster import SECOND, Update
from weir.targets.desk import MORE, RULE, Desk
from weir.targets.kube.credentials import InCluster
from weir.targets.ledger import endpoint_key
from weir.targets.rulebook import rules_of_file, rules_of_settings
from weir.targets.settings import TargetsSettings
from weir.targets.static import endpoint_records

if TYPE_CHECKING:
    from weir.targets.kube.lease import Lease
    from weir.targets.kube.watch import ClusterWatch

KNOWN_ENDPOINTS = "targets.endpoints"
"""Name in `Context.shared` of further endpoint records (the demo application's names)."""
SETTLE_S = 10.0
"""How long the first publishing waits for all kinds to be listed, so that what is known is not told in halves."""
TICK_S = 1.0
"""Warnings and the lease are looked at that often when nothing happens."""
EXPIRE_S = 60.0
NOTE = "targets.kubernetes"
FILE_NOTE = "targets.rules_file"


class TargetsService(Service):
    name = "targets"
    title = "who is who, and whose payload is wanted"
    Settings = TargetsSettings
    produces = (ENDPOINTS, CONTROL, RULES)
    reads = (ENDPOINTS, CONTROL, RULES)

    settings: TargetsSettings

    def __init__(self, settings: TargetsSettings, context: Context) -> None:
        super().__init__(settings, context)
        # What is no target, name or rule is told before anything starts.
        endpoint_records(settings)
        self._fixed = rules_of_settings(settings)
        self._file = RulesFile(settings.rules_file, settings.rules_source)
        self._wake = asyncio.Event()
        self._document: Control | None = None
        """The control document in force."""
        self._adopted = False
        self._began = 0.0
        self._expired = 0.0
        self._desk = Desk(
            settings, [*self._fixed, *self._file.rules], instance=context.instance, kubernetes=self.kubernetes,
            known=context.shared.get(KNOWN_ENDPOINTS, []), random_key=secrets.token_bytes(16),
        )

    @property
    def kubernetes(self) -> bool:
        """Whether Kubernetes is watched."""
        settings = self.settings
        if settings.source == "auto":
            given = bool(settings.kubeconfig or settings.context)
            return given or (not self.context.embedded and InCluster().present())
        return settings.source == "kubernetes"

    async def run(self) -> None:
        try:
            await self._run()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _run(self) -> None:
        bus = self.context.bus
        async with contextlib.AsyncExitStack() as stack:
            self._control = await stack.enter_async_context(_closing(await bus.table(CONTROL)))
            self._endpoints = await stack.enter_async_context(_closing(await bus.table(ENDPOINTS)))
            self._rules = await stack.enter_async_context(_closing(await bus.table(RULES)))
            watch, lease = await self._connect(stack)
            self._began = self.context.clock.monotonic()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._follow_rules())]
                if self.settings.rules_file:
                    tasks.append(group.create_task(self._follow_file()))
                if watch is not None:
                    tasks.append(group.create_task(self._follow_cluster(watch)))
                tasks.append(group.create_task(self._publish(watch, lease)))
                stop = group.create_task(self.context.stop.wait())
                # The publisher ends by itself only with an error, which the group passes on.
                await stop
                for task in tasks:
                    task.cancel()

    async def _connect(self, stack: contextlib.AsyncExitStack) -> tuple[ClusterWatch | None, Lease | None]:
        if not self.kubernetes:
            return None, None
        # Here, because an HTTP client takes longer to load than all of weir, and most processes know no cluster.
        from weir.targets.kube.client import KubeClient
        from weir.targets.kube.lease import Lease
        from weir.targets.kube.watch import ClusterWatch

        settings, context = self.settings, self.context
        client = await KubeClient.open(settings.kubeconfig, settings.context, context.instance)
        await stack.enter_async_context(client)
        self._where = client.where
        lease = None
        if settings.lease == "on" or (settings.lease == "auto" and InCluster().present()):
            lease = Lease(client, context.instance, context.process, clock=context.clock)
            await stack.enter_async_context(lease.kept())
        namespaces = list(settings.namespaces)
        if namespaces and client.namespace and client.namespace not in namespaces and InCluster().present():
            # Where weir itself runs, its capture pods tell which nodes are watched.
            namespaces.append(client.namespace)
        watch = ClusterWatch(client, namespaces=namespaces, clock=context.clock)
        await stack.enter_async_context(watch)
        return watch, lease

    async def _follow_rules(self) -> None:
        version = self._rules.version
        while True:
            version = await self._rules.changed(version)
            self._wake.set()

    async def _follow_file(self) -> None:
        while True:
            await self.context.clock.sleep(self.settings.rules_poll_s)
            if not await asyncio.to_thread(self._file.changed):
                continue
            try:
                await asyncio.to_thread(self._file.read)
                self.context.notes.pop(FILE_NOTE, None)
            except SettingsError as error:
                self.context.notes[FILE_NOTE] = f"{error.message}; the rules that were read before stay in force"
                continue
            self._desk.fixed = [*self._fixed, *self._file.rules]
            self._wake.set()

    async def _follow_cluster(self, watch: ClusterWatch) -> None:
        clock = self.context.clock
        while True:
            changes = await watch.take()
            now = clock.now_ns()
            for change in changes:
                self._desk.apply(change, now)
            self.context.counts.add("targets.changes", len(changes))
            self._wake.set()

    async def _publish(self, watch: ClusterWatch | None, lease: Lease | None) -> None:
        clock = self.context.clock
        while True:
            if lease is not None and not lease.held:
                self._adopted = False
                self.context.modes["targets"] = f"standby: {lease.reason or 'asks for the lease'}"
                self.context.ready.set()
            elif watch is None or self._settled():
                if not self._adopted:
                    self._adopt()
                await self._step()
                self.context.ready.set()
            self._say(watch)
            await self._sleep(lease)
            if self.settings.debounce_s and self._wake.is_set():
                await clock.sleep(self.settings.debounce_s)

    def _adopt(self) -> None:
        """Go on from what stands on the topics: this process publishes from now on."""
        document = self._control.get(self.context.instance.encode())
        self._document = document if isinstance(document, Control) else None
        endpoints = {key: value for key, value in self._endpoints.items() if isinstance(value, EndpointRecord)}
        self._desk.adopt(endpoints)
        self._adopted = True

    async def _step(self) -> None:
        """Publish what follows from all that is known now: endpoints before the control that relies on them."""
        context, bus = self.context, self.context.bus
        self._wake.clear()
        now = context.clock.now_ns()
        decision = self._desk.decide(dict(self._rules.items()), self._document, now)
        rules = [Record(rule.name.encode(), rule) for rule in decision.rules]
        rules += [Record(name, None) for name in decision.dropped]
        if rules:
            await bus.publish(RULES, rules)
        await self._tell(decision.endpoints)
        if context.clock.monotonic() - self._expired >= EXPIRE_S:
            self._expired = context.clock.monotonic()
            await self._tell(self._desk.expire(now))
        if decision.control is not None:
            await bus.flush()
            await bus.publish(CONTROL, [Record(context.instance.encode(), decision.control)])
            await bus.flush()
            self._document = decision.control
        elif rules or decision.endpoints.records:
            await bus.flush()
        context.modes |= self._desk.modes()

    async def _tell(self, update: Update) -> None:
        records = [Record(endpoint_key(record), record) for record in update.records]
        records += [Record(key, None) for key in update.tombstones]
        if records:
            self.context.counts.add("targets.published", len(records))
            await self.context.bus.publish(ENDPOINTS, records)

    def _settled(self) -> bool:
        if self._desk.cluster.settled:
            return True
        return self.context.clock.monotonic() - self._began >= SETTLE_S

    async def _sleep(self, lease: Lease | None) -> None:
        """Until there is something to do, or to look at."""
        clock = self.context.clock
        seconds = TICK_S
        if self._desk.next_ns:
            seconds = min(seconds, max((self._desk.next_ns - clock.now_ns()) / SECOND, 0.001))
        waits = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(clock.sleep(seconds))]
        if lease is not None:
            lease.changed.clear()
            waits.append(asyncio.ensure_future(lease.changed.wait()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    def _say(self, watch: ClusterWatch | None) -> None:
        notes = self.context.notes
        fresh = self._desk.notes(self.context.clock.now_ns())
        for part in [part for part in notes if part == MORE or part.startswith(RULE)]:
            if part not in fresh:
                del notes[part]
        notes |= fresh
        if watch is None:
            return
        trouble = watch.trouble()
        if trouble:
            told = "; ".join(f"{kind} {text}" for kind, text in sorted(trouble.items()))
            notes[NOTE] = f"{told}. What is known from before stays as it is"
        else:
            notes.pop(NOTE, None)
        self.context.modes[NOTE] = "; ".join(
            f"{kind} {text}" for kind, text in sorted(trouble.items())
        ) or f"watches {', '.join(sorted({kind for kind, _ in watch.reflectors}))} ({self._where})"


class RulesFile:
    """The file of rules and when it was changed last; without a name there are none."""

    def __init__(self, name: str, source: Literal["file", "helm"] = "file") -> None:
        self.rules: list[Rule] = []
        self._path = Path(name)
        self._source: Literal["file", "helm"] = source
        self._seen: tuple[int, int] = (0, 0)
        if name:
            self.read()

    def changed(self) -> bool:
        """The file is another one than was read last. ConfigMaps are replaced by a link, so size and time decide."""
        return self._stamp() != self._seen

    def read(self) -> None:
        """SettingsError, with the rules as they were, if it cannot be read or one of its rules is wrong."""
        self._seen = self._stamp()
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise SettingsError(
                f"targets.rules_file: cannot read {self._path}: {why}", hint="it holds a YAML list of rules"
            ) from None
        self.rules = rules_of_file(text, self._path.name, self._source)

    def _stamp(self) -> tuple[int, int]:
        try:
            stat = self._path.stat()
        except OSError:
            return (-1, -1)
        return stat.st_mtime_ns, stat.st_size


@contextlib.asynccontextmanager
async def _closing(table: Table) -> AsyncIterator[Table]:
    try:
        yield table
    finally:
        await table.close()
