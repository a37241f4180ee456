"""What a process answers while it waits for its bus, while it works, and while it drains."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest

from weir.bus.memory import MemoryBus
from weir.errors import SettingsError
from weir.runtime.run import Host
from weir.runtime.service import Service
from weir.runtime.settings import RuntimeSettings
from weir.testing.kafka.realkafka import free_port


class Nothing(msgspec.Struct, frozen=True):
    pass


class Waiting(Service):
    name = "waiting"
    title = "works until it is told to stop, and then until it is let go"
    Settings = Nothing
    let_go: asyncio.Event

    async def run(self) -> None:
        await self.context.stop.wait()
        await self.let_go.wait()


class LateBus(MemoryBus):
    def __init__(self) -> None:
        super().__init__()
        self.there = asyncio.Event()

    async def start(self) -> None:
        await self.there.wait()
        await super().start()

    def trouble(self) -> str:
        return "" if self.there.is_set() else "Kafka at kafka:9092 is away"


async def answers(port: int) -> dict[str, tuple[int, str]]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        found = {}
        for path in ("healthz", "readyz"):
            async with session.get(f"/{path}") as answer:
                found[path] = answer.status, await answer.text()
        return found


async def test_it_is_alive_at_once_and_ready_from_the_bus_to_the_drain() -> None:
    bus, port = LateBus(), free_port()
    Waiting.let_go = asyncio.Event()
    settings = RuntimeSettings(listen=f"127.0.0.1:{port}")
    host = Host([(Waiting, Nothing())], bus, settings, embedded=False, process="p", node="n")
    running = asyncio.ensure_future(host.run())
    while True:
        try:
            assert await answers(port) == {"healthz": (200, "ok"), "readyz": (503, "Kafka at kafka:9092 is away")}
            break
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0)
    bus.there.set()
    await host.ready.wait()
    assert await answers(port) == {"healthz": (200, "ok"), "readyz": (200, "ok")}
    host.stop.set()
    assert await answers(port) == {"healthz": (200, "ok"), "readyz": (503, "draining")}
    Waiting.let_go.set()
    await asyncio.wait_for(running, 10)


async def test_a_port_that_is_taken_is_told_in_words() -> None:
    server = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = RuntimeSettings(listen=f"127.0.0.1:{port}")
    Waiting.let_go = asyncio.Event()
    host = Host([(Waiting, Nothing())], MemoryBus(), settings, embedded=True, process="p", node="n")
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port}"):
        await host.run()
    server.close()
    await server.wait_closed()
