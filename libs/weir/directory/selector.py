"""Which conversations are targeted by the static targets of the control document."""

from __future__ import annotations

from collections.abc import Iterable

from weir.errors import SettingsError
from weir.model.flow import DirectedFlow
from weir.net.target import Target, parse_target

_MAPPED = bytes(10) + b"\xff\xff"


class Selector:
    """Compiled targets. A conversation matches if one of its ends does, whichever direction is asked about."""

    def __init__(self, targets: Iterable[Target] = ()) -> None:
        self.everything = False
        self._ports: set[int] = set()
        self._hosts: dict[bytes, set[int]] = {}
        self._networks: list[tuple[int, int, int, int]] = []
        for target in targets:
            self._add(target)

    def wanted(self, flow: DirectedFlow) -> bool:
        return self.everything or self._end(flow.src, flow.sport) or self._end(flow.dst, flow.dport)

    def _add(self, target: Target) -> None:
        network = target.network
        if target.everything:
            self.everything = True
        elif network is None:
            self._ports.add(target.port)
        elif network.prefixlen == network.max_prefixlen:
            self._hosts.setdefault(network.network_address.packed, set()).add(target.port)
        else:
            size = network.max_prefixlen // 8
            self._networks.append((size, int(network.network_address), int(network.netmask), target.port))

    def _end(self, address: bytes, port: int) -> bool:
        if port in self._ports:
            return True
        if address[:12] == _MAPPED and len(address) == 16:
            address = address[12:]
        ports = self._hosts.get(address)
        if ports is not None and (0 in ports or port in ports):
            return True
        if not self._networks:
            return False
        size, number = len(address), int.from_bytes(address, "big")
        return any(
            size == length and number & mask == network and wanted in (0, port)
            for length, network, mask, wanted in self._networks
        )


def compile_targets(texts: Iterable[str]) -> tuple[Selector, list[str]]:
    """The selector for targets as they stand in the control document, and what is wrong with those that are none."""
    targets, wrong = [], []
    for text in texts:
        try:
            targets.append(parse_target(text))
        except SettingsError as error:
            wrong.append(error.message)
    return Selector(targets), wrong
