"""Whether an address lies in one of many networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


class Ranges:
    """As many look-ups as the networks have different sizes, however many they are. Texts that are no networks are left
    out; `wrong` has them."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.wrong: list[str] = []
        self._networks: dict[int, dict[int, set[int]]] = {4: {}, 16: {}}
        """By bytes of the address, then by bits after the prefix: the prefixes."""
        for text in texts:
            try:
                network = ipaddress.ip_network(text, strict=False)
            except ValueError:
                self.wrong.append(text)
                continue
            spare = network.max_prefixlen - network.prefixlen
            sizes = self._networks[network.max_prefixlen // 8]
            sizes.setdefault(spare, set()).add(int(network.network_address) >> spare)

    def __bool__(self) -> bool:
        return any(self._networks.values())

    def __contains__(self, address: bytes) -> bool:
        """Whether the address (4 or 16 bytes) lies in one of the networks."""
        number = int.from_bytes(address, "big")
        return any(number >> spare in prefixes for spare, prefixes in self._networks[len(address)].items())
