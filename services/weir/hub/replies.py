"""Requests in and answers out, as every handler does it."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from weir.hub.answers import ErrorAnswer
from weir.query.filter.tree import FilterError
from weir.query.structured import QueryError

Values = dict[str, list[str]]

EXAMPLE = 'for example {"name": "web", "pod": "web-.*"}'


def answer(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def refusal(status: int, error: str, hint: str = "") -> web.Response:
    return _refused(status, ErrorAnswer(error=error, hint=hint))


def wrong(error: QueryError) -> web.Response:
    """What is wrong with a question; of a filter with its place."""
    told = ErrorAnswer(error=error.message, hint=error.hint)
    if isinstance(error, FilterError):
        told = msgspec.structs.replace(told, position=error.start, length=error.end - error.start)
    return _refused(400, told)


def _refused(status: int, told: ErrorAnswer) -> web.Response:
    headers = {"WWW-Authenticate": 'Bearer realm="weir"'} if status == 401 else None
    return web.Response(
        status=status, body=msgspec.json.encode(told), content_type="application/json", headers=headers
    )


async def body_of(request: web.Request, example: str = EXAMPLE) -> Any:
    """The JSON that was sent."""
    try:
        return msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise QueryError("the body is not JSON", hint=example) from None


def values_of(request: web.Request) -> Values:
    """The query string."""
    values: Values = {}
    for name, value in request.query.items():
        values.setdefault(name, []).append(value)
    return values


def last(values: list[str]) -> str:
    return values[-1] if values else ""


def only(values: Values, *known: str) -> None:
    """Refuses parameters that are none of these."""
    for name in values:
        if name not in known:
            raise QueryError(f"unknown parameter {name!r:.80}", hint=f"known: {', '.join(known) or 'none'}")
