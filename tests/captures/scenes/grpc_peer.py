"""Either end of gRPC calls, as a process of its own: `grpc_peer.py serve ADDRESS`, or a client's act in its place.

gRPC makes its sockets in threads of its own, which do not follow one thread into a namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

import grpc

PORT = 50051


class Orders(grpc.GenericRpcHandler):
    """One method of each kind."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return {
            "/shop.Orders/Place": grpc.unary_unary_rpc_method_handler(place),
            "/shop.Orders/Watch": grpc.unary_stream_rpc_method_handler(watch),
            "/shop.Orders/Chat": grpc.stream_stream_rpc_method_handler(chat),
        }.get(details.method)


async def place(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    if request == b"nothing":
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the basket is empty: \u00fc")
    return b"placed " + request


async def watch(request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"%s %d" % (request, number)


async def chat(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request.upper()


async def serve(address: str) -> None:
    serving = grpc.aio.server()
    serving.add_generic_rpc_handlers((Orders(),))
    serving.add_insecure_port(f"{address}:{PORT}")
    await serving.start()
    await serving.wait_for_termination()


async def unary(channel: grpc.aio.Channel) -> None:
    method = channel.unary_unary("/shop.Orders/Place")
    assert await method(b"a book", metadata=(("x-request-id", "one"),)) == b"placed a book"
    for call, request in ((method, b"nothing"), (channel.unary_unary("/shop.Orders/Lose"), b"it")):
        with contextlib.suppress(grpc.aio.AioRpcError):
            await call(request)


async def streaming(channel: grpc.aio.Channel) -> None:
    assert [m async for m in channel.unary_stream("/shop.Orders/Watch")(b"step")][-1] == b"step 2"
    talk = channel.stream_stream("/shop.Orders/Chat")()
    for word in (b"hello", b"world"):
        await talk.write(word)
        assert await talk.read() == word.upper()
    await talk.done_writing()
    assert await talk.read() is grpc.aio.EOF


async def cancelled(channel: grpc.aio.Channel) -> None:
    talk = channel.stream_stream("/shop.Orders/Chat")()
    await talk.write(b"hello")
    assert await talk.read() == b"HELLO"
    talk.cancel()


async def main(act: str, address: str) -> None:
    if act == "serve":
        await serve(address)
        return
    async with grpc.aio.insecure_channel(f"{address}:{PORT}") as channel:
        await {"unary": unary, "streaming": streaming, "cancelled": cancelled}[act](channel)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
