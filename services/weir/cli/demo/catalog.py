"""The catalog: what the shop sells. Lists are compressed, some answers are slow, the stock's server is long gone."""

from __future__ import annotations

import asyncio
import random

from aiohttp import web

from weir.cli.demo.dns import Resolver
from weir.cli.demo.web import WebServer

_WORDS = ("oak", "river", "stone", "copper", "linen", "amber", "slate", "willow", "iron", "birch", "clay", "moss")
_KINDS = ("lamp", "chair", "kettle", "basket", "mirror", "clock", "bowl", "rug")


def goods() -> list[dict[str, object]]:
    return [
        {
            "id": number, "name": f"{_WORDS[number % len(_WORDS)]} {_KINDS[number % len(_KINDS)]}",
            "cents": 990 + 650 * number, "tags": [_KINDS[number % len(_KINDS)], "classic" if number % 5 else "new"],
        }
        for number in range(1, 25)
    ]


class Catalog:
    def __init__(self, resolver: Resolver, seed: int) -> None:
        self._resolver = resolver
        self._random = random.Random(seed)
        self._goods = {str(item["id"]): item for item in goods()}
        self.server = WebServer(
            [
                web.get("/items", self._items), web.get("/items/{id}", self._item),
                web.get("/items/{id}/stock", self._stock),
            ],
            "demo-catalog",
        )

    async def _items(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self._random.choice((0.002, 0.004, 0.008, 0.02, 0.7)))
        query = request.query.get("q", "").lower()
        response = web.json_response({"items": [i for i in self._goods.values() if query in str(i["name"])]})
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _item(self, request: web.Request) -> web.Response:
        await asyncio.sleep(0.002 + 0.004 * self._random.random())
        item = self._goods.get(request.match_info["id"])
        if item is None:
            return web.json_response({"error": "no such item"}, status=404)
        return web.json_response(item, headers={"Cache-Control": "max-age=60", "ETag": f'"v1-{item["id"]}"'})

    async def _stock(self, request: web.Request) -> web.Response:
        try:
            await self._resolver.address("inventory.demo.svc")
        except OSError as error:
            return web.json_response({"error": str(error)}, status=503, headers={"Retry-After": "30"})
        return web.json_response({"id": request.match_info["id"], "stock": 1})
