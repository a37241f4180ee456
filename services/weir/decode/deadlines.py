"""How long a flow is waited for: the settings' times, applied to a flow. Times are packet time of its owner, ns."""

from __future__ import annotations

from weir.decode import tallies
from weir.decode.flows import Flow
from weir.decode.settings import DecodeSettings
from weir.model.flow import TCP

NS = 1_000_000_000


class Deadlines:
    """Of one shard."""

    def __init__(self, settings: DecodeSettings) -> None:
        self.window = int(settings.reorder_s * NS)
        """For what comes out of turn."""
        self.linger = int(settings.linger_s * NS)
        self.tallying: set[str] = set()
        """Nodes whose kernel counts flows."""
        self._tcp = int(settings.tcp_idle_s * NS)
        self._syn = int(settings.syn_idle_s * NS)
        self._udp = int(settings.udp_idle_s * NS)
        self._tallied = int(settings.tally_idle_s * NS)
        self._totals = max(int(settings.tally_wait_s * NS), self.window)

    def first(self, flow: Flow) -> int:
        """When to look at a flow that was just opened; never too late."""
        return flow.last + (min(self._tcp, self._syn) if flow.wire.protocol == TCP else self._udp)

    def idle(self, flow: Flow) -> int:
        """When it is over if nothing more comes."""
        return max(flow.last, flow.touched) + self._silence(flow)

    def closed(self, flow: Flow) -> int:
        """When a flow that has ended is closed: after late segments, and after the kernel's last totals of it."""
        waits = flow.wire.outline and flow.node in self.tallying and not tallies.all_over(flow)
        return flow.ending_at + (self._totals if waits else self.window)

    def _silence(self, flow: Flow) -> int:
        tcp = flow.wire.protocol == TCP
        if flow.tallied and not tallies.all_over(flow):
            return max(self._tcp if tcp else self._udp, self._tallied)
        if not tcp:
            return self._udp
        if flow.syn_at and not flow.answered and not flow.low.offset and not flow.high.offset:
            return self._syn
        return self._tcp
