"""Handlers about the filter language: its fields and their values, completion, checking, and saved filters."""

from __future__ import annotations

import msgspec
from aiohttp import web

from weir.archive.api import MAX_VALUES, Archive
from weir.dissect.flow_fields import FLOW_FIELDS, FLOW_PROTOCOLS
from weir.dissect.registry import Registry
from weir.errors import ArchiveError
from weir.hub import params
from weir.hub.answers import (
    CheckAnswer,
    CompleteAnswer,
    FieldAnswer,
    FieldsAnswer,
    Option,
    SavedAnswer,
    ValueCount,
    ValuesAnswer,
)
from weir.hub.replies import answer, body_of, last, only, refusal, values_of
from weir.hub.shelf import Shelf
from weir.query.filter.check import check
from weir.query.filter.complete import MAX_OPTIONS, complete, value_text
from weir.query.filter.syntax import MAX_TEXT
from weir.query.filter.tree import FilterError, Kind
from weir.query.filter.variables import EVERY, variables
from weir.query.group import Key
from weir.query.structured import MAX_QUERY_TEXT, Query, QueryError
from weir.runtime.service import Context

VALUES_AGE_S = 5.0
"""So long an answer of the archive is good for completion."""

_TYPES = {
    Kind.STRING: "str", Kind.INT: "int", Kind.DOUBLE: "float", Kind.BOOL: "bool", Kind.BYTES: "bytes",
    Kind.TIMESTAMP: "timestamp", Kind.LIST: "list", Kind.MAP: "dict",
}


class Language:
    def __init__(self, context: Context, archive: Archive, shelf: Shelf) -> None:
        self._context = context
        self._archive = archive
        self._shelf = shelf
        self._fields = b""
        self._values: dict[str, tuple[float, list[tuple[Key, int]]]] = {}

    async def fields(self, request: web.Request) -> web.Response:
        if not self._fields:
            self._fields = msgspec.json.encode(FieldsAnswer(fields=declared_fields()))
        return web.Response(body=self._fields, content_type="application/json")

    async def values(self, request: web.Request) -> web.Response:
        given = values_of(request)
        prefix = params.text_of("prefix", {"prefix": given.pop("prefix", [])}, MAX_QUERY_TEXT)
        limit = params.number("limit", last(given.pop("limit", [])), 50, 1, MAX_VALUES)
        now = self._context.clock.now_ns()
        query = params.query_of(given, now, params.CONDITIONS, self._shelf.macros())
        counted = await self._archive.values(query, request.match_info["name"])
        return answer(ValuesAnswer(values=_beginning(counted, prefix)[:limit]))

    async def complete(self, request: web.Request) -> web.Response:
        given = values_of(request)
        only(given, "filter", "at")
        text = params.text_of("filter", given, MAX_TEXT)
        at = params.number("at", last(given.get("at", [])), len(text), 0, MAX_TEXT)
        found = complete(text, at, self._shelf.macros())
        values = _beginning(await self._known(found.values_of), found.prefix)[:MAX_OPTIONS] if found.values_of else []
        options = [Option(text=value_text(one.value), kind="value", count=one.count) for one in values]
        options += [Option(text=one.text, kind=one.kind, doc=one.doc) for one in found.options]
        return answer(CompleteAnswer(start=found.start, end=found.end, options=options))

    async def _known(self, field: str) -> list[tuple[Key, int]]:
        """Values of a field; of a moment ago while somebody types, and none while the archive is away."""
        now = self._context.clock.monotonic()
        held = self._values.get(field)
        if held is not None and now - held[0] < VALUES_AGE_S:
            return held[1]
        try:
            counted = await self._archive.values(Query(), field)
        except (ArchiveError, QueryError):
            counted = []
        self._values = {name: one for name, one in self._values.items() if now - one[0] < VALUES_AGE_S}
        self._values[field] = now, counted
        return counted

    async def check(self, request: web.Request) -> web.Response:
        values = values_of(request)
        only(values, "filter")
        text = params.text_of("filter", values, MAX_TEXT * 2)
        try:
            check(text, macros=self._shelf.macros(), now_ns=self._context.clock.now_ns())
        except FilterError as error:
            return answer(CheckAnswer(
                ok=False, error=error.message, hint=error.hint, position=error.start, length=error.end - error.start
            ))
        return answer(CheckAnswer(ok=True))

    async def saved(self, request: web.Request) -> web.Response:
        return answer(SavedAnswer(saved=self._shelf.saved()))

    async def put_saved(self, request: web.Request) -> web.Response:
        body = await body_of(request, 'for example {"text": "http && status_code >= 500", "macro": false}')
        return answer(await self._shelf.put(request.match_info["name"], body, request.headers.get("User-Agent", "")))

    async def remove_saved(self, request: web.Request) -> web.Response:
        found = await self._shelf.remove(request.match_info["name"])
        if found is None:
            return refusal(404, "there is no saved filter of this name", "GET saved tells which there are")
        return answer(found)


def _beginning(counted: list[tuple[Key, int]], prefix: str) -> list[ValueCount]:
    """Values that begin so, in any case; empty ones say nothing."""
    lower = prefix.lower()
    return [
        ValueCount(value=value, count=count) for value, count in counted
        if value != "" and str(value).lower().startswith(lower)
    ]


def declared_fields() -> list[FieldAnswer]:
    """Every variable of the filter language that weir fills, with the protocols whose entries carry it."""
    declared = [(dissector.protocols, field) for dissector, field in Registry().fields()]
    declared += [(FLOW_PROTOCOLS, field) for field in FLOW_FIELDS]
    columns: dict[str, str] = {}
    carriers: dict[str, list[str]] = {}
    for protocols, field in declared:
        columns.setdefault(field.name, field.column)
        held = carriers.setdefault(field.name, [])
        held += [one for one in protocols if one not in held]
    return [
        FieldAnswer(
            name=one.name, type=_TYPES[one.type.kind], doc=one.doc, column=columns.get(one.name, ""),
            protocols=[] if EVERY in one.carried else carriers.get(one.name, []),
        )
        for one in variables().values() if not one.foreign
    ]
