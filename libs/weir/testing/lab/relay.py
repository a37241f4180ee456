"""Leads a TCP port of one network namespace to the same port of another, as a process of its own.

    with leading(node, 9092): ...       # 127.0.0.1:9092 in `node` is 127.0.0.1:9092 out here

A socket stays in the namespace in which it was made: the listener is made inside and handed to the process, which
stays outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

from weir.testing.netns import Namespace

HOST = "127.0.0.1"


@contextlib.contextmanager
def leading(where: Namespace, port: int) -> Iterator[None]:
    with where.entered():
        listener = socket.create_server((HOST, port), backlog=64)
    with listener:
        process = subprocess.Popen(
            [sys.executable, "-m", "weir.testing.lab.relay", str(listener.fileno()), str(port)],
            pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


async def relay(descriptor: int, port: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward_reader, onward_writer = await asyncio.open_connection(HOST, port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pass_on(reader, onward_writer))
            both.create_task(_pass_on(onward_reader, writer))

    server = await asyncio.start_server(serve, sock=socket.socket(fileno=descriptor))
    async with server:
        await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), int(sys.argv[2])))
