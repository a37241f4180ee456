"""Small tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from weir.cli.render.text import fit, safe, width

WIDEST = 60


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines in columns as wide as they need to be; the last one is never cut, the others at `WIDEST`."""
    cells = [list(heads), *([safe(cell) for cell in row] for row in rows)]
    widths = [min(max(width(row[column]) for row in cells), WIDEST) for column in range(len(heads))]
    return [
        "  ".join([*(fit(cell, wide) for cell, wide in zip(row[:-1], widths[:-1], strict=True)), row[-1]]).rstrip()
        for row in cells
    ]
