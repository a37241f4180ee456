"""Many live tails on one hub, each filtered differently.

    python readers.py SECONDS               the hub and what it is given, as a process of its own
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from measure import Figure, Run

from weir.archive.memory import MemoryArchive
from weir.bus.api import Record
from weir.bus.memory import MemoryBus
from weir.bus.topics import ENTRIES
from weir.hub.service import HubService
from weir.hub.settings import HubSettings
from weir.runtime.service import Context

READERS, RATE = 200, 2000
SECONDS, QUICK_SECONDS = 20, 5
BATCH_S = 0.05
SHARES = 10
"""Of so many entries one fits the filter of a reader; the second time every one does, and 500 a second are shown."""
TOKEN = "a-token-for-benchmarks"
FAIR = 0.9
"""The reader that was told least was told of so much of what the one that was told most was."""


class Told(msgspec.Struct, kw_only=True):
    """A message of the tail, or the sum of all."""

    entries: list[msgspec.Raw] = []
    matched: int = 0
    shown: int = 0
    missed: int = 0
    arrived: int = 0


def readers(run: Run) -> Iterator[Figure]:
    """CPU of the hub for each reader and second, and whether all readers are served alike."""
    for shares, what in ((SHARES, "one entry of ten fits each"), (1, "every entry fits each")):
        told, all_told = asyncio.run(_measured(QUICK_SECONDS if run.quick else SECONDS, shares))
        yield from _figures(told, all_told, shares, what)


def _figures(told: dict[str, Any], all_told: list[Told], shares: int, what: str) -> Iterator[Figure]:
    cores = told["cpu_s"] / told["wall_s"]
    rows = sum(one.arrived for one in all_told)
    note = (
        f"{READERS} readers, {told['rate']:,.0f} entries/s for {told['sending_s']:.0f} s, hub and what feeds it "
        f"{cores:.2f} cores in all, those who read {told['readers_cpu_s'] / told['wall_s']:.2f}"
    )
    yield Figure(
        case="readers", what=f"CPU of the hub for each reader, {what}", value=1000 * cores / READERS, unit="ms/s",
        note=note,
    )
    fitting = [len(range(number % shares, told["sent"], shares)) for number in range(READERS)]
    counted = min(one.matched / fits for one, fits in zip(all_told, fitting, strict=True))
    lost = sum(one.shown - one.missed - one.arrived for one in all_told)
    yield Figure(
        case="readers", what=f"counted for the worst served, of what fits it, {what}", value=counted, unit="",
        budget="= 1", holds=counted == 1 and not lost,
        note=f"{rows:,} entries arrived, {sum(one.missed for one in all_told):,} missed and counted, {lost} lost "
        "without a word",
    )
    fair = min(one.arrived for one in all_told) / max(1, *(one.arrived for one in all_told))
    yield Figure(
        case="readers", what=f"arrived at the worst served, of what arrived at the best, {what}", value=fair, unit="",
        budget=f">= {FAIR}", holds=fair >= FAIR,
    )


async def _measured(seconds: int, shares: int) -> tuple[dict[str, Any], list[Told]]:
    """Readers live in this process, so that their work is not counted."""
    hub = await asyncio.create_subprocess_exec(
        sys.executable, __file__, str(seconds), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert hub.stdout is not None
    assert hub.stdin is not None
    url = (await hub.stdout.readline()).decode().strip()
    all_told = [Told() for _ in range(READERS)]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        following = [asyncio.create_task(_follow(session, url, n, shares, one)) for n, one in enumerate(all_told)]
        try:
            cpu = time.process_time()
            hub.stdin.write(b"go\n")
            told: dict[str, Any] = json.loads(await asyncio.wait_for(hub.stdout.readline(), 10 * seconds + 120))
            told["readers_cpu_s"] = time.process_time() - cpu
        finally:
            hub.stdin.close()
            await asyncio.gather(*following, return_exceptions=True)
            await hub.wait()
    return told, all_told


async def _follow(session: aiohttp.ClientSession, url: str, number: int, shares: int, told: Told) -> None:
    """Another filter for each, and the same share for all."""
    text = f'http && src.port % {shares} == {number % shares} && status_code != {600 + number}'
    decode = msgspec.json.Decoder(Told).decode
    async with session.ws_connect(f"{url}api/v1/tail", params={"filter": text, "detail": "summary"}) as tail:
        async for message in tail:
            said = decode(message.data)
            told.matched += said.matched
            told.shown += said.shown
            told.missed += said.missed
            told.arrived += len(said.entries)


def _entry(number: int) -> dict[str, Any]:
    return {
        "v": 1, "id": f"{number:032x}", "timestamp": time.time_ns(), "protocol": "http", "kind": "exchange",
        "flow_id": "f", "method": "GET", "path": f"/items/{number}", "status_code": 200, "ok": True,
        "elapsed_time": number % 9999, "summary": f"GET /items/{number}",
        "src": {"ip": "10.0.0.1", "port": number % 60000, "name": "web", "namespace": "shop"},
        "dst": {"ip": "10.0.0.2", "port": 80, "name": "cart", "namespace": "shop"},
        "request": {"headers": {"host": "cart", "accept": "*/*"}, "size": 100}, "response": {"size": 900},
    }


async def _serve(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bus = MemoryBus(instance="weir", shards=1)
        shared: dict[str, Any] = {"data_dir": Path(folder), "archive": MemoryArchive()}
        context = Context(bus=bus, shared=shared, process="bench")
        service = HubService(HubSettings(listen="127.0.0.1:0", token=TOKEN, max_tails=READERS), context)
        await bus.start()
        serving = asyncio.create_task(service.run())
        while "hub.url" not in shared:
            await asyncio.sleep(0.01)
        sys.stdout.write(shared["hub.url"].partition("?")[0] + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        await _followed(shared["hub.url"].partition("?")[0])
        sent, begun, cpu = 0, time.monotonic(), time.process_time()
        while (passed := time.monotonic() - begun) < seconds:
            due = int(passed * RATE)
            await bus.publish(ENTRIES, [Record(b"k", _entry(number)) for number in range(sent, due)])
            sent = due
            await asyncio.sleep(BATCH_S)
        sending = time.monotonic() - begun
        await asyncio.sleep(1)
        sys.stdout.write(json.dumps({
            "cpu_s": time.process_time() - cpu, "wall_s": time.monotonic() - begun, "sending_s": sending, "sent": sent,
            "rate": sent / sending,
        }) + "\n")
        sys.stdout.flush()
        context.stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await serving
        await bus.stop(1)


async def _followed(url: str) -> None:
    """Until every reader follows."""
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        while True:
            async with session.get(f"{url}api/v1/health") as answer:
                if (await answer.json())["followers"] == READERS:
                    return
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1])))
