"""Payments: charges cards over gRPC. Sometimes slow, sometimes unavailable."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping

from weir.cli.demo import protobuf
from weir.cli.demo.dns import Resolver
from weir.cli.demo.grpc import INVALID_ARGUMENT, UNAVAILABLE, GrpcConnection, GrpcError, GrpcServer
from weir.cli.demo.places import Places, name_of

CHARGE = "/demo.Payments/Charge"
STATEMENT = "/demo.Payments/Statement"
CALLS_PER_CONNECTION = 40
"""Then a new one is made, so that whoever starts to watch late soon sees a whole connection."""


class Payments:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._charged = 0
        self.server = GrpcServer({CHARGE: self._charge, STATEMENT: self._statement})

    async def _charge(self, messages: list[bytes], headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        """ChargeRequest {order 1, cents 2, currency 3, card 4} to ChargeReply {id 1, cents 2, state 3}."""
        request = protobuf.decode(messages[0]) if messages else {}
        if not isinstance(request.get(2), int):
            raise GrpcError(INVALID_ARGUMENT, "nothing to charge")
        luck = self._random.random()
        if luck < 0.12:
            raise GrpcError(UNAVAILABLE, "card network is away")
        await asyncio.sleep(0.9 if luck > 0.92 else 0.01 + 0.03 * luck)
        self._charged += 1
        yield protobuf.encode({1: f"ch-{self._charged:05}", 2: request[2], 3: "accepted"})

    async def _statement(self, messages: list[bytes], headers: Mapping[str, str]) -> AsyncIterator[bytes]:
        """A stream of three StatementLine {id 1, cents 2}."""
        for line in range(3):
            await asyncio.sleep(0.02)
            yield protobuf.encode({1: f"line-{line}", 2: 100 * (line + 1)})


class PaymentsClient:
    """The checkout's side: one connection at a time, renewed every `CALLS_PER_CONNECTION` calls."""

    def __init__(self, places: Places, resolver: Resolver, source: tuple[str, int] | None) -> None:
        self._places, self._resolver, self._source = places, resolver, source
        self._connection: GrpcConnection | None = None
        self._connecting = asyncio.Lock()

    async def charge(self, order: str, cents: int, trace: str) -> str:
        """The charge's id. Raises `GrpcError`, OSError, TimeoutError."""
        message = protobuf.encode({1: order, 2: cents, 3: "EUR", 4: "4111-1111-1111-1111"})
        return str(protobuf.decode((await self._call(CHARGE, message, trace))[0]).get(1, ""))

    async def statement(self, trace: str) -> int:
        """How many lines it has."""
        return len(await self._call(STATEMENT, b"", trace))

    async def _call(self, path: str, message: bytes, trace: str) -> list[bytes]:
        connection = await self._usable()
        metadata = {"authorization": "Bearer checkout-service-token-9c1f", "x-request-id": trace}
        authority = f"{name_of('payments')}:{self._places.ports['payments']}"
        return await connection.call(authority, path, message, metadata)

    async def _usable(self) -> GrpcConnection:
        async with self._connecting:
            connection = self._connection
            if connection is not None and not connection.lost and connection.made >= CALLS_PER_CONNECTION:
                if not connection.idle:
                    return connection
                connection.close()
            if connection is None or connection.lost:
                host = await self._resolver.address(name_of("payments"))
                _, connection = await asyncio.get_running_loop().create_connection(
                    GrpcConnection, host, self._places.ports["payments"], local_addr=self._source
                )
                self._connection = connection
            return connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
