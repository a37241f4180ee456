"""What is wanted: own traffic, targets, vantage and sampling put together, for the engine to ask."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from weir.directory import Directory
from weir.directory.selector import Selector, compile_targets
from weir.directory.vantage import View, view
from weir.engine.api import Decision, Drop
from weir.filter.sampler import Sampler
from weir.filter.unknown import Unknown
from weir.model.control import OUTLINE, Control, EndpointRecord
from weir.model.flow import DirectedFlow
from weir.model.packets import Promise

GRACE_NS = 5_000_000_000
"""How long after a change a source may still promise by what held before it: the way to its maps, and the distance
between clocks."""
_MOMENTS = 4096
"""Changed addresses that are told apart; where more change at once, grace is given to all."""

Change = tuple[bytes, EndpointRecord | None]
"""What a key of `weir.endpoints` holds now; None if it is gone."""


class FilterPolicy:
    """The answers follow from the control document and the endpoints; see `weir.engine.api.Policy`.

    A targeted conversation is passed whole at its vantage. Everything else is an outline where the control document
    says so (a bare one where another view has the conversation), else not kept. Only what is passed whole is sampled:
    an outline is what counts everything.
    """

    def __init__(self, directory: Directory, *, own: Selector, sticky: int = 65_536) -> None:
        self._directory = directory
        self._own = own
        self._control = OUTLINE
        self._targets = self._excluded = Selector()
        self._unknown = Unknown(directory)
        self._sampler = Sampler(sticky=sticky)
        self._changes = 0
        self._adopted_ns = self._many_ns = 0
        """When the document changed, and when more than single addresses did."""
        self._changed_ns: dict[bytes, int] = {}
        """When a record of an address last changed in a way that may change an answer."""
        self.revision = 0
        self.wrong: list[str] = []
        """What could not be understood of the control document."""

    @property
    def generation(self) -> int:
        return self._control.generation

    @property
    def version(self) -> int:
        return self._changes + self._directory.version

    def adopt(self, control: Control, now_ns: int = 0) -> None:
        """From now on this document holds."""
        if control == self._control:
            return
        self._control = control
        self._targets, wrong = compile_targets(control.targets)
        self._excluded, more = compile_targets(control.excluded)
        ranges = self._unknown.adopt(control.pod_ranges)
        self.wrong = [*wrong, *more, *(f"not a network: {text!r}" for text in ranges)]
        self._sampler.rate = control.sample_rate
        self._adopted_ns = now_ns
        self._changes += 1

    def learn(self, changes: Iterable[Change], now_ns: int = 0) -> None:
        """What changed of the endpoints."""
        directory = self._directory
        for key, record in changes:
            before = directory.get(key)
            if record is not None:
                self.revision = max(self.revision, record.revision)
                directory.put(key, record)
            else:
                directory.remove(key)
            for one, other in ((before, record), (record, before)):
                if one is not None and (other is None or _matters(one) != _matters(other)):
                    self._note(one.address, now_ns)

    def decide(self, flow: DirectedFlow, node: str, ts_ns: int) -> Decision:
        if self._own.wanted(flow):
            return Decision(flow, Drop.OWN_TRAFFIC)
        src_end = self._directory.lookup(flow.src, flow.sport, ts_ns)
        dst_end = self._directory.lookup(flow.dst, flow.dport, ts_ns)
        targeted = self._targeted(flow, src_end, dst_end)
        if not (targeted or self._control.outline):
            return Decision(flow, Drop.NOT_TARGETED)
        if view(flow.src, src_end, flow.dst, dst_end, node) is View.BARE:
            front = any(end is not None and end.front for end in (src_end, dst_end))
            return Decision(
                msgspec.structs.replace(flow, outline=True, bare=True),
                elsewhere=targeted and not front and self._control.sample_rate == 1.0,
            )
        if not targeted:
            return Decision(msgspec.structs.replace(flow, outline=True))
        rate = self._sampler.share(flow.key())
        if not rate:
            return Decision(flow, Drop.SAMPLED_OUT)
        return Decision(flow if rate == 1.0 else msgspec.structs.replace(flow, sample_rate=rate))

    def unsettled(self, flow: DirectedFlow, ts_ns: int) -> bool:
        return self._unknown.waits(flow, ts_ns) and not self._own.wanted(flow)

    def settle(self, flow: DirectedFlow, ts_ns: int) -> None:
        self._unknown.give_up(flow, ts_ns)

    def excused(self, flow: DirectedFlow, promise: Promise, ts_ns: int) -> bool:
        if promise == "outline" and self._targets.wanted(flow):
            return True  # a classic filter knows no vantage and no exclusions
        since = max(
            self._adopted_ns, self._many_ns, self._changed_ns.get(flow.src, 0), self._changed_ns.get(flow.dst, 0)
        )
        return ts_ns < since + GRACE_NS or self._unknown.holds(flow, ts_ns)

    def _targeted(
        self, flow: DirectedFlow, src_end: EndpointRecord | None, dst_end: EndpointRecord | None
    ) -> bool:
        if self._excluded.wanted(flow):
            return False
        return (
            (src_end is not None and src_end.targeted)
            or (dst_end is not None and dst_end.targeted)
            or self._targets.wanted(flow)
        )

    def _note(self, text: str, now_ns: int) -> None:
        """What holds of this address has changed."""
        address = self._unknown.learned(text)
        if address is None:
            self._many_ns = now_ns
            return
        self._changed_ns[address] = now_ns
        if len(self._changed_ns) > _MOMENTS:
            self._changed_ns = {a: ns for a, ns in self._changed_ns.items() if ns + GRACE_NS > now_ns}
        if len(self._changed_ns) > _MOMENTS:
            self._many_ns = now_ns
            self._changed_ns.clear()


def _matters(record: EndpointRecord) -> tuple[object, ...]:
    return (
        record.address, record.port, record.targeted, record.captured, record.front, record.node, record.since_ns,
        record.until_ns,
    )
