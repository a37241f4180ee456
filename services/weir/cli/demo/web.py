"""What the shop's HTTP services share: a server on one address, and a client that finds names at the shop's DNS."""

from __future__ import annotations

import aiohttp
from aiohttp import web

from weir.cli.demo.dns import Resolver
from weir.cli.demo.places import Places

TIMEOUT_S = 5.0


class WebServer:
    def __init__(self, routes: list[web.RouteDef], server: str) -> None:
        app = web.Application()
        app.add_routes(routes)

        async def sign(_request: web.Request, response: web.StreamResponse) -> None:
            response.headers["Server"] = server

        app.on_response_prepare.append(sign)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.5)

    async def start(self, host: str, port: int) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()

    async def stop(self) -> None:
        await self._runner.cleanup()


def client(places: Places, role: str, resolver: Resolver) -> aiohttp.ClientSession:
    """A session that calls from the role's own address."""
    connector = aiohttp.TCPConnector(
        resolver=resolver, local_addr=places.source(role), limit=16, keepalive_timeout=4, use_dns_cache=False
    )
    return aiohttp.ClientSession(
        connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        headers={"User-Agent": f"demo-{role}/1.0"}, cookie_jar=aiohttp.DummyCookieJar(),
    )


def trace_of(request: web.Request) -> str:
    return request.headers.get("X-Request-Id", "")
