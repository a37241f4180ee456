"""HTTP/1.1 as nginx, aiohttp and curl speak it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web
from scenes.stage import Packets, Stage, case

from weir.testing.servers import nginx, run_in, serving

PORT = 8080
SITE = """
  server {
    listen 8080; listen [::]:8080;
    location = / { return 200 "hello\\n"; }
    location = /health { return 204; }
    location = /orders { add_header X-Order 17; return 201 "{\\"order\\": 17}\\n"; }
    location = /old { return 301 /new; }
    location = /broken { return 500 "no\\n"; }
    location /files/ { alias %s/; }
  }
"""


def site(stage: Stage) -> str:
    """nginx with a few pages; answers with its address."""
    files = stage.folder / "files"
    files.mkdir()
    (files / "page.txt").write_text("a page of text\n" * 20)
    (files / "long.txt").write_text("".join(f"line {n:05d} of a long file\n" for n in range(800)))
    nginx(stage.server, stage.folder, SITE % files, PORT)
    return f"http://{stage.server.address}:{PORT}"


def curl(stage: Stage, *arguments: str) -> str:
    return stage.client.run("curl", "-s", "-S", "-m", "10", *arguments).stdout


def send(stage: Stage, data: bytes, *, end: bytes = b"", port: int = PORT, close: bool = True) -> bytes:
    """Send bytes as they are and read until `end` was seen, else until the server closes."""
    with stage.client.entered(), socket.create_connection((stage.server.address, port), 10) as connection:
        connection.sendall(data)
        if close:
            connection.shutdown(socket.SHUT_WR)
        got = b""
        while part := connection.recv(65536):
            got += part
            if end and got.endswith(end):
                break
    return got


@contextlib.asynccontextmanager
async def application(app: web.Application, address: str) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, address, PORT).start()
        yield
    finally:
        await runner.cleanup()


@case("http1/plain")
def plain(stage: Stage) -> Packets:
    """curl asks nginx five times over one connection: 200, 201 (POST with a body), 301, 404 and 500."""
    url = site(stage)
    with stage.recording() as recording:
        curl(
            stage, f"{url}/", "-H", "X-Request-Id: one",
            "--next", "-s", f"{url}/orders?dry=1", "--json", '{"item": "book", "n": 2}',
            "--next", "-s", f"{url}/old", "--next", "-s", f"{url}/nothing", "--next", "-s", f"{url}/broken",
        )  # fmt: skip
    return recording.packets


@case("http1/ipv6")
def ipv6(stage: Stage) -> Packets:
    """curl asks nginx for a page of text over IPv6."""
    site(stage)
    with stage.recording() as recording:
        curl(stage, f"http://[{stage.server.address6}]:{PORT}/files/page.txt")
    return recording.packets


@case("http1/pipelined")
def pipelined(stage: Stage) -> Packets:
    """Three requests in one segment; nginx answers them in order."""
    site(stage)
    ask = b"".join(b"GET /%s HTTP/1.1\r\nHost: shop\r\n\r\n" % path for path in (b"", b"nothing", b"files/page.txt"))
    with stage.recording() as recording:
        send(stage, ask, end=b"text\n" * 1)
    return recording.packets


@case("http1/no-body")
def no_body(stage: Stage) -> Packets:
    """Answers without a body: HEAD (with the length of the body that GET would give), 204, and 304 to If-None-Match."""
    url = site(stage)
    etag = next(line for line in curl(stage, "-I", f"{url}/files/page.txt").splitlines() if line.startswith("ETag"))
    with stage.recording() as recording:
        curl(
            stage, "-I", f"{url}/files/page.txt", "--next", "-s", f"{url}/health",
            "--next", "-s", f"{url}/files/page.txt", "-H", "If-None-Match:" + etag.partition(":")[2],
        )  # fmt: skip
    return recording.packets


@case("http1/compressed")
def compressed(stage: Stage) -> Packets:
    """aiohttp gives the same text as gzip, deflate, br and zstd; the bodies are shown decompressed."""
    import gzip
    import zlib

    import brotli
    import zstandard

    text = b"to be or not to be\n" * 30
    codings = {
        "gzip": gzip.compress(text, mtime=0), "deflate": zlib.compress(text), "br": brotli.compress(text),
        "zstd": zstandard.compress(text),
    }  # fmt: skip

    async def answer(request: web.Request) -> web.Response:
        coding = request.match_info["coding"]
        return web.Response(body=codings[coding], headers={"Content-Encoding": coding, "Content-Type": "text/plain"})

    app = web.Application()
    app.router.add_get("/{coding}", answer)

    async def ask() -> None:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            for coding in codings:
                async with session.get(f"http://{stage.server.address}:{PORT}/{coding}") as response:
                    assert await response.read() == codings[coding]

    with stage.recording() as recording, serving(stage.server, lambda: application(app, stage.server.address)):
        run_in(stage.client, ask())
    return recording.packets


@case("http1/expect-continue")
def expect_continue(stage: Stage) -> Packets:
    """curl waits for `100 Continue` before it sends the body; aiohttp allows it. One exchange, answered with 200."""

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"size": len(await request.read())})

    app = web.Application()
    app.router.add_put("/upload", answer)
    with stage.recording() as recording, serving(stage.server, lambda: application(app, stage.server.address)):
        curl(
            stage, "-X", "PUT", "-H", "Expect: 100-continue", "--data-binary", "x" * 3000,
            f"http://{stage.server.address}:{PORT}/upload",
        )  # fmt: skip
    return recording.packets


@case("http1/websocket")
def websocket(stage: Stage) -> Packets:
    """An upgrade to WebSocket with aiohttp at both ends, and two messages that HTTP does not read any more."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    app = web.Application()
    app.router.add_get("/chat", answer)

    async def talk() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"http://{stage.server.address}:{PORT}/chat") as socket,
        ):
            for word in ("hello", "world"):
                await socket.send_str(word)
                assert await socket.receive_str() == word.upper()

    with stage.recording() as recording, serving(stage.server, lambda: application(app, stage.server.address)):
        run_in(stage.client, talk())
    return recording.packets


@case("http1/credentials")
def credentials(stage: Stage) -> Packets:
    """Authorization, cookies and a token in the query: masked in every entry, equal values by equal digests."""
    url = site(stage)
    with stage.recording() as recording:
        curl(
            stage, "-u", "anna:secret", "-b", "session=0123456789", f"{url}/?token=abcdef&page=2",
            "--next", "-s", "-H", "Authorization: Bearer abcdef", "-b", "session=0123456789",
            f"{url}/?access_token=abcdef",
        )  # fmt: skip
    return recording.packets
