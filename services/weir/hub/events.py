"""The live tail as server-sent events: what a `tail.Tail` has gathered, for whoever reads plain HTTP (`curl -N`)."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from weir.hub.live import Live
from weir.hub.settings import HubSettings
from weir.hub.tail import Message, Tail
from weir.runtime.service import Context

HEARTBEAT_S = 15.0
SEND_S = 30.0
"""A reader that takes nothing for so long is gone."""
HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
"""The second keeps an ingress from gathering events."""


async def serve_events(
    request: web.Request, live: Live, settings: HubSettings, context: Context, tail: Tail
) -> web.StreamResponse:
    """Serve one tail until the reader leaves or the hub ends."""
    response = web.StreamResponse(headers=HEADERS)
    await response.prepare(request)
    wake = asyncio.Event()
    stopper = asyncio.create_task(_wake_at_stop(context, wake))
    try:
        with live.follow(tail, wake.set):
            await _send(response, b": weir follows\n\n")
            while not context.stop.is_set():
                await _send(response, await _next(tail, wake, settings, context))
    except (ConnectionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        stopper.cancel()
    return response


async def _wake_at_stop(context: Context, wake: asyncio.Event) -> None:
    await context.stop.wait()
    wake.set()


async def _next(tail: Tail, wake: asyncio.Event, settings: HubSettings, context: Context) -> bytes:
    """What has gathered over one interval; a comment when nothing comes for long."""
    try:
        async with asyncio.timeout(HEARTBEAT_S):
            await wake.wait()
    except TimeoutError:
        return b": nothing yet\n\n"
    wake.clear()
    await context.clock.sleep(settings.tail_interval_s)
    message = tail.gathered()
    return b"" if message is None else written(message)


def written(message: Message) -> bytes:
    """As events: `entries`, a JSON list, where there are any; and `counts`."""
    counts = msgspec.json.encode({
        "matched": message.matched, "shown": message.shown, "missed": message.missed, "hidden": message.hidden,
    })
    entries = b"event: entries\ndata: " + msgspec.json.encode(message.entries) + b"\n\n" if message.entries else b""
    return entries + b"event: counts\ndata: " + counts + b"\n\n"


async def _send(response: web.StreamResponse, data: bytes) -> None:
    if data:
        async with asyncio.timeout(SEND_S):
            await response.write(data)
