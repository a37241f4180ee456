"""Cells of CSV (RFC 4180) for spreadsheets, in which nothing of the traffic may come to life. Pure.

A text that a spreadsheet would take for a formula gets an apostrophe in front, which they show as text
(https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""With their wide forms, which some spreadsheets take alike."""


def guarded(text: str) -> str:
    """`text` as it may stand in a cell; behind blanks, too: spreadsheets cut them off."""
    formula = text[:1] in _FORMULA or text.lstrip()[:1] in _FORMULA
    return "'" + text if text and formula else text


def inert(text: str) -> str:
    """`text` without control characters, escape sequences and marks of direction: each becomes its code (`\\x1b`)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def line(values: Iterable[str | float]) -> str:
    """One record with its line end (CR LF): numbers as they are, texts inert and never formulas."""
    out = io.StringIO()
    csv.writer(out).writerow([inert(guarded(one)) if isinstance(one, str) else one for one in values])
    return out.getvalue()
