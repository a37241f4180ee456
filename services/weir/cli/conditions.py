"""Which entries: the options that `weir tap`, `read`, `stats`, `map` and `export` share, as a hub takes them and as
files are read with them. What a filter means is `weir.query`'s; here a wrong one is shown with a mark below the place.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from weir.cli.args import Parser, count
from weir.cli.render.text import safe, width
from weir.errors import SettingsError

SHOWN = 100
"""Columns of a filter's line that are shown around a mistake."""
INDENT = "  "
MAX_LAST = 10_000
"""Entries that --last takes."""

_AGE = re.compile(r"\d{1,9}(ms|s|m|h|d)\Z", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\Z", re.ASCII)
TIME_HINT = "15m (ago), 14:05 (today, UTC) or 2026-01-31T12:00:00Z"


class FilterRefused(SettingsError):
    """A filter that is none: `text`, and which part of it (`start`, `length` in characters) is wrong."""

    def __init__(self, message: str, hint: str, text: str, start: int, length: int) -> None:
        super().__init__(message, hint=hint)
        self._pointed = pointed(text, start, length)

    def __str__(self) -> str:
        lines = [self.message, *(INDENT + line for line in self._pointed)]
        return "\n".join([*lines, f"hint: {self.hint}"] if self.hint else lines)


def pointed(text: str, start: int, length: int) -> list[str]:
    """The line of `text` that is meant, and a line with carets below the place; of a long line its surroundings."""
    start = max(0, min(start, len(text)))
    begin = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", start)
    line = text[begin : stop if stop >= 0 else len(text)]
    at = start - begin
    first = max(0, min(at - SHOWN // 2, len(line) - SHOWN))
    before = ("…" if first else "") + safe(line[first:at])
    end = max(at, min(at + length, first + SHOWN))
    meant = safe(line[at:end])
    after = safe(line[end : first + SHOWN]) + ("…" if first + SHOWN < len(line) else "")
    return [before + meant + after, " " * width(before) + "^" * max(width(meant), 1)]


def add_entry_options(parser: Parser, title: str, *, hidden: bool = True, limit: bool = True) -> None:
    """Conditions on entries; all of them have to hold."""
    add = parser.add_argument_group(title).add_argument
    add("--filter", default="", metavar="EXPR",
        help="only entries that fit this condition: 'http && status_code >= 500'")
    add("--protocol", action="append", default=[], metavar="P", help="only this protocol (may be repeated)")
    add("--text", default="", help="only entries with this text in a name, address, path or summary")
    if hidden:
        add("--hidden", action="store_true", help="probes and views in front of a service, too")
    if limit:
        add("--limit", type=count("--limit"), default=0, metavar="N", help="end after N entries")


def add_fields_option(group: argparse._ArgumentGroup) -> None:
    """Part of each entry."""
    group.add_argument("--fields", action="append", default=[], metavar="NAME,…",
                       help="in json and csv: only these, e.g. src.name,path,status_code")


def fields_of(args: argparse.Namespace) -> list[str]:
    return [part.strip() for value in args.fields for part in value.split(",") if part.strip()]


def add_time_options(parser: Parser, title: str, last: str, metavar: str = "AGE") -> argparse._ArgumentGroup:
    """Time range of what is looked up; `last` says what --last does."""
    group = parser.add_argument_group(title)
    add = group.add_argument
    add("--since", default="", metavar="TIME", help=f"from then on: {TIME_HINT}")
    add("--until", default="", metavar="TIME", help="before then; written as --since")
    add("--last", default="", metavar=metavar, help=last)
    return group


def moment(option: str, text: str, now_ns: int) -> str:
    """A time as the hub takes it: an age as it is, anything else as ns since 1970."""
    if not text or _AGE.match(text):
        return text
    if text.isascii() and text.isdigit() and 12 < len(text) < 20:
        return text
    found = _time_of_day(text, now_ns) or _date(text)
    if found is None:
        raise SettingsError(f"{option} {text!r} is no time", hint=TIME_HINT)
    return str(max(int(found.timestamp()) * 10**9 + found.microsecond * 1000, 1))


def _time_of_day(text: str, now_ns: int) -> datetime | None:
    """The last time that a clock said so, in UTC as in the tables."""
    found = _CLOCK.match(text)
    if not found or int(found[1]) > 23 or int(found[2]) > 59 or int(found[3] or 0) > 59:
        return None
    now = datetime.fromtimestamp(now_ns // 10**9, UTC)
    then = now.replace(hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0), microsecond=0)
    return then if then <= now else then - timedelta(days=1)


def _date(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def last_of(text: str) -> tuple[int, str]:
    """--last: a number of entries, or an age; the other one is nothing."""
    if not text:
        return 0, ""
    if _AGE.match(text):
        return 0, text
    if text.isascii() and text.isdigit() and len(text) < 10 and 0 < int(text) <= MAX_LAST:
        return int(text), ""
    raise SettingsError(f"--last {text!r} is neither a number nor a time span",
                        hint=f"for example 100 (at most {MAX_LAST:,}) or 15m")


def time_range(args: argparse.Namespace, now_ns: int | None = None, *, numbers: bool = False) -> dict[str, str]:
    """`since` and `until` as the hub takes them, from --since, --until and an age given to --last, which may also be a
    number of entries where there are `numbers`."""
    now = time.time_ns() if now_ns is None else now_ns
    number, age = last_of(args.last)
    if number and not numbers:
        raise SettingsError(f"--last {args.last} is no time span", hint="for example 15m, 2h, 1d")
    if age and args.since:
        raise SettingsError("--since and --last are two beginnings", hint="one or the other")
    return _given({
        "since": moment("--since", args.since or age, now), "until": moment("--until", args.until, now),
    })


def asked(args: argparse.Namespace) -> dict[str, str]:
    """The conditions on entries as the hub takes them."""
    return _given({
        "filter": args.filter, "protocol": ",".join(args.protocol), "text": args.text,
        "hidden": "1" if getattr(args, "hidden", False) else "",
    })


def said(args: argparse.Namespace) -> bool:
    """Whether any condition or time was given."""
    return bool(args.filter or args.protocol or args.text or args.since or args.until or args.last)


def _given(values: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def both(filters: Iterable[str]) -> str:
    """One filter that holds where all of these do."""
    given = [one for one in filters if one.strip()]
    return given[0] if len(given) == 1 else " && ".join(f"({one})" for one in given)
