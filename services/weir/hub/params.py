"""What a request asks for, from its query string or a tail's filter message. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from weir.query.filter.syntax import MAX_TEXT as MAX_FILTER
from weir.query.match import checked
from weir.query.structured import MAX_LIMIT, MAX_QUERY_TEXT, ORDERS, Order, Query, QueryError, position_of

MAX_VALUES = 50
MAX_CURSOR = 4096
"""Characters; an id may be long."""
CONDITIONS = ("protocol", "kind", "since", "until", "text", "flow_id", "name", "namespace", "ok", "hidden", "filter")
PAGING = ("limit", "cursor", "order")

_RELATIVE = re.compile(r"(\d{1,9})(ms|s|m|h|d)\Z", re.ASCII)
_PARTS = re.compile(r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\([^()]*\)|\[[^\[\]]*\]|[^,"'(\[]|["'(\[])+""")
_UNITS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}

Values = Mapping[str, Iterable[str]]


def query_of(
    values: Mapping[str, list[str]], now_ns: int, known: Iterable[str] = (*CONDITIONS, *PAGING),
    macros: Mapping[str, str] = MappingProxyType({}),
) -> Query:
    """The query that parameters describe; QueryError with the parameter's name for what cannot be understood."""
    allowed = set(known)
    for name in values:
        if name not in allowed:
            raise QueryError(f"unknown parameter {name!r}", hint="known: " + ", ".join(sorted(allowed)))
    cursor, order = _one(values, "cursor", MAX_CURSOR), order_of(values)
    if cursor:
        position_of(cursor, order)
    query = Query(
        filter=_one(values, "filter", MAX_FILTER),
        macros=dict(macros) if values.get("filter") else {},
        now_ns=now_ns if values.get("filter") else 0,
        protocols=_many(values, "protocol"),
        kinds=_many(values, "kind"),
        since_ns=time_of("since", _one(values, "since"), now_ns),
        until_ns=time_of("until", _one(values, "until"), now_ns),
        text=_text(values),
        flow_id=_one(values, "flow_id"),
        names=_many(values, "name"),
        namespaces=_many(values, "namespace"),
        ok=_bool(values, "ok"),
        hidden=bool(_bool(values, "hidden")),
        limit=number("limit", _one(values, "limit"), 100, 1, MAX_LIMIT),
        cursor=cursor,
        order=order,
    )
    if query.filter:
        checked(query)
    return query


def values_of(message: Mapping[str, Any]) -> dict[str, list[str]]:
    """A filter that came as JSON in the shape of a query string: `{"protocol": ["http"], "text": "x"}`."""
    values: dict[str, list[str]] = {}
    for name, value in message.items():
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int | bool) for item in items):
            raise QueryError(f"{name}: text, a number, or a list of them is expected")
        values[name] = [str(item).lower() if isinstance(item, bool) else str(item) for item in items if item != ""]
    return values


def order_of(values: Mapping[str, list[str]]) -> Order:
    given = _one(values, "order") or "newest"
    for order in ORDERS:
        if given == order:
            return order
    raise QueryError(f"order = {given!r} is none", hint=f"one of: {', '.join(ORDERS)}")


def names_of(values: Iterable[str]) -> tuple[str, ...]:
    """Names or expressions, joined by commas that stand outside of brackets and quotes."""
    found = tuple(part.strip() for value in values for part in _PARTS.findall(value[:MAX_FILTER]) if part.strip())
    if len(found) > MAX_VALUES:
        raise QueryError(f"more than {MAX_VALUES} names")
    return found


def text_of(name: str, values: Mapping[str, list[str]], longest: int) -> str:
    return _one(values, name, longest)


def _one(values: Mapping[str, list[str]], name: str, longest: int = MAX_QUERY_TEXT) -> str:
    given = values.get(name, [])
    if len(given) > 1:
        raise QueryError(f"{name} is given {len(given)} times", hint="give it once")
    value = given[0] if given else ""
    if len(value) > longest:
        raise QueryError(f"{name} is longer than {longest} characters")
    return value


def _many(values: Mapping[str, list[str]], name: str) -> tuple[str, ...]:
    found = tuple(part for value in values.get(name, []) for part in value.split(",") if part)
    if len(found) > MAX_VALUES or any(len(part) > MAX_QUERY_TEXT for part in found):
        raise QueryError(f"{name}: more than {MAX_VALUES} values, or one that is too long")
    return found


def _text(values: Mapping[str, list[str]]) -> str:
    return _one(values, "text")


def _bool(values: Mapping[str, list[str]], name: str) -> bool | None:
    value = _one(values, name)
    if value not in ("", "true", "false", "1", "0"):
        raise QueryError(f"{name} = {value!r} is neither true nor false")
    return None if not value else value in ("true", "1")


def number(name: str, value: str, default: int, low: int, high: int) -> int:
    """A whole number within bounds; above `high` is refused, not cut: nobody should wonder where the rest is."""
    if not value:
        return default
    if not value.isascii() or not value.isdigit() or len(value) > 18 or not low <= int(value) <= high:
        raise QueryError(f"{name} = {value!r} is not a number from {low} to {high}")
    return int(value)


def time_of(name: str, value: str, now_ns: int) -> int:
    """ns since epoch, an ISO 8601 time with its zone, or an age such as `15m`; 0 for nothing."""
    if not value:
        return 0
    if value.isascii() and value.isdigit():
        if len(value) > 19:
            raise QueryError(f"{name} = {value!r} lies beyond every clock", hint="ns since 1970, a time, or an age")
        return min(int(value), (1 << 63) - 1)
    if age := _RELATIVE.match(value):
        return max(now_ns - int(age[1]) * _UNITS[age[2]], 1)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise QueryError(
            f"{name} = {value!r} is no time", hint="ns since 1970, 2026-01-31T12:00:00Z, or an age such as 15m"
        )
    return max(int(moment.timestamp() * 1_000_000) * 1000, 1)
