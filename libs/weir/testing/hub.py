"""store and hub in one process on the memory bus, asked over HTTP and WebSocket as people and programs ask."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import ENDPOINTS, ENTRIES
from weir.hub.service import HubService
from weir.hub.settings import HubSettings
from weir.model.control import EndpointRecord
from weir.model.entry import Named
from weir.runtime.service import Context
from weir.store.service import StoreService
from weir.store.settings import StoreSettings

TOKEN = "a-token-for-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
STORE = StoreSettings(batch_age_s=0.01)
HUB = HubSettings(listen="127.0.0.1:0", token=TOKEN, tail_interval_s=0.01)


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {
        "v": 1, "id": f"e{number:05}", "timestamp": 1_700_000_000_000_000_000 + number, "protocol": "http",
        "kind": "exchange", "flow_id": "f", "summary": f"GET /{number}", "status_code": 200, "ok": True,
        "src": {"ip": "10.0.0.1", "name": "cart"}, "dst": {"ip": "10.0.0.2", "name": "pay"},
        "request": {"headers": {"a": "b"}, "size": 10},
    } | more


class World:
    """A bus, what its services share, and how they are asked."""

    def __init__(self, folder: Path) -> None:
        self.bus = MemoryBus(instance="weir", shards=2)
        self.shared: dict[str, Any] = {"data_dir": folder}
        self.url = ""
        self.http: aiohttp.ClientSession

    def context(self) -> Context:
        return Context(bus=self.bus, shared=self.shared, process="here")

    async def publish(self, *entries: dict[str, Any]) -> None:
        await self.bus.publish(ENTRIES, [Record(b"k", one) for one in entries])

    async def ask(self, path: str, **more: Any) -> tuple[int, Any]:
        async with self.http.get(self.url + path, headers=BEARER, **more) as answer:
            body = await answer.read()
            return answer.status, json.loads(body) if "json" in answer.content_type else body.decode()

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.http.request(method, self.url + path, json=body, headers=BEARER | headers) as answer:
            return answer.status, await answer.json()

    async def pods(self, *names: str, targeted: str = "") -> None:
        """Pods `namespace/name@node`; those whose name begins with `targeted` are."""
        records = []
        for number, text in enumerate(names, 1):
            namespace, _, rest = text.partition("/")
            name, _, node = rest.partition("@")
            records.append(EndpointRecord(
                address=f"10.1.0.{number}", uid=f"u{number}", name=name, namespace=namespace, node=node,
                pod=Named(name, namespace), workload=f"deployment/{name.rpartition('-')[0]}", role="pod",
                targeted=bool(targeted) and name.startswith(targeted), captured=True,
            ))
        await self.bus.publish(ENDPOINTS, [Record(one.uid.encode(), one) for one in records])

        async def known() -> bool:
            body = {"pod": ".*"}
            return bool((await self.send("POST", "api/v1/rules/preview", body))[1]["pods"] == len(names))

        await self.until(known)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await holds():  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.005)

    async def kept(self, count: int) -> None:
        async def holds() -> bool:
            status, stats = await self.ask("api/v1/stats")
            return status == 200 and bool(stats["groups"]) and stats["groups"][0]["entries"] == count

        await self.until(holds)


@asynccontextmanager
async def world(
    folder: Path, store: StoreSettings | None = STORE, hub: HubSettings = HUB
) -> AsyncIterator[World]:
    made = World(folder)
    await made.bus.start()
    contexts = [made.context(), made.context()]
    services = [HubService(hub, contexts[0])] + ([StoreService(store, contexts[1])] if store else [])
    made.http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
    tasks = [asyncio.create_task(service.run()) for service in services]
    try:
        async def listening() -> bool:
            for task in tasks:
                if task.done():
                    task.result()
            return "hub.url" in made.shared

        await made.until(listening)
        made.url = made.shared["hub.url"].partition("?")[0]
        yield made
    finally:
        await made.http.close()
        for context in contexts:
            context.stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)
        await made.bus.stop(1)


async def following(weir: World, count: int) -> None:
    async def holds() -> bool:
        return bool((await weir.ask("api/v1/health"))[1]["followers"] == count)

    await weir.until(holds)
