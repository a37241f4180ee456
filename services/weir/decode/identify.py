"""Which dissector reads a conversation, and which end is the client where no SYN told it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

from weir.dissect.api import Dissector, Probe
from weir.model.control import EndpointRecord
from weir.model.flow import Side

OUTLINE_READS = frozenset({"dns"})
"""Names of the dissectors that read conversations of which only an outline is wanted."""

Ask = Callable[..., Any]
"""Calls a dissector's method; None if it failed."""


class Names(Protocol):
    """Who an address was: `weir.directory.Directory`."""

    @property
    def version(self) -> int:
        """Rises when answers may have changed."""
        ...

    def lookup(self, address: bytes, port: int, ts_ns: int, /) -> EndpointRecord | None: ...


class Nameless:
    """Knows nobody."""

    version = 0

    def lookup(self, _address: bytes, _port: int, _ts_ns: int, /) -> EndpointRecord | None:
        return None


class Recognised(msgspec.Struct, frozen=True):
    """What first bytes are."""

    dissector: Dissector | None = None
    sides: tuple[Side, ...] = ()
    """Who can have sent them; both if that cannot be told from them."""
    maybe: bool = False
    """More bytes could tell."""


NOBODY = Recognised()


class Identifier:
    """Asks the dissectors in force."""

    def __init__(self, dissectors: Iterable[Dissector]) -> None:
        self._dissectors = list(dissectors)
        self._by_name = {d.name: d for d in self._dissectors}
        self._candidates: dict[tuple[str, frozenset[int], bool], list[Dissector]] = {}
        self._ports = {
            transport: frozenset(p for d in self._dissectors if transport in d.transports for p in d.ports)
            for transport in ("tcp", "udp")
        }
        self._outline_ports = {
            transport: frozenset(
                p for d in self._dissectors if d.name in OUTLINE_READS and transport in d.transports for p in d.ports
            )
            for transport in ("tcp", "udp")
        }

    def get(self, name: str) -> Dissector | None:
        return self._by_name.get(name)

    def reads_outline(self, transport: str, ports: Sequence[int]) -> bool:
        """Whether there may be something to read in a conversation of which only an outline is wanted."""
        return not self._outline_ports.get(transport, frozenset()).isdisjoint(ports)

    def candidates(self, transport: str, ports: Sequence[int], outline: bool) -> list[Dissector]:
        """Those who may read it; the ports' usual owners first."""
        usual = self._ports.get(transport, frozenset()).intersection(ports)
        found = self._candidates.get((transport, usual, outline))
        if found is None:
            fitting = [
                d for d in self._dissectors
                if transport in d.transports and (not outline or d.name in OUTLINE_READS)
            ]
            found = sorted(fitting, key=lambda d: not usual & d.ports)
            self._candidates[transport, usual, outline] = found
        return found

    @staticmethod
    def recognise(
        candidates: Iterable[Dissector], sides: Sequence[Side], head: bytes, transport: str, ask: Ask
    ) -> Recognised:
        """What `head` is, sent by one of `sides`."""
        maybe = False
        for dissector in candidates:
            answers = [ask(dissector, dissector.probe, side, head, transport) or Probe.NO for side in sides]
            if Probe.YES in answers:
                return Recognised(
                    dissector, tuple(s for s, a in zip(sides, answers, strict=True) if a is Probe.YES)
                )
            maybe = maybe or Probe.MAYBE in answers
        return Recognised(maybe=True) if maybe else NOBODY

    def server_by_port(self, transport: str, ports: tuple[int, int], opener: int) -> int:
        """The end that looks like a server: it has a usual server port, else the lower one, else it did not begin."""
        usual = self._ports.get(transport, frozenset())
        first, second = ports
        if (first in usual) != (second in usual):
            return int(second in usual)
        if first != second:
            return int(second < first)
        return 1 - opener


def listening_end(names: Names, ends: Sequence[tuple[bytes, int]], ts_ns: int) -> int:
    """The only end at which something is known to listen; -1 if that is none or both."""
    listens = []
    for number, (address, port) in enumerate(ends):
        record = names.lookup(address, port, ts_ns)
        if record is not None and record.listens and record.port == port:
            listens.append(number)
    return listens[0] if len(listens) == 1 else -1
