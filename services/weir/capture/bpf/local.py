"""The addresses of this node's own interfaces, among them those of its bridges. Pure."""

from __future__ import annotations

from collections.abc import Iterator

_IFREQ_BYTES = 40
_AF_INET = 2


def ipv4_addresses(answer: bytes) -> Iterator[bytes]:
    """From what SIOCGIFCONF wrote: an array of `struct ifreq`, name and `sockaddr_in` (netdevice(7))."""
    for at in range(0, len(answer) - _IFREQ_BYTES + 1, _IFREQ_BYTES):
        if int.from_bytes(answer[at + 16 : at + 18], "little") == _AF_INET:
            yield answer[at + 20 : at + 24]


def ipv6_addresses(text: str) -> Iterator[bytes]:
    """From /proc/net/if_inet6, one line for each address, its 32 hexadecimal digits first."""
    for line in text.splitlines():
        digits = line.partition(" ")[0]
        if len(digits) == 32:
            yield bytes.fromhex(digits)
