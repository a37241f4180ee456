"""What is wanted: own traffic, targets, vantage and sampling put together, for the engine to ask."""

from __future__ import annotations

import msgspec

from weir.directory import Directory
from weir.directory.selector import Selector, compile_targets
from weir.engine.api import Decision, Drop
from weir.filter.sampler import Sampler
from weir.filter.vantage import vantage
from weir.model.control import OUTLINE, Control
from weir.model.flow import DirectedFlow


class FilterPolicy:
    """The answers follow from the control document and the endpoints; see `weir.engine.api.Policy`.

    A targeted conversation is passed whole (`outline` False), one that is not targeted as an outline where the control
    document says so, else not at all. Only targeted conversations are sampled: an outline is what counts everything.
    """

    def __init__(self, directory: Directory, *, excluded: Selector, sticky: int = 65_536) -> None:
        self._directory = directory
        self._excluded = excluded
        self._control = OUTLINE
        self._selector = Selector()
        self._sampler = Sampler(sticky=sticky)
        self._changes = 0
        self.wrong: list[str] = []
        """What could not be understood of the control document."""

    @property
    def generation(self) -> int:
        return self._control.generation

    @property
    def version(self) -> int:
        return self._changes + self._directory.version

    def adopt(self, control: Control) -> None:
        """From now on this document holds."""
        if control == self._control:
            return
        self._control = control
        self._selector, self.wrong = compile_targets(control.targets)
        self._sampler.rate = control.sample_rate
        self._changes += 1

    def decide(self, flow: DirectedFlow, node: str, ts_ns: int) -> Decision:
        if self._excluded.wanted(flow):
            return Decision(flow, Drop.OWN_TRAFFIC)
        if not self._targeted(flow, ts_ns):
            if self._control.outline:
                return Decision(msgspec.structs.replace(flow, outline=True))
            return Decision(flow, Drop.NOT_TARGETED)
        if vantage(flow, self._directory, node, ts_ns) == "outline":
            return Decision(msgspec.structs.replace(flow, outline=True))
        rate = self._sampler.share(flow.key())
        if not rate:
            return Decision(flow, Drop.SAMPLED_OUT)
        return Decision(flow if rate == 1.0 else msgspec.structs.replace(flow, sample_rate=rate))

    def _targeted(self, flow: DirectedFlow, ts_ns: int) -> bool:
        if self._selector.wanted(flow):
            return True
        for address, port in ((flow.src, flow.sport), (flow.dst, flow.dport)):
            record = self._directory.lookup(address, port, ts_ns)
            if record is not None and record.targeted:
                return True
        return False
