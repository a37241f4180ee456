"""Classic BPF in front of the rings: an expression from the static targets, compiled by libpcap.

It knows no pods and counts nothing: where rules for pods are in force it lets all of IP through, and `filter` selects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from weir.capture.bpf.expression import Choice, choice
from weir.capture.bpf.libpcap import UnavailableError, compile_expression, version
from weir.capture.bpf.program import REJECT, Program, accept, from_network_header, setting_aside
from weir.capture.settings import CaptureSettings
from weir.capture.tpacket import PacketRing
from weir.errors import SettingsError
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.packets import Promise
from weir.net.target import Target
from weir.runtime.service import Context

_ASIDE_S = 1.0
_MOST_ASIDES = 64
"""Bridges that are left out where all interfaces are watched; see `weir.capture.bpf.extended`. A filter is walked
through for each packet."""


class ClassicFilter:
    """See `weir.capture.bpf.choose.Filter`."""

    name: ClassVar[str] = "classic"

    def __init__(self, settings: CaptureSettings, context: Context, own: Sequence[Target]) -> None:
        self.promise: Promise = ""
        self.title = ""
        self._snaplen = settings.snaplen
        self._context = context
        self._own = list(own)
        self._rings: list[PacketRing] = []
        self._program: Program = REJECT
        self._any = "any" in settings.interfaces
        self._asides: list[int] = []
        self._aside_s = -1.0
        self.adopt(OUTLINE)

    def attach(self, ring: PacketRing) -> None:
        self._rings.append(ring)
        if self._any:
            self._asides = ring.bridges()[:_MOST_ASIDES]
        self._put(ring)

    def detach(self, ring: PacketRing) -> None:
        self._rings.remove(ring)

    def adopt(self, control: Control) -> None:
        self._context.notes.pop("capture.filter", None)
        self._program = self._compiled(control)
        for ring in self._rings:
            self._put(ring)

    def learn(self, changes: Iterable[tuple[bytes, EndpointRecord | None]]) -> None:
        """No address of a pod fits into an expression."""

    def look_after(self, now_s: float) -> None:
        """Bridges come and go."""
        if self._any and self._rings and now_s - self._aside_s >= _ASIDE_S:
            self._aside_s = now_s
            asides = self._rings[0].bridges()[:_MOST_ASIDES]
            if asides != self._asides:
                self._asides = asides
                for ring in self._rings:
                    self._put(ring)

    def tallies(self, now_s: float, *, final: bool = False) -> Iterator[tuple[bytes, int]]:
        """Classic BPF counts nothing."""
        return iter(())

    def close(self) -> None:
        self._rings.clear()

    def _compiled(self, control: Control) -> Program:
        """The program; says in `title` and `promise` what it does. Without libpcap everything is let through."""
        self.promise = ""
        try:
            wanted = choice(control, self._own)
        except SettingsError as error:
            wanted = Choice(title=f"everything, because of {error.message}")
        if wanted.closed:
            self.promise, self.title = "exact", wanted.title
            return REJECT
        try:
            self.title = f"classic BPF by {version()}: {wanted.title}"
            if not wanted.text:
                return accept(self._snaplen)
            program = from_network_header(compile_expression(wanted.text, self._snaplen))
        except UnavailableError as error:
            self.title = f"no kernel filter ({error}): everything is handed on, `filter` selects"
            return accept(self._snaplen)
        self.promise = "outline" if wanted.outline else ""
        return program

    def _put(self, ring: PacketRing) -> None:
        try:
            ring.attach(setting_aside(self._program, self._asides))
        except OSError as error:
            # The kernel limits the memory of filters (net.core.optmem_max). One that is not there loses nothing.
            ring.attach(accept(self._snaplen))
            self.promise = ""
            self._context.notes["capture.filter"] = f"the kernel refuses the filter ({error.strerror}): none is used"
