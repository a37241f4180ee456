"""Speed and memory: one line for each figure, with its ratio to an anchor of the same run, and its budget.

    python tests/bench/run.py [--quick] [--json] [NAME ...]

Always ends with 0 unless it is asked for something unknown: a benchmark is not a test. `docs/performance.md` tells what
each figure means.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import archive
import filtering
import inputs
import joined
import language
import live
import msgspec
import page
import readers
import reading
import scaling
import selecting
import storing
import targets
import watched
from measure import Case, Figure, Run, Skip, machine

CASES: dict[str, Case] = {
    "read": reading.read,
    "memory": reading.memory,
    "help": reading.usage,
    "outline": reading.outline,
    "bus": joined.bus,
    "kafka": joined.kafka,
    "store": storing.store,
    "targets": targets.targets,
    "latency": live.latency,
    "capture": live.capture,
    "kernel": filtering.kernel,
    "selection": selecting.selection,
    "scale": scaling.scale,
    "watched": watched.watched,
    "predicate": language.predicates,
    "archive": archive.archive,
    "readers": readers.readers,
    "page": page.page,
    "map": page.moved_map,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="*", help=f"of {', '.join(CASES)} [all]")
    parser.add_argument("--quick", action="store_true", help="one run instead of medians of three; shorter inputs")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--file", type=Path, help="measure with this classic capture file")
    options = parser.parse_args()
    unknown = [name for name in options.name if name not in CASES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(CASES)}")
    with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
        if options.file:
            packets, count = options.file, inputs.count(options.file)
        else:
            packets, count = inputs.packets(Path(folder), quick=options.quick)
        run = Run(packets, count, Path(folder), options.quick)
        _tell(options.json, {"input": packets.name, "packets": count, **machine()})
        for name in options.name or CASES:
            _measure(name, run, json=options.json)
    return 0


def _measure(name: str, run: Run, *, json: bool) -> None:
    try:
        for figure in CASES[name](run):
            _tell(json, msgspec.to_builtins(figure), line(figure))
    except Skip as why:
        _tell(json, {"case": name, "skipped": str(why)}, f"{name:<8} skipped: {why}")
    except Exception as error:  # the others are still of interest
        why = " ".join([repr(error), *getattr(error, "__notes__", ())])
        _tell(json, {"case": name, "failed": why}, f"{name:<8} failed: {why}")


def line(figure: Figure) -> str:
    """As a person reads it."""
    size = f"{figure.value:,.0f}" if figure.value >= 1000 else f"{figure.value:.3g}"
    text = f"{figure.case:<8} {figure.what}: {size} {figure.unit}"
    if figure.ratio is not None:
        text += f" = {figure.ratio:.2f} x {figure.anchor}"
    if figure.holds is not None:
        text += f"; budget {figure.budget}: {'holds' if figure.holds else 'MISSED'}"
    return f"{text} ({figure.note})" if figure.note else text


def _tell(json: bool, told: dict[str, object], text: str = "") -> None:
    if json:
        text = msgspec.json.encode(told).decode()
    sys.stdout.write((text or ", ".join(f"{key} {value}" for key, value in told.items())) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
