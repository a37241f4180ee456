"""The WebSocket of one live tail: sends what its `tail.Tail` has gathered, listens to what the reader wants."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import msgspec
from aiohttp import WSMsgType, web

from weir.hub import params
from weir.hub.live import Live
from weir.hub.settings import HubSettings
from weir.hub.shelf import Shelf
from weir.hub.tail import Detail, Format, Limits, Tail
from weir.hub.wishes import Wishes
from weir.query.structured import Query, QueryError
from weir.runtime.service import Context

MAX_MESSAGE = 16 << 10
"""Bytes of a message from the reader."""
HEARTBEAT_S = 20.0
SEND_S = 30.0
"""A reader that takes nothing for so long is gone."""
_FRAMES = {"json": WSMsgType.TEXT, "msgpack": WSMsgType.BINARY}


async def serve_tail(
    request: web.Request, live: Live, settings: HubSettings, context: Context, wishes: Wishes,
    shelf: Shelf, values: dict[str, list[str]],
) -> web.StreamResponse:
    """Serve one tail until either side ends it; parameters that are wrong are refused before the WebSocket opens."""
    tail = tail_of(values, settings, context, wishes, shelf)
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MAX_MESSAGE, compress=False)
    await socket.prepare(request)
    session = _Session(socket, tail, settings, context, shelf)
    with live.follow(tail, session.wake.set):
        await session.run()
    return socket


def tail_of(
    values: dict[str, list[str]], settings: HubSettings, context: Context, wishes: Wishes, shelf: Shelf
) -> Tail:
    """The tail that parameters describe."""
    form = _choice(values, "format", ("json", "msgpack"))
    detail = _choice(values, "detail", ("full", "summary"))
    rate = _rate(values.pop("rate", [""])[-1], settings)
    rule = values.pop("rule", [""])[-1]
    query = params.query_of(values, context.clock.now_ns(), params.CONDITIONS, shelf.macros())
    narrow = wishes.narrowing(rule) if rule else None
    limits = Limits(rows_per_s=rate, queue=settings.tail_queue, queue_bytes=settings.tail_queue_bytes)
    return Tail(query, limits, cast(Format, form), cast(Detail, detail), narrow)


def _choice(values: dict[str, list[str]], name: str, choices: tuple[str, ...]) -> str:
    given = values.pop(name, [choices[0]])[-1]
    if given not in choices:
        raise QueryError(f"{name} = {given!r} is not one of {', '.join(choices)}")
    return given


def _rate(given: str, settings: HubSettings) -> int:
    return params.number("rate", given, settings.tail_rows_per_s, 1, settings.tail_max_rows_per_s)


class _Session:
    def __init__(
        self, socket: web.WebSocketResponse, tail: Tail, settings: HubSettings, context: Context, shelf: Shelf
    ) -> None:
        self._socket = socket
        self._tail = tail
        self._settings = settings
        self._context = context
        self._shelf = shelf
        self.wake = asyncio.Event()

    async def run(self) -> None:
        sender = asyncio.create_task(self._send_all())
        stopper = asyncio.create_task(self._close_at_stop())
        try:
            await self._send_text(self._state())
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    await self._send_text(self._obey(message.data))
                elif message.type is WSMsgType.BINARY:
                    await self._send_text(_error(QueryError("messages to the hub are JSON text")))
        except (ConnectionError, TimeoutError):
            pass
        finally:
            for task in (sender, stopper):
                task.cancel()
            await asyncio.gather(sender, stopper, return_exceptions=True)

    async def _send_all(self) -> None:
        """One message in each interval in which something came; waits for a slow reader, whose queue then overflows."""
        try:
            while True:
                await self.wake.wait()
                self.wake.clear()
                await self._context.clock.sleep(self._settings.tail_interval_s)
                if (data := self._tail.take()) is not None:
                    await self._send(data)
        except (ConnectionError, TimeoutError):
            await self._socket.close()

    async def _close_at_stop(self) -> None:
        await self._context.stop.wait()
        await self._socket.close(code=1001, message=b"the hub ends")

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(SEND_S):
            # As a frame: JSON is UTF-8 already, and would be decoded to be encoded again.
            await self._socket.send_frame(data, _FRAMES[self._tail.form])

    async def _send_text(self, message: dict[str, Any]) -> None:
        await self._send(self._tail.encode(message))

    def _state(self) -> dict[str, Any]:
        tail = self._tail
        return {
            "type": "state",
            "paused": tail.paused,
            "filter": described(tail.query),
            "rate": tail.limits.rows_per_s,
        }

    def _obey(self, text: str) -> dict[str, Any]:
        try:
            self._apply(_wish(text))
        except QueryError as error:
            return _error(error)
        return self._state()

    def _apply(self, wish: dict[str, Any]) -> None:
        query = rate = None
        if "filter" in wish:
            values = params.values_of(wish["filter"])
            query = params.query_of(values, self._context.clock.now_ns(), params.CONDITIONS, self._shelf.macros())
        if "rate" in wish:
            rate = _rate(str(wish["rate"]), self._settings)
        if not isinstance(wish.get("pause", False), bool):
            raise QueryError("pause is neither true nor false")
        if query is not None:
            self._tail.filter(query)
        if rate is not None:
            self._tail.rate(rate)
        if "pause" in wish:
            self._tail.pause(wish["pause"])


def _wish(text: str) -> dict[str, Any]:
    try:
        wish = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise QueryError("this is not JSON", hint='for example {"pause": true}') from None
    if not isinstance(wish, dict) or not wish or set(wish) - {"pause", "filter", "rate"}:
        raise QueryError("unknown message", hint="known: pause, filter, rate")
    if not isinstance(wish.get("filter", {}), dict):
        raise QueryError("filter is no map", hint='for example {"filter": {"protocol": ["http"]}}')
    return wish


def _error(error: QueryError) -> dict[str, Any]:
    return {"type": "error", "error": error.message, "hint": error.hint}


def described(query: Query) -> dict[str, Any]:
    """A query's conditions under the parameters' names."""
    shown = {
        "protocol": list(query.protocols), "kind": list(query.kinds), "since": query.since_ns, "until": query.until_ns,
        "text": query.text, "flow_id": query.flow_id, "name": list(query.names), "namespace": list(query.namespaces),
        "filter": query.filter,
    }
    made = {name: value for name, value in shown.items() if value}
    if query.hidden:
        made["hidden"] = True
    return made if query.ok is None else made | {"ok": query.ok}
