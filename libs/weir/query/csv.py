"""CSV (RFC 4180) of entries and of anything else: for spreadsheets, in which nothing of the traffic may come to life.

A text that a spreadsheet would take for a formula gets an apostrophe in front, which they show as text
(https://owasp.org/www-community/attacks/CSV_Injection); what a terminal would obey is shown as its code. Pure.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from weir.model.entry import EntryMap

COLUMNS: tuple[str, ...] = (
    "timestamp", "id", "protocol", "kind", "flow_id", "node_name",
    "src.ip", "src.port", "src.name", "src.namespace", "src.service.name", "src.workload",
    "dst.ip", "dst.port", "dst.name", "dst.namespace", "dst.service.name", "dst.workload",
    "method", "path", "status_code", "ok", "elapsed_time", "request.size", "response.size", "summary",
    "sample_rate", "weird", "incomplete",
)
"""Columns of entries, by the names of the filter language; the time is ISO 8601, `elapsed_time` is µs."""
_FORMULA = frozenset("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
"""With their wide forms, which some spreadsheets take alike."""
_LAST_SECOND = 253_402_300_799
_PATHS = tuple((name, tuple(name.split("."))) for name in COLUMNS)


def inert(text: str) -> str:
    """`text` without control characters, escape sequences and marks of direction: each becomes its code (`\\x1b`)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def cell(value: Any) -> Any:
    """A value as it may stand in a spreadsheet: numbers as they are, texts inert and never formulas."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")
    # Where it begins is looked at before a tab has become a code, and behind blanks that are trimmed.
    formula = text[:1] in _FORMULA or text.lstrip()[:1] in _FORMULA
    return ("'" if text and formula else "") + inert(text)


def line(values: Iterable[Any]) -> str:
    """One record, with its line end (CR LF)."""
    out = io.StringIO()
    csv.writer(out).writerow([cell(value) for value in values])
    return out.getvalue()


def head(columns: Sequence[str] = COLUMNS) -> str:
    return line(columns)


def entry_line(entry: EntryMap) -> str:
    """The record of any entry, by `COLUMNS`."""
    return line([_value(entry, name, path) for name, path in _PATHS])


def _value(entry: EntryMap, name: str, path: tuple[str, ...]) -> Any:
    value: Any = entry
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if name == "timestamp":
        return _iso(value) if isinstance(value, int) else ""
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return value


def _iso(timestamp_ns: int) -> str:
    seconds, rest = divmod(timestamp_ns, 1_000_000_000)
    moment = datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"
