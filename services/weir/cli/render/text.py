"""Making hostile text inert, and numbers short, for a terminal."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime

from weir.query.csv import inert

_UNITS = ("B", "kB", "MB", "GB", "TB")
_ASTRAL = 0x10000
_LAST_SECOND = 253_402_300_799
"""The end of the year 9999: what no calendar can say is shown as that."""
MARKS = 4
"""Combining marks on one character that are shown; more of them would climb over the lines above."""
_MARK = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_PILES = re.compile(f"({_MARK}{{{MARKS}}}){_MARK}+")
_NARROW = re.compile(r"[ -~\u00a1-\u00ac\u00ae-\u02ff\u2013-\u201e\u2026\u2190-\u2193]*").fullmatch
"""Texts of characters that take one column each: nearly all of them; the arrow of summaries is there, too."""


def safe(text: str) -> str:
    """`text` without anything that a terminal obeys: control characters, escape sequences and marks that change the
    direction of writing become visible `\\x1b`-like escapes."""
    if text.isascii() and text.isprintable():
        return text
    return _PILES.sub(r"\1", inert(text))


def safe_lines(text: str) -> str:
    """As `safe`, but line feeds and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else inert(c) for c in text)


def safe_json(data: bytes) -> str:
    """JSON that says the same with nothing in it that a terminal obeys: JSON allows DEL, C1 controls and marks of
    direction as they are (RFC 8259 section 7); here they are `\\u` escapes."""
    return safe_text_of_json(data.decode("utf-8", "replace"))


def safe_text_of_json(text: str) -> str:
    """As `safe_json`; line feeds between the values stay."""
    return "\n".join(
        line if line.isprintable() else "".join(c if c.isprintable() else _json_escape(c) for c in line)
        for line in text.split("\n")
    )


def safe_csv(text: str) -> str:
    """As `safe`, but line ends stay, those within quotes as well."""
    return "\r\n".join(
        line if line.isprintable() else "".join(c if c.isprintable() or c in "\r\n" else inert(c) for c in line)
        for line in text.split("\r\n")
    )


def _json_escape(c: str) -> str:
    code = ord(c)
    if code < _ASTRAL:
        return f"\\u{code:04x}"
    code -= _ASTRAL
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def width(text: str) -> int:
    """Columns on a terminal of text that is `safe`: wide characters take two, combining ones none."""
    if _NARROW(text):
        return len(text)
    from wcwidth import wcswidth  # its tables cost 30 ms that most texts do not need

    columns = wcswidth(text)
    return columns if columns >= 0 else len(text)


def fit(text: str, columns: int) -> str:
    """`text` in exactly `columns` columns: cut with `…`, or filled with blanks."""
    have = width(text)
    if have <= columns:
        return text + " " * (columns - have)
    kept = _head(text, columns - 1)
    return kept + "…" + " " * (columns - 1 - width(kept))


def fit_middle(text: str, columns: int) -> str:
    """As `fit`, but what is cut is the middle: names and paths differ at their ends."""
    have = width(text)
    if have <= columns:
        return text + " " * (columns - have)
    end = _tail(text, (columns - 1) // 2)
    kept = _head(text, columns - 1 - width(end)) + "…" + end
    return kept + " " * (columns - width(kept))


def right(text: str, columns: int) -> str:
    """As `fit`, with the blanks in front: for numbers."""
    return " " * (columns - width(text)) + text if width(text) <= columns else fit(text, columns)


def _head(text: str, columns: int) -> str:
    """The longest beginning that fits."""
    if columns <= 0:
        return ""
    if _NARROW(text):
        return text[:columns]
    # A character may be wider or narrower together with the next one, so that whole beginnings are measured.
    low, high = 0, min(len(text), columns * (MARKS + 2))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle]) <= columns else (low, middle - 1)
    return text[:low]


def _tail(text: str, columns: int) -> str:
    """The longest end that fits, not beginning with a mark that belongs to what was cut."""
    if columns <= 0:
        return ""
    if _NARROW(text):
        return text[-columns:]
    low, high = max(len(text) - columns * (MARKS + 2), 0), len(text)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if width(text[middle:]) <= columns else (middle + 1, high)
    while low < len(text) and width(text[low]) == 0:
        low += 1
    return text[low:]


def clock_time(timestamp_ns: int) -> str:
    """`12:34:56.789` in UTC."""
    seconds, rest = divmod(timestamp_ns, 1_000_000_000)
    return f"{_moment(seconds):%H:%M:%S}.{rest // 1_000_000:03d}"


def full_time(timestamp_ns: int) -> str:
    """ISO 8601 with µs, UTC."""
    seconds, rest = divmod(timestamp_ns, 1_000_000_000)
    return f"{_moment(seconds):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), _LAST_SECOND), UTC)


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


def shortened(names: Iterable[str]) -> dict[str, str]:
    """Names of workloads without their kind (`deployment/cart.prod` is `cart.prod`), where that tells them apart."""
    distinct = set(names)
    short = {name: name.rpartition("/")[2] or name for name in distinct}
    taken = Counter(short.values())
    return {name: short[name] if taken[short[name]] == 1 else name for name in distinct}


def number(n: float) -> str:
    """`1,234`; what was estimated from a sample is rounded: nobody saw half a call."""
    return f"{n:,.0f}"


def share(part: float, whole: float) -> str:
    """`0%`, `0.3%`, `12%` of a whole; `-` of nothing."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    return f"{percent:.1f}%" if 0 < percent < 10 else f"{percent:.0f}%"
