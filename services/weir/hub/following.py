"""Handlers of what is now: the live tail over a WebSocket."""

from __future__ import annotations

from aiohttp import web

from weir.hub.live import Live
from weir.hub.replies import refusal, values_of
from weir.hub.settings import HubSettings
from weir.hub.shelf import Shelf
from weir.hub.wire import serve_tail
from weir.hub.wishes import Wishes
from weir.runtime.service import Context


class Following:
    def __init__(self, settings: HubSettings, context: Context, live: Live, wishes: Wishes, shelf: Shelf) -> None:
        self._settings = settings
        self._context = context
        self._live = live
        self._wishes = wishes
        self._shelf = shelf

    async def tail(self, request: web.Request) -> web.StreamResponse:
        if self._live.followers >= self._settings.max_tails:
            return refusal(503, "too many live tails", "close one, or raise hub.max_tails")
        return await serve_tail(
            request, self._live, self._settings, self._context, self._wishes, self._shelf, values_of(request)
        )
