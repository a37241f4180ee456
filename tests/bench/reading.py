"""Files to entries in one process: speed against dpkt, memory, start-up."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import inputs
from measure import WEIR, Cost, Figure, Run, alternating, child, median

READ = (*WEIR, "read", "-q", "-o", "json")
ANCHOR = Path(__file__).with_name("anchor_dpkt.py")
PACKETS_PER_CPU_S = 60_000
HELP_S = 0.2
REPEATED, QUICK_REPEATED = 10, 3
OUTLINE = 0.02
"""Of the CPU of full decoding."""
GROWTH = 1.15
"""Memory of ten files over that of one, at most: what is left to the allocator's mood."""
START_PACKETS = 10


def read(run: Run) -> Iterator[Figure]:
    """`weir read -o json`: all headers and bodies, against the same by dpkt."""
    few = inputs.first(run.packets, START_PACKETS, run.folder / "few.pcap")
    weir, start, anchor = alternating(
        run.times, (*READ, run.packets), (*READ, few), (sys.executable, ANCHOR, run.packets)
    )
    rate, anchor_rate = run.count / weir.cpu_s, run.count / anchor.cpu_s
    yield Figure(
        case="read", what="packets per CPU-second, start-up included", value=rate, unit="/s",
        ratio=rate / anchor_rate, anchor="dpkt", budget=f">= {PACKETS_PER_CPU_S:,}", holds=rate >= PACKETS_PER_CPU_S,
        note=f"{weir.cpu_s:.2f} CPU-s",
    )
    yield Figure(
        case="read", what="packets per CPU-second, start-up apart", value=run.count / (weir.cpu_s - start.cpu_s),
        unit="/s", note=f"start-up {start.cpu_s:.2f} CPU-s",
    )
    yield Figure(
        case="read", what="dpkt, in-order assembly, the same output", value=anchor_rate, unit="/s",
        note=f"{anchor.cpu_s:.2f} CPU-s",
    )


def memory(run: Run) -> Iterator[Figure]:
    """Resident memory must not grow with the input."""
    times = QUICK_REPEATED if run.quick else REPEATED
    files = inputs.copies(run.packets, times, run.folder)
    once, often = child((*READ, files[0])), child((*READ, *files))
    for file in files:
        file.unlink()
    yield Figure(case="memory", what="the file once", value=once.rss_bytes / 1e6, unit="MB")
    yield Figure(
        case="memory", what=f"the file {times} times", value=often.rss_bytes / 1e6, unit="MB",
        ratio=often.rss_bytes / once.rss_bytes, anchor="the file once", budget=f"<= {GROWTH} x",
        holds=often.rss_bytes <= GROWTH * once.rss_bytes,
        note=f"{times * run.count / often.cpu_s:,.0f} packets per CPU-second",
    )


def usage(run: Run) -> Iterator[Figure]:
    """`weir --help`, by wall time: what a person waits."""
    costs = [child((*WEIR, "--help")) for _ in range(5)]
    fastest = min(cost.wall_s for cost in costs)
    cpu: Cost = median(costs)
    yield Figure(
        case="help", what="weir --help, the fastest of five", value=fastest, unit="s", budget=f"<= {HELP_S} s",
        holds=fastest <= HELP_S, note=f"{cpu.cpu_s:.2f} CPU-s",
    )


def outline(run: Run) -> Iterator[Figure]:
    """What is paid without targets, start-up apart: for all packets, and for those that the kernel's filter lets in."""
    few = inputs.first(run.packets, START_PACKETS, run.folder / "few.pcap")
    behind = inputs.openings(run.packets, run.folder / "openings.pcap")
    less = (*READ, "--targets.static", "")
    full, all_of_it, passed, start = alternating(
        run.times, (*READ, run.packets), (*less, run.packets), (*less, behind), (*less, few)
    )
    whole = full.cpu_s - start.cpu_s
    passing, handed = (max(cost.cpu_s - start.cpu_s, 0.0) for cost in (passed, all_of_it))
    yield Figure(
        case="outline", what="CPU behind the kernel's filter", value=passing, unit="s", ratio=passing / whole,
        anchor="full decoding", budget=f"<= {OUTLINE} x", holds=passing <= OUTLINE * whole,
        note="the kernel's own part is not in it",
    )
    yield Figure(
        case="outline", what="CPU if all packets are handed over", value=handed, unit="s", ratio=handed / whole,
        anchor="full decoding",
    )
