"""Listening with a bound: aiohttp answers whoever comes, however many; here the surplus is turned away at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from weir.errors import HubError

BACKLOG = 128


class _TurnAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, max_connections: int, surplus: Callable[[], None], shutdown_s: float
) -> AsyncIterator[int]:
    """Serve inside the block; gives the port. `surplus` is called for each connection that is turned away."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_s, max_line_size=16384)
    await runner.setup()
    try:
        server = runner.server
        if server is None:
            raise RuntimeError("an application that is set up has a server")
        answer = server

        def connect() -> asyncio.BaseProtocol:
            if len(answer.connections) < max_connections:
                return answer()
            surplus()
            return _TurnAway()

        try:
            bound = await asyncio.get_running_loop().create_server(connect, host, port, backlog=BACKLOG)
        except OSError as error:
            raise HubError(
                f"cannot listen on {host}:{port}: {os.strerror(error.errno) if error.errno else error}",
                hint="something else uses this port, or the address is not this machine's: "
                "choose another with --hub.listen HOST:PORT (port 0 for any)",
            ) from error
        try:
            yield bound.sockets[0].getsockname()[1]
        finally:
            bound.close()
    finally:
        await runner.cleanup()
