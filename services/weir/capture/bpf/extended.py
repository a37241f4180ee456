"""eBPF in front of the rings: exactly what is targeted, at its vantage, and of all else an outline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from weir.capture.bpf.selection import Selection
from weir.capture.bpf.socketfilter import KernelFilter
from weir.capture.settings import CaptureSettings
from weir.capture.tpacket import PacketRing
from weir.directory.vantage import node_number
from weir.model.control import Control, EndpointRecord
from weir.model.packets import Promise
from weir.net.target import Target
from weir.runtime.service import Context


class ExtendedFilter:
    """See `weir.capture.bpf.choose.Filter`."""

    name: ClassVar[str] = "ebpf"

    def __init__(self, settings: CaptureSettings, context: Context, own: Sequence[Target]) -> None:
        self.promise: Promise = "exact"
        self.title = ""
        self._context = context
        self._selection = Selection(own)
        self._kernel = KernelFilter(
            node=node_number(settings.node or context.node), snaplen=settings.snaplen,
            flow_entries=settings.flow_entries,
        )
        self._addresses = self._revision = 0
        self._apply()
        context.gauges["capture.targets"] = lambda: float(self._addresses)
        context.gauges["capture.revision"] = lambda: float(self._revision)

    def attach(self, ring: PacketRing) -> None:
        ring.attach_extended(self._kernel.descriptor)

    def adopt(self, control: Control) -> None:
        self._selection.adopt(control)
        self._apply()
        self.title = f"eBPF: {_title(control, self._addresses)}"

    def learn(self, items: Iterable[tuple[bytes, EndpointRecord]]) -> None:
        if self._selection.learn(items):
            self._apply()

    def close(self) -> None:
        self._kernel.close()
        self._context.gauges.pop("capture.targets", None)
        self._context.gauges.pop("capture.revision", None)

    def _apply(self) -> None:
        contents = self._selection.changes()
        self._kernel.apply(contents)
        self._addresses, self._revision = contents.addresses, contents.revision


def _title(control: Control, addresses: int) -> str:
    if not control.capture:
        return "capture is switched off"
    if "all" in control.targets:
        return "everything"
    rest = "connections (openings and closings), DNS and ICMP errors; all else is counted" if control.outline else ""
    if not control.targets and not control.pods:
        return rest or "nothing"
    count = len(control.targets)
    texts = [f"{count} target{'s' if count > 1 else ''}"] if count else []
    if control.pods:
        texts.append("pods by rule")
    return " and ".join(texts) + (f", elsewhere {rest}" if rest else "")
