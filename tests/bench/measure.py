"""What a benchmark measures with, and how it tells what it found.

Work is measured in CPU seconds (user and system, of a child process and all its own children, by wait4), because the
machine may be shared and wall time then says little. Figures are medians of several runs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).resolve().parents[2]
WEIR = (sys.executable, "-m", "weir.cli")
RUNS = 3


class Skip(Exception):
    """This machine lacks what the benchmark needs; the text says what."""


class Cost(msgspec.Struct, frozen=True):
    """What a process took."""

    cpu_s: float
    """User and system time."""
    rss_bytes: int
    """The most memory that was resident at once."""
    wall_s: float


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the result."""

    case: str
    what: str
    value: float
    unit: str
    ratio: float | None = None
    """To the anchor, measured in the same run."""
    anchor: str = ""
    budget: str = ""
    holds: bool | None = None
    """Whether it is within its budget, where it has one."""
    note: str = ""


class Run(msgspec.Struct, frozen=True):
    """What was asked of this run."""

    packets: Path
    """A capture file of HTTP/1.1 (see `inputs`)."""
    count: int
    """Packets in it."""
    folder: Path
    """For files that go with the run."""
    quick: bool

    @property
    def times(self) -> int:
        return 1 if self.quick else RUNS


Case = Callable[[Run], Iterator[Figure]]


def child(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, output: Path | None = None) -> Cost:
    """Run a command to its end. Its output goes nowhere, or to a file."""
    begun = time.monotonic()
    with open(output or os.devnull, "wb") as out, open(os.devnull, "rb") as nothing:
        process = subprocess.Popen([*map(str, argv)], env=env, stdin=nothing, stdout=out, stderr=subprocess.PIPE)
        assert process.stderr is not None
        told = process.stderr.read()
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))} ended with {process.returncode}: {told.decode()[-500:]}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, time.monotonic() - begun)


def median(costs: Sequence[Cost]) -> Cost:
    """Each measure by itself."""
    return Cost(*(statistics.median(getattr(cost, name) for cost in costs) for name in Cost.__struct_fields__))


def alternating(times: int, *commands: Sequence[str | Path]) -> list[Cost]:
    """Medians of each command, run in turns so that a busy spell of the machine meets all of them."""
    costs: list[list[Cost]] = [[] for _ in commands]
    for _ in range(times):
        for command, found in zip(commands, costs, strict=True):
            found.append(child(command))
    return [median(found) for found in costs]


def process_cpu_s(pid: int) -> float:
    """CPU seconds of a process that still runs."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "python": sys.version.split()[0],
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": os.uname().release,
        "load": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine)
