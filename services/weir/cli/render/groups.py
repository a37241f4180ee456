"""Statistics on a terminal: a table that leaves out what there is no room for, JSON lines, or CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from weir.archive.api import Statistics
from weir.cli.render.entries import DIM, PLAIN, RED
from weir.cli.render.table import GAP, fitted, least
from weir.cli.render.text import duration, full_time, number, safe_json, share, shortened, size
from weir.query.group import Key

ENDS = ("source", "target")
"""Groups that are the best name of an end."""
_NOTHING = Statistics(count=0, entries=0, errors=0, p50_us=0, p95_us=0, p99_us=0, bytes=0)


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One line: the calls of a group, and the flows beside them (which are the same conversations once more)."""

    key: tuple[Key, ...]
    since_ns: int
    calls: Statistics = _NOTHING
    flows: Statistics = _NOTHING


def joined(told: Sequence[Statistics]) -> list[Group]:
    """Calls and flows of the same group as one; the last part of a key says which of them it is."""
    made: dict[tuple[int, tuple[Key, ...]], Group] = {}
    for one in told:
        place = one.since_ns, one.key[:-1]
        known = made.get(place) or Group(since_ns=one.since_ns, key=one.key[:-1])
        made[place] = msgspec.structs.replace(known, **{"calls" if one.key[-1] else "flows": one})
    return list(made.values())


SORTS: dict[str, Callable[[Group], tuple[float, ...]]] = {
    "count": lambda one: (one.calls.count, one.flows.count),
    "errors": lambda one: (one.calls.errors, one.calls.count, one.flows.count),
    "p50": lambda one: (one.calls.p50_us, one.calls.count),
    "p95": lambda one: (one.calls.p95_us, one.calls.count),
    "p99": lambda one: (one.calls.p99_us, one.calls.count),
    "bytes": lambda one: (max(one.calls.bytes, one.flows.flow_bytes),),
}
"""What groups may be ordered by, the largest first."""


class _Column(msgspec.Struct, frozen=True):
    head: str
    cell: Callable[[Group], str]
    keep: int
    """Columns with a lower one go first where there is no room."""
    bad: bool = False
    """Red where there are errors."""


def _latency(level: str) -> Callable[[Group], str]:
    def cell(one: Group) -> str:
        value = getattr(one.calls, level)
        return duration(value) if value else "-"

    return cell


_NUMBERS = (
    _Column("COUNT", lambda one: number(one.calls.count) if one.calls.entries else "-", 9),
    _Column("ERRORS", lambda one: number(one.calls.errors) if one.calls.entries else "-", 8, bad=True),
    _Column("ERR%", lambda one: share(one.calls.errors, one.calls.count), 5, bad=True),
    _Column("P50", _latency("p50_us"), 4),
    _Column("P95", _latency("p95_us"), 7),
    _Column("P99", _latency("p99_us"), 2),
    _Column("BYTES", lambda one: size(one.calls.bytes) if one.calls.entries else "-", 6),
    _Column("FLOWS", lambda one: number(one.flows.count) if one.flows.entries else "-", 3),
    _Column("FLOW BYTES", lambda one: size(one.flows.flow_bytes) if one.flows.entries else "-", 1),
)


def lines(names: Sequence[str], groups: Sequence[Group], columns: int, *, buckets: bool, color: bool) -> list[str]:
    """A table that is no wider than `columns`, if that can be."""
    kept = [one for one in _NUMBERS if "FLOW" not in one.head or any(group.flows.entries for group in groups)]
    keys = [
        [*([full_time(one.since_ns)[:19] + "Z"] if buckets else []), *key]
        for one, key in zip(groups, _keys(names, groups), strict=True)
    ]
    whole = (0,) if buckets else ()
    heads = [*(["TIME"] if buckets else []), *names]
    while True:
        table = [[*key, *(column.cell(one) for column in kept)] for key, one in zip(keys, groups, strict=True)]
        titles = [*heads, *(column.head for column in kept)]
        numbers = range(len(heads), len(titles))
        if len(kept) == 1 or least(titles, table, numbers, whole) <= columns:
            break
        kept.remove(min(kept, key=lambda column: column.keep))
    head, *rows = fitted(titles, table, columns, numbers=numbers, whole=whole)
    made = [painted(GAP.join(head).rstrip(), DIM, color)]
    for group, row in zip(groups, rows, strict=True):
        if group.calls.errors:
            marks = [False] * len(heads) + [column.bad for column in kept]
            row = [painted(cell, RED, color) if bad else cell for cell, bad in zip(row, marks, strict=True)]
        made.append(GAP.join(row).rstrip())
    return made


def painted(text: str, code: str, color: bool) -> str:
    return f"{code}{text}{PLAIN}" if color else text


def _keys(names: Sequence[str], groups: Sequence[Group]) -> list[list[str]]:
    """What stands in the cells of the names."""
    columns = [[str(one.key[n]) if one.key[n] != "" else "-" for one in groups] for n in range(len(names))]
    for n, name in enumerate(names):
        if name in ENDS:
            short = shortened(columns[n])
            columns[n] = [short[value] for value in columns[n]]
    return [list(key) for key in zip(*columns, strict=True)]


def row(names: Sequence[str], one: Group, *, buckets: bool) -> dict[str, Any]:
    """A group by name, for programs."""
    calls, flows = one.calls, one.flows
    return {
        **({"since": full_time(one.since_ns)} if buckets else {}),
        **dict(zip(names, one.key, strict=True)),
        "count": _whole(calls.count), "errors": _whole(calls.errors), "p50_us": calls.p50_us, "p95_us": calls.p95_us,
        "p99_us": calls.p99_us, "bytes": calls.bytes, "flows": _whole(flows.count), "flow_bytes": flows.flow_bytes,
        "entries": calls.entries + flows.entries,
    }


def _whole(n: float) -> float:
    """Without a fraction where nothing was estimated."""
    return int(n) if n == int(n) else round(n, 3)


def json_line(value: Any) -> str:
    return safe_json(msgspec.json.encode(value))
