"""Handlers of what was: entries, statistics and the map, out of the archive."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from weir.archive.api import MAX_GROUPS, Archive, Page
from weir.archive.codec import entry_json
from weir.hub import graph, params
from weir.hub.answers import StatsAnswer
from weir.hub.download import MAX_EXPORT, download
from weir.hub.export import FORMATS, writer_of
from weir.hub.openapi import program_version
from weir.hub.picked import Picked
from weir.hub.replies import Values, answer, last, refusal, values_of
from weir.hub.shelf import Shelf
from weir.hub.tail import listed
from weir.query.structured import Query, QueryError, position_of
from weir.runtime.service import Context


class History:
    def __init__(self, context: Context, archive: Archive, shelf: Shelf, page_s: float) -> None:
        """`page_s`: seconds that one page of an export may take."""
        self._page_s = page_s
        self._context = context
        self._archive = archive
        self._shelf = shelf

    def _query(self, values: Values, known: tuple[str, ...] = params.CONDITIONS) -> Query:
        return params.query_of(values, self._context.clock.now_ns(), known, macros=self._shelf.macros())

    async def entries(self, request: web.Request) -> web.Response:
        values = values_of(request)
        summary = detail_of(values) == "summary"
        fields = Picked(params.names_of(values.pop("fields", [])))
        query = self._query(values, (*params.CONDITIONS, *params.PAGING))
        page = await self._archive.query(query)
        entries = [
            msgspec.Raw(entry_json(fields.of(listed(entry) if summary and not fields else entry)))
            for entry in page.entries
        ]
        return answer({"entries": entries, "next": page.next or None, "hidden": await self._hidden(query, page)})

    async def _hidden(self, query: Query, page: Page) -> int:
        """Entries in the time of this page (of an order by anything else: of the selection) left out for their tags."""
        if query.hidden:
            return 0
        ends = [position_of(one, query.order).timestamp for one in (query.cursor, page.next) if one]
        since, until = query.since_ns, query.until_ns
        if query.order == "newest":
            since = max(since, ends[-1]) if page.next else since
            until = ends[0] + 1 if query.cursor else until
        elif query.order == "oldest":
            since = max(since, ends[0]) if query.cursor else since
            until = ends[-1] + 1 if page.next else until
        near = msgspec.structs.replace(query, since_ns=since, until_ns=until, cursor="", hidden=None)
        return await self._archive.count(near)

    async def entry(self, request: web.Request) -> web.Response:
        found = await self._archive.get(request.match_info["id"])
        if found is None:
            return refusal(404, "there is no entry with this id", "it may be too old, or not kept yet")
        return web.Response(body=entry_json(found), content_type="application/json")

    async def stats(self, request: web.Request) -> web.Response:
        values = values_of(request)
        group_by = params.names_of(values.pop("group_by", []))
        bucket = params.number("bucket", last(values.pop("bucket", [])), 0, 0, 86400)
        limit = params.number("limit", last(values.pop("limit", [])), 1000, 1, MAX_GROUPS)
        query = self._query(values)
        groups = await self._archive.statistics(query, group_by=group_by, bucket_ns=bucket * 10**9, limit=limit)
        return answer(StatsAnswer(group_by=list(group_by), bucket_ns=bucket * 10**9, groups=groups))

    async def map(self, request: web.Request) -> web.Response:
        values = values_of(request)
        group = last(values.pop("group", [])) or "service"
        if group not in graph.GROUPINGS:
            raise QueryError(f"group = {group!r:.80} is no grouping", hint=f"one of: {', '.join(graph.GROUPINGS)}")
        limit = params.number("limit", last(values.pop("limit", [])), 500, 1, graph.MAX_EDGES)
        query = self._query(values)
        edges, nodes = await asyncio.gather(
            self._archive.statistics(query, group_by=graph.edge_keys(group), limit=MAX_GROUPS),
            self._archive.statistics(query, group_by=graph.node_keys(group), limit=MAX_GROUPS),
        )
        until = query.until_ns or self._context.clock.now_ns()
        return answer(graph.service_map(group, edges, nodes, limit, query.since_ns, until))


    async def export(self, request: web.Request) -> web.StreamResponse:
        values = values_of(request)
        form = last(values.pop("format", [])) or "jsonl"
        limit = params.number("limit", last(values.pop("limit", [])), 10_000, 1, MAX_EXPORT)
        fields = params.names_of(values.pop("fields", []))
        if form not in FORMATS:
            raise QueryError(f"format = {form!r:.80} is none", hint=f"one of: {', '.join(FORMATS)}")
        if fields and form == "har":
            raise QueryError("HAR has fields of its own", hint="leave `fields` out, or take csv or jsonl")
        query = self._query(values, (*params.CONDITIONS, "order"))
        writer = writer_of(form, fields, program_version())
        return await download(request, self._context, self._archive, query, limit, writer, form, self._page_s)


def detail_of(values: Values) -> str:
    detail = last(values.pop("detail", [])) or "full"
    if detail not in ("full", "summary"):
        raise QueryError(f"detail = {detail!r:.80} is neither full nor summary")
    return detail
