"""The frontend: what visitors talk to. Hands their calls on to the catalog and the checkout."""

from __future__ import annotations

import aiohttp
from aiohttp import web

from weir.cli.demo.places import Places
from weir.cli.demo.web import WebServer, trace_of

_PAGE = """<!doctype html><title>The demo shop</title><h1>The demo shop</h1><p>Lamps, chairs and kettles.</p>"""


class Frontend:
    def __init__(self, places: Places, http: aiohttp.ClientSession) -> None:
        self._catalog, self._checkout = places.url("catalog"), places.url("checkout")
        self._http = http
        self.server = WebServer(
            [
                web.get("/", self._page), web.post("/login", self._login), web.get("/products", self._products),
                web.get("/products/{id}", self._product), web.get("/products/{id}/stock", self._stock),
                web.post("/checkout", self._order), web.get("/account", self._account),
            ],
            "demo-frontend",
        )

    async def _page(self, _request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def _login(self, request: web.Request) -> web.Response:
        user = str((await request.post()).get("user"))
        response = web.json_response({"hello": user})
        response.set_cookie("session", f"s-{user}-5f2a7c", httponly=True, samesite="Strict")
        return response

    async def _products(self, request: web.Request) -> web.Response:
        return await self._hand_on(request, "GET", f"{self._catalog}/items", params={"q": request.query.get("q", "")})

    async def _product(self, request: web.Request) -> web.Response:
        return await self._hand_on(request, "GET", f"{self._catalog}/items/{request.match_info['id']}")

    async def _stock(self, request: web.Request) -> web.Response:
        return await self._hand_on(request, "GET", f"{self._catalog}/items/{request.match_info['id']}/stock")

    async def _order(self, request: web.Request) -> web.Response:
        if "Authorization" not in request.headers:
            return web.json_response({"error": "log in first"}, status=401)
        return await self._hand_on(request, "POST", f"{self._checkout}/orders", json=await request.json())

    async def _account(self, request: web.Request) -> web.Response:
        return await self._hand_on(request, "GET", f"{self._checkout}/statement")

    async def _hand_on(
        self, request: web.Request, method: str, url: str, *, params: dict[str, str] | None = None, json: object = None
    ) -> web.Response:
        headers = {"X-Request-Id": trace_of(request)}
        if authorization := request.headers.get("Authorization"):
            headers["Authorization"] = authorization
        try:
            async with self._http.request(method, url, params=params, json=json, headers=headers) as answer:
                return web.Response(
                    body=await answer.read(), status=answer.status, content_type="application/json"
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=502)
