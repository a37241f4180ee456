"""A query as data: small and typed. A filter language sits beside it on the same seam: one value, a predicate for
Python (`match`), SQL with bound parameters for the archive (`sql`).
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from weir.errors import WeirError

MAX_LIMIT = 1000
MAX_QUERY_TEXT = 512
HIDDEN = ("probe", "service-view")
"""Tags (`weir.model.entry.Entry.tags`) of entries that nobody misses: left out unless asked for."""


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
    hidden: bool = False
    """Entries with one of the tags `HIDDEN`, too."""
    filter: str = ""
    """A condition in the filter language (`weir.query.filter`)."""
    macros: dict[str, str] = {}
    """Filters by name that `filter` may use."""
    now_ns: int = 0
    """What `now()` stands for in it."""
    limit: int = 100
    """Entries on one page; not a condition."""
    cursor: str = ""
    """`Page.next` of the page before; not a condition."""


class QueryError(WeirError):
    """A query that cannot be understood."""

    exit_code = 2


class Position(msgspec.Struct, frozen=True, order=True):
    """Where a page ended: the order of entries is by time, then by id."""

    timestamp: int
    id: str


def cursor_of(position: Position) -> str:
    return base64.urlsafe_b64encode(f"{position.timestamp}:{position.id}".encode()).decode().rstrip("=")


def position_of(cursor: str) -> Position:
    """The position a cursor stands for; QueryError for anything that is not a cursor."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        timestamp, found, name = base64.b64decode(padded, altchars=b"-_", validate=True).decode().partition(":")
        if not found or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 19:
            raise ValueError(cursor)
    except (ValueError, binascii.Error, UnicodeError):
        raise QueryError("this cursor is none of ours", hint="take `next` of an earlier answer, unchanged") from None
    return Position(int(timestamp), name)
