from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from weir.dissect.api import Data, Exchange, Limits, Output
from weir.dissect.protocols.http2 import Http2
from weir.model.flow import Side

C, S = Side.CLIENT, Side.SERVER
REQUEST = [(":method", "GET"), (":scheme", "http"), (":authority", "shop"), (":path", "/cart?item=1&item=2&x=y")]
Step = tuple[Side, bytes]


class Wire:
    """Two h2 endpoints; everything they say is recorded in order."""

    def __init__(self, *, preface: bool = True) -> None:
        self.client = H2Connection(H2Configuration(client_side=True))
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.steps: list[Step] = []
        self.events: list[Any] = []
        self.client.initiate_connection()
        self.server.initiate_connection()
        self.move()

    def move(self) -> None:
        for _ in range(4):
            for side, here, there in ((C, self.client, self.server), (S, self.server, self.client)):
                data = here.data_to_send()
                if data:
                    self.steps.append((side, data))
                    self.events += there.receive_data(data)

    def exchange(
        self,
        request: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        status: str = "200",
        answer: bytes = b"hello",
        headers: Iterable[tuple[str, str]] = (),
        trailers: Iterable[tuple[str, str]] = (),
    ) -> int:
        number = self.client.get_next_available_stream_id()
        self.client.send_headers(number, [*REQUEST, *request], end_stream=not body)
        self.move()
        if body:
            self.client.send_data(number, body, end_stream=True)
            self.move()
        self.server.send_headers(number, [(":status", status), *headers], end_stream=not answer and not trailers)
        if answer:
            self.server.send_data(number, answer, end_stream=not trailers)
        if trailers:
            self.server.send_headers(number, list(trailers), end_stream=True)
        self.move()
        return number


def run(
    steps: Iterable[Step],
    *,
    cut: int = 0,
    seed: int = 0,
    save: bool = False,
    limits: Limits | None = None,
    midstream: bool = False,
    close: bool = True,
) -> list[Output]:
    """Feed the steps, each with its own time (the byte's place in all bytes), cut to pieces of `cut` at most."""
    dissector = Http2(limits or Limits())
    state = dissector.open(midstream=midstream)
    out: list[Output] = []
    offsets = [0, 0]
    rng = random.Random(seed)
    for time, (side, data) in enumerate(steps):
        at = 0
        while at < len(data):
            size = rng.randint(1, cut) if cut else len(data)
            piece = data[at : at + size]
            out += dissector.feed(state, Data(side, piece, time + 1, offsets[side]))
            offsets[side] += len(piece)
            at += size
            if save:
                state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=dissector.State)
    if close:
        out += dissector.close(state, None, 10**9)
    return out


def only(out: list[Output]) -> Exchange:
    assert len(out) == 1
    assert isinstance(out[0], Exchange)
    return out[0]


def test_plain_exchange() -> None:
    wire = Wire()
    wire.exchange()
    found = only(run(wire.steps))
    assert (found.protocol, found.kind, found.stream_id, found.side) == ("http", "exchange", 1, C)
    assert found.fields["method"] == "GET"
    assert found.fields["path"] == "/cart"
    assert found.fields["host"] == "shop"
    assert found.fields["status_code"] == 200
    assert found.fields["http_version"] == "2"
    assert found.ok is True
    assert found.summary == "GET /cart → 200"
    assert found.incomplete == []
    assert found.weird == []
    assert found.response is not None
    assert found.response.body is not None
    assert found.response.body.text == "hello"
    assert found.request is not None
    assert found.request.body is None
    assert found.request.timestamp < found.response.timestamp


@pytest.mark.parametrize("save", [False, True])
@pytest.mark.parametrize("cut", [1, 3, 20])
def test_any_split_and_saving_at_any_point_change_nothing(cut: int, save: bool) -> None:
    wire = Wire()
    for i in range(4):
        wire.exchange(
            request=[("content-type", "application/grpc"), (f"x-{i}", "v")],
            body=b"\0\0\0\0\3abc" * i,
            trailers=[("grpc-status", str(i)), ("grpc-message", "no%20way")],
        )
    assert run(wire.steps, cut=cut, save=save) == run(wire.steps)
