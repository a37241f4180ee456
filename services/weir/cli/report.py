"""What a process tells its user at its end."""

from __future__ import annotations

import sys

from weir.runtime.health import Totals
from weir.runtime.process import run_host
from weir.runtime.run import Host

SEEN = (
    ("capture.packets", "packets captured"),
    ("filter.packets", "packets filtered"),
    ("filter.segments", "segments kept"),
    ("decode.segments", "segments decoded"),
    ("decode.entries", "entries decoded"),
    ("store.entries", "entries stored"),
)


async def watch(host: Host) -> None:
    """Run to the end and sum up; what never began is not summed up, its error says enough."""
    try:
        await run_host(host)
    finally:
        if host.failure is None or seen(host.totals):
            print(summary(host.totals, failed=host.failure is not None), file=sys.stderr)


def seen(totals: Totals) -> bool:
    """Whether there is anything to sum up."""
    return bool(totals.lost()) or any(sum_of(totals.counters, name) for name, _ in SEEN)


def summary(totals: Totals, *, failed: bool = False) -> str:
    """What was seen and lost, in one paragraph; of a process that failed nobody can say that nothing was."""
    counters = totals.collect()
    parts = [f"{sum_of(counters, name):,} {text}" for name, text in SEEN if sum_of(counters, name)]
    lost = totals.lost()
    lines = ["weir: " + (", ".join(parts) if parts else "nothing was seen")]
    if lost:
        lines.append("weir: lost " + ", ".join(f"{n:,} ({reason})" for reason, n in sorted(lost.items())))
    elif not failed:
        lines.append("weir: nothing was lost")
    return "\n".join(lines)


def sum_of(counters: dict[str, int], name: str) -> int:
    """A counter over all its reasons."""
    return sum(n for key, n in counters.items() if key == name or key.startswith(name + "{"))
