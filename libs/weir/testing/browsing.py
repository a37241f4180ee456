"""A hub of this process with its archive, and Chromium looking at it: what comes and when is the test's to say."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Browser, ConsoleMessage, Page, Request

import weir.hub
from weir.archive.api import Archive
from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import CONTROL, ENTRIES, HEALTH
from weir.hub.service import HubService
from weir.hub.settings import HubSettings
from weir.model.control import Control
from weir.model.health import Heartbeat
from weir.runtime.clock import SystemClock
from weir.runtime.service import Context, Service
from weir.store.service import StoreService
from weir.store.settings import StoreSettings
from weir.testing.kafka.realkafka import free_port
from weir.testing.servers import until

TOKEN = "a-token-for-the-tests"
STATIC = Path(weir.hub.__file__).parent / "static"
CHROMIUM = shutil.which("chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
BASE_NS = 1_790_000_000_000_000_000
ROW = ".rows .row"
SUMMARIES = f"{ROW} .summary"


def entry(number: int, **more: Any) -> dict[str, Any]:
    """The later the higher the number: an exchange that went well."""
    return {
        "v": 1, "id": f"e{number:05}", "timestamp": BASE_NS + number * 1_000_000, "protocol": "http",
        "kind": "exchange", "flow_id": f"f{number}", "summary": f"GET /{number} → 200", "status_code": 200, "ok": True,
        "elapsed_time": 1500, "method": "GET", "path": f"/{number}",
        "src": {"ip": "10.0.0.1", "port": 40000, "name": "cart", "namespace": "shop"},
        "dst": {"ip": "10.0.0.2", "port": 80, "name": "pay", "namespace": "shop"},
        "request": {"size": 100}, "response": {"size": 200},
    } | more  # fmt: skip


def connection(number: int, **more: Any) -> dict[str, Any]:
    """The flow entry of a connection."""
    return entry(number, kind="flow", protocol="tcp", summary=f"tcp fin: {number} packets") | more


class Rig:
    """With an `archive` of somebody else's nothing stores what comes: only what is inserted there is kept."""

    def __init__(self, folder: Path, archive: Archive | None = None) -> None:
        self.bus = MemoryBus(instance="weir", shards=1)
        self._folder = folder
        self._clock = SystemClock()
        self._shared: dict[str, Any] = {"data_dir": folder} | ({"archive": archive} if archive else {})
        self._stores = archive is None
        self._contexts: list[Context] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.url = ""
        # Chosen once: a hub that is started again is found under the same address, and by the same cookie.
        self.port = free_port()

    @property
    def signed(self) -> str:
        return f"{self.url}?token={TOKEN}"

    async def start(self, **settings: Any) -> None:
        self._shared.pop("hub.url", None)
        hub = HubSettings(listen=f"127.0.0.1:{self.port}", token=TOKEN)
        hub = msgspec.structs.replace(hub, **settings)
        self._contexts = [Context(bus=self.bus, shared=self._shared, process="here") for _ in range(2)]
        services: list[Service] = [HubService(hub, self._contexts[0])]
        if self._stores:
            services.append(StoreService(StoreSettings(batch_age_s=0.01), self._contexts[1]))
        self._tasks = [asyncio.create_task(service.run()) for service in services]
        await self.until(self._listening)
        self.url = self._shared["hub.url"].partition("?")[0]

    async def _listening(self) -> bool:
        for task in self._tasks:
            if task.done():
                task.result()
        return "hub.url" in self._shared

    async def stop(self) -> None:
        for context in self._contexts:
            context.stop.set()
        async with asyncio.timeout(20):
            await asyncio.gather(*self._tasks)

    async def publish(self, *entries: dict[str, Any]) -> None:
        await self.bus.publish(ENTRIES, [Record(b"k", one) for one in entries])

    async def stored(self, *entries: dict[str, Any]) -> None:
        """Publish, and wait until the archive has them."""
        await self.publish(*entries)
        archive = self._shared["archive"]

        async def kept() -> bool:
            return all([await archive.get(one["id"]) for one in entries])

        await self.until(kept)

    @asynccontextmanager
    async def archive_waits(self) -> AsyncIterator[None]:
        """The archive takes nothing in while the block runs."""
        archive = self._shared["archive"]
        insert, gate = archive.insert, asyncio.Event()

        async def later(entries: Any) -> None:
            await gate.wait()
            await insert(entries)

        archive.insert = later
        try:
            yield
        finally:
            archive.insert = insert
            gate.set()

    async def beat(self, **more: Any) -> None:
        """A heartbeat of the node's process; without more, one that says that all is well."""
        now = self._clock.now_ns()
        beat = Heartbeat(process="node-1", stages=["capture"], started_ns=now, sent_ns=now, interval_s=600)
        await self.bus.publish(HEALTH, [Record(b"node-1", msgspec.structs.replace(beat, **more))])

    async def control(self, *targets: str) -> None:
        control = Control(generation=1, outline=not targets, targets=list(targets))
        await self.bus.publish(CONTROL, [Record(b"weir", control)])

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(20):
            while not await holds():  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.01)


@contextmanager
def weir_up(folder: Path, *arguments: str, listen: str = "127.0.0.1:0") -> Iterator[str]:
    """Run `weir up` as a person does, and give the URL that it prints."""
    log = folder / "weir.log"
    env = {name: value for name, value in os.environ.items() if not name.startswith("WEIR_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "weir.cli", "up", "--listen", listen, "--data", str(folder), *arguments],
            env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
        )  # fmt: skip
    try:
        until(lambda: "?token=" in log.read_text(), "", 30)
        found = re.search(r"http://\S+\?token=\S+", log.read_text())
        assert found
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
        print(log.read_text())


class Watched:
    """A page whose complaints and requests are written down."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self._origins = url, url.replace("http", "ws", 1)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)
        page.on("websocket", lambda socket: self._known(socket.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        self._known(request.url)

    def _known(self, url: str) -> None:
        if not url.startswith(self._origins):
            self.foreign.append(url)


@asynccontextmanager
async def looking(browser: Browser, url: str, *, quiet: bool = True, **options: Any) -> AsyncIterator[Page]:
    """Look at the hub; afterwards nothing was asked of anybody else, and (`quiet`) the console is empty."""
    context = await browser.new_context(**options)
    watched = Watched(await context.new_page(), url.partition("?")[0])
    try:
        await watched.page.goto(url)
        yield watched.page
        assert watched.foreign == []
        if quiet:
            assert watched.complaints == []
    finally:
        await context.close()


async def summaries(page: Page) -> list[str]:
    return await page.locator(SUMMARIES).all_inner_texts()


async def rows_are(page: Page, wanted: list[str]) -> None:
    """Wait until the list shows exactly these summaries, from top to bottom."""
    try:
        await page.wait_for_function(
            "([where, wanted]) => JSON.stringify([...document.querySelectorAll(where)]"
            ".sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)"
            ".map((one) => one.title)) === JSON.stringify(wanted)",
            arg=[SUMMARIES, wanted], timeout=10_000,
        )
    except Exception:
        raise AssertionError(f"{await summaries(page)} instead of {wanted}") from None


async def live(page: Page) -> None:
    await page.locator(".state.live").wait_for()


async def filtered(page: Page, text: str, *, taken: bool = True) -> None:
    """Write a filter and press Enter; `taken`: wait until it is in force."""
    bar = page.get_by_label("Filter", exact=True)
    await bar.fill(text)
    await bar.press("Enter")
    if taken:
        await page.wait_for_function(
            "(text) => (new URLSearchParams(location.search).get('filter') ?? '') === text", arg=text
        )
