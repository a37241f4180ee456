"""Tables for a terminal: columns as wide as they need to be, and no line wider than there is room for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from typing import TextIO

from weir.cli.render.text import fit, fit_middle, right, safe, width

WIDEST = 60
PIPED = 160
"""Columns where nobody says how many there are: a pipe, a file."""
NARROWEST = 8
"""Columns that a cell keeps however little room there is."""
READABLE = 16
"""Columns of a name that are wanted before numbers are left out for it."""
GAP = "  "


def columns_of(out: TextIO) -> int:
    """Columns of a terminal, as wide as it is now; COLUMNS says another width, for a pipe as well."""
    if not out.isatty() and not os.environ.get("COLUMNS"):
        return PIPED
    return max(shutil.get_terminal_size((120, 24)).columns, 20)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines in columns as wide as they need to be; the last one is never cut, the others at `WIDEST`."""
    cells = [list(heads), *([safe(cell) for cell in row] for row in rows)]
    widths = [min(max(width(row[column]) for row in cells), WIDEST) for column in range(len(heads))]
    return [
        GAP.join([*(fit(cell, wide) for cell, wide in zip(row[:-1], widths[:-1], strict=True)), row[-1]]).rstrip()
        for row in cells
    ]


def fitted(
    heads: Sequence[str], rows: Iterable[Sequence[str]], columns: int, *, numbers: Collection[int] = (),
    whole: Collection[int] = (),
) -> list[list[str]]:
    """Cells, the heads first, so that lines of them joined with `GAP` are no wider than `columns`.

    Columns in `numbers` are aligned to the right and never cut, those in `whole` are not cut either; the others are cut
    in the middle where they have to be, the widest first.
    """
    cells = [[safe(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(heads))]
    texts = [column for column in range(len(heads)) if column not in numbers and column not in whole]
    room = columns - len(GAP) * (len(heads) - 1) - sum(widths[n] for n in (*numbers, *whole))
    for column, wide in zip(texts, _shared([widths[n] for n in texts], room), strict=True):
        widths[column] = wide
    return [
        [right(cell, wide) if n in numbers else fit_middle(cell, wide)
         for n, (cell, wide) in enumerate(zip(row, widths, strict=True))]
        for row in cells
    ]


def least(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[int], whole: Collection[int] = ()
) -> int:
    """Columns that `fitted` needs at least for cells that can still be read."""
    cells = (heads, *rows)
    return len(GAP) * (len(heads) - 1) + sum(
        max(width(row[n]) for row in cells) if n in numbers or n in whole
        else min(max(width(safe(row[n])) for row in cells), READABLE)
        for n in range(len(heads))
    )


def _shared(wanted: list[int], room: int) -> list[int]:
    """`wanted` where it fits; else the widest ones are made equal until it does."""
    if sum(wanted) <= room:
        return wanted
    low, high = NARROWEST, max(wanted, default=NARROWEST)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if sum(min(w, middle) for w in wanted) <= room else (low, middle - 1)
    cut = [min(w, low) for w in wanted]
    for n, w in enumerate(wanted):
        if w > cut[n] and sum(cut) < room:
            cut[n] += 1
    return cut
