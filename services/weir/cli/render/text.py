"""Making hostile text inert, and numbers short, for a terminal."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime

_UNITS = ("B", "kB", "MB", "GB", "TB")


def safe(text: str) -> str:
    """`text` without anything that a terminal obeys: control characters, escape sequences and marks that change the
    direction of writing become visible `\\x1b`-like escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def safe_lines(text: str) -> str:
    """As `safe`, but line feeds and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else _escape(c) for c in text)


def _escape(c: str) -> str:
    return c.encode("unicode_escape").decode("ascii")


def width(text: str) -> int:
    """Columns on a terminal: wide East Asian characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def fit(text: str, columns: int) -> str:
    """`text` in exactly `columns` columns: cut with `…`, or filled with blanks."""
    have = width(text)
    if have <= columns:
        return text + " " * (columns - have)
    kept, used = [], 0
    for c in text:
        step = width(c)
        if used + step > columns - 1:
            break
        kept.append(c)
        used += step
    return "".join(kept) + "…" + " " * (columns - used - 1)


def clock_time(timestamp_ns: int) -> str:
    """`12:34:56.789` in UTC."""
    seconds, rest = divmod(timestamp_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{rest // 1_000_000:03d}"


def full_time(timestamp_ns: int) -> str:
    """ISO 8601 with µs, UTC."""
    seconds, rest = divmod(timestamp_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def duration(microseconds: float) -> str:
    """`850µs`, `1.2ms`, `3.4s`."""
    if microseconds < 1000:
        return f"{microseconds:.0f}µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1000:.1f}ms"
    return f"{microseconds / 1_000_000:.1f}s"


def size(n: float) -> str:
    """`512B`, `1.5kB`, `20.1MB` (powers of 1000)."""
    unit = 0
    while n >= 1000 and unit < len(_UNITS) - 1:
        n /= 1000
        unit += 1
    return f"{n:.0f}{_UNITS[unit]}" if unit == 0 else f"{n:.1f}{_UNITS[unit]}"
