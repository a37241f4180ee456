"""gRPC over cleartext HTTP/2, as little of it as the shop needs: h2 for the frames, messages as bytes.

Framing: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. No compression, no deadlines.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from typing import cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions

OK, UNKNOWN, INVALID_ARGUMENT, UNIMPLEMENTED, UNAVAILABLE = 0, 2, 3, 12, 14
BODY_LIMIT = 1 << 20
_PREFIX = struct.Struct("!BI")

Handler = Callable[[list[bytes], Mapping[str, str]], AsyncIterator[bytes]]
"""Request messages and headers to response messages; raises `GrpcError` for a status that is not OK."""


class GrpcError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"grpc status {status}: {message}")
        self.status, self.message = status, message


def frame(message: bytes) -> bytes:
    return _PREFIX.pack(0, len(message)) + message


def unframe(data: bytes) -> list[bytes]:
    """The whole messages in `data`; a part of one at its end is left out."""
    messages, at = [], 0
    while at + _PREFIX.size <= len(data):
        size = _PREFIX.unpack_from(data, at)[1]
        if at + _PREFIX.size + size > len(data):
            break
        messages.append(data[at + _PREFIX.size : at + _PREFIX.size + size])
        at += _PREFIX.size + size
    return messages


class _Stream:
    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = dict(headers)
        self.body = bytearray()

    def take(self, data: bytes) -> None:
        if len(self.body) + len(data) <= BODY_LIMIT:
            self.body += data


class GrpcServer:
    def __init__(self, methods: Mapping[str, Handler]) -> None:
        self._methods = methods
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> None:
        self._server = await asyncio.start_server(self._connected, host, port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._connections.add(task)
        try:
            await _serve(reader, writer, self._methods)
        except asyncio.CancelledError:
            pass  # by `stop`; asyncio.streams would report it as an error of this callback
        finally:
            self._connections.discard(task)
            writer.close()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, methods: Mapping[str, Handler]
) -> None:
    try:
        await _Serving(reader, writer, methods).run()
    except* (OSError, h2.exceptions.ProtocolError):
        pass  # the peer went away or speaks no HTTP/2: its connection ends


class _Serving:
    """One connection of the server."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, methods: Mapping[str, Handler]
    ) -> None:
        self._reader, self._writer, self._methods = reader, writer, methods
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )
        self._streams: dict[int, _Stream] = {}

    async def run(self) -> None:
        self._h2.initiate_connection()
        self._send()
        async with asyncio.TaskGroup() as answers:
            while data := await self._reader.read(65536):
                for event in self._h2.receive_data(data):
                    self._handle(event, answers)
                self._send()

    def _handle(self, event: h2.events.Event, answers: asyncio.TaskGroup) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._streams[event.stream_id] = _Stream(cast("Mapping[str, str]", dict(event.headers)))
        elif isinstance(event, h2.events.DataReceived):
            self._streams[event.stream_id].take(event.data)
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            answers.create_task(self._answer(event.stream_id, self._streams.pop(event.stream_id)))
        elif isinstance(event, h2.events.StreamReset):
            self._streams.pop(event.stream_id, None)

    async def _answer(self, stream_id: int, stream: _Stream) -> None:
        head = [(":status", "200"), ("content-type", "application/grpc"), ("server", "demo-payments")]
        path = stream.headers.get(":path", "")
        try:
            handler = self._methods.get(path)
            if handler is None:
                raise GrpcError(UNIMPLEMENTED, f"unknown method {path}")
            began = False
            async for message in handler(unframe(bytes(stream.body)), stream.headers):
                if not began:
                    self._h2.send_headers(stream_id, head)
                    began = True
                self._h2.send_data(stream_id, frame(message))
                self._send()
            self._h2.send_headers(stream_id, ([] if began else head) + [("grpc-status", "0")], end_stream=True)
        except GrpcError as error:
            trailers = [("grpc-status", str(error.status)), ("grpc-message", error.message)]
            self._h2.send_headers(stream_id, head + trailers, end_stream=True)
        except h2.exceptions.ProtocolError:
            return  # the stream was reset while it was answered
        self._send()

    def _send(self) -> None:
        if not self._writer.is_closing():
            self._writer.write(self._h2.data_to_send())


class _Call:
    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.body = bytearray()
        self.headers: dict[str, str] = {}

    def end(self, error: Exception | None = None) -> None:
        if not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)


class GrpcConnection(asyncio.Protocol):
    """One connection of a client; calls share it."""

    def __init__(self) -> None:
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._calls: dict[int, _Call] = {}
        self._transport: asyncio.Transport | None = None
        self.made = 0
        self.lost = False

    @property
    def idle(self) -> bool:
        return not self._calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._h2.initiate_connection()
        self._send()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._handle(event)
        except h2.exceptions.ProtocolError:
            self.close()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        for call in self._calls.values():
            call.end(GrpcError(UNAVAILABLE, "connection lost"))

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.lost = True
            return
        call = self._calls.get(getattr(event, "stream_id", None) or 0)
        if call is None:
            return
        if isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            call.headers.update(cast("Mapping[str, str]", dict(event.headers)))
        elif isinstance(event, h2.events.DataReceived):
            call.body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            call.end()
        elif isinstance(event, h2.events.StreamReset):
            call.end(GrpcError(UNAVAILABLE, "stream reset"))

    async def call(
        self, authority: str, path: str, message: bytes, metadata: Mapping[str, str], timeout_s: float = 5.0
    ) -> list[bytes]:
        """The response messages. Raises `GrpcError` for a status that is not OK, TimeoutError."""
        if self.lost:
            raise GrpcError(UNAVAILABLE, "connection lost")
        stream_id, call = self._h2.get_next_available_stream_id(), _Call()
        head = {":method": "POST", ":scheme": "http", ":path": path, ":authority": authority, "te": "trailers"}
        head |= {"content-type": "application/grpc", "user-agent": "demo-checkout/1.0", **metadata}
        self._calls[stream_id] = call
        self.made += 1
        try:
            self._h2.send_headers(stream_id, list(head.items()))
            self._h2.send_data(stream_id, frame(message), end_stream=True)
            self._send()
            async with asyncio.timeout(timeout_s):
                await call.done
        finally:
            del self._calls[stream_id]
        status = int(call.headers.get("grpc-status", UNKNOWN))
        if status != OK:
            raise GrpcError(status, call.headers.get("grpc-message", ""))
        return unframe(bytes(call.body))

    def close(self) -> None:
        self.lost = True
        if self._transport is not None and not self._transport.is_closing():
            self._h2.close_connection()
            self._send()
            self._transport.close()

    def _send(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._h2.data_to_send())
