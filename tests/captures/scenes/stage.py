"""Where captures are recorded: two namespaces joined by veth, tcpdump at the server, and how a case is declared."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from weir.testing import recording
from weir.testing.netns import Namespace, joined
from weir.testing.recording import NOISE, Packets, Recording

START_NS = 1_750_000_000_000_000_000
"""All captures are told to begin here, so that recording one anew changes as little as possible."""


class Case(NamedTuple):
    name: str
    """protocol/case, its folder."""
    make: Callable[[Stage], Packets]
    about: str
    """How it came about, and what is to be seen."""


CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Callable[[Stage], Packets]], Callable[[Stage], Packets]]:
    """Declares a case; its docstring becomes `about.md`."""

    def declare(make: Callable[[Stage], Packets]) -> Callable[[Stage], Packets]:
        lines = [line.strip() for line in (make.__doc__ or "").strip().splitlines()]
        CASES[name] = Case(name, make, "\n".join(lines))
        return make

    return declare


class Stage:
    """Two namespaces and a folder for one case."""

    def __init__(self, client: Namespace, server: Namespace, folder: Path) -> None:
        self.client = client
        self.server = server
        self.folder = folder

    def recording(
        self, expression: str = NOISE, *, interface: str = ""
    ) -> contextlib.AbstractContextManager[Recording]:
        """Record what crosses the server's end while the block runs."""
        return recording.recording(self.server, self.client, self.folder, expression, interface=interface)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    folder = Path(tempfile.mkdtemp(prefix="weir-record-"))
    try:
        with joined("client", "server") as (client, server):
            yield Stage(client, server, folder)
    finally:
        shutil.rmtree(folder)
