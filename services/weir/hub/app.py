"""The handlers of the API, one for each route. What they answer is decided elsewhere; here it becomes HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from weir.archive.api import MAX_GROUPS, Archive, Page
from weir.archive.codec import entry_json
from weir.dissect.flow_fields import FLOW_FIELDS, FLOW_PROTOCOLS
from weir.dissect.registry import Registry
from weir.errors import SettingsError
from weir.hub import params
from weir.hub.guard import Guard, refusal
from weir.hub.health import Health, health
from weir.hub.live import Live
from weir.hub.openapi import document
from weir.hub.page import page_routes
from weir.hub.routes import ROUTES, FieldAnswer, FieldsAnswer, RulesAnswer, StatsAnswer
from weir.hub.settings import HubSettings
from weir.hub.tail import listed
from weir.hub.wire import serve_tail
from weir.hub.wishes import ReadOnly, Tables, Wishes
from weir.query.structured import Query, QueryError, position_of
from weir.runtime.service import Context

MAX_BODY = 64 << 10
"""Bytes of a request's body: a rule."""

Values = dict[str, list[str]]


class Hub:
    """Holds what the handlers answer from."""

    def __init__(self, settings: HubSettings, context: Context, archive: Archive, tables: Tables) -> None:
        self.settings = settings
        self.context = context
        self.archive = archive
        self.live = Live(context)
        self.wishes = Wishes(settings, context, archive, tables)
        self._health = tables.health
        self._fields: bytes = b""
        self._openapi = msgspec.json.encode(document())
        self.metrics_text: Callable[[], bytes] = context.shared.get("metrics_text", lambda: b"")

    def application(self, guard: Guard) -> web.Application:
        app = web.Application(middlewares=[web.middleware(guard)], client_max_size=MAX_BODY)
        app.add_routes([web.route(route.method, route.path, getattr(self, route.handler)) for route in ROUTES])
        app.add_routes(page_routes(Path(__file__).parent / "static"))
        return app

    async def entries(self, request: web.Request) -> web.Response:
        values = values_of(request)
        summary = detail_of(values) == "summary"
        query = params.query_of(values, self.context.clock.now_ns())
        page = await self.archive.query(query)
        entries = [msgspec.Raw(entry_json(listed(entry) if summary else entry)) for entry in page.entries]
        return answer({"entries": entries, "next": page.next or None, "hidden": await self._hidden(query, page)})

    async def _hidden(self, query: Query, page: Page) -> int:
        """Entries that would be on the page, but for their tags."""
        if query.hidden:
            return 0
        since, until = query.since_ns, query.until_ns
        if page.next:
            since = max(since, position_of(page.next).timestamp)
        if query.cursor:
            until = position_of(query.cursor).timestamp + 1
        near = msgspec.structs.replace(query, since_ns=since, until_ns=until, cursor="")
        shown, all_of_them = await asyncio.gather(
            self.archive.count(near), self.archive.count(msgspec.structs.replace(near, hidden=True))
        )
        return max(all_of_them - shown, 0)

    async def entry(self, request: web.Request) -> web.Response:
        found = await self.archive.get(request.match_info["id"])
        if found is None:
            return refusal(404, "there is no entry with this id", "it may be too old, or not kept yet")
        return web.Response(body=entry_json(found), content_type="application/json")

    async def stats(self, request: web.Request) -> web.Response:
        values = values_of(request)
        group_by = tuple(part for value in values.pop("group_by", []) for part in value.split(",") if part)
        bucket = params.number("bucket", last(values.pop("bucket", [])), 0, 0, 86400)
        limit = params.number("limit", last(values.pop("limit", [])), 1000, 1, MAX_GROUPS)
        query = params.query_of(values, self.context.clock.now_ns(), params.CONDITIONS)
        groups = await self.archive.statistics(query, group_by=group_by, bucket_ns=bucket * 10**9, limit=limit)
        return answer(StatsAnswer(group_by=list(group_by), bucket_ns=bucket * 10**9, groups=groups))

    def state(self) -> Health:
        """How the installation is."""
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
        )

    async def health(self, request: web.Request) -> web.Response:
        return answer(self.state())

    async def rules(self, request: web.Request) -> web.Response:
        return answer(RulesAnswer(rules=self.wishes.states()))

    async def put_rule(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        return await told(self.wishes.put(body, request.headers.get("User-Agent", "")))

    async def preview_rule(self, request: web.Request) -> web.Response:
        return await told(self.wishes.preview(await body_of(request)))

    async def renew_rule(self, request: web.Request) -> web.Response:
        return await told(self.wishes.renew(request.match_info["name"], await body_of(request)))

    async def remove_rule(self, request: web.Request) -> web.Response:
        return await told(self.wishes.remove(request.match_info["name"]))

    async def targets(self, request: web.Request) -> web.Response:
        target = self.state().target
        return answer(await self.wishes.targets(target.says or f"targeted now: {target.now}"))

    async def why(self, request: web.Request) -> web.Response:
        values = values_of(request)
        pod = last(values.pop("pod", []))
        if values:
            raise QueryError(f"unknown parameter {min(values)!r}", hint="known: pod")
        return answer(await self.wishes.why(pod))

    async def fields(self, request: web.Request) -> web.Response:
        if not self._fields:
            self._fields = msgspec.json.encode(FieldsAnswer(fields=declared_fields()))
        return web.Response(body=self._fields, content_type="application/json")

    async def openapi(self, request: web.Request) -> web.Response:
        return web.Response(body=self._openapi, content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self.metrics_text(), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def tail(self, request: web.Request) -> web.StreamResponse:
        if self.live.followers >= self.settings.max_tails:
            return refusal(503, "too many live tails", "close one, or raise hub.max_tails")
        return await serve_tail(request, self.live, self.settings, self.context, self.wishes, values_of(request))


async def body_of(request: web.Request) -> Any:
    """The JSON that was sent."""
    try:
        return msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise QueryError("the body is not JSON", hint='for example {"name": "web", "pod": "web-.*"}') from None


async def told(doing: Awaitable[Any]) -> web.Response:
    """What came of a wish; what is wrong with it is the asker's to change."""
    try:
        found = await doing
    except ReadOnly as error:
        return refusal(409, error.message, error.hint)
    except SettingsError as error:
        return refusal(400, error.message, error.hint)
    if found is None:
        return refusal(404, "there is no rule of this name", "`weir targets list` tells which there are")
    return answer(found)


def answer(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def values_of(request: web.Request) -> Values:
    values: Values = {}
    for name, value in request.query.items():
        values.setdefault(name, []).append(value)
    return values


def detail_of(values: Values) -> str:
    detail = last(values.pop("detail", [])) or "full"
    if detail not in ("full", "summary"):
        raise QueryError(f"detail = {detail!r} is neither full nor summary")
    return detail


def last(values: list[str]) -> str:
    return values[-1] if values else ""


def declared_fields() -> list[FieldAnswer]:
    """Every field with the protocols whose entries carry it."""
    made: dict[str, FieldAnswer] = {}
    declared = [(dissector.protocols, field) for dissector, field in Registry().fields()]
    declared += [(FLOW_PROTOCOLS, field) for field in FLOW_FIELDS]
    for carriers, field in declared:
        known = made.get(field.name)
        protocols = list(dict.fromkeys([*(known.protocols if known else ()), *carriers]))
        made[field.name] = FieldAnswer(
            name=field.name, type=field.type.__name__, doc=known.doc if known else field.doc,
            column=known.column if known else field.column, protocols=protocols,
        )
    return list(made.values())
