"""Servers that say exactly what they are told to, for what no real one says on demand."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from scenes.stage import Stage

Handler = Callable[[socket.socket], None]


@contextlib.contextmanager
def scripted(stage: Stage, port: int, handle: Handler) -> Iterator[None]:
    """Accepts one connection, which `handle` has to itself."""
    with stage.server.entered():
        listener = socket.create_server((stage.server.address, port))

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.settimeout(10)
            handle(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    thread.join(10)
    assert not thread.is_alive(), "the scripted server did not end"


def connect(stage: Stage, port: int) -> socket.socket:
    with stage.client.entered():
        return socket.create_connection((stage.server.address, port), 10)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What comes until it ends with `end`; with empty `end`, until the other side closes."""
    got = b""
    while not (end and got.endswith(end)) and (part := connection.recv(65536)):
        got += part
    return got


def abort(connection: socket.socket) -> None:
    """Close with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def wait_for_reset(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        read_until(connection, b"")
        raise AssertionError("the connection was closed in order")
