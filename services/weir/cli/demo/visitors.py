"""The visitors: a seeded stream of calls to the frontend, at a bounded rate and with a bounded number in flight."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import aiohttp

from weir.cli.demo.places import Places

EXCHANGES_PER_VISIT = 2.5
"""Measured: what one visit costs the shop in HTTP, gRPC and DNS exchanges."""
IN_FLIGHT = 16


class Visitors:
    def __init__(self, places: Places, http: aiohttp.ClientSession, rate: float, seed: int) -> None:
        self._base = places.url("frontend")
        self._http = http
        self._every_s = EXCHANGES_PER_VISIT / rate
        self._random = random.Random(seed)
        self.calls = 0
        self.failures = 0
        """Calls without any answer."""

    async def run(self) -> None:
        """Visit until cancelled."""
        places_left = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as visits:
            while True:
                await places_left.acquire()
                visits.create_task(self._visit(places_left.release))
                await asyncio.sleep(self._every_s * (0.5 + self._random.random()))

    async def _visit(self, done: Callable[[], None]) -> None:
        self.calls += 1
        try:
            await self._call(self.calls)
        except (aiohttp.ClientError, OSError, TimeoutError):
            self.failures += 1
        finally:
            done()

    async def _call(self, number: int) -> None:
        user = self._random.choice(("ada", "grace", "edsger", "barbara"))
        item = self._random.randrange(1, 27)
        headers = {
            "X-Request-Id": f"req-{number:06}", "Cookie": f"session=s-{user}-5f2a7c; theme=dark", "Accept": "*/*",
        }
        token = {"Authorization": f"Bearer visitor-token-{user}-81d0"}
        plan: list[tuple[int, str, str, dict[str, object]]] = [
            (4, "GET", "/", {}),
            (6, "GET", "/products", {}),
            (4, "GET", "/products", {"params": {"q": "oak", "token": f"t-{user}-3b9"}}),
            (8, "GET", f"/products/{item}", {}),
            (2, "GET", f"/products/{item}/stock", {}),
            (2, "GET", "/account", {}),
            (2, "GET", "/favicon.ico", {}),
            (2, "POST", "/login", {"data": {"user": user, "password": "correct horse"}}),
            (9, "POST", "/checkout", {"json": {"item": item, "count": 1 + item % 3}, "headers": headers | token}),
            (1, "POST", "/checkout", {"json": {"item": item, "count": 1}}),
        ]
        weights = [weight for weight, *_ in plan]
        _, method, path, extra = self._random.choices(plan, weights)[0]
        if self._random.random() < 0.15:
            headers["Connection"] = "close"
        options = {"headers": headers} | extra
        async with self._http.request(method, self._base + path, **options) as answer:  # type: ignore[arg-type]
            await answer.read()
