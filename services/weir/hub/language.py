"""Handlers about the filter language: its fields and their values, completion, checking, and saved filters."""

from __future__ import annotations

import msgspec
from aiohttp import web

from weir.archive.api import Archive
from weir.dissect.flow_fields import FLOW_FIELDS, FLOW_PROTOCOLS
from weir.dissect.registry import Registry
from weir.hub import params
from weir.hub.answers import CheckAnswer, FieldAnswer, FieldsAnswer, SavedAnswer
from weir.hub.replies import answer, body_of, only, refusal, values_of
from weir.hub.shelf import Shelf
from weir.query.filter.check import check
from weir.query.filter.syntax import MAX_TEXT
from weir.query.filter.tree import FilterError, Kind
from weir.query.filter.variables import EVERY, variables
from weir.runtime.service import Context

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

    async def fields(self, request: web.Request) -> web.Response:
        if not self._fields:
            self._fields = msgspec.json.encode(FieldsAnswer(fields=declared_fields()))
        return web.Response(body=self._fields, content_type="application/json")

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
