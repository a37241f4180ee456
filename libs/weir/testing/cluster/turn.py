"""One cluster on a machine at a time: its nodes' control groups and their names are the machine's."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from weir.testing.cluster.images import ClusterError

VARIABLE = "WEIR_CLUSTER_WAIT_S"
"""In the environment: how long another cluster is waited for, seconds."""
WAIT_S = 1800.0
LOCK = Path("/tmp/weir-cluster.lock")
TRY_S = 0.5


@contextmanager
def turn(lock: Path = LOCK, wait_s: float | None = None) -> Iterator[None]:
    """Inside the block no other process of this machine has a cluster; it waits for one that has. Raises
    ClusterError."""
    if wait_s is None:
        wait_s = float(os.environ.get(VARIABLE) or WAIT_S)
    with lock.open("a+") as file:
        _take(file, lock, wait_s)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _take(file: IO[str], lock: Path, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    said = False
    while True:
        try:
            # Ends with this process, however it ends.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = lock.read_text().strip() or "somebody"
        if time.monotonic() >= end:
            raise ClusterError(
                f"another cluster runs on this machine (process {holder}, {lock}), and did not end within "
                f"{wait_s:.0f} s; {VARIABLE} sets how long it is waited for"
            )
        if not said:
            said = True
            print(f"cluster: waits for that of process {holder}, at most {wait_s:.0f} s", file=sys.stderr, flush=True)
        time.sleep(TRY_S)
