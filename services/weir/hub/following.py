"""Handlers of what is now: the live tail over a WebSocket, or as server-sent events."""

from __future__ import annotations

from aiohttp import web

from weir.hub.events import serve_events
from weir.hub.live import Live
from weir.hub.replies import refusal, values_of
from weir.hub.settings import HubSettings
from weir.hub.shelf import Shelf
from weir.hub.wire import serve_tail, tail_of
from weir.hub.wishes import Wishes
from weir.query.structured import QueryError
from weir.runtime.service import Context

TOO_MANY = "too many live tails", "close one, or raise hub.max_tails"


class Following:
    def __init__(self, settings: HubSettings, context: Context, live: Live, wishes: Wishes, shelf: Shelf) -> None:
        self._settings = settings
        self._context = context
        self._live = live
        self._wishes = wishes
        self._shelf = shelf

    async def tail(self, request: web.Request) -> web.StreamResponse:
        if self._full():
            return refusal(503, *TOO_MANY)
        return await serve_tail(
            request, self._live, self._settings, self._context, self._wishes, self._shelf, values_of(request)
        )

    async def events(self, request: web.Request) -> web.StreamResponse:
        if self._full():
            return refusal(503, *TOO_MANY)
        values = values_of(request)
        if "format" in values:
            raise QueryError("events have one format", hint="leave `format` out; /api/v1/tail has several")
        tail = tail_of(values, self._settings, self._context, self._wishes, self._shelf)
        return await serve_events(request, self._live, self._settings, self._context, tail)

    def _full(self) -> bool:
        return self._live.followers >= self._settings.max_tails
