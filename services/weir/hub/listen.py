"""Listening with a bound: aiohttp answers whoever comes, however many; here the surplus is turned away at once."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from weir.errors import HubError

BACKLOG = 128
SILENT_S = 15.0
"""A connection that has not brought a whole request within this time is closed."""
KEEPALIVE_S = 75.0
MAX_LINE = 16384
"""Bytes of the request line, and of one header field."""

_silent: dict[asyncio.BaseProtocol, asyncio.TimerHandle] = {}
"""Connections that have not brought a request yet, and what hangs them up."""


def heard(request: web.Request) -> None:
    """Its connection is no silent one."""
    timer = _silent.pop(request.protocol, None)
    if timer is not None:
        timer.cancel()


class _TurnAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.abort()


@asynccontextmanager
async def listening(
    app: web.Application, host: str, port: int, max_connections: int, refused: Callable[[str], None],
    shutdown_s: float, tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve inside the block; gives the port. `refused` is told of each connection that is turned away."""
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=shutdown_s, max_line_size=MAX_LINE, max_field_size=MAX_LINE,
        keepalive_timeout=KEEPALIVE_S,
    )
    await runner.setup()
    try:
        server = runner.server
        if server is None:
            raise RuntimeError("an application that is set up has a server")
        answer = server
        loop = asyncio.get_running_loop()

        def connect() -> asyncio.BaseProtocol:
            if len(answer.connections) >= max_connections:
                refused("connections")
                return _TurnAway()
            protocol = answer()
            _silent[protocol] = loop.call_later(SILENT_S, hang_up, protocol)
            return protocol

        def hang_up(protocol: asyncio.BaseProtocol) -> None:
            _silent.pop(protocol, None)
            transport = getattr(protocol, "transport", None)
            if transport is not None:
                refused("silent")
                transport.abort()

        try:
            bound = await loop.create_server(
                connect, host, port, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=SILENT_S if tls else None
            )
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
