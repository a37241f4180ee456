"""What stands in front of the rings: eBPF where the kernel gives it to this process, else classic BPF."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Protocol

from weir.capture.bpf.classic import ClassicFilter
from weir.capture.bpf.elf import BadObjectError
from weir.capture.bpf.extended import ExtendedFilter
from weir.capture.bpf.refusal import refusal
from weir.capture.settings import CaptureSettings
from weir.capture.tpacket import PacketRing
from weir.errors import SourceError
from weir.model.control import Control, EndpointRecord
from weir.model.packets import Promise
from weir.net.target import Target
from weir.runtime.service import Context


class Filter(Protocol):
    """The filter of all rings of one capture. It tells how it works in `context.modes` and what is wrong in
    `context.notes`, both by the name `capture.filter`."""

    name: ClassVar[str]
    promise: Promise
    """What it lets through at most."""
    title: str
    """What it does, for people."""

    def attach(self, ring: PacketRing) -> None:
        """Put it in front of this ring, too."""
        ...

    def detach(self, ring: PacketRing) -> None:
        """This ring is about to be closed."""
        ...

    def adopt(self, control: Control) -> None:
        """A new control document is in force. Nothing is reopened, and nothing is missed."""
        ...

    def learn(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        """What keys of the table of endpoints hold now; None for what is gone."""
        ...

    def look_after(self, now_s: float) -> None:
        """To be called often: what is due every moment, on the monotonic clock."""
        ...

    def tallies(self, now_s: float, *, final: bool = False) -> Iterator[tuple[bytes, int]]:
        """When they are due (or for the last time): blocks of layout `tallies`, each with its number of records."""
        ...

    def close(self) -> None: ...


def choose_filter(settings: CaptureSettings, context: Context, own: Sequence[Target]) -> Filter:
    """As the setting `capture.filter` says; raises SourceError if that cannot be had."""
    if settings.filter == "classic":
        context.modes["capture.filter"] = "classic: as it is set"
        return ClassicFilter(settings, context, own)
    try:
        extended = ExtendedFilter(settings, context, own)
    except (OSError, BadObjectError) as error:
        reason = refusal(error, _status(), platform.release())
    else:
        context.modes["capture.filter"] = "ebpf"
        return extended
    if settings.filter == "ebpf":
        raise SourceError(
            f"no eBPF filter: {reason}", hint="give the process CAP_BPF, or leave capture.filter at auto"
        )
    context.modes["capture.filter"] = f"classic: no eBPF, {reason}"
    return ClassicFilter(settings, context, own)


def _status() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/self/status").read_text(encoding="utf-8")
    return ""
