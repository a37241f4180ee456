"""How a test tells the cluster, which another process holds, that a node fails or comes back: by a file."""

from __future__ import annotations

import os
import time
from pathlib import Path

VARIABLE = "WEIR_CLUSTER"
"""Holds the folder of the cluster in the environment of the command that `python -m weir.testing.cluster` runs."""
_DOWN, _STATE = "down", "state"
WAIT_S = 120.0


def kill_node(name: str) -> None:
    """Returns when nothing of it runs any more."""
    (_folder() / name / _DOWN).touch()
    _until(name, "down")


def start_node(name: str) -> None:
    """After `kill_node`; returns when it is Ready again."""
    (_folder() / name / _DOWN).unlink()
    _until(name, "up")


def wanted_down(folder: Path) -> bool:
    """For whoever holds the cluster: whether the node of that folder shall be dead."""
    return (folder / _DOWN).exists()


def tell(folder: Path, state: str) -> None:
    """`up` or `down`."""
    (folder / _STATE).write_text(state)


def _folder() -> Path:
    return Path(os.environ[VARIABLE])


def _until(name: str, state: str) -> None:
    end = time.monotonic() + WAIT_S
    while (_folder() / name / _STATE).read_text() != state:
        assert time.monotonic() < end, f"{name} is not {state}"
        time.sleep(0.05)
