"""The I/O shell of `hub`: opens the archive and the tables, listens, and serves until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import sys
from functools import partial
from pathlib import Path

from weir.archive.api import Archive
from weir.archive.open import check_archive, memory_elsewhere, open_reader
from weir.bus.topics import CONTROL, ENDPOINTS, ENTRIES, HEALTH, RULES, SAVED
from weir.hub.app import Hub
from weir.hub.auth import Gate, TokenAuthenticator
from weir.hub.guard import Guard
from weir.hub.listen import listening
from weir.hub.settings import HubSettings
from weir.hub.shelf import Shelf
from weir.hub.tls import Certificate, certificate
from weir.hub.token import TOKEN_FILE, check_token, token_of
from weir.hub.wishes import Tables
from weir.runtime.probes import split_listen
from weir.runtime.service import Context, Service

log = logging.getLogger("weir.hub")

RENEWAL_S = 30.0
"""So often it is looked whether the certificate was replaced."""
LOOK_S = 5.0
SHUTDOWN_S = 2.0
"""Requests that are being answered have so long to end."""


class HubService(Service):
    name = "hub"
    title = "REST, WebSocket and the page"
    Settings = HubSettings
    consumes = (ENTRIES,)
    produces = (RULES, SAVED)
    reads = (HEALTH, CONTROL, RULES, ENDPOINTS, SAVED)

    settings: HubSettings

    def __init__(self, settings: HubSettings, context: Context) -> None:
        super().__init__(settings, context)
        check_archive(settings.archive)
        if settings.token:
            check_token(settings.token, "hub.token")
        self._host, self._port = split_listen(settings.listen, "hub.listen")
        self._certificate = certificate(settings.tls_cert_file, settings.tls_key_file)
        context.shared["archive.readers"] = True

    def check(self) -> None:
        if self.settings.archive == "memory" and "archive" not in self.context.shared:
            raise memory_elsewhere("hub")

    async def run(self) -> None:
        context, settings = self.context, self.settings
        data_dir = Path(context.shared.get("data_dir") or ".")
        token = token_of(settings.token, data_dir)
        archive = self._open(data_dir)
        opened = [await context.bus.table(topic) for topic in self.reads]
        try:
            shelf = Shelf(context, opened[-1], data_dir if context.embedded else None)
            await shelf.restore()
            hub = Hub(settings, context, archive, Tables(*opened[:-1]), shelf)
            async with listening(
                hub.application(self._guard(token)), self._host, self._port, settings.max_connections,
                partial(context.counts.add, "hub.refused", 1), SHUTDOWN_S,
                self._certificate.context if self._certificate is not None else None,
            ) as port:
                self._announce(port, token, data_dir)
                try:
                    await self._serve(hub)
                finally:
                    context.shared.pop("hub.url", None)
        finally:
            for table in opened:
                await table.close()
            if context.shared.get("archive") is not archive:
                await archive.close()

    def _open(self, data_dir: Path) -> Archive:
        shared: Archive | None = self.context.shared.get("archive")
        if shared is not None:
            return shared
        return open_reader(self.settings.archive, data_dir, self.settings.query_timeout_s)

    def _guard(self, token: str) -> Guard:
        settings = self.settings
        return Guard(
            Gate(settings.hosts, self._host), TokenAuthenticator(token), settings, f"weir-{self._port}",
            partial(self.context.counts.add, "hub.refused", 1),
        )

    def _announce(self, port: int, token: str, data_dir: Path) -> None:
        shown = self._host if self._host not in ("0.0.0.0", "::") else "localhost"
        scheme = "https" if self._certificate is not None else "http"
        base = f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{port}{self.settings.base_path}/"
        self.context.modes["hub.listen"] = base
        self.context.shared["hub.url"] = f"{base}?token={token}"
        if self.settings.token:
            print(f"weir: {base} (with the token that was given)", file=sys.stderr)  # noqa: T201
        else:
            print(f"weir: open {base}?token={token}", file=sys.stderr)  # noqa: T201
            log.info("the token is kept in %s", data_dir / TOKEN_FILE)

    async def _serve(self, hub: Hub) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [tasks.create_task(hub.live.run()), tasks.create_task(self._looks(hub))]
                if self._certificate is not None:
                    background.append(tasks.create_task(self._renewals(self._certificate)))
                await self.context.stop.wait()
                for task in background:
                    task.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from group

    async def _looks(self, hub: Hub) -> None:
        """So that losses have their time although nobody asks."""
        while True:
            hub.look()
            await self.context.clock.sleep(LOOK_S)

    async def _renewals(self, certificate: Certificate) -> None:
        while True:
            await self.context.clock.sleep(RENEWAL_S)
            certificate.refresh()
