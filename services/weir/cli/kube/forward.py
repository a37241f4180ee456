"""A port of a pod on this machine's loopback, through the API server: the WebSocket form of `kubectl port-forward`.

Each connection is a WebSocket of its own to `pods/NAME/portforward` with the subprotocol `v4.channel.k8s.io`: the first
byte of a message is the channel (0 data, 1 error), and the first message of a channel is the port, 16 bits, least
significant byte first (kubelet, pkg/kubelet/server/portforward/websocket.go). What the pod closes ends the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import aiohttp

from weir.errors import ClusterError

PROTOCOL = "v4.channel.k8s.io"
DATA, ERROR = 0, 1
CHUNK = 32 << 10
MAX_ERROR = 1 << 10
"""Characters of an error that are told."""


class Dialer(Protocol):
    """Opens WebSockets of the API server (`weir.targets.kube.client.KubeClient`)."""

    def websocket(
        self, path: str, protocols: Sequence[str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]: ...


@asynccontextmanager
async def forwarded(
    dialer: Dialer, namespace: str, pod: str, port: int, told: Callable[[str], None]
) -> AsyncIterator[int]:
    """Inside the block the pod's port is reached at 127.0.0.1 and the port that is given; `told` hears of trouble."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}"
    at_work: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        try:
            async with dialer.websocket(path, [PROTOCOL]) as socket:
                await _join(socket, reader, writer, port)
        except ClusterError as error:
            told(error.message)
        except (aiohttp.ClientError, OSError, asyncio.CancelledError):
            pass  # either side is gone, or this ends: the connection's end says so
        finally:
            at_work.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(at_work):
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)
        await server.wait_closed()


async def _join(
    socket: aiohttp.ClientWebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
) -> None:
    """Until either side ends."""
    ways = [asyncio.ensure_future(_up(reader, socket)), asyncio.ensure_future(_down(socket, writer, port))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            if way.done():
                way.result()
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _up(reader: asyncio.StreamReader, socket: aiohttp.ClientWebSocketResponse) -> None:
    while data := await reader.read(CHUNK):
        await socket.send_bytes(bytes((DATA,)) + data)


async def _down(socket: aiohttp.ClientWebSocketResponse, writer: asyncio.StreamWriter, port: int) -> None:
    greeted: set[int] = set()
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel not in greeted:
            greeted.add(channel)
            data = _without_port(data, port)
        if channel == ERROR and data:
            raise ClusterError(f"the pod's port {port}: {data[:MAX_ERROR].decode(errors='replace')}")
        if channel == DATA and data:
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _without_port(data: bytes, port: int) -> bytes:
    """What follows the port in the first message of a channel."""
    if int.from_bytes(data[:2], "little") != port or len(data) < 2:
        raise ClusterError("the API server forwards another port than was asked for")
    return data[2:]
