"""Live traffic: how soon an entry is seen, and what the reader of packets costs. Needs the right to capture."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
from measure import WEIR, Figure, Run, Skip, percentile

from weir.capture.permission import PermissionMissing, require_capture
from weir.testing.kafka.jars import KafkaMissing
from weir.testing.kafka.realkafka import RealKafka, free_port
from weir.testing.netns import joined, may_make_namespaces
from weir.testing.stages import Installation, heartbeats

EMBEDDED_S, KAFKA_S = 0.5, 1.0
RATE, SECONDS, QUICK_SECONDS = 200, 15, 4
"""Calls a second, and for how long."""
TOKEN = "a-token-for-benchmarks"
START_S = 30.0
CORE = 0.1
LOAD_S, QUICK_LOAD_S = 8, 3
SENDER = """
import socket, sys, time
sink, port, until = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect((sink, port))
payload, sent = bytes(86), 0
while time.monotonic() < until:
    for _ in range(500):
        try:
            out.send(payload)
            sent += 1
        except OSError:
            pass
print(sent)
"""


def latency(run: Run) -> Iterator[Figure]:
    """From the last byte of a response on the wire to its entry at a follower of the page."""
    try:
        require_capture(("lo",))
    except PermissionMissing as error:
        raise Skip(str(error).partition("\n")[0]) from error
    seconds = QUICK_SECONDS if run.quick else SECONDS
    yield from _told("embedded", EMBEDDED_S, asyncio.run(_embedded(run.folder, seconds)))
    try:
        node = RealKafka(run.folder / "kafka-latency")
    except KafkaMissing as error:
        raise Skip(f"through Kafka: {error}") from error
    node.format()
    node.start()
    try:
        delays = asyncio.run(_through_kafka(node.bootstrap, run.folder / "latency", seconds))
    finally:
        node.stop()
    yield from _told("through Kafka", KAFKA_S, delays)


def _told(where: str, budget: float, delays: list[float]) -> Iterator[Figure]:
    worst = percentile(delays, 99)
    yield Figure(
        case="latency", what=f"wire to page, {where}, p99", value=worst, unit="s", budget=f"<= {budget} s",
        holds=worst <= budget,
        note=f"p50 {percentile(delays, 50):.3f} s, {len(delays):,} entries of some {RATE} calls a second",
    )


async def _embedded(folder: Path, seconds: int) -> list[float]:
    async with _server() as port:
        page = free_port()
        argv = [
            *WEIR, "up", "--capture.interfaces", "lo", "--target", f"port:{port}", "--hub.listen", f"127.0.0.1:{page}",
            "--hub.token", TOKEN, "--runtime.data-dir", str(folder / "up"),
        ]
        with (folder / "up.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*argv, stdout=log, stderr=log)
        try:
            return await _measured(f"http://127.0.0.1:{page}", port, seconds)
        except Exception as error:
            error.add_note((folder / "up.log").read_text()[-500:])
            raise
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 30)


async def _through_kafka(bootstrap: str, folder: Path, seconds: int) -> list[float]:
    installation = Installation(bootstrap, f"bench-{uuid.uuid4().hex[:6]}", folder, shards=1)
    async with _server() as port:
        page = free_port()
        with installation.running():
            async with installation.bus() as bus:
                installation.run("targets", "targets", "--targets.static", f"port:{port}")
                installation.run("hub", "store", "hub", "--hub.listen", f"127.0.0.1:{page}", "--hub.token", TOKEN)
                for name in ("decode", "filter"):
                    installation.run(name, name)
                installation.run("capture", "capture", "--capture.interfaces", "lo")
                await heartbeats(bus, lambda beats: len(beats) == 5)
            return await _measured(f"http://127.0.0.1:{page}", port, seconds)


async def _measured(page: str, port: int, seconds: int) -> list[float]:
    """Delays of all calls but those of a warm-up."""
    delays: list[float] = []
    async with aiohttp.ClientSession() as session, _tail(session, page) as tail:
        calls = asyncio.create_task(_calls(session, f"http://127.0.0.1:{port}"))
        try:
            await tail.receive(START_S)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                message = await tail.receive(START_S)
                now = time.time_ns()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise RuntimeError(f"the tail ended: {message}")
                told: dict[str, Any] = json.loads(message.data)
                delays += [(now - e["response"]["end"]) / 1e9 for e in told["entries"] if "response" in e]
        finally:
            calls.cancel()
            await asyncio.gather(calls, return_exceptions=True)
    return delays


@contextlib.asynccontextmanager
async def _tail(session: aiohttp.ClientSession, page: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    params = {"format": "json", "detail": "summary", "protocol": "http"}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    end = time.monotonic() + START_S
    while True:
        try:
            socket = await session.ws_connect(page + "/api/v1/tail", params=params, headers=headers)
            break
        except aiohttp.ClientError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)
    async with socket:
        yield socket


async def _calls(session: aiohttp.ClientSession, url: str) -> None:
    while True:
        async with session.get(f"{url}/items/1?page=2") as answer:
            await answer.read()
        await asyncio.sleep(1 / RATE)


@contextlib.asynccontextmanager
async def _server() -> AsyncIterator[int]:
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 900\r\n\r\n" + b"x" * 900

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def capture(run: Run) -> Iterator[Figure]:
    """The packet ring under small packets as fast as this machine sends them, in namespaces of its own."""
    if not may_make_namespaces():
        raise Skip("needs root and iproute2 for network namespaces")
    seconds = QUICK_LOAD_S if run.quick else LOAD_S
    with joined("send", "see") as (sender, seer):
        argv = [sys.executable, __file__, seer.interface, str(seconds + 3)]
        reader = subprocess.Popen(seer.command(*argv), stdout=subprocess.PIPE)
        assert reader.stdout is not None
        try:
            reader.stdout.readline()
            sent = int(sender.run(sys.executable, "-c", SENDER, seer.address, "9", str(seconds)).stdout)
            seen = json.loads(reader.stdout.readline())
        finally:
            reader.kill()
            reader.wait()
            reader.stdout.close()
    share = seen["cpu_s"] / seconds
    yield Figure(
        case="capture", what="CPU of the reader of packets", value=share, unit="cores", budget=f"<= {CORE}",
        holds=share <= CORE,
        note=f"{sent / seconds:,.0f} packets a second of 128 B; {seen['packets']:,} of {sent:,} seen, "
        f"{seen['lost']:,} lost",
    )


async def _read_ring(interface: str, seconds: float) -> dict[str, float]:
    """What `capture` does for packets, but for the bus."""
    from weir.bus.memory import MemoryBus
    from weir.capture.settings import CaptureSettings
    from weir.capture.sources.af_packet import AfPacketSource
    from weir.model.control import Control
    from weir.runtime.service import Context

    context = Context(bus=MemoryBus())
    source = AfPacketSource(CaptureSettings(interfaces=(interface,), ceiling_bytes_s=0), context)
    source.follow(Control(generation=1, outline=False, targets=["all"]))
    loop = asyncio.get_running_loop()
    loop.call_later(0.5, lambda: sys.stdout.write("ready\n") and sys.stdout.flush())
    loop.call_later(seconds, context.stop.set)
    packets = lost = 0
    begun = time.process_time()
    async for block in source.blocks():
        packets += block.count if block.layout != "tallies" else 0
        lost += block.lost
    return {"packets": packets, "lost": lost, "cpu_s": time.process_time() - begun}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(_read_ring(sys.argv[1], float(sys.argv[2])))) + "\n")
