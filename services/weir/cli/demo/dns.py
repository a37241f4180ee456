"""The shop's DNS: a UDP responder for `*.demo.svc` and the stub resolver of its services (RFC 1035, A and AAAA)."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import cast

from aiohttp.abc import AbstractResolver, ResolveResult

from weir.cli.demo.places import DOMAIN

A, AAAA = 1, 28
NOERROR, FORMERR, NXDOMAIN = 0, 1, 3
TTL_S = 5
TIMEOUT_S = 1.0
ATTEMPTS = 3
_HEADER = struct.Struct("!HHHHHH")

Lookup = Callable[[str], Awaitable[str | None]]
"""Role to IPv4 address, None when there is no such name."""


def encode_query(ident: int, name: str, qtype: int) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return _HEADER.pack(ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", qtype, 1)


def decode_question(message: bytes) -> tuple[int, str, int, int] | None:
    """(id, lower-case name, type, offset behind the question), None for what is no plain query or answer."""
    if len(message) < _HEADER.size + 5:
        return None
    ident, _flags, questions, *_ = _HEADER.unpack_from(message)
    labels, at = [], _HEADER.size
    while at < len(message) and message[at]:
        size = message[at]
        labels.append(message[at + 1 : at + 1 + size].decode("ascii", "replace").lower())
        at += 1 + size
    if questions != 1 or at + 5 > len(message):
        return None
    return ident, ".".join(labels), struct.unpack_from("!H", message, at + 1)[0], at + 5


def encode_answer(query: bytes, end: int, rcode: int, address: str | None) -> bytes:
    """`end`: offset behind the question of `query`, which is repeated in the answer."""
    ident = struct.unpack_from("!H", query)[0]
    head = _HEADER.pack(ident, 0x8580 | rcode, 1, 1 if address else 0, 0, 0)
    if not address:
        return head + query[_HEADER.size : end]
    packed = ipaddress.IPv4Address(address).packed
    return head + query[_HEADER.size : end] + struct.pack("!HHHIH", 0xC00C, A, 1, TTL_S, len(packed)) + packed


def decode_answer(message: bytes) -> tuple[int, str | None]:
    """(response code, address of the first A record) of an answer that `encode_answer` made."""
    question = decode_question(message)
    if question is None:
        return FORMERR, None
    rcode, answers, at = message[3] & 15, struct.unpack_from("!H", message, 6)[0], question[3]
    if not answers or len(message) < at + 16:
        return rcode, None
    return rcode, str(ipaddress.IPv4Address(message[at + 12 : at + 16]))


class Responder(asyncio.DatagramProtocol):
    """Answers queries one after the other, so that no task outlives it."""

    def __init__(self, lookup: Lookup, limit: int = 256) -> None:
        self._lookup = lookup
        self._queue: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue(limit)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if not self._queue.full():
            self._queue.put_nowait((data, cast(tuple[str, int], addr)))

    async def serve(self) -> None:
        while True:
            query, sender = await self._queue.get()
            answer = await self._answer(query)
            if answer and self._transport and not self._transport.is_closing():
                self._transport.sendto(answer, sender)

    async def _answer(self, query: bytes) -> bytes | None:
        question = decode_question(query)
        if question is None:
            return None
        _, name, qtype, end = question
        role = name.removesuffix(f".{DOMAIN}")
        address = await self._lookup(role) if role != name else None
        if address is None:
            return encode_answer(query, end, NXDOMAIN, None)
        return encode_answer(query, end, NOERROR, address if qtype == A else None)


class _Asker(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[bytes], ident: int) -> None:
        self._answer, self._ident = answer, ident

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        if not self._answer.done() and data[:2] == struct.pack("!H", self._ident):
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


class Resolver(AbstractResolver):
    """A stub resolver with a cache, for aiohttp and for the gRPC client."""

    def __init__(self, server: tuple[str, int], source: tuple[str, int] | None, seed: int) -> None:
        self._server, self._source = server, source
        self._random = random.Random(seed)
        self._cache: dict[str, tuple[float, str]] = {}

    async def ask(self, name: str, qtype: int = A) -> tuple[int, str | None]:
        """(response code, address). Raises OSError when nobody answers."""
        loop = asyncio.get_running_loop()
        for _ in range(ATTEMPTS):
            ident = self._random.randrange(1 << 16)
            future: asyncio.Future[bytes] = loop.create_future()
            transport, _protocol = await loop.create_datagram_endpoint(
                lambda f=future, i=ident: _Asker(f, i),  # type: ignore[misc]
                local_addr=self._source, remote_addr=self._server, family=socket.AF_INET,
            )
            try:
                transport.sendto(encode_query(ident, name, qtype))
                async with asyncio.timeout(TIMEOUT_S):
                    return decode_answer(await future)
            except TimeoutError:
                continue
            finally:
                transport.close()
        raise OSError(f"{name}: no answer from the DNS server {self._server[0]}:{self._server[1]}")

    async def address(self, name: str) -> str:
        """The address of `name`, from the cache for `TTL_S`. Raises OSError when there is none."""
        now = asyncio.get_running_loop().time()
        until, known = self._cache.get(name, (0.0, ""))
        if now < until:
            return known
        _, found = await self.ask(name)
        if found is None:
            raise OSError(f"{name}: no such name")
        self._cache[name] = (now + TTL_S, found)
        return found

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = await self.address(host)
        return [ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        self._cache.clear()
