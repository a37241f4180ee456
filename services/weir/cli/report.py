"""What a process tells its user at its end."""

from __future__ import annotations

from weir.runtime.health import Totals

SEEN = (
    ("capture.packets", "packets captured"),
    ("filter.packets", "packets filtered"),
    ("filter.segments", "segments kept"),
    ("decode.segments", "segments decoded"),
    ("decode.entries", "entries decoded"),
    ("store.entries", "entries stored"),
)


def summary(totals: Totals) -> str:
    """What was seen and lost, in one paragraph."""
    counters = totals.collect()
    seen = [f"{sum_of(counters, name):,} {text}" for name, text in SEEN if sum_of(counters, name)]
    lost = totals.lost()
    lines = ["weir: " + (", ".join(seen) if seen else "nothing was seen")]
    if lost:
        lines.append("weir: lost " + ", ".join(f"{n:,} ({reason})" for reason, n in sorted(lost.items())))
    else:
        lines.append("weir: nothing was lost")
    return "\n".join(lines)


def sum_of(counters: dict[str, int], name: str) -> int:
    """A counter over all its reasons."""
    return sum(n for key, n in counters.items() if key == name or key.startswith(name + "{"))
