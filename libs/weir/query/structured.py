"""A query as data: small and typed. A filter language sits beside it on the same seam: one value, a predicate for
Python (`match`), SQL with bound parameters for the archive (`sql`).
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal, get_args

import msgspec

from weir.errors import WeirError

MAX_LIMIT = 1000
MAX_QUERY_TEXT = 512
HIDDEN = ("probe", "service-view")
"""Tags (`weir.model.entry.Entry.tags`) of entries that nobody misses: left out unless asked for."""


Order = Literal["newest", "oldest", "slowest", "failed"]
"""`failed`: what failed first, the newest of it first, and then the rest in the same way."""
ORDERS: tuple[Order, ...] = get_args(Order)


class Query(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which entries, and how many. Conditions are joined by *and*, the values within one by *or*; empty: all."""

    protocols: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since_ns: int = 0
    """Entries of this time and later."""
    until_ns: int = 0
    """Entries before this time; 0 for no end."""
    text: str = ""
    """Somewhere in summary, method, URL or path, status, addresses and names; case does not matter."""
    flow_id: str = ""
    names: tuple[str, ...] = ()
    """Pod, service or host name of either end."""
    namespaces: tuple[str, ...] = ()
    """Namespace of either end."""
    ok: bool | None = None
    hidden: bool | None = False
    """Entries with one of the tags `HIDDEN`, too; None: those alone."""
    filter: str = ""
    """A condition in the filter language (`weir.query.filter`)."""
    macros: dict[str, str] = {}
    """Filters by name that `filter` may use."""
    now_ns: int = 0
    """What `now()` stands for in it."""
    limit: int = 100
    """Entries on one page; not a condition."""
    order: Order = "newest"
    """Of entries on pages; not a condition."""
    cursor: str = ""
    """`Page.next` of the page before; not a condition."""


class QueryError(WeirError):
    """A query that cannot be understood."""

    exit_code = 2


class Position(msgspec.Struct, frozen=True):
    """Where a page ended."""

    timestamp: int
    id: str
    lead: int = 0
    """What comes before the time in the order: µs for `slowest`; for `failed` 1 in its first part, 0 in its second."""


def cursor_of(position: Position, order: Order = "newest") -> str:
    lead = "" if order == "newest" else f"{order[0]}{position.lead}:"
    return base64.urlsafe_b64encode(f"{lead}{position.timestamp}:{position.id}".encode()).decode().rstrip("=")


def position_of(cursor: str, order: Order = "newest") -> Position:
    """The position a cursor of this order stands for; QueryError for anything else."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode()
        lead = 0
        if order != "newest":
            first, _, text = text.partition(":")
            if first[:1] != order[0]:
                raise ValueError(cursor)
            lead = _number(first[1:])
        timestamp, found, name = text.partition(":")
        if not found:
            raise ValueError(cursor)
        return Position(_number(timestamp), name, lead)
    except (ValueError, binascii.Error, UnicodeError):
        raise QueryError(
            "this cursor is none of ours", hint="take `next` of an earlier answer, unchanged, with the same `order`"
        ) from None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19 or (value := int(text)) >= 1 << 63:
        raise ValueError(text)
    return value
