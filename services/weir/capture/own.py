"""Weir's own ends: addresses and ports that are never captured, or what capture sends would be captured again."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

from weir.errors import SettingsError
from weir.net.target import Target, parse_target

OWN_ENDS = "capture.exclude"
"""Name in `Context.shared` of what the process itself listens on and connects to, in the form of the setting."""

_RESOLVE_S = 2.0


async def own_ends(texts: Iterable[str]) -> tuple[list[Target], list[str]]:
    """The ends as targets, names resolved, and what a person should know about those that could not be.

    A name that the resolver does not know now is excluded by its port alone: too much is better left out than fed
    back. Ends are those of connections, not whole brokers, as far as their addresses are weir's alone.
    """
    targets: list[Target] = []
    notes: list[str] = []
    for text in dict.fromkeys(texts):
        try:
            targets.append(parse_target(text))
            continue
        except SettingsError:
            host, _, port = text.rpartition(":")
            if not host or not port.isdecimal():
                raise
        by_port = parse_target(f"port:{port}")
        addresses = await _resolve(host)
        if not addresses:
            notes.append(f"{host} cannot be resolved, so nothing on port {port} is captured")
            targets.append(by_port)
        targets += [Target(network=ipaddress.ip_network(address), port=by_port.port) for address in addresses]
    if any(target.everything for target in targets):
        raise SettingsError("capture.exclude: `all` would leave nothing to capture", hint="name HOST:PORT or port:N")
    return targets, notes


async def _resolve(host: str) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_RESOLVE_S):
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        return []
    return sorted({str(sockaddr[0]).split("%")[0] for *_, sockaddr in found})
