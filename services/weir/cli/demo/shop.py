"""The shop as a whole: its parts started in order, on loopback addresses that are free, and stopped again."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from weir.cli.demo import dns, places, web
from weir.cli.demo.catalog import Catalog
from weir.cli.demo.checkout import Checkout
from weir.cli.demo.frontend import Frontend
from weir.cli.demo.payments import Payments, PaymentsClient
from weir.cli.demo.places import ROLES, Places
from weir.cli.demo.visitors import Visitors
from weir.model.control import EndpointRecord

BLOCKS = 8
"""How many shops fit side by side on one machine."""


class Demo:
    """The shop, or some of its roles. `endpoints` and `targets` are final once `start` has returned.

    `rate`: exchanges per second, about. `where`: None for loopback addresses of its own.
    """

    def __init__(
        self, *, rate: float = 10.0, seed: int = 7, roles: Iterable[str] = ROLES, where: Places | None = None
    ) -> None:
        wanted = set(roles)
        self._roles = [role for role in ROLES if role in wanted]
        self._rate, self._seed = rate, seed
        self._fixed = where
        self.places = where or places.loopback()
        self.visitors: Visitors | None = None
        self._stack = AsyncExitStack()

    @property
    def endpoints(self) -> list[EndpointRecord]:
        return self.places.endpoints()

    @property
    def targets(self) -> list[str]:
        """The network of the shop; without addresses of its own, its parts."""
        if self.places.own_addresses:
            return [self.places.hosts["frontend"].rpartition(".")[0] + ".0/24"]
        return sorted(set(self.places.hosts.values()))

    async def start(self) -> None:
        """Raises OSError when no addresses are free or loopback has just one (macOS)."""
        if self._fixed is not None:
            await self._start(self._fixed)
            return
        for block in range(BLOCKS):
            try:
                await self._start(places.loopback(block))
            except OSError as error:
                await self.stop()
                if error.errno != errno.EADDRINUSE or block + 1 == BLOCKS:
                    raise
            else:
                return

    async def stop(self) -> None:
        await self._stack.aclose()

    async def __aenter__(self) -> Demo:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _start(self, where: Places) -> None:
        self.places = where
        for index, role in enumerate(self._roles):
            start = getattr(self, f"_start_{role}")
            await start(self._seed * 100 + index)

    async def _start_dns(self, seed: int) -> None:
        loop = asyncio.get_running_loop()

        async def lookup(role: str) -> str | None:
            host = self.places.hosts.get(role)
            if host is None:
                return None
            try:
                found = await loop.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
            except OSError:
                return None
            return str(found[0][4][0])

        responder = dns.Responder(lookup)
        host, port = self.places.listen("dns")
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: responder, local_addr=(host, port))
        except PermissionError:
            if not self.places.own_addresses:
                raise  # the other roles are told the port by nobody
            self.places = self.places.with_port("dns", places.DNS_FALLBACK_PORT)
            transport, _ = await loop.create_datagram_endpoint(
                lambda: responder, local_addr=self.places.listen("dns")
            )
        self._stack.callback(transport.close)
        self._keep(responder.serve(), "dns")

    async def _start_catalog(self, seed: int) -> None:
        await self._serve("catalog", Catalog(await self._resolver("catalog", seed), seed).server)

    async def _start_payments(self, seed: int) -> None:
        server = Payments(seed).server
        self._stack.push_async_callback(server.stop)
        await server.start(*self.places.listen("payments"))

    async def _start_checkout(self, seed: int) -> None:
        resolver = await self._resolver("checkout", seed)
        payments = PaymentsClient(self.places, resolver, self.places.source("checkout"))
        self._stack.callback(payments.close)
        http = await self._client("checkout", resolver)
        await self._serve("checkout", Checkout(self.places, http, payments, seed).server)

    async def _start_frontend(self, seed: int) -> None:
        http = await self._client("frontend", await self._resolver("frontend", seed))
        await self._serve("frontend", Frontend(self.places, http).server)

    async def _start_visitors(self, seed: int) -> None:
        http = await self._client("visitors", await self._resolver("visitors", seed))
        self.visitors = Visitors(self.places, http, self._rate, seed)
        self._keep(self.visitors.run(), "visitors")

    async def _serve(self, role: str, server: web.WebServer) -> None:
        self._stack.push_async_callback(server.stop)
        await server.start(*self.places.listen(role))

    async def _resolver(self, role: str, seed: int) -> dns.Resolver:
        found = await asyncio.get_running_loop().getaddrinfo(
            self.places.hosts["dns"], self.places.ports["dns"], family=socket.AF_INET, type=socket.SOCK_DGRAM
        )
        return dns.Resolver((str(found[0][4][0]), int(found[0][4][1])), self.places.source(role), seed)

    async def _client(self, role: str, resolver: dns.Resolver) -> aiohttp.ClientSession:
        http = web.client(self.places, role, resolver)
        self._stack.push_async_callback(http.close)
        return http

    def _keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run until `stop`, which waits for its end."""
        task = asyncio.create_task(work, name=f"demo-{name}")

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._stack.push_async_callback(end)
