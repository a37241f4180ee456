"""The text form of a static target (`Rule.target`), read into a value.

Which packets a target means is decided by whoever compiles it: the engine's selector exactly, the capture's kernel
filter as far as classic BPF can. Host names are refused: an answer of the resolver would be frozen into a filter.
"""

from __future__ import annotations

import ipaddress

import msgspec

from weir.errors import SettingsError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HINT = "a target is `all`, an address, a network such as 10.0.0.0/8, `port:80`, `10.0.0.1:80` or `[2001:db8::1]:80`"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Conversations with one end that matches all that is set."""

    network: Network | None = None
    """Addresses of that end; an address alone is a network of one. None: any address."""
    port: int = 0
    """Port of that same end; 0: any port."""
    everything: bool = False
    """The target `all`."""

    def __str__(self) -> str:
        """The canonical text: `parse_target(str(target)) == target`."""
        if self.everything:
            return "all"
        if self.network is None:
            return f"port:{self.port}"
        single = self.network.prefixlen == self.network.max_prefixlen
        host = str(self.network.network_address) if single else str(self.network)
        if not self.port:
            return host
        return f"[{host}]:{self.port}" if self.network.version == 6 else f"{host}:{self.port}"


def parse_target(text: str) -> Target:
    """Read one target; whatever is none raises SettingsError with a hint."""
    word = text.strip()
    if word.lower() == "all":
        return Target(everything=True)
    if word.lower().startswith("port:"):
        return Target(port=_port(word[5:], text))
    network = network_of(word)
    if network is not None:
        return Target(network=network)
    host, colon, port = word.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    network = network_of(host[1:-1] if bracketed else host)
    if not colon or network is None or bracketed != (":" in host) or "/" in host:
        raise SettingsError(f"not a target: {text!r}", hint=HINT)
    return Target(network=network, port=_port(port, text))


def network_of(text: str) -> Network | None:
    """Of an address or network in words, None if it is neither. Host bits beyond the prefix are dropped; an IPv4-mapped
    address is the IPv4 address that it stands for."""
    if "%" in text:
        return None
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
    if network.version == 6 and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network


def _port(text: str, whole: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 0 < port < 65536:
        raise SettingsError(f"not a port in the target {whole!r}: {text!r}", hint="ports are 1 to 65535; " + HINT)
    return port
