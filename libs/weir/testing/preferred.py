"""Delays by the wall clock say nothing on a machine that others work on, too: run before those for a while."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

LEVEL = -20
"""Nice value: on a machine with as much work as it likes, most of what there is."""


@contextlib.contextmanager
def preferred() -> Iterator[None]:
    """This process and all that it started so far. Where that is not allowed, everything stays as it is."""
    _prefer(LEVEL)
    try:
        yield
    finally:
        _prefer(0)


def _prefer(level: int) -> None:
    for pid in family(os.getpid()):
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                os.setpriority(os.PRIO_PROCESS, int(task.name), level)
            # Linux shares out CPU by session first (sched(7), autogroup): nice values count within one alone.
            Path(f"/proc/{pid}/autogroup").write_text(f"{level}")


def family(pid: int) -> Iterator[int]:
    """A process and all that descend from it."""
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))
