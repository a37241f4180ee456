"""Addresses that may be new pods': of a range of pods, and not known yet."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from weir.directory import Directory
from weir.directory.ranges import Ranges
from weir.model.flow import DirectedFlow

GIVEN_UP_NS = 300_000_000_000
"""An address that was waited for in vain (a bridge, a pod that is not one of the cluster's) is waited for again if it
was not seen for so long: its next holder may be a pod."""
MAX_GIVEN_UP = 65_536


class Unknown:
    """Times are those of packets, ns since epoch."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._ranges = Ranges()
        self._texts: list[str] = []
        self._given_up: dict[bytes, int] = {}
        """When each was last seen."""

    def adopt(self, texts: list[str]) -> list[str]:
        """These are the ranges from now on; answers which of them are no networks."""
        if texts != self._texts:
            self._texts = texts
            self._ranges = Ranges(texts)
            self._given_up.clear()
        return self._ranges.wrong

    def learned(self, text: str) -> bytes | None:
        """Something changed about an address: it may be waited for again. Answers the address, None for a network."""
        try:
            address = ipaddress.ip_address(text).packed
        except ValueError:
            return None
        self._given_up.pop(address, None)
        return address

    def waits(self, flow: DirectedFlow, ts_ns: int) -> bool:
        """Whether an end may become known soon."""
        return any(self._worth_it(address, ts_ns) for address in self._of(flow, ts_ns))

    def holds(self, flow: DirectedFlow, ts_ns: int) -> bool:
        """Whether an end is unknown, waited for or not."""
        return any(True for _ in self._of(flow, ts_ns))

    def give_up(self, flow: DirectedFlow, ts_ns: int) -> None:
        """No longer wait for its ends."""
        for address in self._of(flow, ts_ns):
            if len(self._given_up) >= MAX_GIVEN_UP:
                del self._given_up[next(iter(self._given_up))]
            self._given_up[address] = ts_ns

    def _of(self, flow: DirectedFlow, ts_ns: int) -> Iterable[bytes]:
        if not self._ranges or flow.scope:
            return
        for address, port in ((flow.src, flow.sport), (flow.dst, flow.dport)):
            if not self._directory.known(address, port, ts_ns) and address in self._ranges:
                yield address

    def _worth_it(self, address: bytes, ts_ns: int) -> bool:
        seen = self._given_up.get(address)
        if seen is None:
            return True
        if ts_ns - seen > GIVEN_UP_NS:
            del self._given_up[address]
            return True
        self._given_up[address] = max(seen, ts_ns)
        return False
