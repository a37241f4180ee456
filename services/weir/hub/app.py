"""The application: the handlers of every route, put together, and those about the installation itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from weir.archive.api import Archive
from weir.hub.answers import SettingsAnswer
from weir.hub.following import Following
from weir.hub.guard import Guard, dress
from weir.hub.health import Health, health
from weir.hub.history import History
from weir.hub.language import Language
from weir.hub.live import Live
from weir.hub.lost import LossLog
from weir.hub.openapi import document
from weir.hub.page import page_routes
from weir.hub.replies import answer
from weir.hub.routes import API, ROUTES
from weir.hub.rulings import Rulings
from weir.hub.settings import HubSettings
from weir.hub.settings_shown import in_force
from weir.hub.shelf import Shelf
from weir.hub.wishes import Tables, Wishes
from weir.runtime.service import Context

MAX_BODY = 64 << 10
"""Bytes of a request's body: a rule, a filter."""

PARTS: dict[str, type] = {
    "history": History, "language": Language, "rulings": Rulings, "following": Following,
}
"""Who has the handlers, by the name that routes use; `hub` is `Hub` itself."""


class Hub:
    """Holds what the handlers answer from."""

    def __init__(
        self, settings: HubSettings, context: Context, archive: Archive, tables: Tables, shelf: Shelf
    ) -> None:
        self.settings = settings
        self.context = context
        self.archive = archive
        self.live = Live(context)
        self.wishes = Wishes(settings, context, archive, tables)
        self.parts: dict[str, Any] = {
            "hub": self,
            "history": History(context, archive, shelf, settings.query_timeout_s),
            "language": Language(context, archive, shelf),
            "rulings": Rulings(self.wishes, self.state),
            "following": Following(settings, context, self.live, self.wishes, shelf),
        }
        self._health = tables.health
        self._losses = LossLog()
        self._openapi = msgspec.json.encode(document())
        self.metrics_text: Callable[[], bytes] = context.shared.get("metrics_text", lambda: b"")

    def application(self, guard: Guard) -> web.Application:
        app = web.Application(middlewares=[web.middleware(guard)], client_max_size=MAX_BODY)
        app.on_response_prepare.append(dress)
        base = self.settings.base_path
        for route in ROUTES:
            # Probes and scrapers ask the process itself, not the ingress.
            for prefix in {base, ""} if not route.path.startswith(API) else {base}:
                app.router.add_route(route.method, prefix + route.path, self._handler(route.handler))
        app.add_routes(page_routes(Path(__file__).parent / "static", base))
        return app

    def _handler(self, name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        part, _, method = name.partition(".")
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]] = getattr(self.parts[part], method)
        return handler

    def look(self) -> None:
        """Notice what was lost since the last look."""
        self._losses.take(beat for _, beat in self._health.items())

    def state(self) -> Health:
        """How the installation is."""
        self.look()
        context = self.context
        trouble = context.bus.trouble()
        return health(
            [beat for _, beat in self._health.items()],
            self.wishes.control(),
            context.clock.now_ns(),
            targeted=self.wishes.targeted(),
            node_ceiling=self.settings.node_ceiling_bytes,
            archive=self.archive.describe(),
            followers=self.live.followers,
            trouble=[f"the bus is away: {trouble}"] if trouble else [],
            lost=self._losses.marks(),
        )

    async def health(self, request: web.Request) -> web.Response:
        return answer(self.state())

    async def settings_shown(self, request: web.Request) -> web.Response:
        return answer(SettingsAnswer(settings=in_force(self.context.shared.get("settings"), self.settings)))

    async def openapi(self, request: web.Request) -> web.Response:
        return web.Response(body=self._openapi, content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self.metrics_text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")
