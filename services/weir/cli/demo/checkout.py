"""The checkout: prices an order at the catalog, charges it at payments. Now and then it fails by itself."""

from __future__ import annotations

import random

import aiohttp
from aiohttp import web

from weir.cli.demo.grpc import GrpcError
from weir.cli.demo.payments import PaymentsClient
from weir.cli.demo.places import Places
from weir.cli.demo.web import WebServer, trace_of


class Checkout:
    def __init__(self, places: Places, http: aiohttp.ClientSession, payments: PaymentsClient, seed: int) -> None:
        self._catalog = places.url("catalog")
        self._http, self._payments = http, payments
        self._random = random.Random(seed)
        self._orders = 0
        self.server = WebServer(
            [web.post("/orders", self._order), web.get("/statement", self._statement)], "demo-checkout"
        )

    async def _order(self, request: web.Request) -> web.Response:
        order = await request.json()
        trace = trace_of(request)
        if self._random.random() < 0.06:
            return web.json_response({"error": "order book is corrupt", "trace": trace}, status=500)
        try:
            async with self._http.get(
                f"{self._catalog}/items/{order['item']}", headers={"X-Request-Id": trace}
            ) as answer:
                if answer.status != 200:
                    return web.json_response({"error": "no such item"}, status=422)
                cents = (await answer.json())["cents"] * order["count"]
            self._orders += 1
            name = f"order-{self._orders:05}"
            charge = await self._payments.charge(name, cents, trace)
        except GrpcError as error:
            return web.json_response({"error": "payment failed", "grpc_status": error.status}, status=503)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=502)
        return web.json_response(
            {"order": name, "cents": cents, "charge": charge}, status=201, headers={"Location": f"/orders/{name}"}
        )

    async def _statement(self, request: web.Request) -> web.Response:
        try:
            return web.json_response({"lines": await self._payments.statement(trace_of(request))})
        except (GrpcError, OSError, TimeoutError) as error:
            return web.json_response({"error": str(error)}, status=502)
