"""HTTP/2 conversations for tests: two endpoints of h2 whose words are recorded, and single frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from hpack import Encoder
from hyperframe.frame import Frame, HeadersFrame, SettingsFrame

from weir.dissect.http2_frames import PREFACE
from weir.testing.transcript import C, Line, S

Fields = Iterable[tuple[str, str]]
REQUEST = [(":method", "GET"), (":scheme", "http"), (":authority", "shop"), (":path", "/cart?item=1&item=2&x=a%20b")]
GRPC = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "cart:7070"),
    (":path", "/shop.Cart/Add"),
    ("te", "trailers"),
    ("content-type", "application/grpc+proto"),
]
FIRST = PREFACE + SettingsFrame(0).serialize()


class Wire:
    """Two h2 endpoints; what they say is recorded in order."""

    def __init__(self) -> None:
        self.client, self.server = (
            H2Connection(
                H2Configuration(client_side=side, validate_outbound_headers=False, validate_inbound_headers=False)
            )
            for side in (True, False)
        )
        self.lines: list[Line] = []
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.move()

    def move(self) -> None:
        for _ in range(3):
            for side, here, there in ((C, self.client, self.server), (S, self.server, self.client)):
                if data := here.data_to_send():
                    self.lines.append((side, data))
                    there.receive_data(data)

    def ask(self, headers: Fields = REQUEST, body: bytes = b"", *, end: bool = True, **more: Any) -> int:
        number = self.client.get_next_available_stream_id()
        self.client.send_headers(number, list(headers), end_stream=end and not body, **more)
        self.move()
        if body:
            self.client.send_data(number, body, end_stream=end)
            self.move()
        return number

    def answer(
        self, number: int, headers: Fields = ((":status", "200"),), body: bytes = b"hello", trailers: Fields = ()
    ) -> None:
        trailers = list(trailers)
        self.server.send_headers(number, list(headers), end_stream=not body and not trailers)
        for at in range(0, len(body), 16_384):
            last = at + 16_384 >= len(body)
            self.server.send_data(number, body[at : at + 16_384], end_stream=last and not trailers)
            self.move()
        if trailers:
            self.server.send_headers(number, trailers, end_stream=True)
        self.move()


def raw(*frames: Frame) -> bytes:
    return b"".join(frame.serialize() for frame in frames)


def headers_frame(
    number: int, fields: Fields, encoder: Encoder | None = None, flags: Iterable[str] = ()
) -> HeadersFrame:
    block = (encoder or Encoder()).encode(list(fields))
    return HeadersFrame(number, data=block, flags=["END_HEADERS", *flags])


def prefixed(*messages: bytes, compressed: bool = False) -> bytes:
    return b"".join(bytes([compressed]) + len(m).to_bytes(4) + m for m in messages)
