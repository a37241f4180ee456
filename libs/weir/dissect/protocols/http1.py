"""HTTP/1.0 and HTTP/1.1 (RFC 9110, RFC 9112).

Heads are read by llhttp in one call each (`http1_head`); everything between heads is a small automaton over plain
values (`http1_state`), because the framing of a body depends on the other direction (HEAD, CONNECT, 101) and on what
was lost, which no parser of one direction knows. A message that lies in one piece of data is never copied to a
buffer; bodies are cut and decoded by `bodies`.

Requests wait for their responses in order; responses that come first wait for their requests. Where something was
lost, capture times decide as well: a response answers no request that was sent after it and, unless the client was
seen to pipeline, it answers the latest request that was sent before it.
"""

from __future__ import annotations

from typing import Any

from weir.dissect import http1_pairs as pairs
from weir.dissect.api import Data, Limits, Output, Probe
from weir.dissect.http1_head import probe_request, probe_response
from weir.dissect.http1_reader import Reader
from weir.dissect.http1_state import Conversation, Phase
from weir.dissect.httpfields import HTTP_FIELDS
from weir.model.flow import Side


class Http1:
    name = "http"
    title = "HTTP/1"
    protocols = ("http",)
    transports = frozenset({"tcp"})
    ports = frozenset({80, 3000, 5000, 8000, 8008, 8080, 8081, 8888, 9090})
    fields = HTTP_FIELDS
    State = Conversation

    def __init__(self, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        self.limits = limits
        self._reader = Reader(limits)

    def probe(self, side: Side, head: bytes, transport: str = "tcp") -> Probe:
        if transport != "tcp":
            return Probe.NO
        return probe_request(head) if side is Side.CLIENT else probe_response(head)

    def open(self, *, midstream: bool = False, carry: Any = None, transport: str = "tcp") -> Conversation:
        state = Conversation(lossy=midstream)
        if midstream:
            for stream in (state.client, state.server):
                stream.phase, stream.passed = Phase.LOST, -1
        return state

    def feed(self, state: Conversation, data: Data) -> list[Output]:
        out: list[Output] = []
        reader = self._reader
        if state.over:
            return out
        stream = state.server if data.side else state.client
        if stream.held:
            reader.hold(state, stream, data, 0, out)
        else:
            reader.read(state, stream, data, out)
        if state.client.held or state.server.held:
            reader.release(state, out)
        if state.leaving is not None:
            reader.leave(state, out)
        return out

    def gap(self, state: Conversation, side: Side, offset: int, length: int, timestamp: int) -> list[Output]:
        out: list[Output] = []
        reader = self._reader
        if state.over:
            return out
        stream = state.server if side else state.client
        if stream.phase is Phase.WAIT:
            stream.release()
        elif stream.held:
            pairs.distrust(state)
            reader.release(state, out)
        stream.next = offset + length
        if not state.over:
            reader.lose(state, stream, side, length, timestamp, out)
        reader.release(state, out)
        if state.leaving is not None:
            reader.leave(state, out)
        return out

    def close(
        self, state: Conversation, side: Side | None, timestamp: int, reset: Side | None = None
    ) -> list[Output]:
        out: list[Output] = []
        reader = self._reader
        if state.over:
            return out
        state.reset = reset
        for ended in Side if side is None else (side,):
            reader.end(state, state.server if ended else state.client, ended, side is not None, out)
            reader.release(state, out)
        if state.leaving is not None:
            reader.leave(state, out)
        if side is None:
            pairs.finish(state, out)
        return out
