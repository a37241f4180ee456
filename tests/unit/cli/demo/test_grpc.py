from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping

import pytest

from weir.cli.demo.grpc import UNAVAILABLE, UNIMPLEMENTED, GrpcConnection, GrpcError, GrpcServer, frame, unframe


async def echo(messages: list[bytes], headers: Mapping[str, str]) -> AsyncIterator[bytes]:
    if headers.get("fail"):
        raise GrpcError(UNAVAILABLE, "away")
    for message in messages:
        yield message
        yield message[::-1]


@pytest.fixture
async def connection() -> AsyncIterator[GrpcConnection]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = GrpcServer({"/t.Echo/Both": echo})
    await server.start("127.0.0.1", port)
    _, client = await asyncio.get_running_loop().create_connection(GrpcConnection, "127.0.0.1", port)
    yield client
    client.close()
    await server.stop()


def test_unframe_leaves_out_a_part_of_a_message() -> None:
    data = frame(b"one") + frame(b"") + frame(b"three")
    assert unframe(data) == [b"one", b"", b"three"]
    assert unframe(data[:-1]) == [b"one", b""]


async def test_calls_share_a_connection(connection: GrpcConnection) -> None:
    async with asyncio.TaskGroup() as tasks:
        calls = [
            tasks.create_task(connection.call("t", "/t.Echo/Both", f"m{number}".encode(), {})) for number in range(20)
        ]
    assert [call.result() for call in calls] == [[f"m{n}".encode(), f"m{n}".encode()[::-1]] for n in range(20)]
    assert connection.idle
    assert connection.made == 20


async def test_a_status_that_is_not_ok_is_raised(connection: GrpcConnection) -> None:
    with pytest.raises(GrpcError, match="away") as caught:
        await connection.call("t", "/t.Echo/Both", b"x", {"fail": "1"})
    assert caught.value.status == UNAVAILABLE
    with pytest.raises(GrpcError) as caught:
        await connection.call("t", "/t.Echo/None", b"x", {})
    assert caught.value.status == UNIMPLEMENTED


async def test_a_closed_connection_refuses_calls(connection: GrpcConnection) -> None:
    connection.close()
    with pytest.raises(GrpcError, match="connection lost"):
        await connection.call("t", "/t.Echo/Both", b"x", {})
