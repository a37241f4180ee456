"""eBPF in front of the rings: exactly what is targeted, at its vantage, and of all else an outline with totals."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import ClassVar

from weir.capture.bpf.ceiling import Ceiling
from weir.capture.bpf.layout import FLOW, Flow, Stats
from weir.capture.bpf.selection import Selection
from weir.capture.bpf.socketfilter import EVERY_CONVERSATION, KernelFilter
from weir.capture.bpf.tallies import Tallies, is_told
from weir.capture.settings import CaptureSettings
from weir.capture.tpacket import PacketRing
from weir.directory.vantage import node_number
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.packets import Promise
from weir.net.target import Target
from weir.runtime.service import Context

_STATS_S = 0.5
_LOCAL_S = 5.0
_ASIDE_S = 1.0
_DRIFT_NS = 10_000_000
"""Beyond this the wall clock was set, and times of flows are told by it anew."""
_TALLIES_A_BLOCK = 4096
_PART = 2048
"""Flows that are read at once: packets have their turn in between."""
_COUNTED = {
    "capture.kernel.seen": "seen", "capture.kernel.passed": "passed", "capture.kernel.passed_bytes": "passed_bytes",
    "capture.kernel.copies": "copies", "capture.kernel.own": "own", "capture.kernel.outlined": "outline",
    "capture.kernel.odd": "odd", "capture.kernel.untracked": "untracked", "lost.capture.ceiling": "shed",
    "capture.shed_bytes": "shed_bytes",
}


class ExtendedFilter:
    """See `weir.capture.bpf.choose.Filter`."""

    name: ClassVar[str] = "ebpf"

    def __init__(self, settings: CaptureSettings, context: Context, own: Sequence[Target]) -> None:
        self.promise: Promise = "exact"
        self.title = ""
        self._settings = settings
        self._context = context
        self._control = OUTLINE
        self._selection = Selection(own)
        self._rings: list[PacketRing] = []
        self._tallies = Tallies()
        self._ceiling = Ceiling(settings.ceiling_bytes_s)
        self._stats = Stats()
        self._taken = self._evicted = 0
        self._addresses = self._revision = 0
        self._epoch_ns = 0
        self._stats_s = self._local_s = self._tally_s = self._aside_s = -1.0
        self._kernel = KernelFilter(
            node=node_number(settings.node or context.node), snaplen=settings.snaplen,
            flow_entries=settings.flow_entries,
        )
        self._apply()
        self._gauges = {
            "capture.targets": lambda: float(self._addresses),
            "capture.revision": lambda: float(self._revision),
            "capture.flows": lambda: float(self._tallies.count),
            "capture.share": lambda: self._ceiling.share,
        }
        context.gauges.update(self._gauges)

    def attach(self, ring: PacketRing) -> None:
        self._rings.append(ring)
        self._look_aside()
        ring.attach_extended(self._kernel.descriptor)

    def detach(self, ring: PacketRing) -> None:
        self._rings.remove(ring)

    def adopt(self, control: Control) -> None:
        self._control = control
        self._selection.adopt(control)
        self._apply()

    def learn(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        self._selection.learn(changes)
        self._apply()

    def look_after(self, now_s: float) -> None:
        if now_s - self._stats_s >= _STATS_S:
            stats = self._kernel.stats()
            if self._stats_s >= 0:
                self._shed(stats, now_s - self._stats_s)
            self._count(stats)
            self._stats, self._stats_s = stats, now_s
        if now_s - self._aside_s >= _ASIDE_S:
            self._aside_s = now_s
            self._look_aside()
        if self._control.pods and now_s - self._local_s >= _LOCAL_S and self._rings:
            self._local_s = now_s
            if self._selection.stay(self._rings[0].local_addresses()):
                self._apply()

    def tallies(self, now_s: float, *, final: bool = False) -> Iterator[tuple[bytes, int]]:
        if now_s - self._tally_s < self._settings.tally_s and not final:
            return
        self._tally_s = now_s
        created = self._kernel.stats().created
        records = self._records()
        while part := list(islice(records, _TALLIES_A_BLOCK)):
            yield b"".join(part), len(part)
        # Whatever came while the table was read makes this too small, never too large.
        evicted = created - self._taken - self._tallies.count
        if evicted > self._evicted:
            self._context.counts.lose("capture.flow_table", evicted - self._evicted)
            self._evicted = evicted

    def close(self) -> None:
        self._count(self._kernel.stats())
        self._kernel.close()
        for name, gauge in self._gauges.items():
            if self._context.gauges.get(name) is gauge:
                del self._context.gauges[name]

    def _look_aside(self) -> None:
        """Where all interfaces are watched, a bridge shows nothing that its ports do not. It shows it between two steps
        of NAT, if bridged packets go through the rules of the IP layer: the same conversation between other ends."""
        if "any" in self._settings.interfaces and self._rings and self._selection.set_aside(self._rings[0].bridges()):
            self._apply()

    def _records(self) -> Iterator[bytes]:
        flows, tallies = self._kernel.flows, self._tallies
        tallies.begin(time.monotonic_ns(), self._epoch())
        for keys, values in flows.dump(_PART):
            yield from tallies.read(keys, values)
        for key in tallies.over():
            value = flows.take(key)
            if value is None:
                continue
            self._taken += 1
            tallies.count -= 1
            flow = Flow(*FLOW.unpack(value))
            if is_told(key, flow):
                yield tallies.tally(key, flow, last=True)

    def _epoch(self) -> int:
        """What to add to a time of the kernel's monotonic clock; steady, so that a flow keeps its times."""
        epoch_ns = self._context.clock.now_ns() - time.monotonic_ns()
        if abs(epoch_ns - self._epoch_ns) > _DRIFT_NS:
            self._epoch_ns = epoch_ns
        return self._epoch_ns

    def _shed(self, stats: Stats, seconds: float) -> None:
        """Keep below the ceiling, and what waits in the bus below half of its queue; what is left out is told while it
        is."""
        room = self._context.bus.room()
        share = self._ceiling.step(stats.passed_bytes - self._stats.passed_bytes, seconds, room)
        self._kernel.share(round(share * EVERY_CONVERSATION))
        notes = self._context.notes
        if share < 1.0:
            why = (
                f"the bus takes less than is captured ({1 - room:.0%} of its queue waits)" if self._ceiling.full else
                f"targeted traffic is above {self._settings.ceiling_bytes_s / 1e6:g} MB/s (capture.ceiling_bytes_s)"
            )
            notes["capture.ceiling"] = f"{why}: {share:.1%} of its conversations are captured, of the others an outline"
        else:
            notes.pop("capture.ceiling", None)

    def _count(self, stats: Stats) -> None:
        for name, field in _COUNTED.items():
            self._context.counts.add(name, getattr(stats, field) - getattr(self._stats, field))
        self._stats = stats

    def _apply(self) -> None:
        contents = self._selection.changes()
        notes = self._context.notes
        notes.pop("capture.filter", None)
        try:
            self._kernel.apply(contents)
        except OSError as error:
            notes["capture.filter"] = f"the kernel does not take all targets ({error.strerror}): some are missing"
        if self._selection.wrong:
            notes["capture.filter"] = "; ".join(self._selection.wrong)
        self._addresses, self._revision = contents.addresses, contents.revision
        self.title = f"eBPF: {_title(self._control)}"


def _title(control: Control) -> str:
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
